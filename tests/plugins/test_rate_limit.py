"""Tests for :mod:`revproxy.plugins.rate_limit`."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.interfaces import IResponseMiddleware
from revproxy.loading.contract import verifyMiddleware
from revproxy.plugins.rate_limit import Limiter, Rate, RateLimit, compileKey
from revproxy.testing import Answer, EdgeDouble, makeContext


class RateTests(SynchronousTestCase):
    """What can be written for a rate."""

    def test_parse(self) -> None:
        """A number, a slash, and a time with or without a number."""
        for text, count, period in (
            ("100/s", 100, 1.0),
            ("5/m", 5, 60.0),
            ("1000/h", 1000, 3600.0),
            ("10/10s", 10, 10.0),
            ("1/500ms", 1, 0.5),
            ("3/2d", 3, 172800.0),
        ):
            self.assertEqual(Rate.parse(text), Rate(count, period))

    def test_refused(self) -> None:
        """Anything else is refused with examples of what may be written."""
        for text in ("", "5", "5/", "0/s", "5/0s", "-1/s", "5/w", "5 / s", "5/s ", "1.5/s", "5/s\n", "٥/s"):
            self.assertIn("100/s", str(self.assertRaises(ValueError, Rate.parse, text)))


class LimiterTests(SynchronousTestCase):
    """The algorithm, apart from HTTP."""

    def test_burstThenRate(self) -> None:
        """As many as the burst pass at once; then one per interval."""
        limiter = Limiter(Rate(10, 1.0), 3, 100)
        self.assertEqual([limiter.take("a", 5.0) == 0 for _ in range(5)], [True, True, True, False, False])
        self.assertEqual(limiter.take("a", 5.1), 0)
        self.assertGreater(limiter.take("a", 5.1), 0)

    def test_restIsNotSaved(self) -> None:
        """However long a key rests, no more than a burst passes at once afterwards."""
        limiter = Limiter(Rate(10, 1.0), 3, 100)
        limiter.take("a", 0.0)
        self.assertEqual([limiter.take("a", 1000.0) == 0 for _ in range(5)], [True] * 3 + [False] * 2)

    def test_wait(self) -> None:
        """After the wait that was named, and not much before, the next request passes."""
        limiter = Limiter(Rate(1, 10.0), 1, 100)
        limiter.take("a", 0.0)
        wait = limiter.take("a", 2.0)
        self.assertTrue(7.8 <= wait <= 8.0, wait)
        self.assertGreater(limiter.take("a", 2.0 + wait - 0.2), 0)
        self.assertEqual(limiter.take("a", 2.0 + wait + 1e-9), 0)

    def test_refusedCostsNothing(self) -> None:
        """Requests that were refused do not push the next chance further away."""
        limiter = Limiter(Rate(1, 10.0), 1, 100)
        limiter.take("a", 0.0)
        for second in range(1, 9):
            self.assertGreater(limiter.take("a", float(second)), 0)
        self.assertEqual(limiter.take("a", 10.0), 0)

    def test_keysAreApart(self) -> None:
        """What one key used does not count for another."""
        limiter = Limiter(Rate(1, 10.0), 1, 100)
        limiter.take("a", 0.0)
        self.assertEqual(limiter.take("b", 0.0), 0)

    def test_remaining(self) -> None:
        """What is said to remain is what then passes."""
        limiter = Limiter(Rate(10, 1.0), 5, 100)
        for _ in range(2):
            limiter.take("a", 0.0)
        self.assertEqual(limiter.remaining(limiter.debt("a", 0.0)), 3)
        self.assertEqual([limiter.take("a", 0.0) == 0 for _ in range(4)], [True] * 3 + [False])
        self.assertEqual(limiter.remaining(limiter.debt("a", 0.0)), 0)

    def test_memoryIsBounded(self) -> None:
        """However many keys come, no more than the bound are kept; those used last stay."""
        limiter = Limiter(Rate(1, 1000.0), 1, 10)
        for number in range(1000):
            limiter.take(f"k{number}", 0.0)
            limiter.take("kept", 0.0)
        self.assertEqual(len(limiter), 10)

    def test_usedStay(self) -> None:
        """A key that is in use is not the one pushed out."""
        limiter = Limiter(Rate(2, 1000.0), 1000, 10)
        for number in range(100):
            limiter.take("kept", 0.0)
            limiter.take(f"k{number}", 0.0)
        self.assertAlmostEqual(limiter.debt("kept", 0.0), 100 * 500.0)

    def test_paidBackGo(self) -> None:
        """Keys that are paid back go as new ones come, without a sweep."""
        limiter = Limiter(Rate(1, 1.0), 1, 10_000)
        for number in range(1000):
            limiter.take(f"old{number}", 0.0)
        for number in range(500):
            limiter.take(f"new{number}", 5.0)
        self.assertEqual(len(limiter), 500)

    @given(
        st.integers(1, 50),
        st.integers(1, 20),
        st.lists(st.floats(0, 3, allow_nan=False), max_size=60),
        st.floats(0, 1e6),
    )
    def test_neverMoreThanAllowed(self, count: int, burst: int, gaps: list[float], start: float) -> None:
        """In any stretch of time no more pass than the burst and what the rate gives, and never fewer than are due."""
        limiter = Limiter(Rate(count, 1.0), burst, 10)
        now, passed = start, 0
        for gap in gaps:
            now += gap / count
            if limiter.take("a", now) == 0:
                passed += 1
            self.assertLessEqual(passed, burst + (now - start) * count + 0.02)
        # From a rested start, requests that keep to the rate always pass.
        rested = now + 1000.0
        for number in range(burst):
            self.assertEqual(limiter.take("a", rested), 0, number)


def keyOf(parts: list[str], networks: bool = True, **request: Any) -> str:
    return compileKey(parts, networks)(makeContext(**request))


class KeyTests(SynchronousTestCase):
    """What is counted together."""

    def test_client(self) -> None:
        """Each IPv4 address is a client, also when a socket of both families reports it."""
        self.assertNotEqual(keyOf(["client"], client="192.0.2.1"), keyOf(["client"], client="192.0.2.2"))
        self.assertEqual(keyOf(["client"], client="192.0.2.1"), keyOf(["client"], client="::ffff:192.0.2.1"))

    def test_network(self) -> None:
        """The addresses of an IPv6 /64 are one client, unless the configuration says otherwise."""
        one, two, other = "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1"
        self.assertEqual(keyOf(["client"], client=one), keyOf(["client"], client=two))
        self.assertNotEqual(keyOf(["client"], client=one), keyOf(["client"], client=other))
        self.assertNotEqual(keyOf(["client"], False, client=one), keyOf(["client"], False, client=two))
        self.assertEqual(keyOf(["client"], client="fe80::1%eth0"), keyOf(["client"], client="fe80::2%eth0"))

    def test_notAnAddress(self) -> None:
        """A client whose name is no address is counted by that name."""
        self.assertEqual(keyOf(["client"], client="unix:1"), "unix:1")

    def test_header(self) -> None:
        """Values of the header are counted apart; who sends none is counted by address."""
        one, two = (keyOf(["header:X-Key"], headers={"x-key": value}) for value in ("1", "2"))
        self.assertNotEqual(one, two)
        none = keyOf(["header:X-Key"], client="192.0.2.1")
        self.assertNotEqual(none, keyOf(["header:X-Key"], client="192.0.2.2"))
        self.assertNotEqual(none, keyOf(["header:X-Key"], client="192.0.2.3", headers={"X-Key": "192.0.2.1"}))

    def test_longHeader(self) -> None:
        """Long values make keys of bounded size that still differ."""
        one, two = (keyOf(["header:X-Key"], headers={"X-Key": "a" * 8000 + end}) for end in "12")
        self.assertNotEqual(one, two)
        self.assertLess(len(one), 70)

    def test_combined(self) -> None:
        """Parts are combined so that no two combinations meet."""
        parts = ["header:A", "header:B"]
        one = keyOf(parts, headers={"A": "x", "B": "y=z"})
        two = keyOf(parts, headers={"A": "x=y", "B": "z"})
        self.assertNotEqual(one, two)
        self.assertNotEqual(keyOf(["client", "route"], route="a"), keyOf(["client", "route"], route="b"))
        self.assertEqual(keyOf(["global"], client="192.0.2.1"), keyOf(["global"], client="192.0.2.2"))

    def test_refused(self) -> None:
        """Parts nobody knows, and headers that are none, are refused."""
        for part in ("ip", "header:", "header:a b"):
            self.assertRaises(ValueError, compileKey, [part], True)


class RateLimitTests(SynchronousTestCase):
    """The plugin."""

    def setUp(self) -> None:
        self.clock = Clock()

    def plugin(self, **config: Any) -> RateLimit:
        return RateLimit(config, self.clock.seconds)

    def answers(self, count: int, plugin: RateLimit, **request: Any) -> list[Answer]:
        edge = EdgeDouble(plugin)
        return [edge.get(**request) for _ in range(count)]

    def test_refuses(self) -> None:
        """Above the limit the answer is 429, with the seconds to wait, and the origin hears nothing."""
        answer = self.answers(3, self.plugin(rate="2/m"))[-1]
        self.assertEqual((answer.status, answer.forwarded), (429, None))
        self.assertEqual(answer.headers.get("Retry-After"), "30")

    def test_retryAfterIsEnough(self) -> None:
        """Who waits as long as told passes."""
        plugin = self.plugin(rate="7/m", burst=1)
        answer = self.answers(2, plugin)[-1]
        self.clock.advance(int(answer.headers.get("Retry-After", "") or 0))
        self.assertEqual(self.answers(1, plugin)[0].status, 200)

    def test_retryAfterIsAtLeastOne(self) -> None:
        """A wait of milliseconds is told as one second: zero would say now."""
        self.assertEqual(self.answers(2, self.plugin(rate="100/s", burst=1))[-1].headers.get("Retry-After"), "1")

    def test_standardFields(self) -> None:
        """The refusal tells the policy and what is left, as structured fields."""
        headers = self.answers(3, self.plugin(rate="2/m", policy="web"))[-1].headers
        self.assertEqual(headers.get("RateLimit-Policy"), '"web";q=2;w=60')
        self.assertEqual(headers.get("RateLimit"), '"web";r=0;t=30')
        self.assertNotIn("X-RateLimit-Limit", headers)

    def test_legacyFields(self) -> None:
        """The older fields are told where they are asked for, alone or beside the standard ones."""
        headers = self.answers(3, self.plugin(rate="2/m", headers="legacy"))[-1].headers
        told = [headers.get(f"X-RateLimit-{name}") for name in ("Limit", "Remaining", "Reset")]
        self.assertEqual(told, ["2", "0", "30"])
        self.assertNotIn("RateLimit", headers)
        both = self.answers(3, self.plugin(rate="2/m", headers="both"))[-1].headers
        self.assertTrue("RateLimit" in both and "X-RateLimit-Limit" in both)

    def test_noFields(self) -> None:
        """With none the client is told only when to come again."""
        headers = self.answers(3, self.plugin(rate="2/m", headers="none", on_allowed=True))[-1].headers
        self.assertEqual([name for name, _ in headers if "limit" in name.lower()], [])
        self.assertIn("Retry-After", headers)

    def test_onAllowed(self) -> None:
        """With on_allowed responses that passed tell what is left, and what the origin said of it is replaced."""
        plugin = self.plugin(rate="3/m", on_allowed=True)
        edge = EdgeDouble(plugin)
        edge.originAnswers(200, {"RateLimit": "origin"})
        told = [edge.get().headers.getAll("RateLimit") for _ in range(3)]
        self.assertEqual(told, [['"default";r=2;t=20'], ['"default";r=1;t=40'], ['"default";r=0;t=60']])

    def test_offByDefault(self) -> None:
        """Otherwise the plugin is not called for responses."""
        plugin = self.plugin(rate="3/m")
        self.assertFalse(IResponseMiddleware.providedBy(plugin))
        self.assertNotIn("RateLimit", self.answers(1, plugin)[0].headers)

    def test_declared(self) -> None:
        """With and without on_allowed it has just the members that it declares, as the loader wants it."""
        for onAllowed in (False, True):
            verifyMiddleware(self.plugin(rate="3/m", on_allowed=onAllowed), "rate-limit", "rate_limit.py")

    def test_shortWindow(self) -> None:
        """A window of less than a second cannot be told in whole seconds, and is left out."""
        headers = self.answers(2, self.plugin(rate="1/100ms"))[-1].headers
        self.assertEqual(headers.get("RateLimit-Policy"), '"default";q=1')

    def test_stateIsHandedOver(self) -> None:
        """The next version, with another clock, goes on where this one stood."""
        old = self.plugin(rate="2/m")
        self.answers(2, old)
        state = json.loads(json.dumps(old.exportState()))
        self.clock.advance(1000)
        new = self.plugin(rate="2/m")
        new.importState(state, "1.0.0")
        self.assertEqual(self.answers(1, new)[0].status, 429)
        self.clock.advance(31)
        self.assertEqual(self.answers(1, new)[0].status, 200)

    def test_stateOfAnotherRate(self) -> None:
        """Debts count in requests: one that is used up is used up at another rate too, for that rate's time."""
        old = self.plugin(rate="2/h")
        self.answers(2, old)
        new = self.plugin(rate="2/m")
        new.importState(old.exportState(), "1.0.0")
        self.assertEqual(self.answers(1, new)[0].status, 429)
        self.clock.advance(31)
        self.assertEqual(self.answers(1, new)[0].status, 200)

    def test_stateOfAnotherKey(self) -> None:
        """Debts of another key mean nothing here."""
        old = self.plugin(rate="1/h", key="global")
        self.answers(1, old)
        new = self.plugin(rate="1/h", key="client")
        new.importState(old.exportState(), "1.0.0")
        self.assertEqual(new.exportState()["debts"], {})

    def test_stateIsBounded(self) -> None:
        """No more is taken over than fits, and no debt longer than this rate can make."""
        new = self.plugin(rate="1/s", key="client", max_keys=2)
        debts = {"a": 5.0, "b": 5.0, "c": 1e9}
        new.importState({"key": ["client"], "interval": 1.0, "debts": debts}, "0.9")
        self.assertEqual(list(new.exportState()["debts"]), ["b", "c"])
        self.assertLessEqual(max(new.exportState()["debts"].values()), 2.0)

    def test_nonsenseState(self) -> None:
        """A state that is none refuses the update."""
        for state in (None, [], {"debts": 1}):
            self.assertRaises(ValueError, self.plugin().importState, state, "0.9")

    def test_refusesConfiguration(self) -> None:
        """Rates, keys and policies that are none are refused."""
        for config in ({"rate": "fast"}, {"key": "ip"}, {"key": ["client", "x"]}, {"policy": 'a"b'}, {"policy": "é"}):
            self.assertRaises(ValueError, RateLimit, config)
