"""
Hostile code in a locked process, by whoever runs the tests; as root, as nobody, and on lesser machines in
`tests.thorough.test_attacks`.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.isolation.lock.arena import Setup
from tests.isolation.lock.arenas import run, told
from tests.isolation.lock.attacks import ALL
from tests.isolation.lock.inchildren import machine


class AttackTests(SynchronousTestCase):
    """
    With all that this machine has, and with the floor alone.
    """

    def stopped(self, setup: Setup, level: str | None) -> None:
        """All attacks are, at that level."""
        layers, outcomes = run(setup)
        self.assertEqual(layers.level, level)
        self.assertEqual(told(outcomes, "worked"), [])
        self.assertEqual(len(outcomes), len(ALL))

    def test_all(self) -> None:
        """With every layer that there is."""
        self.stopped(Setup(), machine().level)

    def test_floor(self) -> None:
        """With nothing but the floor: it is enough."""
        self.stopped(Setup(without=("namespaces", "Landlock")), "C")

    def test_many(self) -> None:
        """There are as many as were promised, each under a name of its own."""
        self.assertGreaterEqual(len({attack.name for attack in ALL}), 120)
        self.assertEqual(len({attack.name for attack in ALL}), len(ALL))
