"""Tests for :mod:`revproxy.body`."""

from operator import contains

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.body import HIGH_WATER, Body
from revproxy.errors import BodyTooLarge, PluginStalled, UpstreamError
from revproxy.headers import Headers
from revproxy.testing import SinkDouble, SourceDouble

PIECES = st.lists(st.binary(min_size=1, max_size=9), max_size=8)


def shout(data: bytes, last: bool) -> bytes:
    return data.upper()


class Doubler:
    """A filter with a memory: holds back the last byte, and doubles the end."""

    def __init__(self) -> None:
        self.held = b""
        self.ended = 0

    def __call__(self, data: bytes, last: bool) -> bytes:
        data = self.held + data
        if last:
            self.ended += 1
            return data + b"!"
        self.held = data[-1:]
        return data[:-1]


class PassingTests(SynchronousTestCase):
    """From the source to the sink."""

    def test_complete(self) -> None:
        """A complete body gives its bytes and the end, or can be taken at once."""
        sink = SinkDouble(Body.of(b"abc"))
        self.assertEqual((sink.pieces, sink.finished), ([b"abc"], True))
        body = Body.of(b"abc")
        self.assertTrue(body.complete)
        self.assertEqual((body.length, body.take()), (3, b"abc"))

    def test_empty(self) -> None:
        """An empty body has no piece, only an end."""
        sink = SinkDouble(Body.of(b""))
        self.assertEqual((sink.pieces, sink.finished), ([], True))

    def test_heldThenLive(self) -> None:
        """What came before the sink is given first, what comes later at once."""
        source = SourceDouble()
        source.feed(b"a")
        sink = SinkDouble(source.body)
        self.assertEqual(sink.pieces, [b"a"])
        source.feed(b"b")
        self.assertEqual(sink.pieces, [b"a", b"b"])
        self.assertFalse(sink.finished)
        source.finish()
        self.assertTrue(sink.finished)

    def test_emptyPieces(self) -> None:
        """A source that feeds no bytes feeds nothing: to a chunked receiver it would be the end."""
        source = SourceDouble()
        source.feed(b"")
        sink = SinkDouble(source.body)
        source.feed(b"")
        self.assertEqual((sink.pieces, sink.finished), ([], False))

    def test_trailers(self) -> None:
        """Trailers are there when the end is."""
        trailers = Headers.of({"Checksum": "1"})
        source = SourceDouble([b"a"], trailers=trailers)
        sink = SinkDouble(source.body)
        source.begin()
        self.assertTrue(sink.finished)
        self.assertIs(source.body.trailers, trailers)

    def test_failure(self) -> None:
        """A sink hears that the rest will never come, whether it was there or came later."""
        for early in (True, False):
            source = SourceDouble()
            source.feed(b"a")
            sink = SinkDouble(source.body) if early else None
            source.fail(UpstreamError("gone"))
            sink = sink or SinkDouble(source.body)
            self.assertEqual(sink.pieces, [b"a"])
            assert sink.failure is not None
            sink.failure.trap(UpstreamError)

    def test_nothingAfterTheEnd(self) -> None:
        """What a source still says after the end, or after it failed, is ignored."""
        for end in (lambda body: body.finish(), lambda body: body.fail(Failure(UpstreamError()))):
            body = Body(None, None)
            sink = SinkDouble(body)
            end(body)
            body.feed(b"late")
            body.finish()
            body.fail(Failure(UpstreamError()))
            self.assertEqual(sink.pieces, [])

    def test_detach(self) -> None:
        """A sink that left gets nothing more, not even the end."""
        source = SourceDouble()
        sink = SinkDouble(source.body)
        source.feed(b"a")
        source.body.detach()
        source.feed(b"b")
        source.finish()
        self.assertEqual((sink.pieces, sink.ended), ([b"a"], False))

    def test_detachWhileAttaching(self) -> None:
        """A sink that leaves at the first piece gets neither the other pieces held nor the end."""

        class Leaving(SinkDouble):
            def bodyData(self, data: bytes) -> None:
                super().bodyData(data)
                source.body.detach()

        source = SourceDouble([b"a", b"b"])
        source.begin()
        sink = Leaving(source.body)
        self.assertEqual((sink.pieces, sink.ended), ([b"a"], False))

    @given(PIECES, st.integers(0, 8))
    def test_allBytesInOrder(self, pieces: list[bytes], before: int) -> None:
        """Whenever the sink comes, it gets all bytes in order, and the end once."""
        source = SourceDouble()
        for piece in pieces[:before]:
            source.feed(piece)
        sink = SinkDouble(source.body)
        for piece in pieces[before:]:
            source.feed(piece)
        source.finish()
        self.assertEqual((sink.data, sink.finished), (b"".join(pieces), True))


class BackpressureTests(SynchronousTestCase):
    """Memory stays bounded, and nobody waits for ever."""

    def test_pausesWithoutSink(self) -> None:
        """The source waits once the high water mark is reached, and is asked once."""
        source = SourceDouble([bytes(HIGH_WATER // 2)] * 6)
        source.begin()
        self.assertEqual(source.calls, ["pause"])
        self.assertEqual(len(source.pending), 4)
        source.feed(b"late")
        self.assertEqual(source.calls, ["pause"])

    def test_attachResumes(self) -> None:
        """A source that had to wait for a sink goes on when the sink comes."""
        source = SourceDouble([bytes(HIGH_WATER)] * 3)
        source.begin()
        sink = SinkDouble(source.body)
        self.assertEqual(source.calls, ["pause", "resume"])
        self.assertEqual((len(sink.data), sink.finished), (3 * HIGH_WATER, True))

    def test_sinkThatPausesAtOnce(self) -> None:
        """A sink that is full from what was held keeps the source waiting until it resumes."""

        class Full(SinkDouble):
            def bodyData(self, data: bytes) -> None:
                super().bodyData(data)
                source.body.pauseProducing()

        source = SourceDouble([bytes(HIGH_WATER), b"rest"])
        source.begin()
        sink = Full(source.body)
        self.assertTrue(source.paused)
        self.assertFalse(sink.finished)
        source.body.resumeProducing()
        source.body.resumeProducing()
        self.assertEqual((sink.pieces[-1], sink.finished), (b"rest", True))

    def test_sinkControlsSource(self) -> None:
        """Pause, resume and stop of the sink reach the source; repeated ones do not."""
        source = SourceDouble()
        body = source.body
        SinkDouble(body)
        for call in (body.pauseProducing, body.pauseProducing, body.resumeProducing, body.resumeProducing):
            call()
        body.stopProducing()
        body.stopProducing()
        body.pauseProducing()
        self.assertEqual(source.calls, ["pause", "resume", "stop"])

    @given(st.lists(st.sampled_from(["pause", "resume"]), max_size=12), PIECES)
    def test_pausedMeansSilent(self, calls: list[str], pieces: list[bytes]) -> None:
        """However a sink pauses and resumes, all arrives in the end and the source does what it was told last."""
        source = SourceDouble(pieces)
        sink = SinkDouble(source.body)
        for call in calls:
            getattr(source.body, f"{call}Producing")()
        self.assertEqual(source.paused, calls[-1:] == ["pause"])
        source.begin()
        source.body.resumeProducing()
        self.assertEqual((sink.data, sink.finished), (b"".join(pieces), True))


class ReadTests(SynchronousTestCase):
    """Reading a body in a plugin."""

    def test_awaitForgotten(self) -> None:
        """Looking for something in what is not there yet fails, whether or not the body is complete."""
        for reading in (Body.of(b"axb").read(9), Body.of(b"axb").read(1), Body(None, None).read(9)):
            self.assertIn("await body.read(limit)", str(self.assertRaises(TypeError, contains, reading, b"x")))
            reading.addErrback(lambda failure: failure.trap(BodyTooLarge))

    def test_complete(self) -> None:
        """A complete body is read at once, and forwarded all the same."""
        body = Body.of(b"abc")
        self.assertEqual(self.successResultOf(body.read(3)), b"abc")
        self.assertEqual(self.successResultOf(body.read(3)), b"abc")
        self.assertEqual(SinkDouble(body).data, b"abc")

    def test_waits(self) -> None:
        """Reading waits for the end, which then is known to be the length."""
        source = SourceDouble()
        reading = source.body.read(10)
        source.feed(b"ab")
        self.assertNoResult(reading)
        source.feed(b"c")
        source.finish()
        self.assertEqual(self.successResultOf(reading), b"abc")
        self.assertEqual((source.body.length, SinkDouble(source.body).data), (3, b"abc"))
        self.assertFalse(source.body.changed)

    def test_resumesForReader(self) -> None:
        """Reading more than the high water mark lets a waiting source go on."""
        source = SourceDouble([bytes(HIGH_WATER)] * 3)
        source.begin()
        self.assertTrue(source.paused)
        self.assertEqual(len(self.successResultOf(source.body.read(3 * HIGH_WATER))), 3 * HIGH_WATER)

    def test_tooLarge(self) -> None:
        """More than the limit fails the reading, pauses the source, and can still be forwarded whole."""
        source = SourceDouble([bytes(HIGH_WATER)] * 5)
        source.begin()
        reading = source.body.read(2 * HIGH_WATER)
        self.failureResultOf(reading, BodyTooLarge)
        self.assertTrue(source.paused)
        self.assertEqual(len(source.pending), 2)
        sink = SinkDouble(source.body)
        self.assertEqual((len(sink.data), sink.finished), (5 * HIGH_WATER, True))

    def test_announcedTooLarge(self) -> None:
        """A body whose length is known to be too large fails at once, with nothing held."""
        self.failureResultOf(Body(None, 11).read(10), BodyTooLarge)
        self.failureResultOf(Body.of(b"abc").read(2), BodyTooLarge)

    def test_oversizeThenLargerLimit(self) -> None:
        """After a reading that failed for its limit, one with a larger limit works."""
        source = SourceDouble()
        reading = source.body.read(1)
        source.feed(b"abc")
        self.failureResultOf(reading, BodyTooLarge)
        again = source.body.read(3)
        source.finish()
        self.assertEqual(self.successResultOf(again), b"abc")

    def test_failure(self) -> None:
        """A reader hears of the failure, before or after it asked."""
        source = SourceDouble()
        reading = source.body.read(10)
        source.fail(UpstreamError("gone"))
        self.failureResultOf(reading, UpstreamError)
        self.failureResultOf(source.body.read(10), UpstreamError)

    def test_cancel(self) -> None:
        """Giving up the wait leaves the body whole."""
        source = SourceDouble()
        reading = source.body.read(10)
        source.feed(b"ab")
        reading.cancel()
        self.failureResultOf(reading, CancelledError)
        source.feed(b"c")
        source.finish()
        self.assertEqual(SinkDouble(source.body).data, b"abc")

    def test_cancelPauses(self) -> None:
        """Giving up a wait that held much makes the source wait."""
        source = SourceDouble([bytes(HIGH_WATER)] * 2)
        reading = source.body.read(9 * HIGH_WATER)
        source.feed(bytes(HIGH_WATER))
        self.assertFalse(source.paused)
        reading.cancel()
        self.failureResultOf(reading, CancelledError)
        self.assertTrue(source.paused)

    def test_twoReaders(self) -> None:
        """Two at once is an error of the plugin."""
        body = Body(None, None)
        body.read(1)
        self.failureResultOf(body.read(1), RuntimeError)

    def test_tooLate(self) -> None:
        """A body on its way, or gone, can be neither read, replaced nor filtered."""
        taken = Body.of(b"abc")
        taken.take()
        attached = Body(None, None)
        SinkDouble(attached)
        for body in (taken, attached):
            self.failureResultOf(body.read(10), RuntimeError)
            self.assertRaises(RuntimeError, body.replace, b"")
            self.assertRaises(RuntimeError, body.addFilter, shout)


class ReplaceTests(SynchronousTestCase):
    """Substituting a body."""

    def test_replace(self) -> None:
        """The new bytes go out alone, their number is known, and the source is stopped."""
        source = SourceDouble([b"old"], length=3, trailers=Headers.of({"Checksum": "1"}))
        source.feed(b"o")
        source.body.replace(b"new one")
        self.assertEqual(source.calls, ["stop"])
        source.feed(b"ld")
        source.finish()
        body = source.body
        self.assertEqual((body.length, body.changed, body.trailers), (7, True, None))
        self.assertEqual(SinkDouble(body).data, b"new one")

    def test_replaceWithNothing(self) -> None:
        """A body can be replaced by an empty one."""
        body = Body.of(b"abc")
        body.replace(b"")
        sink = SinkDouble(body)
        self.assertEqual((body.length, sink.data, sink.finished), (0, b"", True))

    def test_replaceDropsFilters(self) -> None:
        """Filters were meant for the old bytes: they do not touch the new ones; later filters do."""
        body = Body(None, None)
        body.addFilter(shout)
        body.replace(b"new")
        body.addFilter(lambda data, last: data + b"!")
        self.assertEqual(SinkDouble(body).data, b"new!")

    def test_replaceAfterFailure(self) -> None:
        """A body that failed can be replaced by one that is whole."""
        body = Body(None, None)
        body.fail(Failure(UpstreamError()))
        body.replace(b"sorry")
        self.assertTrue(SinkDouble(body).finished)

    def test_replaceWhileRead(self) -> None:
        """A reader that still waits gets the new bytes instead of waiting for ever."""
        source = SourceDouble()
        reading = source.body.read(10)
        source.body.replace(b"new")
        self.assertEqual(self.successResultOf(reading), b"new")


class FilterTests(SynchronousTestCase):
    """Changing a body on its way."""

    def test_complete(self) -> None:
        """A complete body is filtered in one call, the last; its length follows."""
        body = Body.of(b"abc")
        doubler = Doubler()
        body.addFilter(doubler)
        self.assertEqual((body.length, body.changed, doubler.ended), (4, True, 1))
        self.assertEqual(SinkDouble(body).data, b"abc!")

    def test_emptyBody(self) -> None:
        """A filter can add to an empty body."""
        body = Body.of(b"")
        body.addFilter(Doubler())
        self.assertEqual(SinkDouble(body).data, b"!")

    def test_streams(self) -> None:
        """Pieces pass through as they arrive; the length is unknown; the end gives what was held back."""
        source = SourceDouble(length=4)
        source.body.addFilter(Doubler())
        self.assertIsNone(source.body.length)
        sink = SinkDouble(source.body)
        source.feed(b"ab")
        self.assertEqual(sink.pieces, [b"a"])
        source.feed(b"cd")
        source.finish()
        self.assertEqual((sink.data, sink.finished), (b"abcd!", True))

    def test_heldBytesAreFiltered(self) -> None:
        """What arrived before the filter passes through it too, once."""
        source = SourceDouble()
        source.feed(b"ab")
        source.body.addFilter(shout)
        source.feed(b"cd")
        source.finish()
        self.assertEqual(SinkDouble(source.body).data, b"ABCD")

    def test_order(self) -> None:
        """Filters apply in the order in which they were added; a later one gets the end of an earlier one."""
        source = SourceDouble([b"a", b"b"])
        source.body.addFilter(Doubler())
        source.body.addFilter(lambda data, last: data.replace(b"!", b"?"))
        sink = SinkDouble(source.body)
        source.begin()
        self.assertEqual(sink.data, b"ab?")

    def test_swallowedPieces(self) -> None:
        """A filter that gives nothing sends no empty piece and does not wake later filters."""
        seen: list[tuple[bytes, bool]] = []

        def record(data: bytes, last: bool) -> bytes:
            seen.append((data, last))
            return data

        source = SourceDouble([b"a", b"b"])
        source.body.addFilter(lambda data, last: b"")
        source.body.addFilter(record)
        sink = SinkDouble(source.body)
        source.begin()
        self.assertEqual((sink.pieces, sink.finished, seen), ([], True, [(b"", True)]))

    def test_readerSeesFiltered(self) -> None:
        """A reader gets what the filters made."""
        source = SourceDouble([b"a", b"b"])
        source.body.addFilter(Doubler())
        reading = source.body.read(10)
        source.begin()
        self.assertEqual(self.successResultOf(reading), b"ab!")

    def test_growthIsBounded(self) -> None:
        """The limit of a reader holds for what filters make, and so does the high water mark."""
        source = SourceDouble([b"a"] * 3)
        source.body.addFilter(lambda data, last: data * HIGH_WATER)
        source.begin()
        self.assertTrue(source.paused)
        self.failureResultOf(source.body.read(HIGH_WATER - 1), BodyTooLarge)

    def test_lastWordsCount(self) -> None:
        """What a filter adds at the end counts towards a reader's limit."""
        source = SourceDouble([b"ab"])
        source.body.addFilter(Doubler())
        reading = source.body.read(2)
        source.begin()
        self.failureResultOf(reading, BodyTooLarge)
        self.assertEqual(SinkDouble(source.body).data, b"ab!")

    def test_raisesLater(self) -> None:
        """A filter that raises fails the body and stops the source: half a body does not pass for a whole one."""

        def broken(data: bytes, last: bool) -> bytes:
            raise ZeroDivisionError

        for ending in (True, False):
            source = SourceDouble()
            source.body.addFilter(broken)
            sink = SinkDouble(source.body)
            source.finish() if ending else source.feed(b"a")
            source.feed(b"b")
            assert sink.failure is not None
            sink.failure.trap(ZeroDivisionError)
            self.assertEqual((sink.pieces, source.calls), ([], ["stop"]))

    def test_heldTheReactor(self) -> None:
        """The same if the guard ended it because it took too long, or if it wants to end the process."""
        for error in (PluginStalled("held"), SystemExit(1)):

            def broken(data: bytes, last: bool, error: BaseException = error) -> bytes:
                raise error

            source = SourceDouble()
            source.body.addFilter(broken)
            sink = SinkDouble(source.body)
            source.feed(b"a")
            assert sink.failure is not None
            self.assertIs(sink.failure.value, error)
            self.assertEqual(source.calls, ["stop"])

    def test_raisesNoException(self) -> None:
        """What is no Exception fails the body as one: those who read it are coroutines."""
        for error in (GeneratorExit(), BaseException("odd")):

            def broken(data: bytes, last: bool, error: BaseException = error) -> bytes:
                raise error

            source = SourceDouble()
            source.body.addFilter(broken)
            sink = SinkDouble(source.body)
            source.feed(b"a")
            assert sink.failure is not None
            self.assertIn(type(error).__name__, sink.failure.getErrorMessage())
            sink.failure.trap(Exception)
            self.assertEqual(source.calls, ["stop"])

    def test_raisesAtOnce(self) -> None:
        """A filter that raises for what is here already raises where it was added; the body is as it was."""
        body = Body.of(b"abc")
        self.assertRaises(ZeroDivisionError, body.addFilter, lambda data, last: b"" if 1 // 0 else data)
        self.assertEqual((body.changed, body.length, SinkDouble(body).data), (False, 3, b"abc"))

    def test_forgottenReturn(self) -> None:
        """A filter that returns something else than bytes fails the body; the piece is not dropped in silence."""
        for nonsense in (None, "text"):
            source = SourceDouble()
            source.body.addFilter(lambda data, last, nonsense=nonsense: nonsense)  # type: ignore[misc]
            sink = SinkDouble(source.body)
            source.feed(b"a")
            assert sink.failure is not None
            sink.failure.trap(TypeError)
        self.assertRaises(TypeError, Body.of(b"a").addFilter, lambda data, last: None)

    @given(PIECES, st.integers(0, 8), st.integers(0, 8))
    def test_cutsDoNotMatter(self, pieces: list[bytes], filtered: int, attached: int) -> None:
        """Wherever the pieces are cut, and whenever filter and sink come, the result is the same."""
        source, sink = SourceDouble(), None
        doubler = Doubler()
        filtered, attached = sorted((filtered, attached))
        for index in range(len(pieces) + 1):
            if index == min(filtered, len(pieces)):
                source.body.addFilter(doubler)
            if index == min(attached, len(pieces)):
                sink = SinkDouble(source.body)
            if index < len(pieces):
                source.feed(pieces[index])
        source.finish()
        assert sink is not None
        self.assertEqual((sink.data, sink.finished, doubler.ended), (b"".join(pieces) + b"!", True, 1))
