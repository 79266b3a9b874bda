"""What all tests share: generated examples are judged by what they find, not by how busy the machine is.

The same commit makes the same examples everywhere; `pytest --hypothesis-profile=searching` looks for new ones.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("searching", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", settings.get_profile("searching"), derandomize=True, database=None)
settings.load_profile("repeatable")
