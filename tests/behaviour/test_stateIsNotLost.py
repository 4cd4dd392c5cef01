"""A change grants nobody a fresh allowance: what rate-limit has counted goes over, at any moment, to its successor."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.dropin import DropIn
from revproxy.plugins.rate_limit import RateLimit, rateLimit
from tests.behaviour.changes import UPSTREAMS, Changing, ChangingCase

ROUTE = "[{upstream: app}]"


class LimitedCase(ChangingCase):
    """An edge with rate-limit, whose clock is the bench's. Clients tell who they are."""

    def setUp(self) -> None:
        super().setUp()
        main = partial(RateLimit, clock=lambda: self.bench.clock.seconds())
        self.bench.dropins = (DropIn(rateLimit.manifest, main),)

    def configure(self, limit: str, routes: str = ROUTE) -> None:
        """:param limit: rate-limit's configuration on all routes."""
        config = f"plugins: {{directory: plugins, config: {{rate-limit: {limit}}}}}\n"
        self.bench.configure(routes, UPSTREAMS + config)

    def ask(self, who: str, path: str = "/", **more: str) -> int:
        """:returns: the status."""
        client = self.bench.ask(path, headers={"X-Client": who, **more})
        (status,) = client.statuses()
        return status

    def useUp(self, who: str, count: int, path: str = "/", **more: str) -> None:
        """All that a client may, which is so many requests."""
        self.assertEqual([self.ask(who, path, **more) for _ in range(count + 1)], [200] * count + [429])

    def allowed(self, who: str, path: str = "/", **more: str) -> int:
        """How many requests still pass at once."""
        for count in range(1000):
            if self.ask(who, path, **more) != 200:
                return count
        raise AssertionError("there is no limit")

    def objects(self) -> list[Any]:
        """The instances that run."""
        assert self.bench.worker.staging.running is not None
        return [one.object for one in self.bench.worker.staging.running.of("rate-limit")]


BY_CLIENT = '{rate: 5/h, key: "header:X-Client"'


class ConfigurationTests(LimitedCase):
    """rate-limit's configuration changes in revproxy.yaml."""

    def setUp(self) -> None:
        super().setUp()
        self.configure(BY_CLIENT + "}")
        self.bench.start()
        self.useUp("greedy", 5)

    def test_everyMoment(self) -> None:
        """Whoever has used up the allowance is refused at every step of the change and after; whoever goes on
        asking meanwhile gets what is left, and no more."""
        before = self.objects()
        self.configure(BY_CLIENT + ", policy: new}")
        passed = steps = 0
        for _ in self.bench.changing():
            self.assertEqual(self.ask("greedy"), 429)
            passed += self.ask("modest") == 200
            steps += 1
        self.assertNotEqual(self.objects(), before)
        self.assertGreaterEqual(steps, 4)
        self.assertEqual(self.ask("greedy"), 429)
        self.assertEqual(passed + self.allowed("modest"), 5)

    def test_slowNeighbour(self) -> None:
        """The same while another plugin of the same change takes its time to start."""
        body = """
    def start(self):
        from twisted.internet.defer import Deferred
        self.stage.starting = Deferred()
        return self.stage.starting
"""
        self.bench.stamp("z", "1", body=body)
        self.configure(BY_CLIENT + ", policy: new}")
        done = self.bench.later(self.bench.coordinator.apply())
        self.assertEqual([self.ask("modest") for _ in range(4)], [200] * 4)
        self.assertEqual(self.ask("greedy"), 429)
        self.assertNoResult(done)
        self.stage.starting.callback(None)  # type: ignore[attr-defined]
        self.successResultOf(done)
        self.assertEqual((self.ask("greedy"), self.allowed("modest")), (429, 1))

    def test_manyTimes(self) -> None:
        """Twenty changes in a row neither forgive nor double a debt: it is paid back as if nothing had happened."""
        for number in range(20):
            self.configure(BY_CLIENT + f", policy: p{number}}}")
            self.bench.apply()
            self.assertEqual(self.ask("greedy"), 429)
        self.bench.clock.advance(720)
        self.assertEqual(self.allowed("greedy"), 1)
        self.bench.clock.advance(3600)
        self.assertEqual(self.allowed("greedy"), 5)

    def test_lower(self) -> None:
        """At a lower rate what is used up stays used up; what was used counts."""
        self.ask("modest")
        self.configure('{rate: 2/h, key: "header:X-Client"}')
        self.bench.apply()
        self.assertEqual((self.ask("greedy"), self.allowed("modest")), (429, 1))

    def test_higher(self) -> None:
        """At a higher rate there is what has been added, and not all of it anew."""
        self.configure('{rate: 8/h, key: "header:X-Client"}')
        self.bench.apply()
        self.assertEqual(self.allowed("greedy"), 3)

    def test_failed(self) -> None:
        """A configuration that is refused changes nothing; nor is anything lost by the try."""
        self.configure(BY_CLIENT + ", policy: 'a\"b'}")
        self.bench.apply()
        self.assertIn("is no name for a policy", self.bench.failure(""))
        self.assertEqual((self.ask("greedy"), self.allowed("modest")), (429, 5))

    def test_otherPlugins(self) -> None:
        """Changes of anything else leave the instance and its debts where they are."""
        before = self.objects()
        self.bench.stamp("b", "1")
        self.bench.configure("[{upstream: app}, {path: /new, upstream: app}]",
                             self.bench.file.read_text().partition("state: var\n")[2])
        self.bench.apply()
        self.assertEqual(self.objects(), before)
        self.assertEqual([self.ask("greedy"), self.ask("greedy", "/new")], [429, 429])


class RouteTests(LimitedCase):
    """Several instances, one for each configuration that a route has."""

    def routes(self, first: str, second: str) -> str:
        """With these configurations."""
        key = 'key: "header:X-Client"'
        return f"""
 - {{path: /a, upstream: app, plugins: {{rate-limit: {{{key}, {first}}}}}}}
 - {{path: /b, upstream: app, plugins: {{rate-limit: {{{key}, {second}}}}}}}
"""

    def change(self, first: str, second: str) -> None:
        self.configure("false", self.routes(first, second))
        self.bench.apply()

    def setUp(self) -> None:
        super().setUp()
        self.configure("false", self.routes("rate: 3/h", "rate: 7/h"))
        self.bench.start()
        self.useUp("greedy", 3, "/a")
        self.useUp("other", 7, "/b")

    def left(self) -> list[int]:
        """What each client may on each route."""
        return [self.allowed(who, path) for path in ("/a", "/b") for who in ("greedy", "other")]

    def test_both(self) -> None:
        """Both change: each successor has the debts of its own route."""
        self.change("rate: 3/h, policy: x", "rate: 7/h, policy: x")
        self.assertEqual(self.left(), [0, 3, 7, 0])

    def test_one(self) -> None:
        """One changes: the other stays the same instance."""
        self.change("rate: 3/h, policy: x", "rate: 7/h")
        self.assertEqual(self.left(), [0, 3, 7, 0])

    def test_order(self) -> None:
        """The order of the routes does not matter."""
        routes = self.routes("rate: 3/h, policy: x", "rate: 7/h, policy: x").splitlines()
        self.configure("false", "\n".join(["", routes[2], routes[1], ""]))
        self.bench.apply()
        self.assertEqual(self.left(), [0, 3, 7, 0])

    def test_newRoute(self) -> None:
        """A route that comes, above all others, does not get between them."""
        key = '{key: "header:X-Client", rate: 9/h}'
        new = f"\n - {{path: /0, upstream: app, plugins: {{rate-limit: {key}}}}}"
        self.configure("false", new + self.routes("rate: 3/h, policy: x", "rate: 7/h, policy: x"))
        self.bench.apply()
        self.assertEqual(self.left(), [0, 3, 7, 0])

    def test_becomeOne(self) -> None:
        """Two that become one: nobody has a fresh allowance on either route."""
        self.change("rate: 7/h, policy: x", "rate: 7/h, policy: x")
        self.assertEqual([self.allowed("greedy", "/a"), self.allowed("other", "/b")], [4, 0])

    def test_becomeOneOfThem(self) -> None:
        """Also when the one is one that ran before."""
        self.change("rate: 7/h", "rate: 7/h")
        self.assertEqual([self.allowed("greedy", "/a"), self.allowed("other", "/b")], [4, 0])

    def test_changePlaces(self) -> None:
        """Also when they change places."""
        self.change("rate: 7/h", "rate: 3/h")
        self.assertEqual(self.left(), [4, 7, 3, 0])

    def test_becomeTwo(self) -> None:
        """One that becomes two: both know the debts."""
        self.change("rate: 7/h", "rate: 7/h")
        self.useUp("third", 7, "/a")
        self.change("rate: 7/h, policy: x", "rate: 7/h, policy: y")
        self.assertEqual([self.ask("third", "/a"), self.ask("third", "/b")], [429, 429])


class KeyTests(LimitedCase):
    """What is counted by changes."""

    def keyed(self, *keys: str) -> str:
        return "{rate: 3/h, key: [" + ", ".join(f'"{key}"' for key in keys) + "]}"

    def setUp(self) -> None:
        super().setUp()
        self.configure(self.keyed("header:X-Client", "header:X-Thing"))
        self.bench.start()
        self.useUp("greedy", 3, **{"X-Thing": "one"})
        self.ask("greedy", **{"X-Thing": "two"})

    def change(self, *keys: str) -> None:
        self.configure(self.keyed(*keys))
        self.bench.apply()

    def test_order(self) -> None:
        """In another order the same is known."""
        self.change("header:X-Thing", "header:X-Client")
        left = [self.allowed("greedy", **{"X-Thing": thing}) for thing in ("one", "two", "three")]
        self.assertEqual(left, [0, 2, 3])

    def test_less(self) -> None:
        """Counted by less, the largest debt counts."""
        self.change("header:X-Client")
        self.assertEqual((self.ask("greedy"), self.allowed("modest")), (429, 3))

    def test_more(self) -> None:
        """Counted by more, it is not known whose the debts are: they are lost, and only they."""
        self.change("header:X-Client", "header:X-Thing", "route")
        self.assertEqual(self.allowed("greedy", **{"X-Thing": "one"}), 3)
        self.assertEqual(self.bench.failure(""), "")

    def test_spelling(self) -> None:
        """A list of one is the same as the one."""
        self.change("header:X-Client")
        self.assertEqual(self.ask("greedy"), 429)
        self.configure('{rate: 3/h, key: "header:X-Client", policy: x}')
        self.bench.apply()
        self.assertEqual(self.ask("greedy"), 429)


class BoundTests(SynchronousTestCase):
    """What is handed over twice is bounded all the same."""

    def test_bounded(self) -> None:
        """Other keys in the second state push out those of the first, up to ``max_keys``."""
        bench = Changing(self)
        plugin = RateLimit({"rate": "1/s", "key": "client", "max_keys": 2}, bench.clock.seconds)
        for names in ("ab", "bc"):
            debts = dict.fromkeys(names, 1.0)
            plugin.importState({"key": ["client"], "interval": 1.0, "debts": debts}, "1.0.0")
        self.assertEqual(list(plugin.exportState()["debts"]), ["b", "c"])
        self.assertEqual(max(plugin.exportState()["debts"].values()), 1.0)
