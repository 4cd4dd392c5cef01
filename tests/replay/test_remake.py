from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface

from revproxy.errors import Refused
from revproxy.guardedmiddleware import guardedMiddleware
from revproxy.permissions import Permissions
from revproxy.replay.capture import Capture
from revproxy.replay.difference import differences
from revproxy.replay.outcome import Raised
from revproxy.replay.recordedcall import RecordedExchange
from revproxy.replay.remake import Remake
from revproxy.testing import DestinationsDouble, makeContext, makeResponse
from tests.replay.plugins import Handles, Responds, callOf


class RemakeCase(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()

    def again(self, middleware, *calls, **more):
        """What comes of calls that are made again."""
        remake = Remake(middleware, "p", self.clock, 2.0, **more)
        return self.successResultOf(remake.again(calls))

    def handled(self, handle, call=None, **more):
        """What comes of one."""
        return self.again(Handles(handle), call or callOf(), **more)[0]


class RequestTests(RemakeCase):
    """A plugin is asked of a copy what it was asked of the request."""

    def test_seesAll(self):
        """It sees the request as it was: by whom, for what, with which body and values."""
        seen = []

        async def handle(context):
            request = context.request
            body = await request.body.read(100)
            seen.append(
                (request.method, request.target, request.host, dict(request.headers), request.peer.host, body,
                 dict(context.values), context.id, context.route, request.scheme, context.upstream)
            )  # fmt: skip
            return True

        call = callOf("POST", "/a?b", {"X": "1"}, b"body", values={"v": [1]}, route="r", id="i", client="192.0.2.7",
                      upstream="u")  # fmt: skip
        outcome = self.handled(handle, call)
        self.assertEqual(
            seen,
            [("POST", "/a?b", "www.example.com", {"Host": "www.example.com", "X": "1"}, "192.0.2.7", b"body",
              {"v": [1]}, "i", "r", "https", "u")],
        )  # fmt: skip
        self.assertEqual((outcome.verdict, outcome.incomparable), (True, ""))

    def test_equal(self):
        """The same plugin does the same again: there is no difference."""

        def handle(context):
            context.request.headers.set("X-A", "1")
            context.request.path = "/b"
            context.values["v"] = {"k": 1}
            context.fields["f"] = "x"
            context.request.body.replace(b"new")
            context.sendInformational(103, {"Link": "<x>"})
            return True

        context = makeContext("POST", "/a", {}, b"old")
        capture = Capture(context, "handle")
        capture.over(handle(context))
        outcome = self.handled(handle, capture.call())
        self.assertEqual(differences((capture.outcome(),), (outcome,)), ())
        self.assertEqual((outcome.target, outcome.fields, outcome.informational), (b"/b", {"f": "x"}, (103,)))

    def test_nothingOfTheFirst(self):
        """What it changes is changed in the copy, each time anew."""
        values = {"list": [1]}
        call = callOf(values=values)

        def handle(context):
            context.values["list"].append(2)
            return True

        outcomes = [self.handled(handle, call).values for _ in range(2)]
        self.assertEqual((outcomes, values), ([{"list": [1, 2]}] * 2, {"list": [1]}))

    def test_refuses(self):
        """An answer of its own is told, and a Refused is one."""
        outcome = self.handled(lambda context: context.respond(403, "no", {"X": "1"}))
        self.assertEqual((outcome.verdict, outcome.response.status, outcome.response.body), (False, 403, b"no"))

        def handle(context):
            raise Refused(429, "slow")

        outcome = self.handled(handle)
        self.assertEqual((outcome.verdict, outcome.response.status, outcome.raised), (False, 429, None))

    def test_raises(self):
        """What it raises is told with its place."""

        def handle(context):
            raise KeyError("x")

        outcome = self.handled(handle)
        self.assertEqual((outcome.verdict, outcome.raised.kind, outcome.raised.message), (None, "KeyError", "'x'"))
        self.assertIn("test_remake.py:", outcome.raised.where)
        self.assertIn("test_raises.<locals>.handle", outcome.raised.function)

    def test_systemExit(self):
        """Nothing that foreign code raises comes out."""

        def handle(context):
            raise SystemExit(1)

        self.assertEqual(self.handled(handle).raised.kind, "SystemExit")

    def test_nonsense(self):
        """An answer that is none is a failure."""
        self.assertEqual(self.handled(lambda context: 1).raised, Raised("WrongAnswer", "neither True nor False"))

    def test_upstream(self):
        """It chooses among the upstreams there are, and nothing goes there."""

        def handle(context):
            context.upstream = "b"
            return True

        self.assertEqual(self.handled(handle).upstream, "b")
        outcome = self.handled(handle, destinations=DestinationsDouble({"a": ["http://a"]}))
        self.assertEqual(outcome.raised.kind, "ValueError")

    def test_reroutes(self):
        """Another route is asked for, and not found."""

        def handle(context):
            context.reroute()
            return True

        self.assertTrue(self.handled(handle).rerouted)

    def test_guarded(self):
        """What it may not touch it may not touch here."""

        def handle(context):
            context.request.headers.set("X", "1")
            return True

        guarded = guardedMiddleware(Handles(handle), Permissions())
        self.assertEqual(self.again(guarded, callOf())[0].raised.kind, "NotPermitted")

    def test_logs(self):
        """What it logs is not heard."""

        def handle(context):
            context.log.error("heard?")
            return True

        self.assertTrue(self.handled(handle).verdict)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_selfTime(self):
        """Its self time is that of its own steps."""
        times = iter((0.0, 1.0, 10.0, 12.0, 100.0, 104.0))
        waits = Deferred()

        async def handle(context):
            await waits
            return True

        remake = Remake(Handles(handle), "p", self.clock, 2.0, now=lambda: next(times))
        making = remake.again([callOf()])
        waits.callback(None)
        self.assertEqual(self.successResultOf(making)[0].seconds, 1 + 2 + 4)


class WaitingTests(RemakeCase):
    """Answers that come later."""

    def test_deferred(self):
        """A Deferred is waited for."""
        answer: Deferred = Deferred()
        making = Remake(Handles(lambda context: answer), "p", self.clock, 2.0).again([callOf()])
        self.assertNoResult(making)
        answer.callback(True)
        self.assertTrue(self.successResultOf(making)[0].verdict)

    def test_tooLate(self):
        """One that does not come in time is a failure, and is given up."""
        given: list = []
        answer: Deferred = Deferred(given.append)
        making = Remake(Handles(lambda context: answer), "p", self.clock, 2.0).again([callOf()])
        self.clock.advance(2)
        self.assertEqual(self.successResultOf(making)[0].raised.kind, "PluginTimeout")
        self.assertEqual(given, [answer])

    def test_givenUp(self):
        """Nobody waits any more: there is nothing to compare."""
        making = Remake(Handles(lambda context: Deferred()), "p", self.clock, 2.0).again([callOf()])
        making.cancel()
        self.assertIn("given up", self.successResultOf(making)[0].incomparable)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class UnknownTests(RemakeCase):
    """What was not taken down cannot be compared, whatever the plugin makes of its absence."""

    def assertUnknown(self, text, handle, call):
        self.assertIn(text, self.handled(handle, call).incomparable)

    def test_request(self):
        """A request that the other version has not sent."""

        async def handle(context):
            try:
                await context.client.get("http://auth/")
            except Exception:
                return True

        self.assertUnknown("answer is not known", handle, callOf())

    def test_body(self):
        """A body that was not taken down."""

        async def handle(context):
            await context.request.body.read(10)

        context = makeContext("POST", "/", {}, [b"x"])
        capture = Capture(context, "handle")
        capture.over(True)
        self.assertUnknown("body that was not taken down", handle, capture.call())

    def test_value(self):
        """A value that cannot be copied; others can be looked at."""
        call = callOf(values={"user": object(), "n": 1})
        self.assertUnknown("cannot be copied", lambda context: bool(context.values.get("user")) or True, call)
        self.assertUnknown("cannot be copied", lambda context: "user" in context.values or True, call)
        self.assertEqual(self.handled(lambda context: context.values["n"] == 1, call).incomparable, "")

    def test_service(self):
        """What another plugin provides."""
        self.assertUnknown("another plugin", lambda context: context.services.get(Interface) is None, callOf())

    def test_tls(self):
        """The client's certificate."""

        def handle(context):
            return getattr(context.request.tls, "clientName", None) is None

        self.assertUnknown("certificate", handle, callOf())


class ReplayedTests(RemakeCase):
    """Requests of its own are answered as they were."""

    def test_answers(self):
        """Twice the same one is answered by one after the other."""
        bodies = (b"1", b'{"a": 2}')
        told = tuple(RecordedExchange("GET", "http://auth/", 200, ((b"X", b"1"),), body) for body in bodies)
        seen = []

        async def handle(context):
            first = await context.client.get("http://auth/")
            second = await context.client.get(b"http://auth/")
            seen.append((first.code, first.headers.getRawHeaders("x"), await first.text(), await second.json()))
            return True

        call = callOf()
        outcome = self.handled(handle, replace(call, told=told))
        self.assertEqual((seen, outcome.incomparable), ([(200, ["1"], "1", {"a": 2})], ""))


class AnswerTests(RemakeCase):
    """The way out follows on the same copy."""

    def recorded(self, handle, respond, body=b"<p>"):
        """The calls of a request, and what came of them."""
        context = makeContext()
        first = Capture(context, "handle")
        first.over(handle(context))
        context.values["other"] = 1
        context.response = makeResponse(200, {"X": "1"}, body)
        second = Capture(context, "handleResponse")
        second.over(respond(context))
        return (first.call(), second.call()), (first.outcome(), second.outcome())

    def test_both(self):
        """What ``handle`` has left is there in ``handleResponse``, and what other plugins have left meanwhile."""

        def handle(context):
            context.values["mine"] = 7
            return True

        def respond(context):
            values = context.values
            context.response.headers.set("X", f"{values['mine']} {values['other']}")
            context.response.body.replace(b"new")

        calls, real = self.recorded(handle, respond)
        outcomes = self.again(Responds(respond, handle), *calls)
        self.assertEqual(differences(real, outcomes), ())
        self.assertEqual(outcomes[1].response.headers, ((b"X", b"7 1"),))
        self.assertEqual(outcomes[1].response.body, b"new")

    def test_filter(self):
        """What a filter makes of the body is compared with what it makes of the copy."""

        def respond(context):
            context.response.body.addFilter(lambda data, last: data.upper())

        calls, _ = self.recorded(lambda context: True, respond)
        self.assertEqual(self.again(Responds(respond), *calls)[1].response.body, b"<P>")

    def test_laterFilter(self):
        """A filter that answers later is waited for, but no longer than an answer may take."""
        waiting = []

        def respond(context):
            context.response.body.addFilter(lambda data, last: waiting.append(Deferred()) or waiting[-1])

        calls, _ = self.recorded(lambda context: True, lambda context: None)
        making = Remake(Responds(respond), "p", self.clock, 2.0).again(calls)
        self.assertNoResult(making)
        waiting[-1].callback(b"later")
        self.clock.advance(0.01)
        self.assertEqual(self.successResultOf(making)[1].response.body, b"later")
        making = Remake(Responds(respond), "p", self.clock, 2.0).again(calls)
        self.clock.pump([0.005] * 500)
        self.assertIn("not come to its end", self.successResultOf(making)[1].incomparable)

    def test_stops(self):
        """Who stops the request sees no answer of others."""
        calls, real = self.recorded(lambda context: True, lambda context: None)
        outcomes = self.again(Responds(lambda context: self.fail("asked"), lambda c: c.respond(403)), *calls)
        self.assertEqual([each[:2] for each in differences(real, outcomes)], [("verdict", "changed")])
        self.assertEqual(len(outcomes), 1)

    def test_noResponder(self):
        """Who does not want answers is given none."""
        calls, _ = self.recorded(lambda context: True, lambda context: None)
        self.assertEqual(len(self.again(Handles(), *calls)), 1)

    def test_another(self):
        """Another answer in its place."""

        def respond(context):
            context.respond(503, "later")

        calls, real = self.recorded(lambda context: True, respond)
        outcomes = self.again(Responds(respond), *calls)
        self.assertEqual(differences(real, outcomes), ())
        self.assertEqual((outcomes[1].response.status, outcomes[1].response.body), (503, b"later"))
        self.assertIn(("status", "changed"), [each[:2] for each in differences(real, self.again(
            Responds(lambda context: None), *calls))])
