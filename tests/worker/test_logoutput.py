"""What log lines are written into: opened without waiting for anybody."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.worker.logoutput import NoReader, openOutput


class OutputTests(SynchronousTestCase):
    """`openOutput`."""

    def test_appends(self) -> None:
        """A file is written at its end, and each write is there at once."""
        path = Path(self.mktemp())
        path.write_bytes(b"old\n")
        output = openOutput(str(path))
        self.addCleanup(output.close)
        output.write(b"new\n")
        self.assertEqual(path.read_bytes(), b"old\nnew\n")

    def test_standardOutput(self) -> None:
        """Standard output is a duplicate: closing it closes nobody else's."""
        output = openOutput("-")
        self.assertNotEqual(output.fileno(), 1)
        output.close()
        os.fstat(1)

    def test_namedPipe(self) -> None:
        """A named pipe is opened if it is read, and what its reader does not take is not waited for."""
        path = self.mktemp()
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        output = openOutput(path)
        self.addCleanup(output.close)
        taken = 0
        while (count := output.write(b"x" * 65536)) is not None:
            taken += count
        self.assertEqual(len(os.read(reader, 10)), 10)
        self.assertGreater(taken, 0)
        os.close(reader)

    def test_noReader(self) -> None:
        """One that nobody reads says so, with its path."""
        path = self.mktemp()
        os.mkfifo(path)
        error = self.assertRaises(NoReader, openOutput, path)
        self.assertEqual((error.strerror, error.filename), ("nobody reads this named pipe", path))

    def test_cannotBeOpened(self) -> None:
        """Whatever else cannot be opened says why."""
        self.assertRaises(IsADirectoryError, openOutput, os.path.dirname(os.path.abspath(self.mktemp())))
        self.assertRaises(FileNotFoundError, openOutput, "/nonexistent/folder/access.log")
