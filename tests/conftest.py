"""What all tests share: how many examples hypothesis makes, and that no example depends on how busy the machine is.

Profiles, chosen with `pytest --hypothesis-profile=NAME`:

full        the default: 100 examples of each property, the same on every machine
quick       15 examples, the same on every machine; `make check` uses it
searching   looks for new examples; what it finds becomes an `@example`
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("searching", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", settings.get_profile("searching"), derandomize=True, database=None)
settings.register_profile("quick", settings.get_profile("full"), max_examples=15)
settings.load_profile("full")
