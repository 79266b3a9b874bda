"""Which tasks should exist now, and whose they are: pure functions of what was said so far."""
