"""How long an origin keeps what nobody uses: by its word, and as it was seen."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http1.keepalive import Closes, announced
from revproxy.loop.deadlines import NEVER


class AnnouncedTests(SynchronousTestCase):
    """The field."""

    def test_seconds(self) -> None:
        """A second less, but a quarter at least; the first time-out counts; nothing for what is none."""
        for value, seconds in (
            (b"timeout=5", 4.0),
            (b"timeout=5, max=200", 4.0),
            (b"max=200,TIMEOUT=\t5 ", 4.0),
            (b"timeout=5, timeout=9", 4.0),
            (b"timeout=2", 1.0),
            (b"timeout=1", 0.25),
            (b"timeout=0", 0.0),
            (b"timeout=000000007", 6.0),
            (b"timeout=999999999", 999999998.0),
            (b"timeout=1000000000", None),
            (b"timeout=-5", None),
            (b"timeout=+5", None),
            (b"timeout=5.5", None),
            (b"timeout=\xb2", None),
            (b'timeout="5"', None),
            (b"timeout=", None),
            (b"timeout", None),
            (b"max=5", None),
            (b"", None),
            (b"=", None),
        ):
            self.assertEqual(announced(value), seconds, value)


class ClosesTests(SynchronousTestCase):
    """What was seen."""

    def setUp(self) -> None:
        self.closes = Closes()

    def assertTrusted(self, now: float, safe: float, unsafe: float) -> None:
        """So many seconds are good enough."""
        self.assertEqual([self.closes.trusted(now, True), self.closes.trusted(now, False)], [safe, unsafe])

    def test_nothing(self) -> None:
        """Nothing seen, nothing doubted."""
        self.assertTrusted(0, NEVER, NEVER)

    def test_shortest(self) -> None:
        """The shortest of the last twenty counts."""
        self.closes.saw(0, 4)
        for at in range(1, 20):
            self.closes.saw(at * 2, 10)
        self.assertTrusted(40, 4, 2)
        self.closes.saw(40, 10)
        self.assertTrusted(40, 10, 5)

    def test_restart(self) -> None:
        """Those that end together count as the oldest of them: of a restart, what misleads least."""
        for at in range(50):
            self.closes.saw(100 + at * 0.01, (at * 7 % 50) / 2)
        self.assertTrusted(101, 24.5, 12.25)

    def test_timeOut(self) -> None:
        """An origin that closes one after the other at the same age, many in a second, is understood."""
        for at in range(100):
            self.closes.saw(at * 0.05, (50 + at % 3) / 1000)
        self.assertTrusted(5, 0.052, 0.026)

    def test_forgotten(self) -> None:
        """After ten minutes."""
        self.closes.saw(0, 3)
        self.closes.saw(300, 8)
        self.assertTrusted(600, 3, 1.5)
        self.assertTrusted(601, 8, 4)
        self.assertTrusted(901, NEVER, NEVER)
        self.assertIsNone(self.closes.shortest)

    def test_never(self) -> None:
        """Safe methods never ask for less than five milliseconds; for others nothing is young enough then."""
        self.closes.saw(0, 0.004)
        self.assertEqual(self.closes.trusted(0, True), 0.005)
        self.assertLess(self.closes.trusted(0, False), 0)
