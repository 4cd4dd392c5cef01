"""Server-sent events, without a wire."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.problem import Problem
from revproxy.admin.stream import HEARTBEAT, OF_ONE, STREAMS, Stream, StreamEvent, Streams, Tell
from revproxy.control.actor import Actor


class FakeSink:
    """:ivar isCut: whether the connection was ended."""

    def __init__(self) -> None:
        self.data = b""
        self.isCut = False

    def write(self, data: bytes) -> None:
        """Sent."""
        self.data += data

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Nobody is slow here."""

    def unregisterProducer(self) -> None:
        """Nobody is slow here."""

    def cut(self) -> None:
        """The end."""
        self.isCut = True


class StreamTests(SynchronousTestCase):
    """`Streams`."""

    def test_stays(self) -> None:
        """Whoever would not be let in any more is told nothing more, however much there is to tell."""
        clock, sink, tells = Clock(), FakeSink(), list[Tell]()
        streams, letIn, stopped = Streams(clock), [True], list[int]()

        def begin(tell: Tell) -> object:
            tells.append(tell)
            return lambda: stopped.append(1)

        streams.open(Stream(begin), sink, Actor("http", "ann", "t1"), lambda: letIn[0])  # type: ignore[arg-type]
        for _ in range(5):
            clock.pump([HEARTBEAT / 3] * 3)
            tells[0](StreamEvent("news"))
        self.assertFalse(sink.isCut)
        letIn[0] = False
        for _ in range(4):
            tells[0](StreamEvent("more"))
            clock.advance(HEARTBEAT / 3)
        self.assertTrue(sink.isCut)
        self.assertEqual((len(streams), stopped, clock.getDelayedCalls()), (0, [1], []))

    def test_ofOne(self) -> None:
        """One token has not more than its share; the socket, which has none, may have all."""
        streams, stream = Streams(Clock()), Stream(lambda tell: lambda: None)
        ann, bob, root = Actor("http", "ann", "t1"), Actor("http", "bob", "t2"), Actor("socket", "root")
        for actor, most in ((ann, OF_ONE), (bob, 1), (root, STREAMS - OF_ONE - 1)):
            for _ in range(most):
                streams.check(actor)
                streams.open(stream, FakeSink(), actor, lambda: True)
            if actor is ann:
                self.assertRaises(Problem, streams.check, ann)
        self.assertRaises(Problem, streams.check, root)
        streams.close()
