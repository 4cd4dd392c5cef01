"""
Whatever a plugin in a locked process does and says, the edge serves, and other plugins are as they were.
"""

from __future__ import annotations

import os

from tests.behaviour.arenaedge import ArenaCase, Outcome
from tests.behaviour.hostiles import ATTACKS, Hostile

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

    def batch(self, attacks: dict[str, Hostile]) -> list[Outcome]:
        """Those of one edge."""
        edge = self.arena(attacks)
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


class HostilePluginTests(HostilePluginsCase):
    """
    By whoever runs the tests, with what this machine has.
    """

    def test_all(self) -> None:
        """All attacks are stopped."""
        self.stopped(ATTACKS)

    test_all.timeout = 1200  # type: ignore[attr-defined]
