"""Filters of one body: in order, at once or later, with pauses where somebody waits."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.body import HIGH_WATER
from revproxy.bodyfilters import Filters, madeBy
from revproxy.errors import NotAnException
from revproxy.testing import SinkDouble, SourceDouble


class LaterTests(SynchronousTestCase):
    """A filter whose answers are given by hand."""

    def setUp(self) -> None:
        self.source = SourceDouble([b"a", b"b", b"c"])
        self.body = self.source.body
        self.answers: list[Deferred[bytes]] = []
        self.asked: list[bytes] = []

    def filter(self, data: bytes, last: bool) -> Deferred[bytes]:
        self.asked.append(data)
        self.answers.append(Deferred())
        return self.answers[-1]

    def answer(self, data: bytes) -> None:
        self.answers.pop(0).callback(data)

    def test_onePieceAtATime(self) -> None:
        """The source gives one piece, and the next when that was answered."""
        self.body.addFilter(self.filter)
        sink = SinkDouble(self.body)
        self.source.begin()
        for piece in (b"a", b"b", b"c"):
            self.assertEqual(self.asked[-1], piece)
            self.assertTrue(self.source.paused)
            self.answer(piece * 2)
        self.assertFalse(sink.finished)
        self.answer(b"!")
        self.assertEqual((sink.data, sink.finished), (b"aabbcc!", True))

    def test_sinkPauses(self) -> None:
        """A sink that asks for a pause meanwhile gets it; one that takes it back, too."""
        self.body.addFilter(self.filter)
        SinkDouble(self.body)
        self.source.begin()
        self.body.pauseProducing()
        self.answer(b"x")
        self.assertTrue(self.source.paused)
        self.body.resumeProducing()
        self.assertEqual(self.asked, [b"a", b"b"])
        self.body.pauseProducing()
        self.body.resumeProducing()
        self.answer(b"y")
        self.assertEqual(self.asked, [b"a", b"b", b"c"])

    def test_sinkComesLater(self) -> None:
        """A sink that is attached meanwhile gets all."""
        self.body.addFilter(self.filter)
        self.source.begin()
        sink = SinkDouble(self.body)
        for _ in range(4):
            self.answer(b"x")
        self.assertEqual((sink.data, sink.finished), (b"xxxx", True))

    def test_held(self) -> None:
        """What nobody takes is bounded."""
        self.body.addFilter(self.filter)
        self.source.begin()
        self.answer(b"x" * HIGH_WATER)
        self.assertTrue(self.source.paused)
        sink = SinkDouble(self.body)
        self.assertEqual(self.asked, [b"a", b"b"])
        for _ in range(3):
            self.answer(b"")
        self.assertTrue(sink.finished)

    def test_read(self) -> None:
        """A reader gets what the filter made."""
        self.body.addFilter(self.filter)
        reading = self.body.read(10)
        self.source.begin()
        for _ in range(4):
            self.answer(b"x")
        self.assertEqual(self.successResultOf(reading), b"xxxx")
        self.assertEqual((self.body.complete, self.body.length), (True, 4))

    def test_addedToWhatIsHere(self) -> None:
        """What has come before goes through it, and through those that are added meanwhile."""
        self.source.feed(b"a")
        self.body.addFilter(self.filter)
        self.body.addFilter(lambda data, last: data + b"2" if data else b"")
        self.assertEqual(self.asked, [b"a"])
        self.source.feed(b"b")
        sink = SinkDouble(self.body)
        self.answer(b"a1")
        self.answer(b"b1")
        self.source.finish()
        self.answer(b"")
        self.assertEqual((sink.data, sink.finished), (b"a12b12", True))

    def test_replaced(self) -> None:
        """Replaced meanwhile: what it waits for is cancelled."""
        self.body.addFilter(self.filter)
        self.source.begin()
        self.answers[0].addErrback(lambda failure: None)
        self.body.replace(b"other")
        self.assertTrue(self.answers[0].called)
        self.assertEqual(SinkDouble(self.body).data, b"other")

    def test_sourceFails(self) -> None:
        """The source breaks off meanwhile: so does the body."""
        self.body.addFilter(self.filter)
        sink = SinkDouble(self.body)
        self.source.begin()
        self.source.fail(OSError("gone"))
        self.assertTrue(self.answers[0].called)
        assert sink.failure is not None
        self.assertIs(sink.failure.type, OSError)

    def test_fails(self) -> None:
        """It fails: the body does, and the source is stopped; what is no exception becomes one."""
        for error, kind in ((LookupError("no"), LookupError), (GeneratorExit(), NotAnException)):
            self.setUp()
            self.body.addFilter(self.filter)
            sink = SinkDouble(self.body)
            self.source.begin()
            self.answers[0].errback(error)
            assert sink.failure is not None
            self.assertIs(sink.failure.type, kind)
            self.assertTrue(self.source.stopped)

    def test_detached(self) -> None:
        """Nobody wants it any more: what it waits for is cancelled, and no filter is called again."""
        self.body.addFilter(self.filter)
        SinkDouble(self.body)
        self.source.begin()
        self.body.detach()
        self.assertTrue(self.answers[0].called)
        self.source.feed(b"z")
        self.assertEqual(self.asked, [b"a"])


class MadeTests(SynchronousTestCase):
    """What filters answer."""

    def test_kinds(self) -> None:
        """Bytes and what is like them, or what can be waited for."""
        waiting: Deferred[bytes] = Deferred()
        self.assertEqual(madeBy(self.filter, bytearray(b"x")), b"x")
        self.assertEqual(madeBy(self.filter, memoryview(b"x")), b"x")
        self.assertIs(madeBy(self.filter, waiting), waiting)
        for wrong in (None, "text", 1):
            self.assertRaises(TypeError, madeBy, self.filter, wrong)

    def test_owners(self) -> None:
        """Who has added one."""

        class Owner:
            name = "a"

        filters = Filters(SourceDouble().body, None)
        owner: Any = Owner()
        filters.add(self.filter, owner, True)
        filters.add(self.filter, None, True)
        self.assertTrue(filters.areOf("a"))
        self.assertFalse(filters.areOf("b"))

    def filter(self, data: bytes, last: bool) -> bytes:
        return data
