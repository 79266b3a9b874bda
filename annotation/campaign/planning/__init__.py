"""Plan which tasks should exist now, and for whom: pure functions of the record."""
