"""
Whatever a plugin in a locked process does and says, the edge serves, and other plugins are as they were.
"""

from __future__ import annotations

import os

from tests.behaviour.arenaedge import ArenaCase, Outcome
from tests.behaviour.hostiles import ATTACKS, Hostile
from tests.harness import EdgeProcess

AT_ONCE = 40
"""Hostile plugins of one edge."""


class HostilePluginsCase(ArenaCase):
    """
    Makes all attacks.
    """

    def stopped(self, attacks: dict[str, Hostile]) -> None:
        """Each is, and what came of it is told if not."""
        names = list(attacks)
        outcomes: list[Outcome] = []
        for at in range(0, len(names), AT_ONCE):
            outcomes += self.batch({name: attacks[name] for name in names[at : at + AT_ONCE]})
        if table := os.environ.get("REVPROXY_ATTACKS"):
            with open(table, "a") as file:
                file.writelines(f"{outcome}\n" for outcome in outcomes)
        self.assertEqual([str(outcome) for outcome in outcomes if outcome.wrong], [])
        self.assertEqual(len(outcomes), len(attacks))

    def level(self, edge: EdgeProcess) -> str:
        """How well its processes are locked."""
        return str(self.ask(edge, "GET", "trust")["level"])

    def batch(self, attacks: dict[str, Hostile]) -> list[Outcome]:
        """Those of one edge."""
        edge = self.arena(attacks)
        if self.situation.level:
            self.assertEqual(self.level(edge), self.situation.level)
        outcomes = [self.attack(edge, name, attack) for name, attack in attacks.items()]
        said = edge.said()
        for line in said.splitlines():
            if "FORGED" in line and not line.startswith("\t") and line.startswith("2026-01-01"):
                outcomes[-1].wrong.append(f"a forged line: {line!r}")
        for text in ("the edge has failed at", "Unhandled error", "after request"):
            if text in said:
                at = said.index(text)
                outcomes[-1].wrong.append(f"{text}: {said[max(0, at - 300) : at + 3000]}")
        edge.terminate()
        if edge.status() != 0:
            outcomes[-1].wrong.append(f"the edge has ended with {edge.process.returncode}")
        return outcomes


A_FEW = (
    "spins", "stops-itself", "spins-in-timer", "spins-and-lies", "memory-fast", "exits", "kills-parent", "garbage",
    "truncated", "deep-msgpack", "bomb-of-nothings", "answers-others", "waits-flood", "fails-flood", "stderr-flood",
    "forges-log", "raw-labels", "values-raw", "request-crlf", "answer-transfer-encoding", "status-101",
    "not-granted-upstream", "informational-flood", "reads-and-does-not-wait", "filter-of-a-gigabyte", "endless-nothing",
    "raw-targets", "asks-with-bodies", "store-of-others", "store-bomb",
)  # fmt: skip


class HostilePluginTests(HostilePluginsCase):
    """
    By whoever runs the tests, with what this machine has. All of them: `tests.thorough.test_hostilePlugins`.
    """

    def test_few(self) -> None:
        """A few of each kind."""
        self.stopped({name: ATTACKS[name] for name in A_FEW})

    test_few.timeout = 600  # type: ignore[attr-defined]

    def test_many(self) -> None:
        """There are as many as were promised."""
        self.assertGreaterEqual(len(ATTACKS), 160)
