"""
What control knows of targets.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.targetstates import UP, TargetState, TargetStates
from revproxy.plan.events import WARNINGS, EventLog
from revproxy.plan.words import TargetChanged
from tests.control.conversations import makeConfig

TWO = "upstreams: {web: {targets: ['http://a', 'http://b']}}\n"


class TargetStatesTests(SynchronousTestCase):
    """
    Two targets, as two workers find them.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.events = EventLog(self.clock.seconds)
        self.states = TargetStates(self.events)
        self.states.committed(makeConfig(TWO))

    def says(self, worker: int, host: str, reason: str | None = "refused") -> None:
        """A worker passes a target over, or, with None, no longer."""
        self.clock.advance(1)
        self.states.changed(worker, TargetChanged("web", f"http://{host}", reason is None, reason or ""))

    def told(self) -> list[str]:
        """Events since this was asked last."""
        told = [f"{event.kind} {event.text}" for event in self.events.latest(99)]
        self.events = self.states._events = EventLog(self.clock.seconds)
        return told

    def test_downAndUp(self) -> None:
        """A target that is passed over, and answers again; the failure is remembered."""
        self.says(0, "a")
        self.assertEqual(self.states.of("web", "http://a"), TargetState(False, 1.0, 1.0, "refused"))
        self.says(0, "a", None)
        self.assertEqual(self.states.of("web", "http://a"), TargetState(True, 2.0, 1.0, "refused"))
        self.assertEqual(self.told(), [
            "target-down upstream web: http://a is passed over: refused",
            "target-up upstream web: http://a answers again",
        ])  # fmt: skip
        self.assertEqual(self.states.of("web", "http://b"), UP)

    def test_about(self) -> None:
        """Programs are told which upstream, and which target."""
        for host in "ab":
            self.says(0, host)
        self.assertEqual([event.about for event in self.events.latest(9)], [
            {"upstream": "web", "target": "http://a"}, {"upstream": "web", "target": "http://b"}, {"upstream": "web"}])

    def test_severalWorkers(self) -> None:
        """It is down from the first worker that passes it over to the last, and what was said last is why."""
        for worker in range(3):
            self.says(worker, "a", f"refused {worker}")
        self.assertEqual(self.states.of("web", "http://a"), TargetState(False, 1.0, 3.0, "refused 2"))
        for worker in (1, 0):
            self.says(worker, "a", None)
        self.assertEqual(len(self.told()), 1)
        self.says(2, "a", None)
        self.assertEqual(self.told(), ["target-up upstream web: http://a answers again"])

    def test_unheardOf(self) -> None:
        """That one answers again that never was down is no news."""
        self.says(0, "a", None)
        self.assertEqual(self.told(), [])

    def test_upstream(self) -> None:
        """With the last target the upstream is down; with the first that answers it is not."""
        self.says(0, "a")
        self.assertFalse(self.states.isDown("web"))
        self.says(0, "b", "timed out")
        self.assertTrue(self.states.isDown("web"))
        self.says(0, "a", None)
        self.assertFalse(self.states.isDown("web"))
        self.assertEqual(self.told()[1:], [
            "target-down upstream web: http://b is passed over: timed out",
            "upstream-down upstream web: none of its 2 targets answers: timed out",
            "target-up upstream web: http://a answers again",
            "upstream-up upstream web: http://a answers again",
        ])  # fmt: skip

    def test_eachAnother(self) -> None:
        """Two workers that pass over one target each still have one each."""
        self.says(0, "a")
        self.says(1, "b")
        self.assertEqual(self.states.upstreamsDown, [])
        self.says(0, "b")
        self.assertEqual(self.states.upstreamsDown, ["web"])

    def test_only(self) -> None:
        """A single target is tried all the same."""
        self.states.committed(makeConfig("upstreams: {web: {targets: ['http://a']}}\n"))
        self.says(0, "a")
        self.assertEqual(self.told(), [
            "target-down upstream web: http://a fails, and there is no other: refused",
            "upstream-down upstream web: its only target does not answer: refused",
        ])  # fmt: skip

    def test_gone(self) -> None:
        """What is not configured any more is not down any more, and nothing of it is kept."""
        self.says(0, "a")
        self.says(1, "a")
        self.says(0, "b")
        self.told()
        self.states.committed(makeConfig("upstreams: {web: {targets: ['http://b']}}\n"))
        self.assertEqual(self.told(), [
            "target-up upstream web: http://a is not passed over any more: it is no target of this upstream any more"])
        self.states.committed(makeConfig(""))
        self.assertEqual(self.told(), [
            "target-up upstream web: http://b is not passed over any more: it is no target of this upstream any more",
            "upstream-up upstream web: it is not configured any more",
        ])  # fmt: skip
        self.assertEqual((self.states._states, self.states._down, self.states.upstreamsDown), ({}, {}, []))

    def test_madeAnew(self) -> None:
        """Nothing is held against a target whose upstream is made anew."""
        self.says(0, "a")
        self.states.changed(0, TargetChanged("web", "http://a", True, "its upstream is another one now"))
        self.assertEqual(self.told()[1:], [
            "target-up upstream web: http://a is not passed over any more: its upstream is another one now"])

    def test_business(self) -> None:
        """That something is down is somebody's business at night; that it is up again is not."""
        self.assertEqual({"target-down", "upstream-down"} - WARNINGS, set())
        self.assertEqual({"target-up", "upstream-up"} & WARNINGS, set())
