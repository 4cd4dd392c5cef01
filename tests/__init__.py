"""
Tests. In CI (``CI`` is set) hypothesis tries the same examples each time, so that a run fails for what was changed; by
hand it tries others, and finds more. No example has a deadline: machines are busy.
"""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")
