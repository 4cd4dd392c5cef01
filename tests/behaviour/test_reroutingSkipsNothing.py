"""
Plugins choose where a request goes, and by no choice of theirs does it get past what the plugins of a route demand.

The whole data plane, from a client's bytes to origins that record what they hear.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from revproxy.context import Context
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.leaves.destinations import Destinations
from revproxy.dataplane.leaves.fixed import RespondLeaf
from revproxy.dataplane.leaves.proxy import ProxyLeaf
from revproxy.dataplane.routing import Route, Tree
from revproxy.dataplane.upstream.pool import Pool
from revproxy.dataplane.upstream.target import Target
from revproxy.dataplane.upstream.treqclient import PoolAgent, UpstreamClient
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.interfaces import IMiddleware, IObserver, IResponseMiddleware
from tests.behaviour.pipeline import Origin, Pipeline
from tests.dataplane.doubles import RecorderDouble, makeLink

Does = Callable[[Context], Any]


@implementer(IMiddleware, IResponseMiddleware, IObserver)
class Step:
    """A plugin that writes down where it was asked, and does what it is told."""

    def __init__(self, name: str, does: Does = lambda context: True) -> None:
        self.name = name
        self.does = does
        self.events: list[str] = []

    def handle(self, context: Context) -> Any:
        self.events.append(f"{self.name} in {context.route}")
        return self.does(context)

    def handleResponse(self, context: Context) -> None:
        self.events.append(f"{self.name} out")

    def finished(self, context: Context) -> None:
        self.events.append(f"{self.name} end {context.outcome.status}")


def goingTo(path: str, host: str | None = None) -> Does:
    """Sends every request to another path."""

    def does(context: Context) -> bool:
        context.request.path = path
        if host is not None:
            context.request.host = host
        context.reroute()
        return True

    return does


def refusing(context: Context) -> bool:
    """Lets nobody in."""
    return context.respond(401, "")


class Site(Pipeline):
    """
    Routes to three upstreams.

    :ivar origins: what stands behind each URL.
    :ivar events: what the plugins have written down, all in one list.
    """

    def __init__(self, *chains: Sequence[Step], routes: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__()
        self.origins: dict[str, Origin] = {}
        self.upstreams = {
            name: self._upstream(name, count) for name, count in (("app", 2), ("canary", 1), ("admin", 1))
        }
        client = UpstreamClient(PoolAgent(lambda *_: self.upstreams["app"]), self.clock)
        self.leaves = {name: ProxyLeaf(client, upstream) for name, upstream in self.upstreams.items()}
        self.destinations = Destinations(client, {name: (one, "preserve") for name, one in self.upstreams.items()})
        self.events: list[str] = []
        self.log = RecorderDouble()
        self.edge.recorder = self.log  # type: ignore[assignment]
        self.made = [[self._with(step) for step in chain] for chain in chains]
        self.routes = [
            Route("all", b"", b"/", self.leaves["app"], 0),
            Route("admin", b"", b"/admin", self.leaves["admin"], 1),
            *(Route(**route) for route in routes),
        ]
        self.serve(1)

    def _with(self, step: Step) -> Step:
        step.events = self.events
        return step

    def _upstream(self, name: str, count: int) -> Upstream:
        targets = []
        for number in range(count):
            url = f"http://{name}{number}"
            self.origins[url] = origin = Origin(self.clock)
            pool = Pool(
                origin.connect, self.deadlines, self.limits, self.timeouts,
                maxConnections=4, maxQueue=8, idleTimeout=30,
            )
            targets.append(Target(url, url[7:].encode(), 1, pool))
        return Upstream(name, targets, self.clock.seconds, maxFails=1)

    def serve(self, number: int) -> None:
        """A generation of these routes and chains."""
        self.chains = [
            Chain([
                makeLink(step, self.deadlines, name=step.name, destinations=self.destinations) for step in chain
            ])
            for chain in self.made
        ]
        self.edge.generation = Generation(number, Tree(self.routes), self.chains)

    def get(self, target: str = "/", fields: str = "", method: str = "GET") -> list[int]:
        """The statuses of what is answered."""
        client = self.connect()
        client.send(f"{method} {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode("latin-1"))
        return client.statuses()

    @property
    def heard(self) -> list[tuple[str, bytes]]:
        """The requests that came to any origin: its URL, and the target."""
        return [(url, heard.target) for url, origin in self.origins.items() for heard in origin.heard]

    @property
    def active(self) -> list[int]:
        """How many requests each chain has."""
        return [chain.active for chain in self.chains]


class ReroutingTests(SynchronousTestCase):
    """``context.reroute()``."""

    def test_rerouted(self) -> None:
        """The request goes where the new route leads; context, log and plugins know of it."""
        site = Site([Step("move", goingTo("/admin/x"))], [Step("greet")])
        self.assertEqual(site.get("/old?a=b"), [200])
        self.assertEqual(site.heard, [("http://admin0", b"/admin/x?a=b")])
        self.assertEqual(
            site.events,
            ["move in all", "greet in admin", "greet out", "move out", "move end 200", "greet end 200"],
        )
        [record] = site.log.records
        self.assertEqual((record.route, record.upstream), ("admin", "http://admin0"))
        self.assertEqual((record.method, record.target, record.host), (b"GET", b"/old?a=b", b"x"))
        self.assertEqual(site.active, [0, 0])

    def test_guardIsNotSkipped(self) -> None:
        """What guards the new route is asked, and can refuse; what comes after it is not asked."""
        site = Site([Step("move", goingTo("/admin"))], [Step("guard", refusing), Step("greet")])
        self.assertEqual(site.get(), [401])
        self.assertEqual(site.heard, [])
        self.assertEqual(
            site.events,
            ["move in all", "guard in admin", "move out", "move end 401", "guard end 401", "greet end 401"],
        )
        self.assertEqual(site.active, [0, 0])

    def test_earlierOnes(self) -> None:
        """Also one that stands before the plugin that rerouted."""
        move = Step("move", goingTo("/admin"))
        site = Site([move], [Step("guard", refusing), move])
        self.assertEqual((site.get(), site.heard), ([401], []))

    def test_restOfOldRoute(self) -> None:
        """What follows on the route that was left is not asked, and hears nothing."""
        site = Site([Step("move", goingTo("/admin")), Step("left", refusing)], [])
        self.assertEqual(site.get(), [200])
        self.assertNotIn("left", " ".join(site.events))

    def test_once(self) -> None:
        """One that has let the request pass is not asked again, nor is the one that rerouted."""
        first, move, last = Step("first"), Step("move", goingTo("/admin")), Step("last")
        site = Site([first, move, last], [first, move, last])
        self.assertEqual(site.get(), [200])
        self.assertEqual(
            site.events[:3], ["first in all", "move in all", "last in admin"]
        )
        self.assertEqual(site.events[3:6], ["last out", "move out", "first out"])

    def test_otherConfiguration(self) -> None:
        """One that has another configuration on the new route is another, and is asked there."""
        site = Site([Step("limit"), Step("move", goingTo("/admin"))], [Step("limit", refusing)])
        self.assertEqual((site.get(), site.heard), ([401], []))

    def test_sameRoute(self) -> None:
        """To where it was: the rest goes on."""
        site = Site([Step("move", goingTo("/other")), Step("last")], [])
        self.assertEqual((site.get(), site.active), ([200], [0, 0]))
        self.assertEqual(site.events[:2], ["move in all", "last in all"])

    def test_spelled(self) -> None:
        """A target that an origin may read as one of a guarded route is refused, before anybody is asked."""
        for path in ("/pub/..;/admin", "/admin%2fx", "/x\\..\\admin", "//x/../admin", "/%61dmin%2f"):
            site = Site([Step("move", goingTo(path))], [Step("guard", refusing)])
            self.assertEqual((site.get(), site.heard), ([400], []), path)
            self.assertNotIn("guard in admin", site.events)
            self.assertEqual(site.active, [0, 0])

    def test_cutOff(self) -> None:
        """A target with a mark behind which some origins read no further is none, and the plugin's failure."""
        for path in ("/admin#x", "/admin%00", "/admin\u00a0"):
            site = Site([Step("move", goingTo(path))], [Step("guard", refusing)])
            self.assertEqual((site.get(), site.heard), ([500], []), path)
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_host(self) -> None:
        """By the new host, in any spelling of it."""
        site = Site(
            [Step("move", goingTo("/", "Secret.Example.:80"))], [Step("guard", refusing)],
            routes=[{"name": "secret", "host": b"secret.example", "path": b"/", "leaf": RespondLeaf(200, b"", {}),
                     "group": 1}],
        )
        self.assertEqual((site.get(), site.events[1]), ([401], "guard in secret"))

    def test_methods(self) -> None:
        """The new route's methods hold."""
        site = Site(
            [Step("move", goingTo("/files"))], [],
            routes=[{"name": "files", "host": b"", "path": b"/files", "leaf": RespondLeaf(200, b"", {}), "group": 1,
                     "methods": frozenset([b"GET"])}],
        )
        self.assertEqual((site.get(), site.get(method="DELETE")), ([200], [405]))
        self.assertEqual(site.active, [0, 0])

    def test_noRoute(self) -> None:
        """404 where there is none; those that let the request pass see that answer."""
        site = Site([Step("move", goingTo("/", "nowhere.example"))], [])
        tree = Tree([Route("x", b"x", b"/", site.leaves["app"])])
        site.edge.generation = Generation(2, tree, site.chains)
        self.assertEqual((site.get(), site.active), ([404], [0, 0]))
        self.assertEqual(site.events, ["move in x", "move out", "move end 404"])
        self.assertIn("move", site.log.records[0].error)

    def test_refusedMeanwhile(self) -> None:
        """A plugin that reroutes and then answers has answered."""

        def both(context: Context) -> bool:
            context.reroute()
            return context.respond(418, "")

        site = Site([Step("both", both)], [Step("guard", refusing)])
        self.assertEqual((site.get(), site.active), ([418], [0, 0]))

    def test_endless(self) -> None:
        """More than five times is a failure of the last one that asked for it, and names the way."""
        steps = [Step(f"s{number}", goingTo("/admin" if number % 2 else "/")) for number in range(8)]
        site = Site(steps, steps)
        self.assertEqual((site.get(), site.active), ([500], [0, 0]))
        [failure] = self.flushLoggedErrors(RuntimeError)
        self.assertIn("more than 5 times: all → all → admin → all → admin → all → …", failure.getErrorMessage())
        self.assertEqual(site.log.records[0].pluginErrors, ("s5",))

    def test_asynchronous(self) -> None:
        """The same for those that answer later, on either route."""
        waiting: Deferred[bool] = Deferred()

        async def move(context: Context) -> bool:
            await succeed(None)
            return bool(goingTo("/admin")(context))

        site = Site([Step("move", move)], [Step("guard", lambda context: waiting), Step("last")])
        client = site.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual((client.statuses(), site.active), ([], [1, 1]))
        waiting.callback(True)
        site.settle()
        self.assertEqual((client.statuses(), site.active), ([200], [0, 0]))
        self.assertEqual(site.events[:3], ["move in all", "guard in admin", "last in admin"])

    def test_clientLeaves(self) -> None:
        """Who leaves meanwhile is counted in neither chain any more."""
        waiting: Deferred[bool] = Deferred()
        site = Site([Step("move", goingTo("/admin"))], [Step("guard", lambda context: waiting)])
        client = site.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.server.connectionLost(Failure(ConnectionDone()))
        site.settle()
        self.assertEqual(site.active, [0, 0])
        self.assertEqual(site.events[2:], ["move end 499", "guard end 499"])

    def test_bodyStays(self) -> None:
        """What was read or changed of a body stays so."""

        async def move(context: Context) -> bool:
            data = await context.request.body.read(100)
            context.request.body.replace(data.upper())
            return bool(goingTo("/admin")(context))

        site = Site([Step("move", move)], [Step("greet")])
        client = site.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
        self.assertEqual(client.statuses(), [200])
        self.assertEqual([bytes(heard.body) for heard in site.origins["http://admin0"].heard], [b"HELLO"])

    def test_whatServesNow(self) -> None:
        """A change that came while a plugin waited holds: the chains of before may have been given up."""
        waiting: Deferred[bool] = Deferred()

        def move(context: Context) -> Deferred[bool]:
            return waiting.addCallback(lambda _: goingTo("/admin")(context))

        site = Site([Step("move", move)], [Step("greet")])
        client = site.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        before, site.made[1] = site.chains, [Step("guard", refusing)]
        site.serve(2)
        waiting.callback(True)
        site.settle()
        self.assertEqual(client.statuses(), [401])
        self.assertEqual(([chain.active for chain in before], site.active), ([0, 0], [0, 0]))

    def test_brokenOff(self) -> None:
        """A connection is found by each of the chains that its request has come through."""
        site = Site([Step("move", goingTo("/admin"))], [Step("guard", lambda context: Deferred())])
        for index in (0, 1):
            client = site.connect()
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(site.edge.breakOffChains([Chain([])]), 0)
            self.assertEqual(site.edge.breakOffChains([site.chains[index]]), 1)
            site.settle()
            self.assertEqual(site.active, [0, 0])


class ChoosingTests(SynchronousTestCase):
    """``context.upstream`` and ``context.origin``."""

    def choosing(self, **names: str | None) -> Site:
        """A plugin that assigns this."""

        def does(context: Context) -> bool:
            for name, value in names.items():
                setattr(context, name, value)
            return True

        return Site([Step("choose", does)], [])

    def test_upstream(self) -> None:
        """Any upstream that is configured."""
        site = self.choosing(upstream="canary")
        self.assertEqual((site.get("/x?y"), site.heard), ([200], [("http://canary0", b"/x?y")]))
        self.assertEqual(site.log.records[0].upstream, "http://canary0")

    def test_takenBack(self) -> None:
        """None gives the choice back to the route."""

        def does(context: Context) -> bool:
            context.upstream = "canary"
            context.upstream = None
            return True

        site = Site([Step("choose", does)], [])
        site.get()
        self.assertEqual(site.heard, [("http://app0", b"/")])

    def test_otherLeaf(self) -> None:
        """Whatever the leaf of the route is; a prefix that the route takes off is taken off."""

        def does(context: Context) -> bool:
            self.assertEqual(context.upstream, "app" if context.route == "api" else None)
            context.upstream = "canary"
            return True

        site = Site([], [Step("choose", does)])
        site.routes = [
            Route("fixed", b"", b"/", RespondLeaf(200, b"", {}), 1),
            Route("api", b"", b"/api", ProxyLeaf(site.leaves["app"]._client, site.upstreams["app"], strip=b"/api"), 1,
                  strips=True),
        ]
        site.serve(2)
        self.assertEqual((site.get("/x"), site.get("/api/y")), ([200], [200]))
        self.assertEqual(site.heard, [("http://canary0", b"/x"), ("http://canary0", b"/y")])

    def test_origin(self) -> None:
        """One target, each time."""
        site = self.choosing(origin="http://app1")
        for _ in range(3):
            self.assertEqual(site.get(), [200])
        self.assertEqual(site.heard, [("http://app1", b"/")] * 3)

    def test_originFails(self) -> None:
        """No other is tried. The failure counts for others; the target itself is still tried where it is chosen."""
        site = self.choosing(origin="http://app1")
        site.origins["http://app1"].refusing = True
        self.assertEqual((site.get(), site.get(), site.heard), ([502], [502], []))
        self.assertEqual(site.upstreams["app"].available(), ["http://app0"])
        site.origins["http://app1"].refusing = False
        site.upstreams["app"].steer("http://app1", False, None)
        self.assertEqual((site.get(), site.heard), ([200], [("http://app1", b"/")]))

    def test_originOfAnother(self) -> None:
        """A target of another upstream is chosen with it."""
        site = self.choosing(upstream="admin", origin="http://admin0")
        site.get()
        self.assertEqual(site.heard, [("http://admin0", b"/")])

    def test_sticky(self) -> None:
        """With ``origins`` a plugin sees who takes requests."""
        seen = []

        def does(context: Context) -> bool:
            seen.append(context.origins)
            if "http://app1" in context.origins:
                context.origin = "http://app1"
            return True

        site = Site([Step("sticky", does)], [])
        site.get()
        site.upstreams["app"].steer("http://app1", False, None)
        site.get()
        self.assertEqual(seen, [("http://app0", "http://app1"), ("http://app0",)])
        self.assertEqual(sorted(site.heard), [("http://app0", b"/"), ("http://app1", b"/")])

    def test_wrong(self) -> None:
        """What is not there is the plugin's failure; the message says what is."""
        for names, message in (
            ({"upstream": "cannary"}, "no upstream: 'cannary'; there are app, canary, admin"),
            ({"upstream": 5}, "no upstream: 5; there are"),
            ({"origin": "http://admin0"}, "no target of upstream app: 'http://admin0'; there are http://app0, http://"),
            ({"route": "admin"}, "call context.reroute()"),
        ):
            site = self.choosing(**names)  # type: ignore[arg-type]
            self.assertEqual((site.get(), site.heard), ([500], []))
            [failure] = self.flushLoggedErrors(ValueError, AttributeError)
            self.assertIn(message, failure.getErrorMessage())

    def test_overReroute(self) -> None:
        """A choice holds until somebody changes it; the plugins of the new route are asked all the same."""

        def does(context: Context) -> bool:
            context.upstream = "canary"
            return bool(goingTo("/admin/x")(context))

        site = Site([Step("choose", does)], [Step("greet")])
        site.get()
        self.assertEqual(site.heard, [("http://canary0", b"/admin/x")])
        self.assertEqual(site.events[1], "greet in admin")

    def test_originOfRouteToCome(self) -> None:
        """After a reroute that is still to come, nobody knows whose target is meant."""

        def does(context: Context) -> bool:
            context.reroute()
            context.origin = "http://app0"
            return True

        site = Site([Step("choose", does)], [])
        self.assertEqual(site.get(), [500])
        [failure] = self.flushLoggedErrors(RuntimeError)
        self.assertIn("choose context.upstream first", failure.getErrorMessage())

    def test_tooLate(self) -> None:
        """On the way out, and in observers, it is too late; what was chosen can be read."""
        site = self.choosing(upstream="canary")
        seen: list[Any] = []

        class Late(Step):
            def late(self, context: Context) -> None:
                seen.append(context.upstream)
                for try_ in (context.reroute, lambda: setattr(context, "upstream", "app")):
                    try:
                        try_()
                    except RuntimeError as error:
                        seen.append(str(error).partition(" is ")[0])

            handleResponse = finished = late

        site.made[0].insert(0, Late("late"))
        site.serve(2)
        self.assertEqual(site.get(), [200])
        self.assertEqual(seen, ["canary", "context.reroute()", "context.upstream"] * 2)
        self.assertEqual(len(site.heard), 1)
