"""Certificates that near their end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.certificatetimes import INTERVAL, CertificateTimes
from revproxy.control.state.latestfile import LatestFile
from revproxy.plan.events import WARNINGS, EventLog
from revproxy.plan.words import CertificateFacts, CertificateState
from tests.control.conversations import makeConfig

DAY = 86400.0
START = 1_700_000_000.0


def facts(mark: str, days: float, path: str = "/c/a.pem", serves: tuple[str, ...] = ("a.example",)) -> Any:
    """A certificate that ends so many days after the start."""
    return CertificateFacts(
        path, mark * 64, serves, serves, False, "CN=a", "CN=b", (), "1", START - DAY, START + days * DAY
    )


class CertificateTimesTests(SynchronousTestCase):
    """A listener with certificates."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.path = folder / "certificates.json"
        self.clock = Clock()
        self.clock.advance(START)
        self.begin()

    def begin(self) -> None:
        """Another process."""
        self.events = EventLog(self.clock.seconds)
        self.times = CertificateTimes(self.events, self.clock, LatestFile(self.path, self.clock, maybeDeferred))
        self.addCleanup(self.times.stop)

    def heard(self, *certificates: CertificateFacts, endpoint: str = "tcp:1") -> None:
        """They were read."""
        self.times.heard(CertificateState(endpoint, "/c", (), None, certificates=certificates))

    def pass_(self, days: float) -> None:
        """So many days pass."""
        self.clock.pump([INTERVAL] * round(days * DAY / INTERVAL))

    def told(self) -> list[str]:
        """What has happened since this was asked last."""
        told = [f"{event.kind} {event.text}" for event in self.events.latest(99)]
        self.events = self.times._events = EventLog(self.clock.seconds)
        return told

    def test_days(self) -> None:
        """30, 7 and 1 days before its end, and at it; once each, and no more after it."""
        self.heard(facts("1", 31))
        self.assertEqual(self.told(), [])
        self.pass_(1)
        self.assertEqual(self.told(), [
            "certificate-expiring /c/a.pem (a.example) expires within 30 days, on 2023-12-15 22:13 UTC"])
        self.pass_(22)
        self.assertEqual(self.told(), [])
        self.pass_(1)
        self.assertEqual(self.told(), [
            "certificate-expiring /c/a.pem (a.example) expires within 7 days, on 2023-12-15 22:13 UTC"])
        self.pass_(6)
        self.assertEqual(self.told(), [
            "certificate-expiring /c/a.pem (a.example) expires within 1 day, on 2023-12-15 22:13 UTC"])
        self.pass_(1)
        self.assertEqual(self.told(), [
            "certificate-expired /c/a.pem (a.example) expired on 2023-12-15 22:13 UTC, and is served all the same"])
        self.pass_(60)
        self.assertEqual(self.told(), [])

    def test_about(self) -> None:
        """Programs are told which file."""
        self.heard(facts("1", 5))
        self.assertEqual(self.events.latest(9)[0].about, {"certificate": "/c/a.pem"})

    def test_onceOverRestarts(self) -> None:
        """What was told before a restart, and what is read again, is no news; what is due next is."""
        for _ in range(3):
            self.heard(facts("1", 20))
            self.times.stop()
            self.assertEqual(len(self.told()), 1 if not _ else 0)
            self.begin()
        self.heard(facts("1", 20), facts("1", 20))
        self.heard(facts("1", 20), endpoint="tcp:2")
        self.assertEqual(self.told(), [])
        self.pass_(13)
        self.assertEqual(len(self.told()), 1)

    def test_whileDown(self) -> None:
        """After a long time down, only what holds now is told."""
        self.heard(facts("1", 0.5))
        self.assertEqual([line.partition(",")[0] for line in self.told()], [
            "certificate-expiring /c/a.pem (a.example) expires within 1 day"])

    def test_renewed(self) -> None:
        """Another certificate in the file: what was told of the one before is over, and it is told of by itself."""
        self.heard(facts("1", 5))
        self.told()
        self.heard(facts("2", 90))
        self.assertEqual(self.told(), ["certificate-renewed /c/a.pem (a.example) is valid until 2024-02-12 now"])
        self.pass_(60)
        self.assertEqual(len(self.told()), 1)

    def test_notRenewed(self) -> None:
        """One that is away for a while, and one put back that ends earlier, are not renewed, and not told of twice."""
        self.heard(facts("1", 5))
        self.told()
        self.heard()
        self.heard(facts("1", 5))
        self.assertEqual(self.told(), [])
        self.heard(facts("2", 3))
        self.assertEqual([line.split()[0] for line in self.told()], ["certificate-expiring"])

    def test_unused(self) -> None:
        """One that no host has is nobody's trouble; the default is."""
        self.heard(facts("1", 5, serves=()))
        self.assertEqual(self.told(), [])

    def test_manyNames(self) -> None:
        """Not all hosts are named."""
        self.heard(facts("1", 5, serves=tuple(f"{letter}.example" for letter in "abcdef")))
        self.assertIn("(a.example, b.example, c.example, and 3 more)", self.told()[0])

    def test_gone(self) -> None:
        """Nothing is kept of listeners that there are not, nor of certificates that ended long ago."""
        self.heard(facts("1", 5))
        self.times.committed(makeConfig(""))
        self.assertEqual((self.times.states, self.times.readAt), ({}, {}))
        self.assertEqual(len(self.times._told), 1)
        self.pass_(36)
        self.assertEqual((self.times._told, self.path.read_bytes()), ({}, b"{}"))

    def test_readAt(self) -> None:
        """When they were read last is known."""
        self.heard(facts("1", 90))
        self.pass_(1)
        self.assertEqual(self.times.readAt, {"tcp:1": START})

    def test_damaged(self) -> None:
        """A file that cannot be understood is told."""
        self.path.write_bytes(b"[]")
        self.begin()
        self.assertEqual([event.kind for event in self.events.latest(9)], ["ledger-damaged"])

    def test_business(self) -> None:
        """All but a renewal is somebody's business at night."""
        self.assertEqual({"certificate-expiring", "certificate-expired", "certificate-renewed"} & WARNINGS,
                         {"certificate-expiring", "certificate-expired"})
