"""Tests for `revproxy.worker.stagedchange`: what comes last, while requests are served: updates, and a handover."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from revproxy.control.changes import ChangeRequest
from tests.control.test_coordinator import COUNTING, code
from tests.witnesses import WitnessCase, witnessed

UPDATED = """
    def validateConfig(self, config): pass
    def says(self):
        return self.config["value"]
    def updateConfig(self, config):
        self.config = dict(config)
        return self.witness.update(self.config["value"])
    def checkHealth(self):
        if self.config["value"] == "ill":
            raise ValueError("unwell")
        return self.witness.check(self.config["value"])
"""


class UpdateCase(WitnessCase):
    """Plugins a and b take their configuration in place; requests come whenever they may."""

    def setUp(self) -> None:
        super().setUp()
        self.served: list[list[str]] = []
        self.hold = 0.0
        self.witness.update = self.update  # type: ignore[attr-defined]
        self.witness.check = lambda value: None  # type: ignore[attr-defined]
        for name in "ab":
            self.bench.write(name, witnessed(UPDATED, "IConfigurable, IHealthCheck"), config={"value": "old"})
        self.bench.start()

    def update(self, value: str) -> Any:
        """A request has come that is served when the reactor turns."""
        self.bench.clock.callLater(0, lambda: self.served.append(self.bench.seen()))
        self.bench.clock.rightNow += self.hold

    def change(self, a: str, b: str) -> None:
        """Both get another configuration."""
        for name, value in (("a", a), ("b", b)):
            self.bench.write(name, witnessed(UPDATED, "IConfigurable, IHealthCheck"), config={"value": value})
        self.apply()
        self.bench.clock.advance(0)


class UpdateTests(UpdateCase):
    """A configuration that is taken at once is judged at once."""

    def test_taken(self) -> None:
        """Requests meet all of the old, or all of the new."""
        self.change("new", "new")
        self.assertEqual(self.served, [["new", "new"]] * 2)

    def test_refused(self) -> None:
        """No request meets one that turns out to be unhealthy, nor the others of the change."""
        self.change("new", "ill")
        self.assertEqual(self.bench.seen(), ["new", "old"])
        self.assertIn("unwell", self.bench.failure("b"))
        self.assertEqual(self.served, [["new", "old"]] * 5)  # two, of which both are taken back, and one again

    def test_refusedFirst(self) -> None:
        """The first that is unhealthy is found before another one is updated."""
        self.change("ill", "new")
        self.assertEqual(self.bench.seen(), ["old", "new"])
        self.assertEqual(self.served, [["old", "new"]] * 3)

    def test_slow(self) -> None:
        """After one that held the reactor requests are served before another call of a plugin."""
        self.hold = 1.0
        self.change("ill", "old")
        self.assertEqual(self.served[0], ["ill", "old"])
        self.assertEqual(self.bench.seen(), ["old", "old"])

    def test_later(self) -> None:
        """What answers later is seen before it is judged; it is taken back in the same moment that it fails."""
        waiting: Deferred[None] = Deferred()
        self.witness.check = lambda value: waiting if value == "new" else None  # type: ignore[attr-defined]
        self.bench.write("a", witnessed(UPDATED, "IConfigurable, IHealthCheck"), config={"value": "new"})
        done = self.bench.later(self.bench.coordinator.apply())
        self.bench.clock.advance(0)
        self.assertEqual(self.bench.seen(), ["new", "old"])
        waiting.errback(ValueError("unwell"))
        self.assertEqual(self.bench.seen(), ["old", "old"])
        self.assertIn("unwell", self.successResultOf(done).refused[0].message)


WAITING = COUNTING.replace("def exportState(self):", "async def exportState(self):").replace(
    'return {"count": self.count}', 'count = self.count; await self.witness.wait("export"); return {"count": count}'
)


class HandoverTests(WitnessCase):
    """Plugin a counts, and takes its time to tell how far it has come."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a", witnessed(WAITING, "IStateful"))
        self.bench.start()

    def begin(self) -> Deferred[Any]:
        """A new version comes; the first handover is over, the second has begun."""
        self.bench.write("a", witnessed(WAITING, "IStateful") + "# new", version="2.0")
        done = self.bench.later(self.bench.coordinator.apply())
        self.bench.clock.advance(0)
        self.export()
        self.bench.clock.advance(0)
        self.assertNoResult(done)
        return done

    def export(self, seconds: float = 0.0) -> None:
        """It answers after some time."""
        waiting = self.witness.waits["export"]
        self.bench.clock.advance(seconds)
        waiting.callback(None)

    def test_none(self) -> None:
        """If no request came meanwhile, that is all."""
        done = self.begin()
        self.export()
        self.successResultOf(done)
        self.assertEqual(self.bench.seen(), ["1"])

    def test_again(self) -> None:
        """If one came, it is handed over once more, so that it counts."""
        done = self.begin()
        self.assertEqual(self.bench.seen(), ["1"])
        self.export()
        self.assertNoResult(done)
        self.export()
        self.successResultOf(done)
        self.assertEqual(self.bench.seen(), ["2"])
        self.assertNotIn(("handover-lost", "a"), self.bench.kinds())

    def test_noEnd(self) -> None:
        """If there is no end to them, some are left out, and an event says how many."""
        done = self.begin()
        for _ in range(3):
            self.bench.seen()
            self.export()
            self.assertNoResult(done)
        self.bench.seen()
        self.bench.seen()
        self.export()
        self.successResultOf(done)
        self.assertEqual(self.bench.seen(), ["4"])
        (event,) = (event for event in self.bench.events.latest(10) if event.kind == "handover-lost")
        self.assertIn("2 requests", event.text)

    def test_slow(self) -> None:
        """One that takes long is not asked again: requests would only come again."""
        done = self.begin()
        self.bench.seen()
        self.export(2)
        self.successResultOf(done)
        self.assertIn(("handover-lost", "a"), self.bench.kinds())

    def test_neighbour(self) -> None:
        """What another plugin counts while this one takes its time is handed over, too."""
        self.bench.write("b", code(body=COUNTING, interfaces="IStateful"))
        self.apply()
        self.bench.write("b", code(body=COUNTING, interfaces="IStateful") + "# new", version="2.0")
        self.bench.write("a", witnessed(WAITING.replace('await self.witness.wait("export"); ', ""), "IStateful"))
        done = self.begin()
        self.bench.seen()
        self.bench.seen()
        while not done.called:
            self.export()
        self.successResultOf(done)
        self.assertEqual(self.bench.seen(), ["3", "3"])

    def test_slowUpdate(self) -> None:
        """What is counted while another plugin takes its time to take a configuration is handed over, however long."""
        text = witnessed(UPDATED, "IConfigurable, IHealthCheck")
        self.witness.update = self.witness.check = lambda value: None  # type: ignore[attr-defined]
        self.bench.write("b", text, config={"value": "old"})
        self.bench.write("a", code(body=COUNTING, interfaces="IStateful"))
        done = self.bench.later(self.bench.coordinator.apply())
        self.bench.clock.advance(0)
        self.export()
        self.bench.clock.advance(0)
        self.export()
        self.successResultOf(done)
        self.witness.update = lambda value: self.witness.wait("update")  # type: ignore[attr-defined]
        self.bench.write("b", text, config={"value": "new"})
        self.bench.write("a", code(body=COUNTING, interfaces="IStateful") + "# new")
        done = self.bench.later(self.bench.coordinator.apply())
        self.bench.clock.advance(0)
        self.bench.seen()
        self.bench.clock.advance(3)
        self.witness.waits["update"].callback(None)
        self.successResultOf(done)
        self.assertEqual(self.bench.seen(), ["2", "new"])

    def test_lost(self) -> None:
        """A state that cannot be had, where that is allowed, is told of once and not asked for again."""
        broken = WAITING.replace('return {"count": count}', 'return {"count": count} if self.witness.flags else 1 / 0')
        self.bench.write("b", witnessed(broken, "IStateful"))
        self.apply()
        self.witness.flags.add("well")
        self.bench.write("b", code(body=COUNTING, interfaces="IStateful"), version="2.0")
        done = self.bench.later(self.bench.coordinator.apply(ChangeRequest(withoutState=True)))
        while not done.called:
            self.bench.clock.advance(0)
            self.bench.seen()
            self.export()
            self.witness.flags.clear()
        self.assertEqual(self.bench.kinds().count(("handover-lost", "b")), 1)

    def test_update(self) -> None:
        """A configuration that is taken in place is not seen while another plugin takes its time."""
        text = witnessed(UPDATED.replace("return self.witness", "self.witness"), "IConfigurable, IHealthCheck")
        self.witness.update = self.witness.check = lambda value: None  # type: ignore[attr-defined]
        self.bench.write("b", text, config={"value": "old"})
        self.apply()
        self.bench.write("b", text, config={"value": "new"})
        done = self.begin()
        self.assertEqual(self.bench.seen(), ["1", "old"])
        self.export()
        self.export()
        self.successResultOf(done)
        self.assertEqual(self.bench.seen(), ["2", "new"])

    def test_updateAgain(self) -> None:
        """Nor where that one is asked again: a configuration is not seen before nothing else can be refused."""
        text = witnessed(UPDATED.replace("return self.witness", "self.witness"), "IConfigurable, IHealthCheck")
        self.witness.update = self.witness.check = lambda value: None  # type: ignore[attr-defined]
        self.bench.write("b", text, config={"value": "old"})
        self.apply()
        self.bench.write("b", text, config={"value": "new"})
        done = self.begin()
        self.assertEqual(self.bench.seen(), ["1", "old"])
        self.export()
        self.assertNoResult(done)
        self.assertEqual(self.bench.seen(), ["2", "old"])
        while not done.called:
            self.export()
        self.successResultOf(done)
        self.assertEqual(self.bench.seen(), ["3", "new"])
