"""Steps of a plugin's life, and how they fail."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.refusal import Refusal
from revproxy.plan.versionid import VersionId
from revproxy.worker.lifecycle.stages import StageFailed


class FailureTests(SynchronousTestCase):
    """`StageFailed`."""

    def test_texts(self) -> None:
        """It says which step of which version failed, where and why."""
        refusal = Refusal("p", "start", "/p/plugin.py:3: it raised", VersionId("1.0", "0123456789abcdef"), "Traceback")
        failed = StageFailed(refusal, late=True)
        self.assertEqual(str(failed), "plugin p 1.0 (0123456789ab): start: /p/plugin.py:3: it raised")
        self.assertEqual((failed.refusal, failed.late), (refusal, True))
        self.assertFalse(StageFailed(refusal).late)
