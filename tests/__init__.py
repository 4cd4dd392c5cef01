"""
Tests. In CI (``CI`` is set) hypothesis tries the same examples each time, so that a run fails for what was changed; by
hand it tries others, and finds more. No example has a deadline, and none is too slow to
make: machines are busy.
"""

import os

from hypothesis import HealthCheck, settings

_slowly = [HealthCheck.too_slow]
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=_slowly)
settings.register_profile("here", deadline=None, suppress_health_check=_slowly)
settings.load_profile("ci" if os.environ.get("CI") else "here")
