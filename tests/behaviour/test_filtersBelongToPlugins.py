"""What a filter of a body does wrong is its plugin's failure, and what the log says of it is what the client saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from revproxy.context import Context
from revproxy.dataplane.link import Link
from revproxy.errors import Refused
from tests.behaviour.test_failuresStayApart import FailingCase
from tests.dataplane.test_exchange import GET, ExchangeCase

BIG = 200_000
POST = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % BIG
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


LOST = LookupError("no")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class FilterCase(ExchangeCase):
    """A plugin with filters."""

    def setUp(self) -> None:
        super().setUp()
        self.calls: list[tuple[bytes, bool]] = []

    @property
    def link(self) -> Link:
        return self.edge.chains[0].links[0]

    def onResponse(self, filter: Callable[[bytes, bool], Any]) -> None:
        """The plugin filters answers."""
        self.plugin.onExit = lambda context: context.response.body.addFilter(filter)

    def onRequest(self, filter: Callable[[bytes, bool], Any]) -> None:
        """The plugin filters requests."""
        self.plugin.onEntry = lambda context: context.request.body.addFilter(filter) is None

    def upload(self) -> None:
        """A request whose body is on its way to the origin, after its first piece."""
        self.client.send(POST)
        self.client.send(b"x" * 1000)
        self.edge.pass_(2)

    def failing(self, onCall: int = 1, result: Any = LOST) -> Callable[[bytes, bool], Any]:
        """A filter that passes everything on until it is called so often; an exception is raised."""

        def filter(data: bytes, last: bool) -> Any:
            self.calls.append((data, last))
            if len(self.calls) < onCall:
                return data
            if isinstance(result, Exception):
                raise result
            return result

        return filter

    def assertBooked(self, kind: type[Exception], skipped: bool = False) -> None:
        """One error of the plugin, told and logged and named."""
        self.assertEqual(self.link.counters.errors, 1)
        self.assertEqual(len(self.flushLoggedErrors(kind)), 1)
        record = self.edge.log.records[0]
        names = (record.pluginErrors, record.pluginsSkipped)
        self.assertEqual(names, ((), ("onlooker",)) if skipped else (("onlooker",), ()))


class ResponseTests(FilterCase):
    """Filters of answers."""

    def test_later(self) -> None:
        """After its first piece: the client is reset, and the log blames the plugin and not the client."""
        self.onResponse(self.failing(2))
        self.client.send(GET)
        self.connection.says(CHUNKS + chunk(b"abc"))
        self.assertIn(b"abc", self.client.received())
        self.connection.says(chunk(b"def"))
        self.assertEqual(self.client.end, "abort")
        self.client.leave()
        self.assertOver(200, "PluginFailed: onlooker 1.0: no")
        self.assertBooked(LookupError)

    def test_first(self) -> None:
        """At its first piece: nothing was sent, so the client gets a 500, and its connection goes on."""
        for result, kind in ((LookupError("no"), LookupError), (None, TypeError), ("text", TypeError)):
            self.setUp()
            self.onResponse(self.failing(1, result))
            self.client.send(GET)
            self.connection.says(CHUNKS)
            self.assertEqual(self.client.received(), b"")
            self.connection.says(chunk(b"abc"))
            self.assertTrue(self.client.received().startswith(b"HTTP/1.1 500 "))
            self.assertOver(500, "PluginFailed: onlooker 1.0")
            self.assertBooked(kind)
            self.plugin.onExit = lambda context: None
            self.client.send(GET)
            self.connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            self.assertTrue(self.client.received().endswith(b"hi"))

    def test_atOnce(self) -> None:
        """The whole answer is there already: the call of addFilter raises, and that is handleResponse's failure."""
        self.onResponse(self.failing())
        self.client.send(GET)
        self.connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 500 "))
        self.assertOver(500, "PluginFailed: onlooker 1.0: no")
        self.assertBooked(LookupError)

    def test_atTheEnd(self) -> None:
        """In its last call: a body that is complete but for that is not taken for whole."""
        self.onResponse(self.failing(2))
        self.client.send(GET)
        self.connection.says(CHUNKS + chunk(b"abc"))
        self.client.received()
        self.connection.says(b"0\r\n\r\n")
        self.assertEqual((self.client.received(), self.client.end), (b"", "abort"))
        self.client.leave()
        self.assertOver(200, "PluginFailed")
        self.assertBooked(LookupError)

    def test_open(self) -> None:
        """With ``on_error: open`` a filter that fails at its first piece is passed over; later it breaks off."""
        self.link.open = True
        self.onResponse(self.failing())
        self.client.send(GET)
        self.connection.says(CHUNKS + chunk(b"abc") + chunk(b"def") + b"0\r\n\r\n")
        received = self.client.received()
        self.assertTrue(received.startswith(b"HTTP/1.1 200 ") and b"abcdef" in received, received)
        self.assertOver(200)
        self.assertBooked(LookupError, skipped=True)
        self.assertEqual(len(self.calls), 1)
        self.setUp()
        self.link.open = True
        self.onResponse(self.failing(2))
        self.client.send(GET)
        self.connection.says(CHUNKS + chunk(b"abc"))
        self.connection.says(chunk(b"def"))
        self.client.leave()
        self.assertOver(200, "PluginFailed")
        self.assertBooked(LookupError)

    def test_originsFault(self) -> None:
        """An origin that breaks off before the filter gave anything: 502, and no failure of the plugin."""
        self.onResponse(lambda data, last: b"")
        self.client.send(GET)
        self.connection.says(CHUNKS + chunk(b"abc"))
        self.connection.leaves()
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 502 "))
        self.assertOver(502, "BadResponse")
        self.assertEqual(self.link.counters.errors, 0)

    def test_headWaits(self) -> None:
        """The head goes out with the first bytes that the filter gives, and at the end if there are none."""
        for pieces, body in (((b"", b"", b"x"), b"x"), ((b"", b"", b""), b"")):
            self.setUp()
            given = iter(pieces)
            self.onResponse(lambda data, last, given=given: next(given))  # type: ignore[misc]
            self.client.send(GET)
            self.connection.says(CHUNKS + chunk(b"abc"))
            self.connection.says(chunk(b"def"))
            self.assertEqual(self.client.received(), b"")
            self.connection.says(b"0\r\n\r\n")
            head, _, rest = self.client.received().partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 200 OK"))
            self.assertEqual(rest, (chunk(body) if body else b"") + b"0\r\n\r\n")
            self.assertOver(200)


class RequestTests(FilterCase):
    """Filters of requests."""

    def test_streamed(self) -> None:
        """In a body that is on its way: 500, the origin's connection ends, the plugin is blamed."""
        self.onRequest(self.failing(2))
        self.upload()
        self.client.send(b"x" * 1000)
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 500 "))
        self.assertEqual(self.connection.end, "abort")
        self.connection.leaves()
        self.assertOver(500, "PluginFailed: onlooker 1.0: no")
        self.assertBooked(LookupError)

    def test_whole(self) -> None:
        """In a body that is awaited whole: 500, and the origin never hears of it."""
        self.onRequest(self.failing())
        self.client.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
        self.client.send(b"abcd")
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 500 "))
        self.assertEqual(self.origin.arrived, [])
        self.assertOver(500, "PluginFailed")
        self.assertBooked(LookupError)

    def test_answerOnItsWay(self) -> None:
        """The origin answers already: the answer is broken off, and the plugin is blamed."""
        self.onRequest(self.failing(2))
        self.upload()
        self.connection.says(CHUNKS + chunk(b"abc"))
        self.client.send(b"x" * 1000)
        self.assertEqual(self.client.end, "abort")
        self.client.leave()
        self.connection.leaves()
        self.assertOver(200, "PluginFailed: onlooker")
        self.assertBooked(LookupError)

    def test_anothersReading(self) -> None:
        """Whoever reads a body that another plugin's filter has broken is not blamed for it."""

        async def onEntry(context: Context) -> bool:
            context.request.body.addFilter(self.failing())
            context._toolbox = other = self.edge.chains[0].links[0]
            await context.request.body.read(BIG)
            self.assertIsNotNone(other)
            return True

        self.plugin.onEntry = onEntry
        self.client.send(POST)
        self.client.send(b"x" * 1000)
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 500 "))
        self.assertOver(500, "PluginFailed")
        self.assertBooked(LookupError)


class RefusingTests(FilterCase):
    """Filters that refuse: the plugin answers, and nothing is its failure."""

    REFUSED = Refused(422, "A virus.\n", {"X-Scan": "1"})

    def assertRefused(self, answer: bytes) -> None:
        self.assertTrue(answer.startswith(b"HTTP/1.1 422 Unprocessable Content\r\n"), answer)
        self.assertIn(b"\r\nX-Scan: 1\r\n", answer)
        self.assertTrue(answer.endswith(b"\r\n\r\nA virus.\n"), answer)
        self.assertOver(422)
        record = self.edge.log.records[0]
        self.assertEqual((record.interruptedBy, record.pluginErrors), ("onlooker", ()))
        self.assertEqual((self.link.counters.errors, self.link.counters.interrupts), (0, 1))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_request(self) -> None:
        """An upload: the origin's connection ends, and the client gets the plugin's answer."""
        self.onRequest(self.failing(3, self.REFUSED))
        self.upload()
        for _ in range(2):
            self.client.send(b"x" * 1000)
        self.assertEqual(self.connection.end, "abort")
        self.connection.leaves()
        self.assertRefused(self.client.received())

    def test_small(self) -> None:
        """A small upload, or one that is refused at once: the origin never hears of it."""
        for upload in (b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd", POST + b"abcd"):
            self.setUp()
            self.onRequest(self.failing(1, self.REFUSED))
            self.client.send(upload)
            self.assertEqual(self.origin.arrived, [])
            self.assertRefused(self.client.received())

    def test_response(self) -> None:
        """An answer of which nothing was sent, whether it is whole or not."""
        for says in (CHUNKS + chunk(b"abc"), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"):
            self.setUp()
            self.onResponse(self.failing(1, self.REFUSED))
            self.client.send(GET)
            self.connection.says(says)
            self.assertRefused(self.client.received())

    def test_tooLate(self) -> None:
        """Something was sent: refusing is a failure now."""
        self.onResponse(self.failing(2, self.REFUSED))
        self.client.send(GET)
        self.connection.says(CHUNKS + chunk(b"abc"))
        self.connection.says(chunk(b"def"))
        self.assertEqual(self.client.end, "abort")
        self.client.leave()
        self.assertOver(200, "it refused with 422 Unprocessable Content, but the answer was on its way")
        self.assertBooked(RuntimeError)

    def test_inCalls(self) -> None:
        """From handle and handleResponse it is as good as context.respond."""
        for way in ("onEntry", "onExit"):
            self.setUp()

            def refuses(context: Context) -> None:
                raise self.REFUSED

            setattr(self.plugin, way, refuses)
            self.client.send(GET)
            if way == "onExit":
                self.connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            self.assertRefused(self.client.received())


class LaterTests(FilterCase):
    """Filters that answer later."""

    def setUp(self) -> None:
        super().setUp()
        self.answers: list[Deferred[bytes]] = []
        self.cancelled: list[Any] = []

    def thinking(self, data: bytes, last: bool) -> Deferred[bytes]:
        """A filter that waits."""
        self.calls.append((data, last))
        self.answers.append(Deferred(self.cancelled.append))
        return self.answers[-1]

    def test_response(self) -> None:
        """Pieces wait for each other, the origin is not read meanwhile, and order stays."""
        self.onResponse(self.thinking)
        self.client.send(GET)
        self.connection.says(CHUNKS + chunk(b"abc"))
        self.assertFalse(self.connection.transport.reading)
        self.connection.says(chunk(b"def") + b"0\r\n\r\n")
        self.assertEqual((self.calls, self.client.received()), ([(b"abc", False)], b""))
        self.answers.pop(0).callback(b"ABC")
        self.assertTrue(self.client.received().endswith(chunk(b"ABC")))
        self.answers.pop(0).callback(b"DEF")
        self.answers.pop(0).callback(b"!")
        self.assertEqual(self.calls[1:], [(b"def", False), (b"", True)])
        self.assertEqual(self.client.received(), chunk(b"DEF") + chunk(b"!") + b"0\r\n\r\n")
        self.assertOver(200)

    def test_goesOn(self) -> None:
        """The origin is read again when the filter has answered."""
        self.onResponse(self.thinking)
        self.client.send(GET)
        self.connection.says(CHUNKS + chunk(b"abc"))
        self.assertFalse(self.connection.transport.reading)
        self.answers.pop(0).callback(b"ABC")
        self.assertTrue(self.connection.transport.reading)

    def test_slowClient(self) -> None:
        """Not if the client does not take what there is."""
        self.onResponse(self.thinking)
        self.client.send(GET)
        self.client.transport.stall()
        self.connection.says(CHUNKS + chunk(b"abc"))
        self.answers.pop(0).callback(b"x" * 100_000)
        self.assertFalse(self.connection.transport.reading)
        self.client.transport.take()
        self.assertTrue(self.connection.transport.reading)

    def test_coroutine(self) -> None:
        """A coroutine, of an answer that is whole already; its length is not known any more."""
        waiting: Deferred[None] = Deferred()

        async def filter(data: bytes, last: bool) -> bytes:
            await waiting
            return data.upper()

        self.onResponse(filter)
        self.client.send(GET)
        self.connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        self.assertEqual(self.client.received(), b"")
        waiting.callback(None)
        received = self.client.received()
        self.assertIn(b"\r\nTransfer-Encoding: chunked\r\n", received)
        self.assertNotIn(b"Content-Length", received)
        self.assertTrue(received.endswith(chunk(b"HI") + b"0\r\n\r\n"), received)
        self.assertOver(200)

    def test_request(self) -> None:
        """Uploads: the client is not read meanwhile."""
        self.onRequest(self.thinking)
        self.upload()
        self.assertFalse(self.client.transport.reading)
        self.answers.pop(0).callback(b"y" * 500)
        self.assertTrue(self.client.transport.reading)
        self.assertIn(b"y" * 500, self.connection.heard())

    def test_refuses(self) -> None:
        """It may refuse then, too."""
        self.onRequest(self.thinking)
        self.upload()
        self.answers.pop(0).errback(Refused(422, "A virus.\n"))
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 422 "))
        self.connection.leaves()
        self.assertOver(422)
        self.assertEqual(self.link.counters.errors, 0)

    def test_fails(self) -> None:
        """Its failure is booked; nonsense is one, too."""
        for result, kind in ((LookupError("no"), LookupError), (None, TypeError)):
            self.setUp()
            self.onResponse(self.thinking)
            self.client.send(GET)
            self.connection.says(CHUNKS + chunk(b"abc"))
            if isinstance(result, Exception):
                self.answers.pop(0).errback(result)
            else:
                self.answers.pop(0).callback(result)  # type: ignore[arg-type]
            self.assertTrue(self.client.received().startswith(b"HTTP/1.1 500 "))
            self.assertOver(500, "PluginFailed")
            self.assertBooked(kind)

    def test_open(self) -> None:
        """With ``on_error: open`` its first piece goes on as it is."""
        self.link.open = True
        self.onResponse(self.thinking)
        self.client.send(GET)
        self.connection.says(CHUNKS + chunk(b"abc"))
        self.connection.says(chunk(b"def") + b"0\r\n\r\n")
        self.answers.pop(0).errback(LookupError("no"))
        self.assertTrue(self.client.received().endswith(chunk(b"abc") + chunk(b"def") + b"0\r\n\r\n"))
        self.assertOver(200)
        self.assertBooked(LookupError, skipped=True)

    def test_tooLong(self) -> None:
        """Each call has the plugin's time, also while another plugin reads the body."""
        self.link.timeout = 1.0

        async def onEntry(context: Context) -> bool:
            context.request.body.addFilter(self.thinking)
            await context.request.body.read(BIG)
            return True

        self.plugin.onEntry = onEntry
        self.client.send(POST)
        self.client.send(b"x" * 1000)
        self.edge.pass_(2)
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 500 "))
        self.assertOver(500, "no answer within 1.0 s")
        self.assertEqual((self.link.counters.errors, self.link.counters.timeouts), (1, 1))
        self.assertEqual(len(self.cancelled), 1)
        self.flushLoggedErrors()

    def test_clientLeaves(self) -> None:
        """What it waits for is cancelled, and nobody is blamed."""
        for way in (self.onResponse, self.onRequest):
            self.setUp()
            way(self.thinking)
            if way == self.onRequest:
                self.upload()
            else:
                self.client.send(GET)
                self.connection.says(CHUNKS + chunk(b"abc"))
            self.client.leave()
            self.assertEqual(len(self.cancelled), 1)
            self.connection.leaves()
            self.assertEqual(self.link.counters.errors, 0)
            self.assertOver(499, "ClientGone")

    def test_inARow(self) -> None:
        """Several, at once and later, in their order."""

        def onExit(context: Context) -> None:
            assert context.response is not None
            context.response.body.addFilter(lambda data, last: data + b"1" if data else data)
            context.response.body.addFilter(self.thinking)
            context.response.body.addFilter(lambda data, last: data + b"3" if data else data)

        self.plugin.onExit = onExit
        self.client.send(GET)
        self.connection.says(CHUNKS + chunk(b"a"))
        self.assertEqual(self.calls, [(b"a1", False)])
        self.answers.pop(0).callback(b"a12")
        self.assertTrue(self.client.received().endswith(chunk(b"a123")))
        self.connection.says(b"0\r\n\r\n")
        self.answers.pop(0).callback(b"")
        self.assertTrue(self.client.received().endswith(b"0\r\n\r\n"))
        self.assertOver(200)


FILTERING = """
    def handleResponse(self, context):
        def filter(data, last):
            raise ArithmeticError("filter")
        context.response.body.addFilter(filter)
"""
STREAMED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"


class QuarantineTests(FailingCase):
    """A version whose filters fail every time is taken out."""

    def setUp(self) -> None:
        super().setUp()
        # The body comes in its own time, so that it is the filter that fails and not the call that adds it.
        self.bench.origin.wholeHeard = self.stream  # type: ignore[method-assign]

    def stream(self, connection: Any, heard: Any) -> None:
        """The origin answers in two pieces."""
        connection.wire.arrive(STREAMED[:-8])
        self.bench.clock.callLater(0, connection.wire.arrive, STREAMED[-8:] + b"0\r\n\r\n")

    def test_back(self) -> None:
        """The one before it runs, and the event has the figures."""
        self.begin()
        self.bench.stamp("b", "2", body=FILTERING, version="2.0")
        self.bench.apply()
        self.assertEqual([self.ask(f"/{number}") for number in range(5)], [500] * 5)
        self.bench.settle()
        self.assertEqual(self.flushLoggedErrors(ArithmeticError) and self.kinds("b")[-1], "quarantined")
        self.ask("/after")
        self.bench.settle()
        self.assertEqual(self.stage.marks("/after", "in")["b"], "1")

    def test_gate(self) -> None:
        """A probe whose filter fails has failed, though the call that added it was well."""
        self.begin(body=FILTERING)
        for number in range(5):
            self.ask(f"/{number}")
            self.bench.settle()
        self.bench.settle()
        self.assertEqual(self.ask("/out"), 503)
        self.bench.wait(11)
        self.ask("/probe")
        self.bench.settle()
        self.assertEqual(self.kinds("b")[-1], "probe-failed")
        self.flushLoggedErrors(ArithmeticError)
