"""What a process has to be before anybody is given it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.lock.layers import NAMES, OPTIONAL, Layer, Layers, Lock, Report
from revproxy.isolation.process import made


class MadeTests(SynchronousTestCase):
    """`Made.wrong`."""

    def wrong(self, use: frozenset[str]) -> str:
        """Of a process that has put on all but Landlock, and that was to use some optional layers."""
        layers = Layers(tuple(Layer(name, "it broke" if name == "landlock" else "") for name in NAMES))
        process: Any = SimpleNamespace(report=Report(layers), pid=1)
        self.patch(made, "checkOutside", lambda pid, lock: ())
        return made.Made(process, Lock(1 << 30, 1, (), None, use), None).wrong("C")

    def test_whatTheMachineHas(self) -> None:
        """A layer that the machine has is one that each process has, whatever the minimum is."""
        self.assertIn("landlock: it broke", self.wrong(frozenset(OPTIONAL)))
        self.assertEqual(self.wrong(frozenset(OPTIONAL) - {"landlock"}), "")
