"""
One rollout: in which step it is, what was seen, and what workers are to take part in. It waits for nothing, and changes
nothing but itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import msgspec

from revproxy.config.rolloutpolicy import Step
from revproxy.control.planning.ongoing import Ending, Newcomer, Ongoing
from revproxy.control.rollout.decision import STAY, Decision, decide
from revproxy.control.rollout.draw import canaryOf, drawPermutation, drawSalt
from revproxy.control.rollout.judge import Judge
from revproxy.control.rollout.machine import ENDS, WAITING, Passage, Transition, lifeOf, moveOn
from revproxy.control.rollout.preflight import PreflightReport
from revproxy.control.rollout.sharewatch import ShareWatch
from revproxy.control.rollout.verdict import Verdict
from revproxy.plan.catalog import Entries
from revproxy.plan.evidence import TrialEvidence, TrialPairs
from revproxy.plan.trial import BUCKETS, Thresholds, Trial

LONGEST_TICK = 5.0
"""Seconds that one second may have lasted: what is more is a clock that was set, or a machine that slept."""

MOST_NOTES = 100
"""Of what else happened meanwhile, the last are kept."""

NOBODY = bytes(BUCKETS // 8)
"""No bucket is the candidate's."""

NOTHING_YET = Verdict("undecided", "it has not met any request yet")
WAITS = Verdict("undecided", "it waits until another rollout is over")


class Note(msgspec.Struct, frozen=True):
    """Something else happened meanwhile, at this time, in seconds since the epoch."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Entering:
    """
    The step that one is about to come into, why, and by whom; with what workers take part in then.

    :ivar wasHeld: whether it was held when that was asked for; who holds it later has it held there.
    """

    trial: Trial
    index: int
    reason: str
    by: str
    wasHeld: bool = False


class Rollout:
    """
    One.

    :ivar id: no other has it.
    :ivar newcomer: what is rolled out, and how.
    :ivar bases: by name, what ran when it began.
    :ivar began: in seconds since the epoch, as ``since``, when its step began, and ``ended``; None: it goes on.
    :ivar index: of its step; -1: it waits.
    :ivar elapsed: seconds of its step, without those in which it was held, or no edge ran.
    :ivar isHeld: whether it stays in its step.
    :ivar judge: None: it has met no request.
    :ivar verdict: what that said last.
    :ivar trial: what workers take part in; None: nothing.
    :ivar entering: the step that it is about to have; None: none.
    :ivar isBusy: whether its next step is under way; ``isLeaving``: whether its end is.
    :ivar report: what came of its pre-flight.
    :ivar warnings: what is to be known of it; ``notes``: what else happened meanwhile.
    :ivar hasChanged: whether there is anything that is not written down.
    """

    def __init__(
        self,
        id: str,
        newcomer: Newcomer,
        bases: Entries,
        now: Callable[[], float],
        permutation: tuple[int, ...] = (),
        salt: bytes = b"",
        passage: Passage | None = None,
    ) -> None:
        """
        :param now: seconds since the epoch.
        :param permutation: of the buckets; empty: it is drawn, as is ``salt``.
        :param passage: through which states it came; None: it is new.
        """
        self.id = id
        self.newcomer = newcomer
        self.bases = bases
        self.now = now
        self.permutation = permutation or drawPermutation()
        self.salt = salt or drawSalt()
        self.passage = passage or Passage(now)
        self.life = lifeOf(self.passage)
        self.began = self.since = now()
        self.ended: float | None = None
        self.index = -1
        self.elapsed = 0.0
        self.isHeld = False
        self.judge: Judge | None = None
        self.verdict = WAITS if self.state == WAITING else NOTHING_YET
        self.trial: Trial | None = None
        self.entering: Entering | None = None
        self.isBusy = self.isLeaving = False
        self.report: PreflightReport | None = None
        self.warnings: tuple[str, ...] = ()
        self.notes: list[Note] = []
        self.hasChanged = True
        self._ticked = now()
        self._shares: ShareWatch | None = None

    # What it is

    @property
    def name(self) -> str:
        """Of its plugin, or of the first of them."""
        return next(iter(self.newcomer.candidates))

    @property
    def state(self) -> str:
        """One of those of `revproxy.control.rollout.machine`."""
        return self.passage.state or WAITING

    @property
    def transitions(self) -> tuple[Transition, ...]:
        """Through which it came."""
        return tuple(self.passage.transitions)

    @property
    def isOver(self) -> bool:
        """Whether it is."""
        return self.state in ENDS

    @property
    def steps(self) -> tuple[Step, ...]:
        """All of them."""
        return self.newcomer.policy.steps

    @property
    def step(self) -> Step | None:
        """The one that it is in."""
        return self.steps[self.index] if 0 <= self.index < len(self.steps) and not self.isOver else None

    @property
    def nextIndex(self) -> int | None:
        """Of the step after this one; None: there is none."""
        return self.index + 1 if self.index + 1 < len(self.steps) else None

    @property
    def versions(self) -> str:
        """The candidates, for people."""
        many = len(self.newcomer.candidates) > 1
        return ", ".join(
            (f"{name} {entry.version.number}" if many else str(entry.version))
            + (" with another configuration" if name in self.newcomer.said else "")
            for name, entry in self.newcomer.candidates.items()
        )

    @property
    def named(self) -> str:
        """The candidates by name and number, for people: ``quota 1.3.0``."""
        return ", ".join(f"{name} {entry.version.number}" for name, entry in self.newcomer.candidates.items())

    def ongoing(self) -> Ongoing:
        """As changes find it."""
        instead = {name: entry.digest for name, entry in self.bases.items()}
        return Ongoing(self.id, self.newcomer, instead, self.trial)

    def isAbout(self, name: str, digest: str | None) -> bool:
        """Whether it has this version as a candidate; also where that is what runs, set otherwise."""
        entry = self.newcomer.candidates.get(name)
        return entry is not None and entry.digest == digest

    def trialOf(self, index: int, cookieKey: bytes) -> Trial:
        """What workers take part in, in one of its steps that is a shadow or a canary."""
        step, policy = self.steps[index], self.newcomer.policy
        isCanary = step.kind == "canary"
        return Trial(
            self.id,
            tuple(self.newcomer.candidates),
            "canary" if isCanary else "shadow",
            self.salt,
            canaryOf(self.permutation, step.share) if isCanary else NOBODY,
            policy.by,
            policy.testers,
            step.shadow if isCanary else step.share,
            known=self.thresholds(),
            cookieKey=cookieKey if policy.by.kind == "issued" else b"",
        )

    def rehearsalTrial(self) -> Trial:
        """One by which it is seen how its candidates would run. No worker is ever told of it."""
        return Trial(self.id, tuple(self.newcomer.candidates), "shadow", self.salt, NOBODY)

    def thresholds(self) -> Mapping[str, Thresholds]:
        """By plugin, where the running version's self time is, as far as it is known."""
        return {} if self.judge is None else dict(self.judge.thresholds)

    def judgesInterrupts(self) -> bool:
        """Whether that more requests are stopped, or fewer, speaks against a candidate."""
        entries = (*self.newcomer.candidates.values(), *self.bases.values())
        return all(entry.manifest.judgesInterrupts for entry in entries)

    # What happens to it

    def wait(self, reason: str, by: str) -> None:
        """It is there, and waits for its turn."""
        self.passage.enter(WAITING, reason, by)

    def enter(self, state: str, reason: str, by: str) -> None:
        """It comes into a state. :raises automat.NoTransition: it cannot."""
        moveOn(self.life, state, reason, by)
        self.hasChanged = True

    def beginStep(self, index: int, reason: str, by: str, trial: Trial | None = None) -> None:
        """
        It is in this step from now on.

        :param trial: that all workers have committed to; None: it is a pre-flight.
        """
        step, now = self.steps[index], self.now()
        self.enter(step.kind, reason, by)
        self.isHeld = self.isHeld and self.entering is not None and not self.entering.wasHeld
        self.index, self.since, self.elapsed, self._ticked = index, now, 0.0, now
        self.trial, self.entering = trial, None
        if trial is None:
            self.verdict = NOTHING_YET
            return
        if self.judge is None:
            expect = self.newcomer.policy.expect
            self.judge = Judge(interrupts=self.judgesInterrupts(), expect=expect, now=now)
        self.judge.begin(step, trial.canary, now)
        self.verdict = self.judge.verdict(now)
        self.watchShares()

    def watchShares(self) -> None:
        """Look from now on whether the canary carries more than its share, if this is one."""
        step = self.step
        isPart = step is not None and step.kind == "canary" and step.share < 1
        self._shares = ShareWatch(step.share) if step is not None and isPart else None

    def hold(self, reason: str, by: str) -> None:
        """It stays in its step."""
        self.passage.hold(reason, by)
        self.isHeld = self.hasChanged = True

    def resume(self, reason: str, by: str, isSeen: bool = True) -> None:
        """
        It goes on. Its step has as much time as it had at first.

        :param isSeen: whether somebody has seen what there is to see.
        """
        self.passage.resume(reason, by)
        self.isHeld, self.elapsed, self.hasChanged = False, 0.0, True
        if isSeen:
            self.accept()

    def accept(self) -> None:
        """Somebody has seen what the versions differ in."""
        if self.judge is not None:
            self.judge.accept()
            self.verdict = self.judge.verdict(self.now())

    def note(self, text: str) -> None:
        """Something else has happened meanwhile."""
        self.notes = [*self.notes, Note(self.now(), text)][-MOST_NOTES:]
        self.hasChanged = True

    def end(self, ending: Ending, by: str) -> None:
        """It is over."""
        self.enter(ending.state, ending.reason, by)
        self.ended, self.isHeld, self.entering, self.trial = self.now(), False, None, None

    # What is heard, and what follows

    def heard(self, evidence: TrialEvidence) -> None:
        """A worker has told what it saw."""
        if self.judge is not None and not self.isOver:
            self.judge.heard(evidence)
            self.hasChanged = True

    def compared(self, pairs: TrialPairs) -> None:
        """A worker has told what its shadow saw."""
        if self.judge is not None and not self.isOver:
            self.judge.compared(pairs)
            self.hasChanged = True

    def leaked(self, what: str) -> None:
        """Something of an instance of the candidate remains in memory."""
        if self.judge is not None and not self.isOver:
            self.judge.leaked(what)

    def tick(self) -> str:
        """
        A second is over.

        :returns: what is to be told of the candidate's share of requests; empty: nothing.
        """
        now = self.now()
        passed, self._ticked = now - self._ticked, now
        if not self.isHeld:
            self.elapsed += min(max(passed, 0.0), LONGEST_TICK)
            self.hasChanged = True
        if self._shares is None or self.judge is None:
            return ""
        running, candidate = self.judge.arms()
        return self._shares.look(running.requests, candidate.requests)

    def decision(self) -> Decision:
        """What is to be done now."""
        step = self.step
        if step is None or self.judge is None or step.kind == "preflight":
            return STAY
        self.verdict = self.judge.verdict(self.now())
        over = self.newcomer.policy.onInconclusive
        return decide(step, self.verdict, self.elapsed, self.isHeld, self.judge.isSuspicious, over)

    def withoutTesters(self) -> Newcomer:
        """What is rolled out, without the token of testers: that is the configuration's to say."""
        return replace(self.newcomer, policy=replace(self.newcomer.policy, testers=None))


__all__ = ["NOBODY", "Note", "Rollout"]
