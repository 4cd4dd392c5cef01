"""
Changes that were not made.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.refusal import Refusal
from revproxy.plan.versionid import VersionId


class RefusalTests(SynchronousTestCase):
    """
    Whose fault it is.
    """

    def test_isItsOwn(self) -> None:
        """
        What a plugin does wrong by itself it does again; what others do may be mended.
        """
        own = ("import", "main", "start", "handover", "update", "health")
        others = ("files", "order", "store", "held")
        self.assertEqual([stage for stage in (*own, *others) if Refusal("a", stage, "no").isItsOwn], list(own))

    def test_digest(self) -> None:
        """
        It is that of the version, if there is one.
        """
        self.assertEqual(Refusal("a", "main", "no", VersionId("1.0", "6f")).digest, "6f")
        self.assertIsNone(Refusal("", "listen", "no").digest)

    def test_writable(self) -> None:
        """
        Names of files need not be UTF-8; what is told of them is.
        """
        refusal = Refusal("a", "trust", "plugins/a/\udcff.py: unlisted", traceback="\udcff")
        self.assertEqual((refusal.message, refusal.traceback), ("plugins/a/\\udcff.py: unlisted", "\\udcff"))
