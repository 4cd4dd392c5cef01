"""Tests for `revproxy.worker.rollout.takendown`: requests go as ever, and are written down."""

from __future__ import annotations

import gc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from weakref import ref

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.context import Context
from revproxy.dataplane.chain import Chain
from revproxy.errors import PluginFailed, PluginQuarantined, Refused
from revproxy.guardedmiddleware import guardedMiddleware
from revproxy.interfaces import IMiddleware, IObserver, IResponseMiddleware
from revproxy.loop.deadlines import Deadlines
from revproxy.permissions import Permissions
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Record
from revproxy.replay.capture import UNREADABLE, Capture
from revproxy.replay.difference import differences
from revproxy.replay.recordedcall import RecordedExchange
from revproxy.testing import ClientAnswer, ClientDouble, HostDouble, SinkDouble, makeContext, makeResponse
from revproxy.worker.rollout import takendown
from revproxy.worker.rollout.recordings import Recording
from revproxy.worker.rollout.recordings import _Taker as Taker
from revproxy.worker.rollout.takendown import LONG, TakenDown, TakenRequest
from tests.dataplane.doubles import makeLink
from tests.replay.plugins import Handles, Responds


def instanceOf(name: str = "p") -> Any:
    """An instance as far as it is looked at."""
    entry = SimpleNamespace(bundle=None)
    version = SimpleNamespace(name=name, id=VersionId("1.0", "ab" * 32), entry=entry)
    return SimpleNamespace(version=version, provides=lambda interface: False)


class TakenCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.takenDown = TakenDown()
        self.taken: list[TakenRequest] = []

    def chain(self, *middleware: Any, client: Any = None) -> Chain:
        """A taken-down chain."""
        deadlines = Deadlines(Clock(), 0.02)
        links = []
        for each in middleware:
            link = makeLink(self.takenDown.wrap(instanceOf(each.name), each), deadlines, name=each.name)
            link._client = client
            links.append(link)
        return Chain(links)

    def enter(self, chain: Chain, context: Context | None = None) -> Context:
        """A request goes in, and is over."""
        context = context or makeContext()
        self.takenDown.begin(context, (self.taken.append,))
        entered = chain.enter(context)
        if isinstance(entered, Deferred):
            self.successResultOf(entered)
        context.over()
        return context

    def answered(self, chain: Chain, body: Any = b"<p>") -> Context:
        """It comes out again, too."""
        context = makeContext()
        self.takenDown.begin(context, (self.taken.append,))
        self.assertIs(chain.enter(context), True)
        context.response = makeResponse(200, {"X": "1"}, body)
        later = chain.leave(context)
        if later is not None:
            self.successResultOf(later)
        return context


class WaysTests(TakenCase):
    """However a middleware answers, the chain gets its answer, and it is written down."""

    def assertTaken(self, handle: Callable[[Context], Any], verdict: bool = True) -> None:
        context = makeContext()
        self.takenDown.begin(context, (self.taken.append,))
        entered = self.chain(Handles(handle)).enter(context)
        got = self.successResultOf(entered) if isinstance(entered, Deferred) else entered
        context.over()
        self.assertIs(got, verdict)
        (call,) = self.taken[0].recorded().calls
        self.assertEqual((call.outcome.verdict, call.outcome.incomparable, call.outcome.raised), (verdict, "", None))

    def test_atOnce(self) -> None:
        """At once."""
        self.assertTaken(lambda context: True)

    def test_stops(self) -> None:
        """With an answer of its own."""
        self.assertTaken(lambda context: context.respond(403), False)

    def test_deferred(self) -> None:
        """With a Deferred."""
        self.assertTaken(lambda context: succeed(True))

    def test_coroutine(self) -> None:
        """As a coroutine."""

        async def handle(context: Context) -> bool:
            return await context.request.body.read(10) == b""

        self.assertTaken(handle)

    def test_bounded(self) -> None:
        """A Deferred whose time is seen to elsewhere stays what it is."""

        class Bounded(Deferred[Any]):
            isBounded = True

        waiting: Deferred[Any] = Bounded()
        context = makeContext()
        self.takenDown.begin(context, (self.taken.append,))
        entered = self.chain(Handles(lambda context: waiting)).enter(context)
        self.assertIs(entered, waiting)
        waiting.callback(True)
        context.over()
        self.assertIs(self.taken[0].recorded().calls[0].outcome.verdict, True)

    def test_givenUp(self) -> None:
        """One that was awaited when the client left cannot be compared."""
        context = makeContext()
        self.takenDown.begin(context, (self.taken.append,))
        self.chain(Handles(lambda context: Deferred())).enter(context)
        context.over()
        self.assertIn("given up", self.taken[0].recorded().calls[0].outcome.incomparable)


class FailuresTests(TakenCase):
    """What a middleware raises goes where it went."""

    def fails(self, error: BaseException, kind: type[BaseException]) -> Any:
        def handle(context: Context) -> bool:
            raise error

        context = makeContext()
        self.takenDown.begin(context, (self.taken.append,))
        self.assertRaises(kind, self.chain(Handles(handle)).enter, context)
        context.over()
        self.flushLoggedErrors()
        return self.taken[0].recorded().calls[0].outcome

    def test_raises(self) -> None:
        """An exception is the link's failure, and is written down."""
        self.assertEqual(self.fails(KeyError("x"), PluginFailed).raised.kind, "KeyError")

    def test_refused(self) -> None:
        """A refusal is an answer."""
        outcome = self.fails(Refused(429, "slow"), Refused)
        self.assertEqual((outcome.verdict, outcome.response.status, outcome.raised), (False, 429, None))

    def test_quarantined(self) -> None:
        """What stands in the place of a plugin is not the plugin."""
        self.assertIn("quarantined", self.fails(PluginQuarantined("p"), PluginQuarantined).incomparable)


class RecordTests(TakenCase):
    """What is written down of a request."""

    def test_calls(self) -> None:
        """Each plugin in its order, with what it was asked and did; the origin's answer as it came."""

        def first(context: Context) -> bool:
            context.request.headers.set("X-First", "1")
            return True

        def respond(context: Context) -> None:
            context.response.status = 404  # type: ignore[union-attr]

        chain = self.chain(Handles(first), Responds(respond))
        self.answered(chain).over()
        record = self.taken[0].recorded()
        self.assertEqual([(each.plugin, each.call.phase) for each in record.calls],
                         [("handles", "handle"), ("responds", "handle"), ("responds", "handleResponse")])  # fmt: skip
        self.assertNotIn((b"X-First", b"1"), record.calls[0].call.headers)
        self.assertIn((b"X-First", b"1"), record.calls[1].call.headers)
        self.assertEqual(differences((record.calls[0].outcome,), (record.calls[1].outcome,)), ())
        self.assertEqual((record.origin.status, record.status), (200, 404))  # type: ignore[union-attr]
        self.assertEqual((record.route, record.id, record.calls[0].version), ("default", "request-1", "1.0"))

    def test_body(self) -> None:
        """A body is known as it came, and as a filter has made it, once it has gone through."""

        def respond(context: Context) -> None:
            context.response.body.addFilter(lambda data, last: data.upper())  # type: ignore[union-attr]

        context = self.answered(self.chain(Responds(respond)), [b"<p>", b"</p>"])
        body = context.response.body  # type: ignore[union-attr]
        body._source.begin()
        self.assertEqual(SinkDouble(body).data, b"<P></P>")
        context.over()
        call = self.taken[0].recorded().calls[1]
        self.assertEqual((call.call.response.body, call.call.response.isWhole), (b"<p></p>", True))  # type: ignore[union-attr]
        self.assertEqual((call.outcome.response.body, call.outcome.incomparable), (b"<P></P>", ""))  # type: ignore[union-attr]

    def test_openBody(self) -> None:
        """One that has not come to its end cannot be compared."""

        def respond(context: Context) -> None:
            context.response.body.addFilter(lambda data, last: data)  # type: ignore[union-attr]

        self.answered(self.chain(Responds(respond)), [b"<p>"]).over()
        self.assertIn("not come to its end", self.taken[0].recorded().calls[1].outcome.incomparable)

    def test_noOrigin(self) -> None:
        """Who was stopped came to no origin."""
        chain = self.chain(Responds(lambda context: None), Handles(lambda context: context.respond(403)))
        context = makeContext()
        self.takenDown.begin(context, (self.taken.append,))
        chain.enter(context)
        chain.leave(context)
        context.over()
        self.assertEqual((self.taken[0].recorded().origin, self.taken[0].status), (None, 403))

    def test_client(self) -> None:
        """What it was answered by others."""
        client = ClientDouble()
        client.answers("GET", "http://auth/", ClientAnswer(200, b"ok"))

        async def handle(context: Context) -> bool:
            return bool((await context.client.get("http://auth/")).code == 200)

        self.enter(self.chain(Handles(handle), client=client))
        told = RecordedExchange("GET", "http://auth/", 200, (), b"ok", "", True)
        self.assertEqual(self.taken[0].recorded().calls[0].call.told, (told,))

    def test_hostClient(self) -> None:
        """What it was answered by the client of its host, at once and after a wait; each is told once."""
        double, waits = ClientDouble(), Deferred[Any]()
        for path in "abcd":
            double.answers("GET", f"http://auth/{path}", ClientAnswer(200, path.encode()))
        host = HostDouble()
        host.clientDouble = double
        host.client.listens = self.takenDown.listens

        async def handle(context: Context) -> bool:
            await host.client.get("http://auth/a")
            await waits
            await host.client.get("http://auth/b")
            await context.client.get("http://auth/c")
            return True

        context = makeContext()
        self.takenDown.begin(context, (self.taken.append,))
        entered = self.chain(Handles(handle), client=host.client).enter(context)
        host.client.get("http://auth/d")  # in a timer, say
        waits.callback(None)
        assert isinstance(entered, Deferred)
        self.assertIs(self.successResultOf(entered), True)
        context.over()
        told = self.taken[0].recorded().calls[0].call.told
        self.assertEqual([(each.url, each.body) for each in told],
                         [(f"http://auth/{path}", path.encode()) for path in "abc"])  # fmt: skip

    def test_interim(self) -> None:
        """Interim answers are sent, and noted; the edge's side of the request is what it was."""

        def handle(context: Context) -> bool:
            context.sendInformational(103, {"Link": "<x>"})
            return True

        context = makeContext()
        exchange: Any = context._exchange
        self.takenDown.begin(context, (self.taken.append,))
        self.chain(Handles(handle)).enter(context)
        self.assertIs(context._exchange, exchange)
        self.assertEqual([status for status, _ in exchange.sent], [103])
        context.over()
        self.assertEqual(self.taken[0].recorded().calls[0].outcome.informational, (103,))

    def test_guarded(self) -> None:
        """Of one with permissions, what it may touch is what it was."""

        def handle(context: Context) -> bool:
            context.request.headers.set("X", "1")
            return True

        guarded = guardedMiddleware(Handles(handle), Permissions())
        context = makeContext()
        self.takenDown.begin(context, (self.taken.append,))
        self.assertRaises(PluginFailed, self.chain(guarded).enter, context)
        context.over()
        self.flushLoggedErrors()
        self.assertEqual(self.taken[0].recorded().calls[0].outcome.raised.kind, "NotPermitted")  # type: ignore[union-attr]


class WrapTests(TakenCase):
    """What stands in a taken-down chain."""

    def test_provides(self) -> None:
        """It provides what the middleware does, and nothing else."""
        for middleware in (Handles(), Responds(lambda context: None)):
            wrapped = self.takenDown.wrap(instanceOf(), middleware)
            for interface in (IMiddleware, IResponseMiddleware, IObserver):
                self.assertEqual(interface.providedBy(wrapped), interface.providedBy(middleware))
            self.assertEqual(wrapped.name, middleware.name)

    def test_same(self) -> None:
        """For the same middleware it is the same, as long as anybody has it; then nothing keeps the middleware."""
        middleware = Handles()
        wrapped = self.takenDown.wrap(instanceOf(), middleware)
        self.assertIs(self.takenDown.wrap(instanceOf(), middleware), wrapped)
        kept = ref(middleware)
        del middleware, wrapped
        gc.collect()
        self.assertIsNone(kept())

    def test_noCycles(self) -> None:
        """What is written down goes when nobody wants it any more, and does not wait for the garbage collector."""
        kept: list[ref[Capture]] = []

        class Watched(Capture):
            __slots__ = ("__weakref__",)

        self.patch(takendown, "Capture", Watched)
        context = makeContext("POST", "/", {}, [b"x"])
        self.takenDown.begin(context, (lambda taken: kept.extend(ref(call.capture) for call in taken.calls),))
        gc.disable()
        self.addCleanup(gc.enable)
        self.chain(Responds(lambda context: None)).enter(context)
        context.over()
        del context
        self.assertEqual([each() for each in kept], [None])

    def test_notBegun(self) -> None:
        """A request of which nobody wants anything leaves nothing."""
        context = makeContext()
        self.assertIs(self.chain(Handles()).enter(context), True)
        self.assertEqual((len(self.takenDown), context._made), (0, ()))

    def test_onlyWanted(self) -> None:
        """Who wants the calls of one plugin is given those."""

        class Taker:
            plugins = frozenset(("responds",))

            def __call__(its, taken: TakenRequest) -> None:
                self.taken.append(taken)

        context = makeContext()
        self.takenDown.begin(context, (Taker(),))
        self.chain(Handles(), Responds(lambda context: None)).enter(context)
        context.over()
        self.assertEqual([each.instance.version.name for each in self.taken[0].calls], ["responds"])

    def test_most(self) -> None:
        """There are so many at a time; of more, nothing is taken down, and they are counted."""
        self.takenDown = TakenDown(most=1)
        chain = self.chain(Handles())
        first, second = makeContext(), makeContext()
        recording = Recording(Record("r-1", (), 1.0))
        for context in (first, second):
            self.takenDown.begin(context, (self.taken.append, Taker(recording)))
            self.assertIs(chain.enter(context), True)
        self.assertEqual((len(self.takenDown), recording.dropped), (1, 1))
        first.over()
        second.over()
        self.assertEqual((len(self.takenDown), len(self.taken)), (0, 1))

    def test_stream(self) -> None:
        """One that is answered and goes on makes room for others: what plugins were asked of it is known."""
        clock = Clock()
        self.takenDown = TakenDown(most=1, now=clock.seconds)
        chain = self.chain(Handles())
        stream, waiting, other = makeContext(), makeContext(), makeContext()
        for context, isAnswered in ((stream, True), (waiting, False)):
            context._exchange.isAnswered = isAnswered  # type: ignore[misc, union-attr]
            self.takenDown.begin(context, (self.taken.append,))
            chain.enter(context)
            clock.advance(LONG)
        self.assertEqual((len(self.taken), self.taken[0].recorded().calls[0].outcome.incomparable), (1, ""))
        self.takenDown.begin(other, (self.taken.append,))  # the other one is not answered: it may be about to be
        self.assertEqual(len(self.takenDown), 1)
        for context in (stream, waiting, other):
            context.over()
        self.assertEqual(len(self.taken), 2)

    def test_takerFails(self) -> None:
        """What goes wrong with one who takes them is nothing to the others, or to the request."""

        def fails(taken: TakenRequest) -> None:
            raise ValueError("no room")

        context = makeContext()
        self.takenDown.begin(context, (fails, self.taken.append))
        self.chain(Handles()).enter(context)
        context.over()
        self.assertEqual((len(self.flushLoggedErrors(ValueError)), len(self.taken)), (1, 1))

    def test_captureFails(self) -> None:
        """Values that cannot even be looked at keep nobody from being served."""

        class Hostile(dict[str, Any]):
            def items(self) -> Any:
                raise RuntimeError("no")

        context = makeContext()
        context._values = Hostile(a=1)
        self.takenDown.begin(context, (self.taken.append,))
        self.assertIs(self.chain(Handles()).enter(context), True)
        context.over()
        self.assertEqual((len(self.flushLoggedErrors(RuntimeError)), self.taken[0].calls), (1, []))

    def test_endFails(self) -> None:
        """Where that is so after the call, it is served all the same, and can be held against nothing."""

        class Hostile(dict[str, Any]):
            def items(self) -> Any:
                raise RuntimeError("no")

        def handle(context: Context) -> bool:
            context._values = Hostile(a=1)
            return True

        self.enter(self.chain(Handles(handle)))
        (call,) = self.taken[0].recorded().calls
        self.assertEqual((call.outcome.verdict, call.outcome.incomparable), (True, UNREADABLE))
        self.flushLoggedErrors(RuntimeError)

    def test_giveUpFails(self) -> None:
        """They keep no request from ending, either, that its client has left."""

        class Hostile(dict[str, Any]):
            def items(self) -> Any:
                raise RuntimeError("no")

        def handle(context: Context) -> Any:
            context._values = Hostile(a=1)
            return Deferred()

        context = makeContext()
        self.takenDown.begin(context, (self.taken.append,))
        self.assertNoResult(self.chain(Handles(handle)).enter(context))
        context.over()
        self.assertEqual((len(self.flushLoggedErrors(RuntimeError)), len(self.taken)), (1, 1))
        self.assertEqual(len(self.takenDown), 0)

    def test_rerouted(self) -> None:
        """A request that comes to another fork is the same request, for whoever wants it there as well."""
        other: list[TakenRequest] = []
        context = makeContext()
        self.takenDown.begin(context, (self.taken.append,))
        self.takenDown.begin(context, (self.taken.append, other.append))
        context.over()
        self.assertEqual((len(self.taken), self.taken), (1, other))
