"""Tests for `revproxy.worker.stagedtrials`: instances of versions on trial, from their making to their end."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from revproxy.plan.catalog import CatalogEntry
from revproxy.plan.words import Notice, Remains
from revproxy.worker.lifecycle.instance import Instance
from tests.trials import NONE, onTrial, trial
from tests.worker.rollout.trialcase import TrialCase, answering

COUNTS = """
    def __init__(self, config):
        self.config = dict(config)
        self.seen = {}
        self.started = self.stopped = 0
    def start(self): self.started += 1
    def stop(self): self.stopped += 1
    def handleResponse(self, context):
        host = context.request.peer.host
        self.seen[host] = self.seen.get(host, 0) + 1
    def exportState(self): return dict(self.seen)
    def importState(self, state, version):
        for host, count in state.items():
            self.seen[host] = max(count, self.seen.get(host, 0))
"""

FAILS = """
    def start(self): raise ValueError("no")
    def stop(self): pass
"""


def counting(number: str, **manifest: Any) -> CatalogEntry:
    """Keeps how often it has seen each client, and of two figures the larger."""
    return answering("a", number, COUNTS, "IResponseMiddleware, ILifecycle, IStateful", **manifest)


class StagedTrialsTests(TrialCase):
    """A stateful plugin that runs, and one after it that answers."""

    def setUp(self) -> None:
        super().setUp()
        self.a, self.b = counting("1.0"), answering("b", config={"last": True})
        self.runs(self.a, self.b)

    @property
    def running(self) -> Instance:
        [instance] = self.worker.staging.running.of("a")  # type: ignore[union-attr]
        return instance

    @property
    def candidate(self) -> Instance:
        [instance] = self.worker.staging.running.candidates.values()  # type: ignore[union-attr]
        return instance

    def test_made(self) -> None:
        """It is made, started and handed over to, and what runs is as it was."""
        before = self.running
        self.seen()
        self.runs(self.a, self.b, tried=[(trial("a", canary=NONE), [counting("2.0")])])
        self.assertIs(self.running, before)
        self.assertEqual((self.candidate.object.started, self.candidate.object.seen), (1, {"192.0.2.1": 1}))
        self.assertEqual(self.worker.staging.running.allVersions,  # type: ignore[union-attr]
                         [before.version, *self._versionsOf("b"), self.candidate.version])  # fmt: skip

    def _versionsOf(self, name: str) -> list[Any]:
        return [self.worker.staging.running.versions[name]]  # type: ignore[union-attr]

    def test_kept(self) -> None:
        """Over ramps and changes of others it is the same one."""
        newer = counting("2.0")
        self.runs(self.a, self.b, tried=[(trial("a", canary=NONE), [newer])])
        before = self.candidate
        self.runs(self.a, answering("b", "1.1", config={"last": True}), tried=[(trial("a"), [newer])])
        self.assertIs(self.candidate, before)
        self.assertEqual((before.object.started, self.seen()), (1, "a 2.0;b 1.1;"))

    def test_promoted(self) -> None:
        """It becomes what runs, not made anew, and has what the one before it has counted besides."""
        newer = counting("2.0")
        self.runs(self.a, self.b, tried=[(trial("a", canary=NONE), [newer])])
        old, candidate = self.running, self.candidate
        self.seen("192.0.2.7")
        self.runs(newer, self.b)
        self.assertIs(self.running, candidate)
        self.assertEqual(self.worker.staging.running.candidates, {})  # type: ignore[union-attr]
        self.assertEqual((candidate.object.started, candidate.object.seen), (1, {"192.0.2.7": 1}))
        self.settle()
        self.assertIsNone(old.object)

    def test_rolledBack(self) -> None:
        """What it has counted goes to what runs, and it ends, and is proved gone."""
        self.seen("192.0.2.7")
        self.runs(self.a, self.b, tried=[(trial("a"), [counting("2.0")])])
        self.seen("192.0.2.8")
        candidate = self.candidate
        stopped = candidate.object
        self.runs(self.a, self.b)
        self.assertEqual(self.running.object.seen, {"192.0.2.7": 1, "192.0.2.8": 1})
        self.settle()
        self.assertEqual((candidate.object, stopped.stopped), (None, 1))

    def test_rescued(self) -> None:
        """A rescue hands back, too; what is at work in requests then is ended later."""
        self.runs(self.a, self.b, tried=[(trial("a"), [counting("2.0")])])
        self.seen("192.0.2.8")
        candidate = self.candidate
        self.become(self.plan(9, self.settings, self.a, self.b), withoutState=True, isRescue=True)
        self.assertEqual(self.running.object.seen, {"192.0.2.8": 1})
        self.assertEqual(self.seen(), "a 1.0;b 1.0;")
        self.settle(5)
        self.assertIsNone(candidate.object)

    def test_handBackHangs(self) -> None:
        """A rescue waits for no plugin: a quarter of a second for each of its steps."""
        hangs = COUNTS.replace("return dict(self.seen)", "return Deferred()")
        worse = answering("a", "2.0", hangs, "IResponseMiddleware, ILifecycle, IStateful")
        self.runs(self.a, self.b, tried=[(trial("a"), [worse])])
        self.candidate.object.exportState.__func__.__globals__["Deferred"] = Deferred
        began = self.reactor.seconds()
        self.become(self.plan(9, self.settings, self.a, self.b), withoutState=True, isRescue=True)
        self.assertLess(self.reactor.seconds() - began, 1.0)
        self.assertEqual(self.seen(), "a 1.0;b 1.0;")

    def test_oneOfTwo(self) -> None:
        """Where one trial ends, the other goes on with its instance."""
        newer, last = counting("2.0"), answering("b", "2.0", config={"last": True})
        self.runs(self.a, self.b, tried=[(trial("a"), [newer]), (trial("b"), [last])])
        self.assertEqual(self.seen(), "a 2.0;b 2.0;")
        kept = self.worker.staging.running.candidateVersions["b"]  # type: ignore[union-attr]
        self.runs(newer, self.b, tried=[(trial("b"), [last])])
        self.assertEqual(self.worker.staging.running.candidateVersions, {"b": kept})  # type: ignore[union-attr]
        self.assertEqual(self.seen(), "a 2.0;b 2.0;")

    def test_provedGone(self) -> None:
        """Nothing of it stays in memory: neither of one that has served and was taken back, nor of one it replaced."""
        for number in range(2):
            self.runs(self.a, self.b, tried=[(trial("a", id=str(number)), [counting(f"2.{number}")])])
            self.seen()
            self.runs(self.a, self.b)
            self.settle()
        newer = counting("3.0")
        self.runs(self.a, self.b, tried=[(trial("a", id="last"), [newer])])
        self.seen()
        self.runs(newer, self.b)
        self.seen()
        self.settle(10)
        self.assertEqual([word for word in self.told if isinstance(word, Remains)], [])
        self.assertEqual(self.worker.retirement.counts(), {})

    def test_handBackFails(self) -> None:
        """The roll-back is made all the same, and it is told; what runs has what it had."""
        self.seen("192.0.2.7")
        bad = COUNTS.replace("return dict(self.seen)", "raise ValueError('no')")
        worse = answering("a", "2.0", bad, "IResponseMiddleware, ILifecycle, IStateful")
        self.runs(self.a, self.b, tried=[(trial("a"), [worse])])
        self.told.clear()
        self.runs(self.a, self.b)
        self.assertEqual(self.running.object.seen, {"192.0.2.7": 1})
        [notice] = [word for word in self.told if isinstance(word, Notice)]
        self.assertEqual(notice.kind, "handover-lost")

    def test_doesNotStart(self) -> None:
        """Refused by its name and version; what was to be made is ended, and what runs untouched."""
        bad = answering("a", "2.0", FAILS, "ILifecycle")
        plan = onTrial(self.plan(2, self.settings, self.a, self.b), (trial("a"), [bad]))
        before = self.running
        [why] = self.prepare(plan)
        self.assertIn("start", why)
        self.abandon()
        self.assertIs(self.running, before)
        self.assertEqual(self.seen(), "a 1.0;b 1.0;")

    def test_configuration(self) -> None:
        """The same code with another configuration is on trial by itself, and is what is promoted then."""
        other = counting("1.0", config={"mark": "!"})
        self.assertTrue(other.isCodeOf(self.a))
        self.runs(self.a, self.b, tried=[(trial("a"), [other])])
        candidate = self.candidate
        self.assertIsNot(candidate.version, self.running.version)
        self.assertEqual(self.seen(), "a 1.0!;b 1.0;")
        old = self.running
        self.runs(other, self.b)
        self.assertIs(self.running, candidate)
        self.settle()
        self.assertIsNone(old.object)

    def test_configurationRolledBack(self) -> None:
        """Or what runs stays."""
        old = self.running
        self.runs(self.a, self.b, tried=[(trial("a"), [counting("1.0", config={"mark": "!"})])])
        candidate = self.candidate
        self.runs(self.a, self.b)
        self.assertIs(self.running, old)
        self.settle()
        self.assertIsNone(candidate.object)

    def test_superseded(self) -> None:
        """A newer one takes its place; the earlier one ends."""
        self.runs(self.a, self.b, tried=[(trial("a", id="1"), [counting("2.0")])])
        earlier = self.candidate
        self.runs(self.a, self.b, tried=[(trial("a", id="2"), [counting("3.0")])])
        self.assertEqual(self.seen(), "a 3.0;b 1.0;")
        self.settle()
        self.assertIsNone(earlier.object)

    def test_end(self) -> None:
        """When the edge ends, it is stopped as the others are."""
        self.runs(self.a, self.b, tried=[(trial("a"), [counting("2.0")])])
        candidate = self.candidate.object
        self.done(self.worker.endPlugins())
        self.assertEqual(candidate.stopped, 1)


class FirstPlanTests(TrialCase):
    """The first plan of an edge that goes on with a rollout."""

    def test_both(self) -> None:
        """Both versions are there from the beginning."""
        last = answering("b", config={"last": True})
        self.runs(counting("1.0"), last, tried=[(trial("a"), [counting("2.0")])])
        self.assertEqual(self.seen(), "a 2.0;b 1.0;")
        self.runs(counting("1.0"), last)
        self.assertEqual(self.seen(), "a 1.0;b 1.0;")
