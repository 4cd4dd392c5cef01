"""A request sees one generation, whole, from its head to the end: whatever is swapped, and whenever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.behaviour.changes import Changing, ChangingCase
from tests.behaviour.pipeline import Client

NAMES = "abc"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"


class Request:
    """
    One request, taken from moment to moment.

    :ivar expected: what the plugins of the generation stamp that was current when its head was complete.
    """

    def __init__(self, bench: Changing, path: str, waiting: bool = True) -> None:
        self.bench = bench
        self.path = path
        self.client: Client = bench.connect()
        self.expected: dict[str, str] = {}
        self.over = False
        self.moments = self._moments(waiting)

    def go(self) -> bool:
        """On to the next moment. :returns: False after the last."""
        for _ in self.moments:
            return True
        self.over = True
        return False

    def _moments(self, waiting: bool) -> Iterator[str]:
        """Each is a time when something else may happen."""
        bench, client = self.bench, self.client
        target = self.path.encode()
        bench.origin.answers[target] = b""
        yield "connected"
        client.send(b"POST " + target + b" HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n")
        yield "half of the head is there"
        self.expected = bench.marks(self.path)
        client.send(b"\r\n")
        yield "the head is there"
        client.send(b"half")
        while waiting and bench.stage.isHeld(self.path):
            yield "a middleware waits"
            bench.stage.release(self.path)
            bench.settle()
        yield "half of the body is there"
        client.send(b"half")
        yield "the origin thinks"
        bench.origin.asked[target].wire.arrive(HEAD)
        bench.settle()
        while waiting and bench.stage.isHeld(self.path):
            yield "a middleware waits on the way out"
            bench.stage.release(self.path)
            bench.settle()
        yield "the answer's head is out"
        bench.origin.asked[target].wire.arrive(b"half")
        bench.settle()
        yield "half of the answer's body is out"
        bench.origin.asked[target].wire.arrive(b"half")
        bench.settle()
        yield "it is over"

    def verify(self, case: ChangingCase) -> None:
        """It was answered in full, and every stamp is of its generation."""
        names = list(self.expected)
        expected = [("in", name, self.expected[name]) for name in names]
        expected += [("out", name, self.expected[name]) for name in reversed(names)]
        expected += [("end", name, self.expected[name]) for name in names]
        case.assertEqual(self.bench.stage.seen.get(self.path, []), expected)
        case.assertTrue(self.client.got.startswith(b"HTTP/1.1 200 "), self.client.got)
        case.assertTrue(self.client.got.endswith(b"halfhalf"), self.client.got)
        case.assertFalse(self.client.closed)


class MomentTests(ChangingCase):
    """One request, and swaps at chosen moments of it."""

    def setUp(self) -> None:
        super().setUp()
        self.number = 1
        for name in NAMES:
            self.bench.stamp(name, "1")
        self.bench.start()

    def swap(self) -> None:
        self.number += 1
        self.bench.swap(NAMES, str(self.number))

    def run_(self, path: str, waiting: bool, at: Callable[[int], bool]) -> int:
        """:returns: how many moments there were."""
        self.stage.holds = lambda way, plugin, path: waiting
        request = Request(self.bench, path, waiting)
        moments = 0
        while request.go():
            if at(moments):
                self.swap()
            moments += 1
        request.verify(self)
        self.check()
        return moments

    def test_eachMoment(self) -> None:
        """A swap at any one moment, of middleware that wait and of such that do not."""
        for waiting in (True, False):
            moments = self.run_(f"/{waiting}", waiting, lambda moment: False)
            for chosen in range(moments):
                self.run_(f"/{waiting}/{chosen}", waiting, chosen.__eq__)
        self.assertGreater(self.number, 20)

    def test_twoMoments(self) -> None:
        """Swaps at any two moments."""
        moments = self.run_("/", True, lambda moment: False)
        for number, pair in enumerate(combinations(range(moments), 2)):
            if number % 3 == 0:
                self.run_(f"/{pair[0]}/{pair[1]}", True, pair.__contains__)

    def test_everyMoment(self) -> None:
        """A swap at every moment: a dozen while one request runs."""
        before = self.number
        self.run_("/", True, lambda moment: True)
        self.assertGreater(self.number - before, 12)

    def test_afterTheSwap(self) -> None:
        """What begins after a swap sees the new generation, on a connection from before too."""
        client = self.bench.ask("/1")
        self.swap()
        self.bench.ask("/2", client)
        self.bench.ask("/3")
        self.assertEqual([self.stage.marks(path, "in")["a"] for path in ("/1", "/2", "/3")], ["1", "2", "2"])

    def test_pipelined(self) -> None:
        """Of requests sent ahead on one connection each takes the generation of its own turn."""
        self.stage.holds = lambda way, plugin, path: path == "/1" and way == "in" and plugin == "b"
        client = self.bench.connect()
        client.send(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
        self.swap()
        self.stage.release("/1")
        self.bench.settle()
        for path, mark in (("/1", "1"), ("/2", "2")):
            for way in ("in", "out", "end"):
                self.assertEqual(self.stage.marks(path, way), dict.fromkeys(NAMES, mark))

    def test_withinTheTransaction(self) -> None:
        """A request at any step of a transaction sees either the old generation or the new one, and never again the
        old one after the new one."""
        for name in NAMES:
            self.bench.stamp(name, "2")
        marks = []
        for step in self.bench.changing():
            self.bench.ask(f"/{step}")
            (mark,) = set(self.stage.marks(f"/{step}", "in").values())
            for way in ("in", "out", "end"):
                self.assertEqual(self.stage.marks(f"/{step}", way), dict.fromkeys(NAMES, mark))
            marks.append(mark)
        self.assertEqual(sorted(marks), marks)
        self.assertEqual((marks[0], marks[-1]), ("1", "2"))
        self.assertGreater(len(marks), 4)

    def test_membersComeAndGo(self) -> None:
        """A request that runs is not joined by a plugin that comes, nor left by one that goes."""
        self.stage.holds = lambda way, plugin, path: path == "/1" and plugin == "a" and way == "in"
        self.bench.ask("/1")
        self.bench.stamp("d", "1")
        (self.bench.plugins / "b" / "plugin.json").unlink()
        self.bench.apply()
        self.stage.release("/1")
        self.bench.settle()
        self.bench.ask("/2")
        for way in ("in", "out", "end"):
            self.assertEqual(sorted(self.stage.marks("/1", way)), ["a", "b", "c"])
            self.assertEqual(sorted(self.stage.marks("/2", way)), ["a", "c", "d"])
        self.check()

    def test_routesChange(self) -> None:
        """A request whose route is gone by the time the middleware has answered still comes to its origin."""
        self.stage.holds = lambda way, plugin, path: path == "/x/1" and plugin == "a" and way == "in"
        client = self.bench.ask("/x/1")
        self.bench.configure("[{path: /y, upstream: app}]", "upstreams: {app: {targets: ['http://127.0.0.1:9000']}}\n")
        self.bench.apply()
        self.assertEqual(self.bench.ask("/x/2").statuses(), [404])
        self.stage.release("/x/1")
        self.bench.settle()
        self.assertTrue(client.got.endswith(b"answer to /x/1"), client.got)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("go"), st.integers(0, 3)),
        st.tuples(st.just("swap"), st.sampled_from(["a", "b", "c", "ab", "abc"])),
        st.tuples(st.just("config"), st.sampled_from(NAMES)),
        st.tuples(st.just("step"), st.integers(1, 3)),
    ),
    min_size=10,
    max_size=60,
)


class InterleavingTests(ChangingCase):
    """Several requests, several changes, in any order."""

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
    @given(actions=ACTIONS, waiting=st.booleans())
    def test_anyOrder(self, actions: list[tuple[str, Any]], waiting: bool) -> None:
        """Each request has stamps of one generation only: the one at its head."""
        bench = self.bench = Changing(self)
        self.stage = bench.stage
        self.stage.holds = lambda way, plugin, path: waiting
        for name in NAMES:
            bench.stamp(name, "0")
        bench.start()
        requests: dict[int, Request] = {}
        done: list[Request] = []
        transaction: Iterator[int] = iter(())
        for number, (what, which) in enumerate(actions):
            if what == "go":
                request = requests.setdefault(which, Request(bench, f"/{number}", waiting))
                if not request.go():
                    done.append(requests.pop(which))
            elif what == "step":
                for _ in range(which):
                    next(transaction, None)
            else:
                for _ in transaction:
                    pass
                for name in which:
                    more = {"config": {"mark": f" {number}"}} if what == "config" else {}
                    bench.stamp(name, bench.marks()[name].split()[0] if more else str(number), **more)
                transaction = bench.changing()
                next(transaction)
        for _ in transaction:
            pass
        for request in requests.values():
            while request.go():
                pass
        for request in (*done, *requests.values()):
            request.verify(self)
        self.check()
        bench.wait(1)
        self.assertEqual(bench.retired(), 0)
