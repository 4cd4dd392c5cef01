"""Tests for :mod:`revproxy.dataplane.upstream.upstream`: who is next, and who is passed over."""

from __future__ import annotations

from collections import Counter

from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure

from revproxy.dataplane.http.limits import Timeouts
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.errors import BadResponse, Unavailable, UpstreamError
from tests.dataplane.origins import OK, Asked, Origin, OriginCase


class PickTests(OriginCase):
    """Whose turn it is."""

    def origins(self, *weights: int) -> list[Origin]:
        return [Origin(self.clock, url=f"http://o{at}", weight=weight) for at, weight in enumerate(weights)]

    def picked(self, upstream: Upstream, count: int) -> str:
        """The numbers of the targets, in order."""
        urls = []
        for _ in range(count):
            target = upstream.pick(())
            assert target is not None
            urls.append(target.url[-1])
        return "".join(urls)

    def test_roundRobin(self) -> None:
        """In turn."""
        self.assertEqual(self.picked(self.upstreamOf(*self.origins(1, 1, 1)), 6), "012012")

    def test_weights(self) -> None:
        """By weight, and smoothly: no target gets its share in a row."""
        picked = self.picked(self.upstreamOf(*self.origins(5, 1, 1)), 14)
        self.assertEqual(Counter(picked), {"0": 10, "1": 2, "2": 2})
        self.assertNotIn("00000", picked[:7])

    def test_none(self) -> None:
        """No target at all is an error of whoever made it."""
        self.assertRaises(ValueError, Upstream, "app", [], self.clock.seconds)

    def test_notTwice(self) -> None:
        """A target is not tried twice for one request."""
        upstream = self.upstreamOf(*self.origins(1, 1))
        first, second = upstream.pick(()), None
        assert first is not None
        second = upstream.pick((first,))
        assert second is not None
        self.assertIsNot(first, second)
        self.assertIsNone(upstream.pick((first, second)))


class MarkedDownTests(OriginCase):
    """Two targets of which one fails."""

    def setUp(self) -> None:
        super().setUp()
        timeouts = Timeouts(response=10)
        self.first = Origin(self.clock, url="http://first", timeouts=timeouts)
        self.second = Origin(self.clock, url="http://second", timeouts=timeouts)
        self.upstream = self.upstreamOf(self.first, self.second, maxFails=2, failTimeout=20.0)

    def heads(self, origin: Origin) -> int:
        """How many requests it got."""
        return sum(connection.heard().count(b"HTTP/1.1\r\n") for connection in origin.arrived)

    def fail_(self, times: int) -> None:
        """The first fails so often."""
        while times:
            asked = self.ask(b"POST")
            if asked.target is self.first.target:
                self.first.arrived[-1].says(b"nonsense")
                self.assertFailed(asked, BadResponse)
                times -= 1
            else:
                self.second.arrived[-1].says(OK)

    def test_markedDown(self) -> None:
        """After so many failures in a row a target is passed over, then tried again, then back."""
        self.fail_(2)
        self.assertEqual({self.ask().target.url for _ in range(4)}, {"http://second"})  # type: ignore[union-attr]
        self.pass_(20)
        self.second.pool.close()
        asked = self.ask()
        self.assertIs(asked.target, self.first.target)
        self.first.arrived[-1].says(OK)
        self.assertEqual([self.first.target.fails, self.first.target.downUntil], [0, 0.0])

    def test_stillDown(self) -> None:
        """One failure after the time is enough to be passed over again."""
        self.fail_(2)
        self.pass_(20)
        self.fail_(1)
        self.assertGreater(self.first.target.downUntil, self.clock.seconds())

    def test_notInARow(self) -> None:
        """Answers in between reset the count."""
        for _ in range(4):
            self.fail_(1)
            asked: Asked | None = None
            while asked is None or asked.target is not self.first.target:
                asked = self.ask()
            self.first.arrived[-1].says(OK)
        self.assertEqual(self.first.target.downUntil, 0.0)

    def test_allDown(self) -> None:
        """When all are down, the one that is back first is tried: rather that than nothing."""
        self.upstream = self.upstreamOf(self.first, self.second, maxFails=1, failTimeout=20.0)
        for _ in range(2):
            asked = self.ask(b"POST")
            (self.first if asked.target is self.first.target else self.second).arrived[-1].leaves()
            self.pass_(1)
        asked = self.ask()
        self.assertIs(asked.target, self.first.target)

    def test_only(self) -> None:
        """A single target is never passed over."""
        self.upstream = self.upstreamOf(self.first, maxFails=1)
        for _ in range(3):
            asked = self.ask(b"POST")
            self.first.arrived[-1].leaves()
            self.assertFailed(asked, UpstreamError)
        self.assertIs(self.ask().target, self.first.target)

    def only(self, says: str) -> None:
        """A request to the only target, which fails or answers."""
        asked = self.ask(b"POST")
        if says == "fails":
            self.first.arrived[-1].says(b"nonsense")
            self.assertFailed(asked, BadResponse)
        else:
            self.first.arrived[-1].says(OK)

    def test_onlyTold(self) -> None:
        """That the only target does not answer is in the log, once; and that it does again."""
        self.upstream = self.upstreamOf(self.first, maxFails=3, failTimeout=20.0)
        with capturedLogs() as logged:
            for _ in range(50):
                self.only("fails")
            self.pass_(60)
            self.only("fails")
            self.only("answers")
        self.assertEqual(
            [formatEvent(event).partition(": this")[0] for event in logged],
            [
                "upstream app: http://first failed 3 times in a row; there is no other",
                "upstream app: http://first answers again",
            ],
        )

    def test_onlyNow(self) -> None:
        """One failure or two are in the access log, and not news."""
        self.upstream = self.upstreamOf(self.first, maxFails=3)
        with capturedLogs() as logged:
            for says in ("fails", "fails", "answers", "fails", "answers"):
                self.only(says)
        self.assertEqual(logged, [])

    def test_onlyWavers(self) -> None:
        """One that comes and goes is told once in a fail_timeout."""
        self.upstream = self.upstreamOf(self.first, maxFails=1, failTimeout=20.0)
        with capturedLogs() as logged:
            for _ in range(10):
                self.only("fails")
                self.only("answers")
            self.assertEqual(len(logged), 2)
            self.pass_(20)
            self.only("fails")
        self.assertEqual(len(logged), 3)

    def test_onlyNever(self) -> None:
        """With max_fails 0 nothing is counted, and nothing told."""
        self.upstream = self.upstreamOf(self.first, maxFails=0)
        with capturedLogs() as logged:
            for _ in range(10):
                self.only("fails")
        self.assertEqual(logged, [])

    def test_never(self) -> None:
        """max_fails 0: nobody is passed over."""
        self.upstream = self.upstreamOf(self.first, self.second, maxFails=0)
        self.fail_(5)
        self.assertEqual(self.first.target.downUntil, 0.0)

    def test_close(self) -> None:
        """Closing gives up the connections to all."""
        for origin in (self.first, self.second):
            self.ask()
            origin.arrived[0].says(OK)
        self.upstream.close()
        self.assertEqual((self.first.pool.open, self.second.pool.open), (0, 0))


class InServiceTests(OriginCase):
    """
    Targets that somebody takes out of service, and whoever is told what becomes of targets.

    :ivar changes: what was told: URL, whether it is up, and why not.
    """

    def setUp(self) -> None:
        super().setUp()
        self.changes: list[tuple[str, bool, str]] = []
        self.first = Origin(self.clock, url="http://first")
        self.second = Origin(self.clock, url="http://second")
        self.upstream = self.upstreamOf(
            self.first, self.second, maxFails=1, failTimeout=20.0, onChange=lambda *change: self.changes.append(change)
        )

    def urls(self, count: int = 4) -> set[str]:
        """Whose turn it is, so many times."""
        picked = [self.upstream.pick(()) for _ in range(count)]
        return {target.url for target in picked if target is not None}

    def askUntil(self, origin: Origin) -> Asked:
        """A request that goes to this one."""
        asked = self.ask(b"POST")
        return asked if asked.target is origin.target else self.askUntil(origin)

    def test_takenOut(self) -> None:
        """It takes no new requests, however long; put back, it does at once. That is nobody's news."""
        for _ in range(2):
            self.upstream.steer("http://first", False, None)
        self.pass_(3600)
        self.assertEqual(self.urls(), {"http://second"})
        for _ in range(2):
            self.upstream.steer("http://first", True, None)
        self.assertEqual(self.urls(), {"http://first", "http://second"})
        self.assertEqual(self.changes, [])

    def test_unknown(self) -> None:
        """A URL that no target has changes nothing."""
        self.upstream.steer("http://third", False, None)
        self.assertEqual((self.urls(), self.changes), ({"http://first", "http://second"}, []))

    def test_weight(self) -> None:
        """Another weight holds for the next request; what targets were owed of before is forgotten."""
        self.upstream.steer("http://second", True, 1000)
        self.urls(300)
        self.upstream.steer("http://second", True, 1)
        self.assertEqual([self.urls(2) for _ in range(20)], [{"http://first", "http://second"}] * 20)
        self.upstream.steer("http://second", True, 3)
        self.assertEqual(Counter(self.upstream.pick(()).url for _ in range(40)), {  # type: ignore[union-attr]
            "http://second": 30, "http://first": 10})
        self.upstream.steer("http://second", True, None)
        self.assertEqual(self.second.target.weight, 1)

    def test_othersFail(self) -> None:
        """A request that the others could not answer does not go to one that is out of service."""
        self.upstream.steer("http://first", False, None)
        asked = self.ask()
        self.second.arrived[-1].leaves()
        self.assertFailed(asked, UpstreamError)
        self.assertEqual(self.first.arrived, [])

    def test_anotherInItsPlace(self) -> None:
        """What was held against a target is over when its upstream is made anew; what comes late is not told."""
        self.upstream.failedAt(self.first.target, Failure(BadResponse("oh")))
        self.upstream.forget()
        self.upstream.failedAt(self.second.target, Failure(BadResponse("oh")))
        self.assertEqual(self.changes[1:], [("http://first", True, "its upstream is another one now")])

    def test_underWay(self) -> None:
        """A request that is under way goes on, and its answer does not put the target back."""
        asked = self.askUntil(self.first)
        self.first.target.fails = 1
        self.upstream.steer("http://first", False, None)
        self.first.arrived[-1].says(OK)
        self.assertEqual(asked.got.status, 200)
        self.assertEqual((self.urls(), self.changes), ({"http://second"}, []))

    def test_failsMeanwhile(self) -> None:
        """That it fails while it is out of service is no news, and it is not back when a failure would be forgotten."""
        asked = self.askUntil(self.first)
        self.upstream.steer("http://first", False, None)
        self.first.arrived[-1].says(b"nonsense")
        self.assertFailed(asked, BadResponse)
        self.pass_(60)
        self.assertEqual((self.urls(), self.changes), ({"http://second"}, []))

    def test_failsOn(self) -> None:
        """That it fails once more when it is tried again is told, too; so is that it answers."""
        target, reason = self.first.target, Failure(BadResponse("oh"))
        for _ in range(3):
            self.pass_(30)
            self.upstream.failedAt(target, reason)
            self.upstream.failedAt(target, reason)
        self.assertEqual([isUp for _, isUp, _ in self.changes], [False] * 3)
        self.upstream.succeeded(target)
        self.assertEqual([isUp for _, isUp, _ in self.changes], [False] * 3 + [True])

    def test_takenOutWhenTold(self) -> None:
        """Whoever is told that it fails may take it out of service at once: it stays out."""

        def takeOut(url: str, isUp: bool, reason: str) -> None:
            self.upstream.steer(url, False, None)

        self.upstream._onChange = takeOut
        self.upstream.failedAt(self.first.target, Failure(BadResponse("oh")))
        self.pass_(60)
        self.assertEqual(self.urls(), {"http://second"})

    def test_none(self) -> None:
        """With all out of service, requests go nowhere."""
        for url in ("http://first", "http://second"):
            self.upstream.steer(url, False, None)
        self.assertIsNone(self.upstream.pick(()))
        self.assertFailed(self.ask(), Unavailable)

    def test_told(self) -> None:
        """That one is passed over is told, with the reason; and that it answers again."""
        asked = self.askUntil(self.first)
        self.first.arrived[-1].says(b"nonsense")
        self.assertFailed(asked, BadResponse)
        [(url, isUp, reason)] = self.changes
        self.assertEqual((url, isUp), ("http://first", False))
        self.assertTrue(reason)
        self.pass_(20)
        self.askUntil(self.first)
        self.first.arrived[-1].says(OK)
        self.assertEqual(self.changes[1:], [("http://first", True, "")])
