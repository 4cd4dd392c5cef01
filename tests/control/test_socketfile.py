"""The file of a Unix socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.syntax import SOCKET_PATH_LIMIT
from revproxy.control.socketfile import connect, removeStale, shortened
from tests.socketfolder import socketFolder


class SocketFileCase(SynchronousTestCase):
    """In a folder with a short path."""

    def setUp(self) -> None:
        self.path = socketFolder(self) / "x.sock"

    def listening(self, path: Path, listens: bool = True) -> socket.socket:
        """A socket bound to a path; one that does not listen is what a dead process leaves."""
        made = socket.socket(socket.AF_UNIX)
        self.addCleanup(made.close)
        with shortened(path) as short:
            made.bind(short)
        if listens:
            made.listen()
        return made


class NameTests(SocketFileCase):
    """`shortened`."""

    def test_short(self) -> None:
        """A path that fits is its own name."""
        with shortened(self.path) as name:
            self.assertEqual(name, str(self.path))

    def test_long(self) -> None:
        """One that does not fit has a name that leads to the same file, until the context ends."""
        folder = self.path.parent / ("a" * 120)
        folder.mkdir()
        (folder / "x").write_text("here")
        with shortened(folder / "x") as name:
            self.assertLessEqual(len(os.fsencode(name)), SOCKET_PATH_LIMIT)
            self.assertEqual(Path(name).read_text(), "here")
        self.assertFalse(Path(name).exists())

    def test_noFolder(self) -> None:
        """A folder that does not exist."""
        with self.assertRaises(FileNotFoundError), shortened(self.path.parent / ("a" * 120) / "x"):
            self.fail("it has no name")


class ConnectTests(SocketFileCase):
    """`connect`."""

    def test_anyLength(self) -> None:
        """To a path of any length, within the time given."""
        folder = self.path.parent / ("a" * 120)
        folder.mkdir()
        for path in (self.path, folder / "x"):
            server = self.listening(path)
            with connect(path, 5.0) as client:
                self.assertEqual(client.gettimeout(), 5.0)
                client.sendall(b"x")
                with server.accept()[0] as accepted:
                    self.assertEqual(accepted.recv(1), b"x")

    def test_nobody(self) -> None:
        """Nothing there, and nobody there."""
        self.assertRaises(FileNotFoundError, connect, self.path, 1.0)
        self.listening(self.path, listens=False)
        self.assertRaises(ConnectionRefusedError, connect, self.path, 1.0)


class StaleTests(SocketFileCase):
    """`removeStale`."""

    def test_nothing(self) -> None:
        """Nothing to remove is no error."""
        removeStale(self.path)
        self.assertFalse(self.path.exists())

    def test_dead(self) -> None:
        """What a dead process has left goes."""
        self.listening(self.path, listens=False)
        removeStale(self.path)
        self.assertFalse(self.path.exists())

    def test_living(self) -> None:
        """A socket that somebody listens on stays."""
        self.listening(self.path)
        error = self.assertRaises(OSError, removeStale, self.path)
        self.assertIn("another process listens there", str(error))
        self.assertTrue(self.path.exists())

    def test_busy(self) -> None:
        """So does one with so many clients that one more would have to wait."""
        server = self.listening(self.path, listens=False)
        server.listen(0)
        waiting = connect(self.path, 1.0)
        self.addCleanup(waiting.close)
        self.assertIn("another process", str(self.assertRaises(OSError, removeStale, self.path)))
        self.assertTrue(self.path.exists())

    def test_noSocket(self) -> None:
        """Somebody's file is not removed."""
        self.path.write_text("mine")
        self.assertIn("no socket", str(self.assertRaises(FileExistsError, removeStale, self.path)))
        self.assertEqual(self.path.read_text(), "mine")
