"""
Long requests and swaps: what uses only what stays is left alone; what uses something that goes has the drain time.

An old instance is stopped once, after the last request that uses it was told to its observers, and never before.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any
from weakref import ref

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone

from tests.behaviour.changes import UPSTREAMS, Changing, ChangingCase
from tests.behaviour.pipeline import Client

ENDLESS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ROUTES = """
 - {upstream: app}
 - {path: /x, upstream: app, plugins: {b: false}}
 - {path: /tunnel, upstream: echo, plugins: {b: false}}
"""


class StreamCase(ChangingCase):
    """Plugins a and b; b is on ``/`` only, a everywhere."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.configure(ROUTES, UPSTREAMS)
        self.bench.stamp("a", "1")
        self.bench.stamp("b", "1")
        self.bench.start()

    def endless(self, path: str) -> Client:
        """A response without an end."""
        self.bench.origin.answers[path.encode()] = ENDLESS + b"5\r\nfirst\r\n"
        client = self.bench.ask(path)
        self.assertTrue(client.got.endswith(b"first\r\n"), client.got)
        return client

    def goesOn(self, path: str, client: Client, text: bytes) -> None:
        """More of it comes through."""
        self.assertFalse(client.closed)
        self.bench.origin.asked[path.encode()].wire.arrive(b"%x\r\n%b\r\n" % (len(text), text))
        self.bench.settle()
        self.assertIn(text, client.got)

    def finish(self, path: str) -> None:
        """It ends well."""
        self.bench.origin.asked[path.encode()].wire.arrive(b"0\r\n\r\n")
        self.bench.settle()


class UntouchedTests(StreamCase):
    """Streams whose own chain did not change."""

    def test_tunnel(self) -> None:
        """A tunnel lives through twenty swaps of another plugin, and hours."""
        client = self.bench.tunnel()
        for number in range(2, 22):
            self.bench.swap("b", str(number))
            self.bench.wait(60)
            client.send(b"<%d>" % number)
            self.assertTrue(client.got.endswith(b"<%d>" % number), client.got)
        self.assertFalse(client.closed)
        self.assertEqual(len(self.stage.stops), 20)
        self.assertEqual(self.stage.stopsOf("a 1"), 0)
        self.check()

    def test_response(self) -> None:
        """So does a response without an end."""
        client = self.endless("/x/1")
        for number in range(2, 12):
            self.bench.swap("b", str(number))
            self.bench.wait(60)
            self.goesOn("/x/1", client, b"after swap %d" % number)
        self.assertEqual(self.stage.stopsOf("a 1"), 0)
        self.finish("/x/1")
        self.assertEqual(self.stage.marks("/x/1", "end"), {"a": "1"})
        self.check()

    def test_configuration(self) -> None:
        """Routes and upstreams may change around it: its instances stay, and its connection to the origin too."""
        client = self.bench.tunnel()
        extra = "upstreams: {app: {targets: ['http://127.0.0.1:9000']}}\ntimeouts: {drain: 5}\n"
        self.bench.configure("[{upstream: app, plugins: {b: {mark: new}}}]", extra)
        self.bench.apply()
        self.bench.wait(60)
        client.send(b"still here")
        self.assertTrue(client.got.endswith(b"still here"), client.got)
        self.assertEqual([stop for stop, _ in self.stage.stops], ["b 1"])
        client.wire.leave(ConnectionDone())
        self.bench.settle()
        self.assertEqual(self.bench.echo.connections[0].wire.end, "close")
        self.check()


class DrainTests(StreamCase):
    """Streams whose chain changed."""

    def brokenOff(self) -> list[str]:
        """The texts of these events."""
        return [event.text for event in self.bench.events.latest(100) if event.kind == "broken-off"]

    def test_brokenOff(self) -> None:
        """They go on until the drain time is over; then they are broken off, and the old instance is stopped once,
        after they were told to the observers."""
        tunnel, client = self.bench.tunnel(), self.endless("/1")
        self.bench.swap("a", "2")
        self.bench.wait(29)
        tunnel.send(b"still")
        self.assertTrue(tunnel.got.endswith(b"still"))
        self.goesOn("/1", client, b"still")
        self.assertEqual(self.stage.stops, [])
        self.bench.wait(2)
        self.assertEqual((tunnel.wire.end, client.wire.end), ("abort", "abort"))
        self.assertEqual(self.stage.marks("/1", "end"), {"a": "1", "b": "1"})
        self.assertEqual(self.stage.marks("/tunnel", "end"), {"a": "1"})
        self.assertEqual(self.stage.stops, [("a 1", ())])
        self.assertEqual(self.brokenOff(), ["2 requests still used it after 30 s, and were broken off"])
        self.assertEqual(self.bench.retired(), 0)
        self.bench.wait(60)
        self.assertEqual(self.stage.stops, [("a 1", ())])
        self.check()
        self.bench.ask("/2")
        self.assertEqual(self.stage.marks("/2", "end"), {"a": "2", "b": "1"})

    def test_newDrainTime(self) -> None:
        """The drain time is that of the configuration that runs."""
        self.bench.configure(ROUTES, UPSTREAMS.replace("drain: 30", "drain: 3"))
        self.bench.apply()
        client = self.endless("/1")
        self.bench.swap("a", "2")
        self.bench.wait(2)
        self.assertFalse(client.closed)
        self.bench.wait(2)
        self.assertEqual(client.wire.end, "abort")
        self.check()

    def test_onlyThoseOfTheOld(self) -> None:
        """When the time is over, requests of the new version are not touched, nor idle connections."""
        idle = self.bench.ask("/0")
        self.endless("/1")
        self.bench.swap("a", "2")
        new = self.endless("/2")
        self.bench.wait(31)
        self.goesOn("/2", new, b"untouched")
        self.bench.ask("/3", idle)
        self.assertTrue(idle.got.endswith(b"answer to /3"))
        self.assertEqual(self.stage.stopsOf("a 1"), 1)
        self.check()

    def test_endsBefore(self) -> None:
        """An old instance is stopped at once when its last request ends."""
        self.endless("/1")
        self.endless("/2")
        self.bench.swap("a", "2")
        self.finish("/1")
        self.assertEqual(self.stage.stops, [])
        self.finish("/2")
        self.assertEqual(self.stage.stops, [("a 1", ())])
        self.assertEqual(self.bench.retired(), 0)
        self.bench.wait(20)
        self.assertEqual(self.bench.worker.retirement.alive("a"), 0, "nobody who stays holds it")
        self.bench.wait(60)
        self.assertEqual(self.stage.stops, [("a 1", ())])
        self.assertNotIn(("broken-off", "a"), self.bench.kinds())
        self.check()

    def test_unused(self) -> None:
        """One that nobody uses is stopped with the swap."""
        self.bench.swap("a", "2")
        self.assertEqual(self.stage.stops, [("a 1", ())])

    def test_clientLeaves(self) -> None:
        """A client that leaves is the end of its request, whatever it was at."""
        self.stage.holds = lambda way, plugin, path: path == "/1"
        first, second, third = self.bench.ask("/1"), self.endless("/2"), self.bench.tunnel()
        self.bench.swap("a", "2")
        for client in (first, second, third):
            self.assertEqual(self.stage.stops, [])
            client.wire.leave(ConnectionDone())
            self.bench.settle()
        self.assertEqual(self.stage.stops, [("a 1", ())])
        self.check()

    def test_waitingMiddleware(self) -> None:
        """A request that a middleware keeps waiting is broken off as well."""
        self.bench.stamp("a", "1", limits={"timeout_ms": 60_000})
        self.bench.apply()
        self.stage.stops.clear()
        self.stage.holds = lambda way, plugin, path: plugin == "a"
        client = self.bench.ask("/1")
        self.bench.swap("a", "2")
        self.bench.wait(31)
        self.assertEqual(client.wire.end, "abort")
        self.assertEqual(self.brokenOff(), ["1 request still used it after 30 s, and was broken off"])
        self.assertEqual(self.stage.stops, [("a 1", ())])
        self.check()


class GenerationsTests(StreamCase):
    """Long requests in each of several generations."""

    def test_everyOrder(self) -> None:
        """Whatever the order in which they end, each instance is stopped with the last that uses it."""
        number = 1
        for order in permutations(range(4)):
            base, paths = number, {}
            for each in range(4):
                paths[each] = f"/{base}/{each}"
                self.endless(paths[each])
                number += 1
                self.bench.swap("a", str(number))
            for position, each in enumerate(order):
                self.assertEqual(self.bench.retired(), 4 - position)
                self.assertEqual(self.stage.stopsOf(f"a {base + each}"), 0)
                self.finish(paths[each])
                self.assertEqual(self.stage.stopsOf(f"a {base + each}"), 1)
            self.assertEqual(self.stage.stopsOf("b 1"), 0)
        self.check()

    def test_sharedByOlder(self) -> None:
        """An instance that served several generations waits for the requests of all of them."""
        for number in range(2, 6):
            self.endless(f"/{number}")
            self.bench.swap("a", str(number))
        self.bench.swap("b", "2")
        for number in range(2, 6):
            self.assertEqual(self.stage.stopsOf("b 1"), 0)
            self.finish(f"/{number}")
            self.assertEqual(self.stage.stopsOf(f"a {number - 1}"), 1)
        self.assertEqual(self.stage.stopsOf("b 1"), 1)
        self.check()

    def test_sharedByNewer(self) -> None:
        """What a newer generation shares is not stopped when a request of an older one ends, or is broken off."""
        self.endless("/1")
        self.bench.swap("a", "2")
        self.bench.wait(31)
        self.assertEqual(self.stage.stopsOf("a 1"), 1)
        self.assertEqual(self.stage.stopsOf("b 1"), 0)
        self.bench.ask("/2")
        self.assertEqual(self.stage.marks("/2", "end"), {"a": "2", "b": "1"})
        self.check()

    def test_backAndForth(self) -> None:
        """A version that comes back while its old instance still drains is another instance, started and stopped by
        itself."""
        first = self.endless("/1")
        self.bench.swap("a", "2")
        self.bench.swap("a", "1")
        self.assertEqual(self.stage.starts.count("a 1"), 2)
        self.goesOn("/1", first, b"old")
        self.bench.ask("/2")
        self.finish("/1")
        self.assertEqual(self.stage.stopsOf("a 1"), 1)
        self.bench.ask("/3")
        self.bench.swap("a", "3")
        self.assertEqual(self.stage.stopsOf("a 1"), 2)
        self.check()

    def test_configBackAndForth(self) -> None:
        """The same when only its configuration goes and comes back."""
        first = self.endless("/1")
        for mark in (" x", ""):
            self.bench.stamp("a", "1", config={"mark": mark})
            self.bench.apply()
        self.goesOn("/1", first, b"old")
        self.assertEqual(self.stage.starts.count("a 1"), 2)
        self.finish("/1")
        self.assertEqual((self.stage.stopsOf("a 1"), self.stage.stopsOf("a 1 x")), (1, 1))
        self.bench.ask("/2")
        self.check()

    def test_drainTimesOverlap(self) -> None:
        """Each has a drain time of its own."""
        clients = []
        for number in range(1, 4):
            clients.append(self.endless(f"/{number}"))
            self.bench.swap("a", str(number + 1))
            self.bench.wait(10)
        ends = []
        for _ in range(6):
            ends.append([client.closed for client in clients].count(True))
            self.bench.wait(5)
        self.assertEqual(ends, [1, 1, 2, 2, 3, 3])
        self.assertEqual([stop for stop, _ in self.stage.stops], ["a 1", "a 2", "a 3"])
        self.check()

    def test_stoppingEdge(self) -> None:
        """An edge that ends while old instances drain stops them and the new ones, each once."""
        self.endless("/1")
        self.bench.swap("a", "2")
        self.bench.edge.breakOff()
        self.bench.settle()
        self.bench.stop()
        del self.bench.state
        self.assertEqual(sorted(self.stage.stops), [("a 1", ()), ("a 2", ()), ("b 1", ())])
        self.check()


class Stream:
    """
    A response without an end.

    :ivar plugins: the instances that it uses, weakly.
    :ivar since: when the first of them was replaced.
    """

    def __init__(self, bench: Changing, path: str) -> None:
        self.bench = bench
        self.path = path
        self.plugins = [ref(link.instance) for link in bench.chainAt(path).links]
        self.since: float | None = None
        bench.origin.answers[path.encode()] = ENDLESS
        self.client = bench.ask(path)

    def look(self) -> None:
        """Whether its instances are still current."""
        assert self.bench.worker.generations.built is not None
        current = [one.object for one in self.bench.worker.generations.built.instances]
        if self.since is None and any(one() not in current for one in self.plugins):
            self.since = self.bench.clock.seconds()

    def verify(self, case: ChangingCase) -> bool:
        """It is open if it may be, and closed if it must be. :returns: which."""
        age = 0.0 if self.since is None else self.bench.clock.seconds() - self.since
        if age < 29:
            case.assertFalse(self.client.closed, f"{self.path} was broken off after {age} s")
        if age > 31:
            case.assertTrue(self.client.closed, f"{self.path} goes on after {age} s")
        return not self.client.closed

    def end(self, leaves: bool) -> None:
        """The client leaves, or the origin is done."""
        if leaves:
            self.client.wire.leave(ConnectionDone())
        else:
            self.bench.origin.asked[self.path.encode()].wire.arrive(b"0\r\n\r\n")
        self.bench.settle()


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.sampled_from(["/", "/x/"])),
        st.tuples(st.just("end"), st.booleans()),
        st.tuples(st.just("swap"), st.sampled_from(["a", "b", "ab"])),
        st.tuples(st.just("back"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("config"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("remove"), st.just("b")),
        st.tuples(st.just("wait"), st.sampled_from([1, 5, 20])),
        st.tuples(st.just("step"), st.integers(1, 4)),
    ),
    min_size=15,
    max_size=60,
)


def examples(count: int) -> settings:
    """Each takes two seconds."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )


class InterleavingTests(StreamCase):
    """Streams, swaps and time, in any order; in many more in `tests.thorough`."""

    @examples(5)
    @given(actions=ACTIONS)
    def test_anyOrder(self, actions: list[tuple[str, Any]]) -> None:
        """Each stream goes on while all of its instances are current, and for the drain time after; no instance is
        stopped in use, or twice; in the end all that was replaced is stopped and unloaded."""
        self.play(actions)

    def play(self, actions: list[tuple[str, Any]]) -> None:
        """One order of them."""
        self.setUp()
        bench = self.bench
        streams: list[Stream] = []
        transaction: Iterator[int] = iter(())
        for number, (what, which) in enumerate(actions):
            if what == "open":
                streams.append(Stream(bench, f"{which}{number}"))
            elif what == "end" and streams:
                streams.pop(number % len(streams)).end(which)
            elif what == "wait":
                for _ in transaction:
                    pass
                for stream in streams:
                    stream.look()
                bench.wait(which)
            elif what == "step":
                for _ in range(which):
                    next(transaction, None)
            elif what in ("swap", "back", "config", "remove"):
                for _ in transaction:
                    pass
                if what == "remove":
                    (bench.plugins / which / "plugin.json").unlink(missing_ok=True)
                else:
                    for name in which:
                        mark = "1" if what in ("back", "config") else str(number)
                        bench.stamp(name, mark, config={"mark": f" {number}"} if what == "config" else {})
                transaction = bench.changing()
            for stream in streams:
                stream.look()
            streams = [stream for stream in streams if stream.verify(self)]
        for _ in transaction:
            pass
        for stream in streams:
            stream.end(False)
        # The sockets would be gone, and what they held.
        bench.origin.connections.clear()
        bench.origin.asked.clear()
        bench.wait(20)
        # What is searched for its holders is held by the search, one version after the other.
        for _ in range(300):
            if not any(map(bench.worker.retirement.alive, "ab")):
                break
            bench.wait(1)
        self.check()
        assert bench.worker.generations.built is not None
        self.assertEqual(len(self.stage.starts) - len(self.stage.stops), len(bench.worker.generations.built.instances))
        self.assertEqual([bench.retired(), *map(bench.worker.retirement.alive, "ab")], [0, 0, 0])
