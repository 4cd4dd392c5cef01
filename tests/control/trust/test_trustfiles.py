"""The files that the section trust names."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.lockfile import LockedPlugin, LockedVersion, LockFile, formatLock
from revproxy.config.trustconfig import TrustConfig
from revproxy.control.trust.trustfiles import TrustFiles

DIGEST = "5d" * 32
A, B, C = ("A" * 16, "B" * 16, "C" * 16)
LOCK = LockFile({"a": LockedPlugin(LockedVersion("1", DIGEST))})


class TrustFilesTests(SynchronousTestCase):
    """Read again and again."""

    def setUp(self) -> None:
        root = Path(self.mktemp()).absolute()
        root.mkdir()
        self.config = TrustConfig("lock", lock=root / "plugins.lock", revoked=root / "revoked")
        self.lock, self.revoked = root / "plugins.lock", root / "revoked"
        self.lock.write_text(formatLock(LOCK))
        self.revoked.write_text(f"key:{A}\n")
        self.files = TrustFiles()

    def read(self, isLockRead: bool = True) -> tuple[set[str], set[str], int, bool]:
        """Names in the one, entries in the other, how many problems there are, and whether all was read."""
        self.files.read(self.config, isLockRead)
        lists = self.files.of(self.config)
        names = set() if lists.lock is None else set(lists.lock.plugins)
        return names, set(lists.revoked), len(lists.problems), lists.isComplete

    def test_read(self) -> None:
        """Both are read; where none is named there is nothing."""
        self.assertEqual(self.files.of(self.config).isComplete, False)
        self.assertEqual(self.read(), ({"a"}, {f"key:{A}"}, 0, True))
        lists = self.files.of(TrustConfig())
        self.assertEqual((lists.lock, lists.revoked, lists.isComplete), (None, frozenset(), True))

    def test_gone(self) -> None:
        """One that is gone, or no file any more, says what it said before."""
        self.read()
        self.lock.unlink()
        self.revoked.unlink()
        self.assertEqual(self.read(), ({"a"}, {f"key:{A}"}, 2, True))
        self.revoked.mkdir()
        os.mkfifo(self.lock)
        self.assertEqual(self.read(), ({"a"}, {f"key:{A}"}, 2, True))
        self.revoked.rmdir()
        self.revoked.write_text("")
        self.assertEqual(self.read(), ({"a"}, set(), 1, True))

    def test_never(self) -> None:
        """One that was never read lets nothing run."""
        self.lock.write_text("plugins: []")
        self.assertEqual(self.read(), (set(), {f"key:{A}"}, 1, False))

    def test_neverWhole(self) -> None:
        """Of what is revoked, a line that cannot be understood may be the one: until there is none, nothing runs."""
        self.revoked.write_text(f"key:{A}\nsha256:12\n")
        self.assertEqual(self.read(), ({"a"}, set(), 1, False))
        self.assertEqual(self.read(), ({"a"}, set(), 1, False))
        self.revoked.write_text(f"key:{A}\n")
        self.assertEqual(self.read(), ({"a"}, {f"key:{A}"}, 0, True))

    def test_saidNothing(self) -> None:
        """What was never read has not said anything before."""
        self.revoked.unlink()
        self.read()
        (problem,) = self.files.of(self.config).problems
        self.assertIn("revoked: is not there; until it can be read, nothing runs. Make it", str(problem))
        self.revoked.write_text("")
        self.read()
        self.revoked.unlink()
        self.read()
        (problem,) = self.files.of(self.config).problems
        self.assertIn("what it said before stays in force", str(problem))

    def test_mistakes(self) -> None:
        """With mistakes, the lock file is what it was; of what is revoked, both count, until there are none."""
        self.read()
        self.lock.write_text("plugins: []")
        self.revoked.write_text(f"key:{B}\nx\n")
        self.assertEqual(self.read(), ({"a"}, {f"key:{A}", f"key:{B}"}, 2, True))
        self.revoked.write_text(f"key:{C}\nx\n")
        self.assertEqual(self.read()[1], {f"key:{A}", f"key:{B}", f"key:{C}"})
        self.revoked.write_text(f"key:{C}\n")
        self.assertEqual(self.read()[1:3], ({f"key:{C}"}, 1))

    def test_unwatched(self) -> None:
        """Where nothing is watched, the lock file is as it was; what is revoked never is."""
        self.read()
        self.lock.write_text(formatLock(LockFile()))
        self.revoked.write_text("")
        self.assertEqual(self.read(False)[:2], ({"a"}, set()))
        self.assertEqual(self.read()[:2], (set(), set()))

    def test_stale(self) -> None:
        """Whether the file of what is revoked has changed since."""
        self.assertTrue(self.files.isStale(self.config))
        self.read()
        self.assertFalse(self.files.isStale(self.config))
        self.revoked.write_text(f"key:{B}\n")
        self.assertTrue(self.files.isStale(self.config))
        self.revoked.unlink()
        self.assertTrue(self.files.isStale(self.config))
        self.read()
        self.assertFalse(self.files.isStale(self.config))
        self.assertFalse(self.files.isStale(TrustConfig()))
