"""
The stream to a locked process.
"""

from __future__ import annotations

import socket
import struct

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.frames import MOST_UP
from revproxy.isolation.process.descriptors import Descriptors
from revproxy.isolation.process.link import MOST_UNSENT, Link
from tests.isolation.process.turns import Turns


def framed(data: bytes) -> bytes:
    """With its length."""
    return struct.pack("<I", len(data)) + data


class LinkTests(SynchronousTestCase):
    """Both ends of a stream."""

    def setUp(self) -> None:
        """The test is the process."""
        self.reactor = Turns()
        ours, self.inside = socket.socketpair()
        self.addCleanup(self.inside.close)
        self.frames: list[bytes] = []
        self.ends: list[str] = []
        self.link = Link(Descriptors(self.reactor), ours, self.frames.append, self.ends.append)
        self.addCleanup(self.link.close)
        self.inside.setblocking(False)

    def test_framesOfOneTurn(self) -> None:
        """They leave together at its end."""
        self.link.send(framed(b"one"))
        self.link.send(framed(b"two"))
        with self.assertRaises(BlockingIOError):
            self.inside.recv(100)
        self.assertEqual(self.link.unsent, 14)
        self.reactor.turn()
        self.assertEqual(self.inside.recv(100), framed(b"one") + framed(b"two"))
        self.assertEqual(self.link.unsent, 0)

    def test_now(self) -> None:
        """What is to leave at once takes with it what waits, in order."""
        self.link.send(framed(b"one"))
        self.link.sendNow(framed(b"two"))
        self.assertEqual(self.inside.recv(100), framed(b"one") + framed(b"two"))
        self.reactor.turn()
        self.link.send(framed(b"three"))
        self.reactor.turn()
        self.assertEqual(self.inside.recv(100), framed(b"three"))

    def test_late(self) -> None:
        """What nobody waits for leaves with the next, or a little later."""
        self.link.sendLate(framed(b"one"))
        self.link.sendLate(framed(b"two"))
        self.reactor.advance(0.04)
        with self.assertRaises(BlockingIOError):
            self.inside.recv(100)
        self.link.sendNow(framed(b"three"))
        self.assertEqual(self.inside.recv(100), framed(b"one") + framed(b"two") + framed(b"three"))
        self.reactor.advance(0.04)
        self.link.sendLate(framed(b"four"))
        self.reactor.advance(0.04)
        with self.assertRaises(BlockingIOError):
            self.inside.recv(100)
        self.reactor.advance(0.02)
        self.assertEqual(self.inside.recv(100), framed(b"four"))
        self.assertFalse(self.reactor.getDelayedCalls())

    def test_lateAndClosed(self) -> None:
        """Nothing is left of what was to leave late."""
        self.link.sendLate(framed(b"one"))
        self.link.close()
        self.assertFalse(self.reactor.getDelayedCalls())

    def test_framesThatCome(self) -> None:
        """However the stream is cut."""
        for byte in framed(b"one") + framed(b""):
            self.inside.send(bytes((byte,)))
            self.reactor.turn()
        self.inside.send(framed(b"two") + framed(b"three"))
        self.reactor.turn()
        self.assertEqual(self.frames, [b"one", b"", b"two", b"three"])

    def test_moreThanThereIsRoomFor(self) -> None:
        """What is not taken at once waits, in order, and nothing is lost."""
        sent, taken = [framed(bytes((number,)) * 300_000) for number in range(5)], b""
        for each in sent[:3]:
            self.link.send(each)
        self.reactor.turn()
        self.assertIn(self.link, self.reactor.writers)
        for each in sent[3:]:
            self.link.send(each)
        while self.link.unsent:
            taken += self.inside.recv(1 << 16)
            self.reactor.turn()
        with self.assertRaises(BlockingIOError):
            while True:
                taken += self.inside.recv(1 << 20)
        self.assertEqual(taken, b"".join(sent))
        self.assertNotIn(self.link, self.reactor.writers)
        self.link.send(framed(b"after"))
        self.reactor.turn()
        self.assertEqual(self.inside.recv(100), framed(b"after"))

    def test_takesNothing(self) -> None:
        """A process that does not take what it is sent does not fill the edge's memory."""
        piece = framed(bytes(8 << 20))
        while self.link.unsent <= MOST_UNSENT - len(piece):
            self.link.send(piece)
        self.assertEqual(self.ends, [])
        self.link.send(piece)
        self.assertEqual(self.ends, ["it does not take what it is sent"])
        self.assertEqual(self.link.unsent, 0)

    def test_closed(self) -> None:
        """A process that has closed it; what it has said before is heard."""
        self.inside.send(framed(b"last"))
        self.inside.close()
        self.reactor.until(lambda: self.ends)
        self.assertEqual((self.frames, self.ends), ([b"last"], [""]))
        self.assertFalse(self.reactor.readers)
        self.assertEqual(self.link.fileno(), -1)

    def test_closedWhileSomethingWaits(self) -> None:
        """Nobody waits for one to take what it never will."""
        self.link.send(framed(bytes(1 << 20)))
        self.reactor.turn()
        self.inside.close()
        self.reactor.until(lambda: self.ends)
        self.assertFalse(self.reactor.readers | self.reactor.writers)

    def test_tooLong(self) -> None:
        """A length beyond all bounds ends it, before anything is held for it."""
        self.inside.send(struct.pack("<I", MOST_UP + 1))
        self.reactor.turn()
        self.assertIn(f"a frame of {MOST_UP + 1} bytes", self.ends[0])

    def test_edgeFails(self) -> None:
        """Where the edge itself fails at a frame, that ends the process: nobody waits for an answer that was lost."""
        self.link.onFrame = lambda data: 1 / 0  # type: ignore[assignment, return-value]
        self.inside.send(framed(b"one") + framed(b"two"))
        self.reactor.turn()
        self.assertEqual(self.ends, ["the edge has failed at what it has said"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_closedByTheFirstOfTwo(self) -> None:
        """Who closes it at a frame hears no more of it."""
        heard: list[bytes] = []

        def close(data: bytes) -> None:
            heard.append(data)
            self.link.close()

        self.link.onFrame = close
        self.inside.send(framed(b"one") + framed(b"two"))
        self.reactor.turn()
        self.assertEqual((heard, self.ends), ([b"one"], []))
