"""
What versions are called.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.versionid import UNKNOWN, VersionId


class VersionIdTests(SynchronousTestCase):
    """
    As people see them.
    """

    def test_text(self) -> None:
        """
        The number, and the beginning of the digest; or what of that is known.
        """
        digest = "6f1d0a9b77c2" + "0" * 52
        self.assertEqual(str(VersionId("1.2.0", digest)), "1.2.0 (6f1d0a9b77c2)")
        self.assertEqual(str(VersionId("1.2.0")), "1.2.0")
        self.assertEqual(str(VersionId(digest=digest)), "(6f1d0a9b77c2)")
        self.assertEqual(str(UNKNOWN), "")

    def test_equal(self) -> None:
        """
        Two of the same number are the same only with the same files.
        """
        self.assertEqual(VersionId("1.0", "a"), VersionId("1.0", "a"))
        self.assertEqual(len({VersionId("1.0", "a"), VersionId("1.0", "b"), VersionId("1.0")}), 3)
