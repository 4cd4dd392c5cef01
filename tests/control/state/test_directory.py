"""The state folder: one process at a time."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.state.directory import StateError, StateFolder, StateInUse

_HOLDER = """
import sys
from pathlib import Path
from revproxy.control.state.directory import StateFolder
StateFolder(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


class StateFolderTests(SynchronousTestCase):
    """`StateFolder`."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute() / "var" / "state"
        self.state = StateFolder(self.path)
        self.addCleanup(self.state.release)

    def refused(self, path: Path) -> str:
        """The message with which a folder is refused."""
        return str(self.assertRaises(StateError, StateFolder(path).acquire))

    def test_made(self) -> None:
        """Nothing is touched before it is taken; then it is there, for its owner only, with the process's number."""
        self.assertFalse(self.path.parent.exists())
        self.state.acquire()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o700)
        self.assertEqual((self.path / "lock").stat().st_mode & 0o777, 0o600)
        self.assertEqual((self.path / "lock").read_text(), f"{os.getpid()}\n")

    def test_closed(self) -> None:
        """One that others could look into is for its owner only from then on, and that is told once."""
        self.path.mkdir(parents=True)
        self.path.chmod(0o755)
        (self.path / "plugins.json").touch(0o600)
        self.assertEqual(self.state.acquire(), 0o755)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o700)
        self.assertIsNone(self.state.acquire())
        self.state.release()
        self.assertIsNone(self.state.acquire())

    def test_notOnlyOurs(self) -> None:
        """Where something is in it that others may read, it is not taken away from them."""
        self.path.mkdir(parents=True)
        self.path.chmod(0o755)
        (self.path / "revproxy.yaml").touch()
        (self.path / "revproxy.yaml").chmod(0o644)
        self.assertIsNone(self.state.acquire())
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o755)

    def test_meaningless(self) -> None:
        """Where a mode cannot be changed, or is another at once, nothing is claimed."""
        self.path.mkdir(parents=True)
        self.path.chmod(0o750)

        def refuse(*_: Any) -> None:
            raise PermissionError(1, "Operation not permitted")

        for chmod in (refuse, lambda *_: None):
            self.patch(os, "chmod", chmod)
            self.assertIsNone(self.state.acquire())
            self.state.release()

    def test_places(self) -> None:
        """What is where; the store is one object."""
        self.assertEqual(self.state.recordsPath, self.path / "plugins.json")
        self.assertEqual(self.state.socketPath, self.path / "control.sock")
        self.assertIs(self.state.store, self.state.store)
        self.assertEqual(self.state.store.names(), ())
        self.assertFalse(self.path.exists())

    def test_inUse(self) -> None:
        """A second one is refused and told who has it; it disturbs nothing."""
        self.state.acquire()
        for _ in range(2):
            self.assertEqual(self.refused(self.path), f"{self.path}: is in use by process {os.getpid()}; stop that, "
                                                      'or name another folder with "state"')
        error = self.assertRaises(StateInUse, StateFolder(self.path).acquire)
        self.assertEqual(error.pid, os.getpid())

    def test_numberUnknown(self) -> None:
        """The other has not written its number yet."""
        self.state.acquire()
        (self.path / "lock").write_bytes(b"")
        error = self.assertRaises(StateInUse, StateFolder(self.path).acquire)
        self.assertIsNone(error.pid)
        self.assertIn("is in use by another process", str(error))

    def test_release(self) -> None:
        """Given back, it can be had by another; both calls may be repeated."""
        self.state.release()
        self.state.acquire()
        self.state.acquire()
        self.state.release()
        self.state.release()
        other = StateFolder(self.path)
        other.acquire()
        self.assertRaises(StateInUse, self.state.acquire)
        other.release()
        self.state.acquire()

    def test_otherProcess(self) -> None:
        """The lock holds between processes and goes with one that is killed."""
        with subprocess.Popen([sys.executable, "-c", _HOLDER, str(self.path)], text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
                              ) as child:
            try:
                assert child.stdout is not None
                self.assertEqual(child.stdout.readline(), "held\n")
                error = self.assertRaises(StateInUse, self.state.acquire)
                self.assertEqual(error.pid, child.pid)
            finally:
                child.kill()
        self.state.acquire()
        self.assertEqual((self.path / "lock").read_text(), f"{os.getpid()}\n")

    def test_cannotBeMade(self) -> None:
        """A file is in the way."""
        self.path.parent.parent.mkdir()
        self.path.parent.write_text("")
        self.assertEqual(self.refused(self.path), f"{self.path}: cannot be used as the state folder: Not a directory; "
                                                  'let revproxy write there, or name another folder with "state"')
        self.assertIn("cannot be used as the state folder: File exists", self.refused(self.path.parent))

    def test_readOnly(self) -> None:
        """The file system does not let us write."""
        def refusing(*args: object, **options: object) -> int:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        self.patch(os, "open", refusing)
        text = f"{self.path}: cannot be used as the state folder: Read-only file system"
        self.assertIn(text, self.refused(self.path))

    def test_mayNotWrite(self) -> None:
        """The folder is another user's, though its lock could be opened."""
        self.patch(os, "access", lambda path, mode: False)
        self.assertIn("revproxy may not write in it", self.refused(self.path))

    def test_lockIsALink(self) -> None:
        """No number is ever written into a file that somebody linked there."""
        self.path.mkdir(parents=True)
        victim = self.path / "victim"
        victim.write_text("keep")
        (self.path / "lock").symlink_to(victim)
        self.assertIn("cannot be used", self.refused(self.path))
        self.assertEqual(victim.read_text(), "keep")

    def test_lockIsNoFile(self) -> None:
        """Nobody waits for a named pipe."""
        self.path.mkdir(parents=True)
        os.mkfifo(self.path / "lock")
        self.assertIn('cannot be used as the state folder: "lock" in it is no file', self.refused(self.path))

    def test_noDescriptorsLeft(self) -> None:
        """Neither a refusal nor a release leaves one open."""
        self.state.acquire()
        before = len(os.listdir("/proc/self/fd"))
        self.refused(self.path)
        self.assertLessEqual(len(os.listdir("/proc/self/fd")), before)
        self.state.release()
        self.assertLessEqual(len(os.listdir("/proc/self/fd")), before - 1)

    if not os.path.isdir("/proc/self/fd"):
        test_noDescriptorsLeft.skip = "no /proc here"  # type: ignore[attr-defined]


class WatchedTests(SynchronousTestCase):
    """A folder that is deleted while we have it."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute() / "state"
        self.folder = StateFolder(self.path)
        self.folder.acquire()
        self.addCleanup(self.folder.release)
        (self.path / "a").touch()

    def test_missing(self) -> None:
        """What was expected and is not there; without our lock nothing else matters."""
        self.assertEqual(self.folder.missing(["a"]), ())
        self.assertEqual(self.folder.missing(["a", "b/c"]), ("b/c",))
        (self.path / "lock").unlink()
        self.assertEqual(self.folder.missing(["a", "b/c"]), ("lock",))
        (self.path / "lock").touch()
        self.assertEqual(self.folder.missing([]), ("lock",))

    def test_retaken(self) -> None:
        """It is ours again, and nobody else's; one descriptor is held."""
        before = len(os.listdir("/proc/self/fd"))
        shutil.rmtree(self.path)
        self.folder.retake()
        self.folder.retake()
        self.assertTrue(self.folder.isHeld)
        self.assertRaises(StateInUse, StateFolder(self.path).acquire)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_anothers(self) -> None:
        """Who was quicker has it, until it lets go."""
        shutil.rmtree(self.path)
        other = StateFolder(self.path)
        other.acquire()
        self.assertRaises(StateInUse, self.folder.retake)
        self.assertRaises(StateInUse, self.folder.retake)
        other.release()
        self.folder.retake()
        self.assertTrue(self.folder.isHeld)

    def test_guarded(self) -> None:
        """Nothing is written where it is not ours."""
        self.assertEqual(self.folder.guarded(max, 1, 2), 2)
        shutil.rmtree(self.path)
        self.assertRaises(OSError, self.folder.guarded, self.path.mkdir)
        self.assertFalse(self.path.exists())
