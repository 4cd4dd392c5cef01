"""What a plugin reaches by its host and its context, each with the edge behind it."""

from __future__ import annotations

import json
import logging
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.errors import BodyTooLarge
from revproxy.isolation.frames import Counted, Failed, FigureCounted, Logged, SendRequest, UseStore
from revproxy.isolation.inside.askederrors import EdgeRefused, errorOf
from revproxy.isolation.inside.asks import MOST_WAITING, Asks
from revproxy.isolation.inside.edgelog import EdgeHandler, EdgeLog
from revproxy.isolation.inside.holding import Holding
from revproxy.store import StoreError
from tests.isolation.inside.rooms import ALL, PageDouble, RoomCase

HOSTED = """
    import logging
    @implementer(IMiddleware, IHosted, ILifecycle)
    class PluginMain:
        name = "guest"
        def __init__(self, config): pass
        def handle(self, context): return True
        def attach(self, host): self.host = host
        def say(self, value): self.host.log.info("{value!r}", value=value)
        def stop(self): pass
        def start(self):
            host = self.host
            %s
"""


class ReachCase(RoomCase):
    """Code that runs in ``start``, with a host."""

    def starts(self, code: str, **loaded: Any) -> int:
        """:returns: the number of the step."""
        self.room.load(HOSTED % code, **loaded)
        self.room.step("attach")
        self.room.said.clear()
        return self.room.step("start")

    def reason(self, code: str, **loaded: Any) -> str:
        """Why it fails, in a room of its own."""
        self.setUp()
        self.starts(code, **loaded)
        return self.room.take(Failed).text


class ClientTests(ReachCase):
    """`EdgeClient`."""

    def sent(self, code: str) -> SendRequest:
        """The request that it sends."""
        self.starts(f"return host.client.{code}")
        return self.room.take(SendRequest)

    def test_get(self) -> None:
        """The upstream is the host of the URL; parameters are added, and what is no character of a URL is encoded."""
        more = 'params={"y": ["2", "3"]}, headers={"X-A": ["1", b"2"]}, timeout=5'
        sent = self.sent(f'get("http://billing/a b?x=1", {more})')
        self.assertEqual((sent.method, sent.upstream, sent.target), (b"GET", "billing", b"/a%20b?x=1&y=2&y=3"))
        self.assertEqual((sent.fields, sent.body, sent.timeout), (((b"X-A", b"1"), (b"X-A", b"2")), b"", 5))

    def test_bodies(self) -> None:
        """JSON, forms, bytes and text."""
        for code, body, kind in (
            ('json={"a": 1}', b'{"a":1}', b"application/json; charset=UTF-8"),
            ('data={"a": "1 2"}', b"a=1+2", b"application/x-www-form-urlencoded"),
            ('data=b"raw"', b"raw", None),
            ('data="text"', b"text", None),
        ):
            sent = self.sent(f'post("http://billing/", {code})')
            self.assertEqual((sent.method, sent.body), (b"POST", body))
            self.assertEqual(sent.fields, () if kind is None else ((b"Content-Type", kind),))
            self.setUp()

    def test_auth(self) -> None:
        """As treq does it."""
        sent = self.sent('request("put", "http://billing", auth=("ann", "secret"))')
        self.assertEqual((sent.method, sent.target), (b"PUT", b"/"))
        self.assertEqual(sent.fields, ((b"Authorization", b"Basic YW5uOnNlY3JldA=="),))

    def test_answer(self) -> None:
        """The answer is as treq's."""
        source = HOSTED % """
            answer = await host.client.get("http://billing/")
            found = [answer.code, answer.phrase, answer.headers.getRawHeaders("x-a"), answer.length]
            self.say([*found, await answer.json(), await answer.text(), await answer.content()])
        """
        self.room.load(source.replace("def start", "async def start"))
        self.room.step("attach")
        self.room.said.clear()
        self.room.step("start")
        asked = self.room.take(SendRequest)
        self.room.said.clear()
        body = '"é"'.encode()
        fields = [(b"X-A", b"1"), (b"X-A", b"2"), (b"Content-Type", b"text/plain; charset=utf-8")]
        self.room.reply(asked.number, [201, b"Made", fields, body])
        self.assertEqual(
            self.room.take(Logged).text, "[201, b'Made', ['1', '2'], 4, 'é', '\"é\"', b'\"\\xc3\\xa9\"']"
        )

    def test_refused(self) -> None:
        """What is not granted, and what cannot be had, is said at the call."""
        for why, code in (
            ("upstreams: other", 'get("http://other/")'),
            ("not a URL", 'get("ftp://billing/")'),
            ("takes no files", 'post("http://billing/", files={})'),
            ("not both", 'post("http://billing/", "a", json=1)'),
            ("text or bytes", 'get("http://billing/", headers={"X-A": [5]})'),
        ):
            self.assertIn(why, self.reason(f"return host.client.{code}"))

    def test_fails(self) -> None:
        """It fails with what the edge says, by its class."""
        self.starts('return host.client.get("http://billing/")')
        asked = self.room.take(SendRequest)
        self.room.said.clear()
        self.room.reply(asked.number, b"", "UpstreamTimeout", "too slow")
        self.assertEqual(self.room.take(Failed).kind, "UpstreamTimeout")

    def test_ends(self) -> None:
        """What is under way ends with the plugin."""
        self.starts('host.client.get("http://billing/").addErrback(lambda f: host.log.info(f.type.__name__))')
        self.room.said.clear()
        self.room.step("stop")
        self.assertEqual(self.room.take(Logged).text, "CancelledError")

    def test_delivered(self) -> None:
        """A body is given to whoever reads it as Twisted does."""
        self.starts("""
            class Reader:
                def dataReceived(self, data): host.log.info(repr(data))
                def connectionLost(self, reason): host.log.info("end")
            return host.client.get("http://billing/").addCallback(lambda answer: answer.deliverBody(Reader()))
        """)
        asked = self.room.take(SendRequest)
        self.room.said.clear()
        self.room.reply(asked.number, [200, b"OK", [], b"abc"])
        self.assertEqual([self.room.take(Logged).text for _ in range(2)], ["b'abc'", "end"])


class StoreTests(ReachCase):
    """`EdgeStore`."""

    def use(self, code: str, reply: Any) -> tuple[UseStore, str]:
        """What is asked for, and what comes of it."""
        self.starts(f"return host.store.{code}.addBoth(self.say)")
        asked = self.room.take(UseStore)
        self.room.said.clear()
        self.room.reply(asked.number, reply)
        return asked, self.room.take(Logged).text

    def test_all(self) -> None:
        """Each of its methods."""
        self.assertEqual(self.use('get("k")', [{"a": 1}]), (UseStore(1, "get", "k"), "{'a': 1}"))
        self.setUp()
        self.assertEqual(self.use('get("k", 7)', [])[1], "7")
        self.setUp()
        self.assertEqual(self.use('set("k", [1])', None), (UseStore(1, "set", "k", b"[1]"), "None"))
        self.setUp()
        self.assertEqual(self.use('delete("k")', True), (UseStore(1, "delete", "k"), "True"))
        self.setUp()
        self.assertEqual(self.use('keys("a")', ["ab"]), (UseStore(1, "keys", "a"), "['ab']"))

    def test_checked(self) -> None:
        """A wrong key or value is said at the call; so is that it was not granted."""
        self.assertIn("is text", self.reason("return host.store.get(5)"))
        self.assertIn("JSON can hold", self.reason('return host.store.set("k", object())'))
        without = json.dumps({**ALL, "store": False}).encode()
        self.assertIn("store: true", self.reason("return host.store", permissions=without))


class FigureTests(ReachCase):
    """`EdgeFigures`."""

    def test_told(self) -> None:
        """What was counted is told each second, and at the end; nothing if there is nothing."""
        self.starts("""
            self.sold = host.counter("sold_total", "Sold.", labels=("kind",))
            self.sold.inc(2, kind="book")
            host.histogram("took_seconds", buckets=(1, 2)).observe(1.5)
        """)
        self.room.said.clear()
        self.room.clock.advance(1)
        self.assertEqual(self.room.take(Counted).figures, (
            FigureCounted("sold_total", "Sold.", ("kind",), (), ((("book",), (2.0,)),)),
            FigureCounted("took_seconds", "", (), (1.0, 2.0), (((), (1.5, 0.0, 1.0, 0.0)),)),
        ))
        self.room.clock.advance(5)
        self.assertEqual(self.room.said, [])

    def test_last(self) -> None:
        """What was counted last is told before the end."""
        self.starts('host.counter("sold_total").inc()')
        self.room.said.clear()
        self.room.step("stop")
        self.assertEqual([type(frame).__name__ for frame in self.room.said], ["Counted", "Done"])

    def test_later(self) -> None:
        """A figure that is made in a call is told, too."""
        self.starts("host.callLater(3, lambda: host.counter('sold_total').inc())")
        self.room.said.clear()
        for _ in range(5):
            self.room.clock.advance(1)
        self.assertEqual(self.room.take(Counted).figures[0].name, "sold_total")


class HostTests(ReachCase):
    """`InsideHost`."""

    def test_notHad(self) -> None:
        """What cannot be had says what can."""
        self.assertIn("one thread", self.reason("return host.callInThread(len, ())"))
        self.assertIn("no loop of asyncio", self.reason("return host.asyncio(len)"))
        self.assertIn("no files and no sockets", self.reason(
            "host.addLogHandler(logging.FileHandler('/tmp/x', delay=True))"
        ))

    def test_every(self) -> None:
        """Timers are as anywhere."""
        self.starts("host.callEvery(2, host.log.info, 'tick', now=True)")
        self.room.clock.advance(2)
        self.room.clock.advance(2)
        self.assertEqual([frame.text for frame in self.room.said if isinstance(frame, Logged)], ["tick"] * 3)

    def test_handler(self) -> None:
        """A handler that keeps what it gets is taken."""
        number = self.starts("""
            class Keeping(logging.Handler):
                def emit(self, record): host.log.info("kept " + record.getMessage())
            host.addLogHandler(Keeping(), "guest.test")
            logging.getLogger("guest.test").error("this")
        """)
        self.assertEqual(self.room.take(Logged).text, "kept this")
        self.assertEqual(self.room.said[-1].number, number)  # type: ignore[union-attr]
        self.room.step("stop")
        self.assertEqual(logging.getLogger("guest.test").handlers, [])


class LogTests(SynchronousTestCase):
    """`EdgeLog`."""

    def setUp(self) -> None:
        self.lines: list[Logged] = []
        self.log = EdgeLog(self.lines.append)

    def test_own(self) -> None:
        """The plugin's own lines have no namespace, others theirs; levels and failures are kept."""
        logger = self.log.logger("guest")
        logger.warn("number {n}", n=5)
        try:
            raise ValueError("wrong")
        except ValueError:
            logger.failure("it failed")
        self.assertEqual(self.lines[0], Logged("warn", "number 5"))
        self.assertEqual((self.lines[1].level, self.lines[1].text), ("critical", "it failed"))
        self.assertIn("ValueError: wrong", self.lines[1].traceback)
        self.log({"log_namespace": "other", "log_format": "x"})
        self.assertEqual(self.lines[2], Logged("info", "x", "other"))

    def test_stdlib(self) -> None:
        """What is logged by the standard library keeps its logger's name, unless it is the plugin's code that logs."""
        handler = EdgeHandler(self.log)
        for number, level in ((10, "debug"), (20, "info"), (30, "warn"), (40, "error"), (50, "critical")):
            handler.emit(logging.LogRecord("lib", number, "/lib.py", 1, "is %d", (number,), None))
            self.assertEqual(self.lines.pop(), Logged(level, f"is {number}", "lib"))
        handler.emit(logging.LogRecord("any", 20, "/plugins/p/plugin.py@0123456789ab", 1, "mine", (), None))
        self.assertEqual(self.lines.pop(), Logged("info", "mine"))

    def test_long(self) -> None:
        """A line has a bound."""
        self.log.tell("info", "x" * 100_000, "n" * 1000)
        self.assertEqual((len(self.lines[0].text), len(self.lines[0].namespace)), (8000, 200))

    def test_withinItself(self) -> None:
        """What is logged while a line is told is dropped."""
        log = EdgeLog(lambda frame: (self.lines.append(frame), log.tell("info", "again", "")))  # type: ignore[func-returns-value]
        log.tell("info", "once", "")
        self.assertEqual([line.text for line in self.lines], ["once"])


class ErrorTests(SynchronousTestCase):
    """Errors that the edge tells by name."""

    def test_known(self) -> None:
        """Those of the edge, of the network and of Python are what they are called."""
        for kind, expected in (("BodyTooLarge", BodyTooLarge), ("StoreError", StoreError), ("ValueError", ValueError)):
            error = errorOf(kind, "because")
            self.assertEqual((type(error), str(error)), (expected, "because"))
        self.assertEqual(type(errorOf("TimeoutError", "x")).__name__, "TimeoutError")

    def test_unknown(self) -> None:
        """Others, and what would be no exception, are told by their text."""
        for kind in ("Strange", "int", "SystemExit", "__name__", "UnicodeDecodeError"):
            error = errorOf(kind, "because")
            self.assertIsInstance(error, EdgeRefused)
            self.assertEqual(str(error), f"{kind}: because")

    def test_tooMany(self) -> None:
        """There is a bound to what may be asked and not answered."""
        asks = Asks(lambda frame: None, Holding(PageDouble()))
        waiting = [asks.ask(lambda number: UseStore(number, "get", "k")) for _ in range(MOST_WAITING)]
        self.assertRaises(RuntimeError, asks.ask, lambda number: UseStore(number, "get", "k"))
        waiting[0].addErrback(lambda failure: None)
        waiting[0].cancel()
        asks.ask(lambda number: UseStore(number, "get", "k"))
