"""
The file in which a plugin's values are kept.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.store import StoreError
from revproxy.worker.storefile import StoreFile, deleting, getting, listing, setting

WRITER = """
import sys
from pathlib import Path
from revproxy.worker.storefile import StoreFile, setting
file = StoreFile(Path(sys.argv[1]), 1 << 24, print)
number = 0
while True:
    number += 1
    file.do([setting("last", str(number)), setting(f"k{number}", "x" * 100)])
    print(number, flush=True)
"""


class FileCase(SynchronousTestCase):
    """
    A file in a folder that is not there yet.
    """

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute() / "store" / "a.sqlite"
        self.path.parent.parent.mkdir()
        self.told: list[tuple[str, str]] = []
        self.file = self.made()

    def made(self, quota: int = 1 << 24) -> StoreFile:
        """Another one for the same file."""
        file = StoreFile(self.path, quota, lambda *told: self.told.append(told))
        self.addCleanup(file.close)
        return file

    def get(self, key: str, file: StoreFile | None = None) -> Any:
        """What is kept."""
        return (file or self.file).do([getting(key)])[0]


class OperationTests(FileCase):
    """
    What can be done.
    """

    def test_order(self) -> None:
        """
        Operations are done in their order, and see what the ones before have done.
        """
        self.assertEqual(self.file.do([
            getting("a"), setting("a", "1"), getting("a"), setting("a", "2"), getting("a"), deleting("a"),
            deleting("a"), getting("a"),
        ]), [None, None, "1", None, "2", True, False, None])  # fmt: skip

    def test_keys(self) -> None:
        """
        Keys that begin so, in order; nothing in a prefix is a wildcard.
        """
        self.file.do([setting(key, "") for key in ("b", "a%", "a", "ab", "a\U0010ffff", "aa", "ä")])
        self.assertEqual(self.file.do([listing("a"), listing("a%"), listing(""), listing("c")]), [
            ["a", "a%", "aa", "ab", "a\U0010ffff"], ["a%"], ["a", "a%", "aa", "ab", "a\U0010ffff", "b", "ä"], [],
        ])  # fmt: skip

    def test_kept(self) -> None:
        """
        What was done is there for another process, and after a restart. Nobody else may read it.
        """
        self.file.do([setting("a", "1")])
        self.assertEqual(self.get("a", self.made()), "1")
        self.file.close()
        self.assertEqual(self.get("a"), "1")
        modes = {stat.S_IMODE(os.stat(path).st_mode) for path in self.path.parent.iterdir()}
        self.assertEqual((modes, stat.S_IMODE(os.stat(self.path.parent).st_mode)), ({0o600}, 0o700))

    def test_killed(self) -> None:
        """
        A process that is killed in the middle leaves all that it has said was done.
        """
        command = [sys.executable, "-c", WRITER, str(self.path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for line in writer.stdout:
                if int(line) >= 50:
                    break
            writer.send_signal(signal.SIGKILL)
            said = int([line, *writer.stdout][-1])
        last = int(self.get("last"))
        self.assertIn(last - said, (0, 1))
        self.assertEqual(len(self.file.do([listing("k")])[0]), min(last, 1000))
        self.assertEqual(self.told, [])


class TroubleTests(FileCase):
    """
    Files and disks that do not do what they should.
    """

    def test_quota(self) -> None:
        """
        What is too much is refused, the rest of the same batch is done; there is room again for what was deleted. More
        may be allowed at any time.
        """
        self.file = self.made(quota=100_000)
        results = self.file.do([setting(f"k{number}", "x" * 9000) for number in range(20)] + [setting("small", "1")])
        refused = [result for result in results if isinstance(result, StoreError)]
        self.assertIn("a.sqlite has its 100000 bytes (plugins.store_bytes)", str(refused[0]))
        self.assertTrue(5 < len(refused) < 15, len(refused))
        self.assertEqual(self.get("k0"), "x" * 9000)
        self.file.do([deleting(f"k{number}") for number in range(5)])
        self.assertEqual(self.file.do([setting("again", "x" * 9000)]), [None])
        self.file.quota = 1_000_000
        self.assertEqual(self.file.do([setting(f"k{number}", "x" * 9000) for number in range(20)]), [None] * 20)
        self.assertEqual(self.told, [])

    def test_damaged(self) -> None:
        """
        A file that is none, or was overwritten, is put aside, and a new one is begun; that is told.
        """
        os.makedirs(self.path.parent)
        self.path.write_bytes(b"no database" * 1000)
        self.assertEqual(self.file.do([setting("a", "1"), getting("a")]), [None, "1"])
        ((kind, text),) = self.told
        self.assertEqual(kind, "plugin-store-damaged")
        self.assertIn("file is not a database", text)
        self.assertTrue(Path(f"{self.path}.damaged").read_bytes().startswith(b"no database"))

    def test_damagedInside(self) -> None:
        """
        The same where the damage is met later.
        """
        self.file.do([setting(f"k{number}", "x" * 5000) for number in range(50)])
        self.file.close()
        content = bytearray(self.path.read_bytes())
        content[4096:] = b"\xff" * (len(content) - 4096)
        self.path.write_bytes(content)
        self.assertEqual(self.file.do([getting("k20"), setting("a", "1"), getting("a")]), [None, None, "1"])
        self.assertEqual([kind for kind, _ in self.told], ["plugin-store-damaged"])

    def test_deleted(self) -> None:
        """
        A file that is taken away while it is open is made again, with all that it had.
        """
        self.file.do([setting("a", "1")])
        for path in self.path.parent.iterdir():
            path.unlink()
        self.path.parent.rmdir()
        self.assertEqual(self.file.do([getting("a"), setting("b", "2")]), ["1", None])
        self.assertEqual(self.get("b", self.made()), "2")
        self.assertEqual(self.get("a", self.made()), "1")

    def test_noState(self) -> None:
        """
        While the state folder is away, all is kept in memory; nobody makes that folder but who has it. Once it is there
        again, so is the file.
        """
        self.file.do([setting("a", "1")])
        state = self.path.parent.parent
        shutil.rmtree(state)
        self.assertEqual(self.file.do([getting("a"), setting("b", "2")]), ["1", None])
        self.assertEqual(self.file.do([getting("b")]), ["2"])
        self.assertFalse(state.exists())
        self.assertEqual([kind for kind, _ in self.told], ["plugin-store-volatile"])
        state.mkdir()
        self.assertEqual(self.file.do([setting("c", "3")]), [None])
        self.assertEqual(self.made().do([getting("a"), getting("b"), getting("c")]), ["1", "2", "3"])
        self.assertEqual(len(self.told), 1)

    def test_another(self) -> None:
        """
        One that somebody has put in its place counts.
        """
        self.file.do([setting("a", "1")])
        os.rename(self.path.parent, f"{self.path.parent}.old")
        self.made().do([setting("a", "2")])
        self.assertEqual(self.get("a"), "2")

    def test_noFolder(self) -> None:
        """
        Where there can be none, it is kept in memory, and that is told once.
        """
        self.path.parent.write_text("in the way")
        self.assertEqual(self.file.do([setting("a", "1"), getting("a")]), [None, "1"])
        self.assertEqual(self.get("a"), "1")
        ((kind, text),) = self.told
        self.assertEqual(kind, "plugin-store-volatile")
        self.assertIn("what is kept lasts until a restart", text)

    def test_links(self) -> None:
        """
        A link in its place is not followed.
        """
        os.makedirs(self.path.parent)
        (self.path.parent / "else").write_text("")
        self.path.symlink_to("else")
        self.file.do([setting("a", "1")])
        self.assertEqual([kind for kind, _ in self.told], ["plugin-store-volatile"])
        self.assertEqual((self.path.parent / "else").read_text(), "")

    def test_diskFull(self) -> None:
        """
        A disk that takes no more is an error that says so, and what was kept stays; once there is room, it goes on.
        """
        self.file.do([setting("a", "1")])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (65536, hard))
            results = self.file.do([setting(f"k{number}", "x" * 60_000) for number in range(3)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        self.assertTrue(all(isinstance(result, StoreError) for result in results[1:]), results)
        self.assertRegex(str(results[-1]), r"a\.sqlite: (the disk is full|disk I/O error|database or disk is full)")
        self.assertEqual(self.file.do([getting("a"), setting("b", "2")]), ["1", None])
        self.assertEqual(self.told, [])

    def test_busy(self) -> None:
        """
        Another process that holds it is waited for, not for ever.
        """
        self.patch(sys.modules[StoreFile.__module__], "BUSY", 0.01)
        self.file.do([setting("a", "1")])
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        self.file.close()
        (result,) = self.file.do([setting("a", "2")])
        self.assertIsInstance(result, StoreError)
        self.assertIn("locked", str(result))
        other.execute("ROLLBACK")
        self.assertEqual(self.file.do([setting("a", "2"), getting("a")]), [None, "2"])
