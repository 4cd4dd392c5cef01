from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.body import Body
from revproxy.errors import Refused
from revproxy.replay.bodytap import Kept, TappedBody, useOf, useOver
from revproxy.testing import SinkDouble, SourceDouble


class KeptTests(SynchronousTestCase):
    """The beginning of some bytes is kept, and the digest of all."""

    def test_cut(self):
        """Beyond the most, bytes count for the digest only."""
        kept = Kept(4)
        for piece in (b"abc", b"def"):
            kept.add(piece)
        kept.isOver = True
        self.assertEqual((kept.data, kept.isWhole), (b"abcd", False))
        self.assertEqual(kept.digest(), Kept.of(b"abcdef", 100).digest())

    def test_whole(self):
        """What ends within the most is whole."""
        self.assertTrue(Kept.of(b"abcd", 4).isWhole)

    def test_smallPieces(self):
        """What comes byte by byte takes about as much memory as it has bytes."""
        kept = Kept(65536)
        for at in range(10_000):
            kept.add(b"%02x" % (at & 255))
        self.assertLess(len(kept._pieces), 200)
        self.assertEqual((len(kept.data), kept.data[:6], kept.data[-2:]), (20_000, b"000102", b"0f"))


class TapTests(SynchronousTestCase):
    """A body that is taken down goes on as if it were not."""

    def setUp(self):
        self.source = SourceDouble([b"one ", b"two"])
        self.use = useOf(self.source.body, 100)

    def test_isTheSame(self):
        """It is the same object, and bodies that are not taken down are none of this."""
        self.assertIsInstance(self.source.body, TappedBody)
        self.assertIs(Body.of(b"").__class__, Body)

    def test_untouched(self):
        """What passes is known, and the plugin has made nothing of it."""
        useOver(self.use, self.source.body)
        sink = SinkDouble(self.source.body)
        self.source.begin()
        self.assertEqual((sink.data, self.use.given.data, self.use.given.isWhole), (b"one two", b"one two", True))
        self.assertTrue(self.use.isUntouched)

    def test_long(self):
        """Of a long one that nobody changes, no digest is made: that would take longer than to pass it on."""
        use = useOf(SourceDouble([]).body, 4)
        for _ in range(3):
            use.body.feed(b"abc")
        self.assertEqual((use.given.data, use.given.isCut, use.given._digest), (b"abca", True, None))

    def test_longFiltered(self):
        """Of one that is filtered, there is: what comes out is held against it, however long it is."""
        for change, isUntouched in ((lambda data, last: data, True), (lambda data, last: data.upper(), False)):
            source = SourceDouble([b"abc", b"def", b"ghi"])
            use = useOf(source.body, 4)
            source.body.addFilter(change)
            SinkDouble(source.body)
            source.begin()
            self.assertIs(use.isUntouched, isUntouched)

    def test_held(self):
        """What has come before is known, too."""
        source = SourceDouble([b"early"])
        source.begin()
        self.assertEqual(useOf(source.body, 100).given.data, b"early")

    def test_unspeakable(self):
        """What cannot be told of an exception changes nothing about it."""

        class Unspeakable(Exception):
            @property
            def kind(self):
                raise ValueError("no")

        def fails(data, last):
            raise Unspeakable

        self.source.body.addFilter(fails)
        sink = SinkDouble(self.source.body)
        self.source.begin()
        self.assertEqual(self.use.raised.kind, "Unspeakable")
        self.assertNotIn("ValueError", repr(sink.failure))

    def test_filtered(self):
        """What a filter is given and makes, piece by piece, is known at the end."""
        self.source.body.addFilter(lambda data, last: data.upper() + (b"!" if last else b""))
        useOver(self.use, self.source.body)
        sink = SinkDouble(self.source.body)
        self.source.begin()
        self.assertEqual((sink.data, self.use.made.data, self.use.made.isWhole), (b"ONE TWO!",) * 2 + (True,))
        self.assertFalse(self.use.isUntouched)

    def test_filterOfNothing(self):
        """A filter that changes nothing leaves the body as it was."""
        self.source.body.addFilter(lambda data, last: data)
        SinkDouble(self.source.body)
        self.source.begin()
        self.assertTrue(self.use.isUntouched)

    def test_laterFilter(self):
        """A filter that answers later is waited for."""
        answers = []
        self.source.body.addFilter(lambda data, last: answers.append(Deferred()) or answers[-1])
        sink = SinkDouble(self.source.body)
        self.source.begin()
        for answer in (b"1", b"2", b"3"):
            answers[-1].callback(answer)
        self.assertEqual((sink.data, self.use.made.data, self.use.made.isOver), (b"123", b"123", True))

    def test_coroutine(self):
        """So is one that is a coroutine."""

        async def filter(data, last):
            return data[::-1]

        self.source.body.addFilter(filter)
        sink = SinkDouble(self.source.body)
        self.source.begin()
        self.assertEqual((sink.data, self.use.made.data), (b" enoowt",) * 2)

    def test_filterRaises(self):
        """What a filter raises goes where it went, and is noted."""
        error = ValueError("no")

        def filter(data, last):
            raise error

        self.source.body.addFilter(filter)
        sink = SinkDouble(self.source.body)
        self.source.begin()
        self.assertEqual((self.use.raised.kind, sink.failure.value), ("ValueError", error))

    def test_laterFilterFails(self):
        """So is what one fails with later."""
        answer: Deferred = Deferred()
        self.source.body.addFilter(lambda data, last: answer)
        SinkDouble(self.source.body)
        self.source.begin()
        answer.errback(Failure(ValueError("no")))
        self.assertEqual(self.use.raised.kind, "ValueError")

    def test_refuses(self):
        """A refusal is an answer."""

        def filter(data, last):
            raise Refused(413, "too much")

        self.source.body.addFilter(filter)
        SinkDouble(self.source.body)
        self.source.begin()
        self.assertEqual((self.use.raised, self.use.refused.status, self.use.refused.body), (None, 413, b"too much"))

    def test_replaced(self):
        """What is put in its place is known; what was there is known as far as it came."""
        self.source.body.replace(b"other")
        useOver(self.use, self.source.body)
        self.assertEqual((self.use.made.data, self.use.given.isWhole), (b"other", False))

    def test_replacedByTheSame(self):
        """Who reads it and puts the same there has changed nothing."""
        self.source.begin()
        self.source.body.replace(b"one two")
        self.assertTrue(self.use.isUntouched)

    def test_afterTheCall(self):
        """What others do later is not the plugin's."""
        useOver(self.use, self.source.body)
        self.source.body.replace(b"other")
        self.assertTrue(self.use.isUntouched)

    def test_second(self):
        """The next plugin is given what the one before has put there."""
        self.source.body.replace(b"other")
        useOver(self.use, self.source.body)
        second = useOf(self.source.body, 100)
        self.assertEqual((second.given.data, second.given.isWhole), (b"other", True))

    def test_behindAFilter(self):
        """Behind a filter of another's, only a filter sees what there is."""
        self.source.body.addFilter(lambda data, last: data.upper())
        useOver(self.use, self.source.body)
        second = useOf(self.source.body, 100)
        self.assertIsNone(second.given)
        self.source.body.addFilter(lambda data, last: data + data)
        SinkDouble(self.source.body)
        self.source.begin()
        self.assertEqual((second.given.data, second.made.data), (b"ONE TWO", b"ONE ONE TWOTWO"))

    def test_notCallable(self):
        """What is no filter is refused as ever, in its own words."""
        error = self.assertRaises(TypeError, self.source.body.addFilter, b"x")
        self.assertIn("not callable", str(error))


class OtherBodiesTests(SynchronousTestCase):
    """Where there is no body, or one that a plugin makes."""

    def test_none(self):
        """No body is an empty one; what comes in its place is made."""
        use = useOf(None, 100)
        useOver(use, Body.of(b"new"))
        self.assertEqual((use.given.data, use.made.data, use.made.isOver), (b"", b"new", True))

    def test_made(self):
        """What is made piece by piece is not looked at."""
        body = Body.paused(SourceDouble())
        use = useOf(body, 100)
        self.assertIsNone(use.given)
        self.assertNotIsInstance(body, TappedBody)
