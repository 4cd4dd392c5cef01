"""
All screens of the dashboard, looked at as `tests.admin.dashboard.test_screens` looks at a few.
"""

from __future__ import annotations

from tests.admin.dashboard import test_screens


class AllScreensTests(test_screens.ScreenTests):
    """
    Nobody is kept out of any of them, at any width, in either theme.
    """

    names = test_screens.SCREENS
