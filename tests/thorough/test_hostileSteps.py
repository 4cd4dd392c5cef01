"""
Plugins that attack the edge when they are loaded, started, asked for their state, and stopped.
"""

from __future__ import annotations

import json
import os
import time

from revproxy.cli.edgeclient import Refused
from tests.behaviour.arenaedge import IMPORT, ArenaCase, Probe, lockedOf
from tests.behaviour.hostilesteps import COMING, GOOD, LEAVING

MEGABYTES = 150
"""By which the edge may grow meanwhile."""


class StepsTests(ArenaCase):
    """
    One plugin, in one version after the other.
    """

    def setUp(self) -> None:
        super().setUp()
        self.number = 1
        self.edge = self.arena({}, {"moving": GOOD.replace("VERSION", "1")})

    def load(self, code: str, withoutState: bool = False) -> None:
        """The next version is there, and was tried."""
        self.number += 1
        folder = self.edge.folder / "plugins" / "moving"
        text = code.replace("VERSION", str(self.number))
        (folder / "plugin.py").write_bytes(text.encode("utf-8", "surrogateescape"))
        (folder / "plugin.json").write_text(json.dumps(manifest(self.number)))
        try:
            self.ask(self.edge, "POST", "reload", body={"without_state": withoutState})
        except Refused:
            pass  # as it should be, most of them

    def attacked(self, name: str, code: str, isLeaving: bool) -> list[str]:
        """What is wrong after such a version."""
        wrong: list[str] = []
        before, count, served = self.resetPeak(self.edge), self.counts(self.edge), self.number
        probe, began = Probe(self.edge.port), time.monotonic()
        self.load(code)
        if isLeaving:
            self.load(IMPORT + GOOD)
        answer = self.send(self.edge, "moving", "GET /", "", b"")
        serving = int(answer.rsplit(b"\n", 1)[-1]) if b" 200 " in answer[:20] else -1
        slowest, failed = probe.end()
        # One that says to be loaded and is not serves, and fails; one that has ended its process is without one; and so
        # is one that answers once more when it has become the one that serves.
        isOwn = isLeaving or name == "says-loaded-and-spins" or name.endswith("-answers-twice")
        if not served <= serving <= self.number and not (isOwn and serving == -1):
            wrong.append(f"{serving} serves: {answer[:200]!r}")
        if failed or slowest > 10:
            wrong.append(f"others waited {slowest:.1f} s, and got {failed[:2]}")
        if (grown := self.edge.peakMegabytes() - before) > MEGABYTES:
            wrong.append(f"the edge has grown by {grown:.0f} MB")
        if not all(now > was for now, was in zip(self.counts(self.edge), count, strict=True)):
            wrong.append("the witnesses are others")
        self.load(IMPORT + GOOD, withoutState=True)
        answer = self.send(self.edge, "moving", "GET /", "", b"")
        if not answer.endswith(b"\n%d" % self.number):
            wrong.append(f"the next version does not serve: {answer[-200:]!r}")
        if table := os.environ.get("REVPROXY_ATTACKS"):
            with open(table, "a") as file:
                took = time.monotonic() - began
                file.write(f"{name:32} {took:6.2f} s {slowest * 1000:7.0f} ms {grown:6.0f} MB  {wrong or 'stopped'}\n")
        return [f"{name}: {each}" for each in wrong]

    def all(self, attacks: dict[str, str], isLeaving: bool) -> None:
        """None of them does harm."""
        wrong = [each for name, code in attacks.items() for each in self.attacked(name, code, isLeaving)]
        said = self.edge.said()
        wrong += [line for line in said.splitlines() if line.startswith("2026-01-01")]
        wrong += [said[said.index(text) - 300 :][:3000] for text in ("the edge has failed at", "Unhandled error")
                  if text in said]  # fmt: skip
        self.assertEqual(wrong, [], said[-3000:])
        # The witness, the last version, and a spare one.
        self.until(lambda: len(lockedOf(self.edge)) == 3, f"there are {lockedOf(self.edge)}")

    def test_coming(self) -> None:
        """In whatever step a version attacks that is to come: the one that serves goes on, and so does the next."""
        self.all(COMING, False)

    def test_leaving(self) -> None:
        """In whatever step one attacks that is to leave: it leaves, or stays whole."""
        self.all(LEAVING, True)

    test_coming.timeout = test_leaving.timeout = 1800  # type: ignore[attr-defined]


def manifest(number: int) -> dict[str, object]:
    return {"name": "moving", "version": f"1.0.{number}", "enabled": True, "isolation": "process",
            "limits": {"timeout_ms": 500, "memory_mb": 64}}  # fmt: skip
