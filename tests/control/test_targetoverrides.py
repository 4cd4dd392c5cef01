"""Targets that somebody has drained, or given another weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.actor import EDGE, Actor
from revproxy.control.commands import CommandError
from revproxy.control.crew import Crew
from revproxy.control.state.latestfile import LatestFile
from revproxy.control.targetoverrides import LONGEST, LastTarget, TargetOverrides, UnknownTarget
from revproxy.control.targetstates import TargetStates
from revproxy.plan.events import EventLog
from revproxy.plan.words import Target, TargetChanged
from tests.control.conversations import FakeLink, makeConfig

TWO = makeConfig("upstreams: {web: {targets: ['http://a', 'http://b']}}\n")
ONE = makeConfig("upstreams: {web: {targets: ['http://b']}}\n")
ANN = Actor("socket", "ann")


class Process:
    """
    An edge's control, as far as targets go.

    :ivar words: what its worker was told.
    :ivar records: what was audited.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.words: list[Any] = []
        self.records: list[tuple[Any, ...]] = []
        self.events = EventLog(clock.seconds)
        self.crew = Crew(clock)
        self.states = TargetStates(self.events)
        file = LatestFile(path, clock, maybeDeferred)
        self.overrides = TargetOverrides(self.states, self.crew, self.events, clock, file, self)  # type: ignore[arg-type]
        self.crew.standing = self.overrides.words
        self.crew.employ([FakeLink(self.words.append)])

    def record(self, actor: Actor, action: str, target: str, **more: Any) -> None:
        """In the place of the audit."""
        self.records.append((actor, action, target, *more.values()))

    def commit(self, config: Any) -> None:
        """Another configuration is in force."""
        self.states.committed(config)
        self.overrides.committed(config)

    def told(self) -> list[str]:
        """What has happened."""
        return [f"{event.kind} {event.text}" for event in self.events.latest(99)]


class TargetOverridesTests(SynchronousTestCase):
    """An upstream of two targets."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.path = folder / "targets.json"
        self.clock = Clock()
        self.clock.advance(1.7e9)
        self.edge = self.started()
        self.drain = self.edge.overrides.drain

    def started(self, config: Any = TWO) -> Process:
        """Another process."""
        process = Process(self.path, self.clock)
        self.addCleanup(process.overrides.stop)
        process.commit(config)
        return process

    def test_drain(self) -> None:
        """Workers are told, and people."""
        text = self.drain("web", "http://a", None, "new disk", ANN)
        self.assertEqual(text, "http://a takes no new requests")
        self.assertEqual(self.edge.words, [Target("web", "http://a", False)])
        self.assertEqual(self.edge.told(), [
            "target-drained upstream web: http://a takes no new requests, says ann: new disk"])
        text = self.edge.overrides.undrain("web", "http://a", "", ANN)
        self.assertEqual(text, "http://a takes requests again")
        self.assertEqual(self.edge.words[1:], [Target("web", "http://a", True)])
        self.assertEqual(self.edge.told()[1:], [
            "target-undrained upstream web: http://a takes requests again, says ann"])

    def test_weight(self) -> None:
        """A weight, beside a drain; each ends by itself."""
        overrides = self.edge.overrides
        overrides.weigh("web", "http://a", 7, None, "", ANN)
        self.drain("web", "http://a", None, "", ANN)
        overrides.weigh("web", "http://a", None, None, "", ANN)
        overrides.undrain("web", "http://a", "", ANN)
        self.assertEqual(self.edge.words, [
            Target("web", "http://a", True, 7),
            Target("web", "http://a", False, 7),
            Target("web", "http://a", False),
            Target("web", "http://a", True),
        ])  # fmt: skip
        self.assertEqual([text.partition(" ")[0] for text in self.edge.told()], [
            "target-weighed", "target-drained", "target-weighed", "target-undrained"])

    def test_audited(self) -> None:
        """Each change has one record, with who and why; also what ends by itself."""
        self.drain("web", "http://a", 60, "new disk", ANN)
        self.clock.advance(60)
        override = self.edge.records[0][4]
        self.assertEqual(self.edge.records, [
            (ANN, "drain", "web http://a", None, override, "new disk", self.edge.records[0][6]),
            (EDGE, "undrain", "web http://a", override, None, "its time is over", "http://a takes requests again"),
        ])  # fmt: skip
        self.assertEqual((override["by"], override["until"]), ("ann", 1.7e9 + 60))
        self.assertIn("http://a takes no new requests until 20", self.edge.records[0][6])
        self.assertEqual([event.about for event in self.edge.events.latest(9)],
                         [{"upstream": "web", "target": "http://a"}] * 2)

    def test_expiry(self) -> None:
        """It ends at its time, and not before; saying it again puts that off."""
        self.drain("web", "http://a", 60, "", ANN)
        self.clock.advance(59)
        self.drain("web", "http://a", 60, "", ANN)
        self.clock.advance(59)
        self.assertEqual(len(self.edge.words), 2)
        self.clock.advance(1)
        self.assertEqual(self.edge.words[2:], [Target("web", "http://a", True)])
        self.assertEqual(self.edge.told()[-1],
                         "target-undrained upstream web: http://a takes requests again: its time is over")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_longExpiry(self) -> None:
        """A time of days, too."""
        self.drain("web", "http://a", 86400, "", ANN)
        self.clock.pump([3600] * 23)
        self.assertEqual(len(self.edge.words), 1)
        self.clock.advance(3600)
        self.assertEqual(len(self.edge.words), 2)

    def test_stop(self) -> None:
        """What is said while the edge ends leaves no clock running."""
        self.edge.overrides.stop()
        self.drain("web", "http://a", 3600, "disk", ANN)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_restart(self) -> None:
        """What is in force still is told to the worker before its first plan; what is over by then has ended."""
        self.drain("web", "http://a", 3600, "disk", ANN)
        self.edge.overrides.weigh("web", "http://b", 5, 60, "", ANN)
        self.edge.overrides.stop()
        self.clock.advance(120)
        again = Process(self.path, self.clock)
        self.assertEqual(again.words, [Target("web", "http://a", False), Target("web", "http://b", True, 5)])
        again.commit(TWO)
        self.assertEqual(again.words[2:], [Target("web", "http://b", True)])
        self.clock.advance(3480)
        self.assertEqual(again.words[3:], [Target("web", "http://a", True)])
        self.assertEqual(self.started().words, [])

    def test_configuration(self) -> None:
        """It holds over a change of the configuration that keeps the target, and ends with the target."""
        self.drain("web", "http://a", None, "", ANN)
        self.edge.commit(makeConfig("upstreams: {web: {max_fails: 9, targets: ['http://a', 'http://b']}}\n"))
        self.assertEqual(len(self.edge.words), 1)
        self.edge.commit(ONE)
        self.assertEqual(self.edge.words[1:], [Target("web", "http://a", True)])
        self.assertEqual(self.edge.told()[-1], "target-undrained upstream web: http://a takes requests again: "
                         "it is no target of this upstream any more")
        self.edge.commit(TWO)
        self.assertEqual((len(self.edge.words), self.edge.overrides.of("web", "http://a")), (2, {}))

    def test_last(self) -> None:
        """The last that answers is drained only by force."""
        self.drain("web", "http://a", None, "", ANN)
        refused = self.assertRaises(LastTarget, self.drain, "web", "http://b", None, "", ANN)
        self.assertEqual(str(refused), "http://b of upstream web: all others are drained, and requests would be "
                         "answered 503; with force (--force) it is drained all the same")
        self.drain("web", "http://b", None, "", ANN, force=True)
        self.assertEqual(self.edge.told()[2:], [
            "upstream-down upstream web: all of its 2 targets are drained"])
        self.edge.overrides.undrain("web", "http://a", "", ANN)
        self.assertEqual(self.edge.told()[-1], "upstream-up upstream web: a target is back in service")

    def test_lastThatAnswers(self) -> None:
        """One that does not answer is nobody to fall back on."""
        self.edge.states.changed(0, TargetChanged("web", "http://a", False, "refused"))
        refused = self.assertRaises(LastTarget, self.drain, "web", "http://b", None, "", ANN)
        self.assertIn("of the others none answers: http://a", str(refused))
        self.assertEqual(self.edge.words, [])
        self.drain("web", "http://b", None, "", ANN, force=True)
        self.assertIn("upstream-down upstream web: none of its 2 targets answers, or they are drained: targets were "
                      "drained", self.edge.told())

    def test_only(self) -> None:
        """A single target."""
        self.edge.commit(ONE)
        refused = self.assertRaises(LastTarget, self.drain, "web", "http://b", None, "", ANN)
        self.assertIn("it is the only target", str(refused))

    def test_takenAway(self) -> None:
        """A configuration that leaves nobody but a drained one: the upstream is down, and says so."""
        self.drain("web", "http://b", None, "", ANN)
        self.edge.commit(ONE)
        self.assertEqual(self.edge.told()[-1],
                         "upstream-down upstream web: its only target is drained")
        self.edge.commit(TWO)
        self.assertEqual(self.edge.told()[-1], "upstream-up upstream web: it has other targets")

    def test_refused(self) -> None:
        """What there is not, what makes no sense."""
        overrides = self.edge.overrides
        for wrong, kind, text in (
            (lambda: self.drain("wed", "http://a", None, "", ANN), UnknownTarget, 'no upstream named "wed"; did'),
            (lambda: self.drain("web", "http://c", None, "", ANN), UnknownTarget, "it has http://a, http://b"),
            (lambda: overrides.undrain("web", "http://a", "", ANN), CommandError, "is not drained"),
            (lambda: overrides.weigh("web", "http://a", None, None, "", ANN), CommandError, "configured with"),
            (lambda: overrides.weigh("web", "http://a", 0, None, "", ANN), CommandError, "from 1 to 1000"),
            (lambda: overrides.weigh("web", "http://a", 1001, None, "", ANN), CommandError, "from 1 to 1000"),
            (lambda: self.drain("web", "http://a", LONGEST + 1, "", ANN), CommandError, "366 days"),
            (lambda: self.drain("web", "http://a", 0, "", ANN), CommandError, "more than nothing"),
        ):
            self.assertIn(text, str(self.assertRaises(kind, wrong)))
        self.assertEqual((self.edge.words, self.edge.told(), self.edge.records), ([], [], []))

    def test_damaged(self) -> None:
        """A file that cannot be understood is told, and nothing is drained."""
        self.path.write_bytes(b'[{"upstream": "web"}]')
        edge = self.started()
        self.assertEqual((edge.words, [event.kind for event in edge.events.latest(9)]), ([], ["ledger-damaged"]))
