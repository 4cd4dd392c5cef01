"""What a plugin counts by itself is shown, over all its instances and versions."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.behaviour.test_failuresStayApart import FailingCase
from tests.control.commands import commanded

COUNTS = """
    def attach(self, host):
        self.seen = host.counter("b_requests_total", "Requests.", ["mark"])
    def handle(self, context):
        self.seen.inc(mark="any")
        self.stage.visit(self, "in", context)
        return True
"""


class FiguresTests(FailingCase):
    """A counter of plugin b."""

    def figures(self) -> list[Any]:
        """As `revproxy plugins b --json` has them."""
        asked = Deferred.fromCoroutine(commanded(self.bench.control, "plugins", name="b"))
        (plugin,) = self.successResultOf(asked)
        return plugin["figures"]  # type: ignore[no-any-return]

    def test_goesOn(self) -> None:
        """After a swap the next version's goes on where the one before has ended."""
        self.begin(body=COUNTS, interfaces=", IHosted")
        for number in range(3):
            self.ask(f"/{number}")
        self.bench.stamp("b", "2", body=COUNTS, interfaces=", IHosted", version="2.0")
        self.ask("/last")
        self.bench.apply()
        self.ask("/next")
        self.assertEqual(self.figures(), [{
            "name": "b_requests_total", "kind": "counter", "description": "Requests.",
            "series": [{"labels": {"mark": "any"}, "value": 5.0}],
        }])  # fmt: skip
