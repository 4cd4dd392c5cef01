"""
Behaviour: a version that is rolled out and is worse goes back by itself, and one that is not comes into service.

Control, worker and their judge are real; clients come by connections of their own, and the clock is told the time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.listener import Listener
from tests.coordinators import Bench
from tests.dataplane.doubles import TransportDouble

CODE = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware, IResponseMiddleware, IStateful

@implementer(IMiddleware, IResponseMiddleware, IStateful)
class Quota:
    name = "quota"
    def __init__(self, config):
        self.seen = {{}}
    def handle(self, context):
        host = context.request.peer.host
        self.seen[host] = self.seen.get(host, 0) + 1
        {body}
        return True
    def handleResponse(self, context):
        context.response.headers.set("X-Version", {version!r})
    def exportState(self):
        return dict(self.seen)
    def importState(self, state, version):
        for host, count in state.items():
            self.seen[host] = max(count, self.seen.get(host, 0))

PluginMain = Quota
"""

POLICY = """
plugins:
  directory: ./plugins
  rollout:
    plugins:
      quota:
        steps: [{canary: 20%, until: {fault: 5%}, at_least: 20s, at_most: 10m}]
"""

CLIENTS = [f"10.{at >> 8}.{at & 255}.1" for at in range(400)]


class RolloutCase(SynchronousTestCase):
    """Version 1 of a plugin runs, and clients come, forty a second."""

    def setUp(self) -> None:
        self.bench = Bench(Path(self.mktemp()), extra=POLICY)
        self.save("1.0.0")
        self.bench.start()
        self.addCleanup(self.bench.stop)
        self.answers: list[tuple[str, bytes, bytes]] = []
        self.turn = 0

    def save(self, version: str, body: str = "pass") -> None:
        self.bench.write("quota", CODE.format(body=body, version=version), version)

    def ask(self, host: str) -> tuple[str, bytes]:
        """:returns: which version answered, and its status; empty: none."""
        transport = TransportDouble(host)
        server: Any = Listener(self.bench.edge, tls=False).buildProtocol(transport.getPeer())
        server.makeConnection(transport)
        server.dataReceived(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        server.connectionLost(Failure(ConnectionDone()))
        head = bytes(transport.sent).partition(b"\r\n\r\n")[0]
        version = head.partition(b"X-Version: ")[2].partition(b"\r\n")[0].decode()
        return version, head.split(b" ")[1]

    def pass_(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        """Time passes, and clients come. :returns: how much, until it was so."""
        began = self.bench.clock.seconds()
        while self.bench.clock.seconds() < began + seconds and not until():
            for _ in range(4):
                host = CLIENTS[self.turn % len(CLIENTS)]
                self.turn += 1
                self.answers.append((host, *self.ask(host)))
            self.bench.clock.advance(0.1)
        return self.bench.clock.seconds() - began

    @property
    def rollout(self) -> Any:
        return self.bench.control.rollouts.view("quota")

    def isOver(self) -> bool:
        return self.rollout["state"] not in ("waiting", "preflight", "shadow", "canary")


class GoesBackTests(RolloutCase):
    """What is worse."""

    def begin(self, body: str) -> list[tuple[str, str, bytes]]:
        """:returns: what clients got from the moment on when the version was saved, until the rollout was over."""
        self.pass_(5)
        self.answers.clear()
        self.save("2.0.0", body)
        self.bench.apply()
        self.pass_(600, self.isOver)
        self.pass_(1)
        return self.answers

    def test_newExceptions(self) -> None:
        """An exception that nobody knew goes back when three buckets have met it, and is not waited for."""
        answers = self.begin('if context.request.peer.port and host.endswith("0.1"): raise ValueError("no")')
        self.flushLoggedErrors(ValueError)
        self.assertEqual((self.rollout["state"], self.rollout["verdict"]["family"]), ("rolled-back", "fingerprint"))
        faulty = [host for host, _, status in answers if status == b"500"]
        self.assertTrue(3 <= len(faulty) <= 12, faulty)  # up to a second's worth, until it is told
        self.assertEqual({version for _, version, _ in answers[-20:]}, {"1.0.0"})

    def test_lets(self) -> None:
        """One that stops what the other lets through is found by that."""
        self.begin("if self.seen[host] > 0: return context.respond(403)")
        self.assertEqual((self.rollout["state"], self.rollout["verdict"]["family"]), ("rolled-back", "interrupts"))

    def test_stateComesBack(self) -> None:
        """What the version on trial has counted, the one that stays knows."""
        self.begin("if self.seen[host] > 2: raise ValueError('no')")
        self.flushLoggedErrors(ValueError)
        self.assertEqual(self.rollout["state"], "rolled-back")
        [instance] = self.bench.worker.staging.running.of("quota")  # type: ignore[union-attr]
        asked = {host: sum(other == host for other, _, _ in self.answers) for host in CLIENTS}
        lost = {host: count for host, count in asked.items() if instance.object.seen.get(host, 0) < count}
        self.assertEqual(lost, {})

    def test_oneVersionEach(self) -> None:
        """A client whose version is the new one meets no other, until that goes back; others never meet it."""
        answers = self.begin("if self.seen[host] > 2: raise ValueError('no')")
        self.flushLoggedErrors(ValueError)
        met: dict[str, str] = {}
        for host, version, _ in answers:
            met[host] = met.get(host, "") + (version or "2.0.0")[0]
        for host, versions in met.items():
            self.assertRegex(versions, r"\A1?2*1*\Z", host)
        self.assertTrue(20 < sum("2" in versions for versions in met.values()) < 140, met)


class ComesTests(RolloutCase):
    """What is as good."""

    def test_promoted(self) -> None:
        """It comes into service when its step is over, as the very instance that clients have met."""
        self.pass_(5)
        self.answers.clear()
        self.save("2.0.0")
        self.bench.apply()
        self.pass_(3)
        self.assertEqual(self.rollout["state"], "canary")
        [candidate] = self.bench.worker.staging.running.candidates.values()  # type: ignore[union-attr]
        self.pass_(600, self.isOver)
        self.pass_(1)
        self.assertEqual(self.rollout["state"], "promoted", self.rollout)
        self.assertEqual(self.bench.worker.staging.running.of("quota"), [candidate])  # type: ignore[union-attr]
        self.assertEqual({status for _, _, status in self.answers}, {b"200"})
        self.assertEqual({version for _, version, _ in self.answers[-20:]}, {"2.0.0"})
        share = sum(version == "2.0.0" for _, version, _ in self.answers[40:400]) / 360
        self.assertTrue(0.1 < share < 0.3, share)
