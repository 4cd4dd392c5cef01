"""What is read of files that others may have put there."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy import regularfile
from revproxy.regularfile import NotAFile, readFile
from tests.socketfolder import socketFolder


class ReadTests(SynchronousTestCase):
    """One rule for all of them."""

    def setUp(self) -> None:
        self.folder = socketFolder(self)
        self.path = self.folder / "file"

    def refusal(self, path: Path | str | None = None, limit: int = 100) -> OSError:
        return self.assertRaises(OSError, readFile, path or self.path, limit)

    def test_whole(self) -> None:
        """A file up to the limit is read whole, also by a link; in a folder that is open, a link is refused."""
        self.path.write_bytes(b"x" * 100)
        link = self.folder / "link"
        link.symlink_to(self.path)
        self.assertEqual((readFile(self.path, 100), readFile(link, 100)), (b"x" * 100, b"x" * 100))
        folder = os.open(self.folder, os.O_RDONLY)
        self.addCleanup(os.close, folder)
        self.assertEqual(readFile("file", 100, folder), b"x" * 100)
        self.assertIn("a symbolic link", str(self.assertRaises(NotAFile, readFile, "link", 100, folder)))

    def test_tooLarge(self) -> None:
        """One byte more is too much, and so are a gigabyte of nothing and a file that does not say its size."""
        self.path.write_bytes(b"x" * 101)
        self.assertEqual(str(self.refusal()), f"{self.path}: it has more than 100 bytes, the most it may have")
        os.truncate(self.path, 1 << 30)
        self.assertEqual(self.refusal().errno, errno.EFBIG)
        self.assertEqual(self.refusal("/proc/self/smaps").errno, errno.EFBIG)

    def test_noFile(self) -> None:
        """A named pipe is not waited for, nor opened: its writer notices nothing. Others are no files either."""
        os.mkfifo(self.path)
        self.assertEqual(str(self.refusal()), f"{self.path}: it is a named pipe and no file; put a plain file there")
        self.path.unlink()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self.path))
            self.assertIn("it is a socket and no file", str(self.refusal()))
        self.assertIn("it is a device and no file", str(self.refusal("/dev/zero")))
        self.assertIn("it is a folder and no file", str(self.refusal(self.folder)))
        self.assertEqual(self.refusal(self.folder).errno, errno.EISDIR)

    def test_swapped(self) -> None:
        """What becomes a named pipe between the look and the opening is not waited for either."""
        self.path.write_bytes(b"x")
        check = regularfile._check

        def swap(found: os.stat_result, name: str) -> None:
            check(found, name)
            self.patch(regularfile, "_check", check)
            self.path.unlink()
            os.mkfifo(self.path)

        self.patch(regularfile, "_check", swap)
        self.assertIn("it is a named pipe", str(self.refusal()))

    def test_missing(self) -> None:
        """What is not there, and what leads in a circle, are errors like any other."""
        self.assertEqual(self.refusal().errno, errno.ENOENT)
        self.path.symlink_to(self.path)
        self.assertEqual(self.refusal().errno, errno.ELOOP)
