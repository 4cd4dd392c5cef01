"""
Leads rollouts through their steps: hears what workers tell, has changes made, and tells what has become of each.

What is decided of one is decided elsewhere (`revproxy.control.rollout`), from values; what a change does to them, in
the change itself (`revproxy.control.rolling`), so that whatever else it is about, no rollout outlives what it is about.
Here is what lies between: a clock, the coordinator, and the book.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.control.actor import EDGE, Actor
from revproxy.control.changes import ChangeRefused, ChangeReport, ChangeRequest, Tried
from revproxy.control.coordinator import Coordinator
from revproxy.control.pinning import digestIn
from revproxy.control.planning.ongoing import Ending, Move, Newcomer, Ongoing, Rolled
from revproxy.control.planning.requireddifference import allDifferencesOf
from revproxy.control.rollout.cautions import cautions
from revproxy.control.rollout.machine import WAITING
from revproxy.control.rollout.preflight import Preflighting
from revproxy.control.rollout.rollout import Entering, Rollout
from revproxy.control.rollout.wording import passedText, stepText
from revproxy.control.rolloutbook import RolloutBook
from revproxy.control.rolloutchecks import RolloutChecks
from revproxy.control.state.records import Pin, PluginRecords
from revproxy.control.steering import Asker
from revproxy.plan.catalog import Catalog, Entries
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import BY_STEPS
from revproxy.plan.trial import Trial
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Evidence, Remains

MOST_AT_A_TIME = 3
"""Rollouts that workers take part in: with three there are eight arms."""

TICK = 1.0
"""Seconds between two looks at them."""

BY_EDGE = Asker(EDGE)

WANTED = "somebody wanted that"
"""Why, where whoever wanted it does not say so."""


class RolloutDriver:
    """
    That of one edge.

    Its events are ``rollout-started``, ``rollout-step``, ``rollout-held``, ``rollout-resumed``,
    ``rollout-inconclusive``, ``rollout-promoted``, ``rollout-rolled-back``, ``rollout-aborted``,
    ``rollout-superseded``, ``rollout-refused``, ``rollout-share`` and ``rollout-changed``.

    :ivar book: which there are.
    :ivar lastBegun: what began last; None: nothing has.
    :ivar checks: pre-flights that go on.
    """

    _log = Logger()

    def __init__(self, coordinator: Coordinator, clock: Any, book: RolloutBook, preflight: Preflighting) -> None:
        """:param clock: provides `IReactorTime`, in seconds since the epoch."""
        self.book = book
        self.checks = RolloutChecks(coordinator, preflight)
        self.lastBegun: Newcomer | None = None
        self._coordinator = coordinator
        self._events = coordinator.events
        self._clock = clock
        self._behind: set[str] = set()  # held until another is over
        self._due: dict[str, Ending] = {}  # could not be made yet, by the id of the rollout
        self._timer: IDelayedCall | None = None
        self._isStopped = False
        coordinator.ongoing = self._ongoing
        coordinator.former = lambda: self.book.former
        coordinator.configBefore = lambda: self.book.config
        coordinator.onRolled.append(self._rolled)
        coordinator.onCommitted.append(self._committed)

    def _ongoing(self) -> tuple[Ongoing, ...]:
        return tuple(each.ongoing() for each in self.book.going)

    def isolation(self, names: Iterable[str]) -> dict[str, str]:
        """By name, where plugins run."""
        plan = self._coordinator.plan
        found = {} if plan is None else {name: plan.find(name) for name in names}
        return {name: selected.isolation for name, selected in found.items() if selected is not None}

    def stop(self) -> None:
        """The edge is about to end: what is known is written down."""
        self._isStopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.checks.stopAll()
        self.book.save(isDue=False)

    # What is heard

    def heard(self, worker: int, word: Evidence) -> None:
        """A worker tells what versions on trial have shown."""
        for evidence in word.trials:
            if (rollout := self.book.get(evidence.trial)) is not None:
                rollout.heard(evidence)
        for pairs in word.pairs:
            if (rollout := self.book.get(pairs.trial)) is not None:
                rollout.compared(pairs)
        for each in self.book.going:
            self._look(each)
        self.book.save(isDue=False)

    def remains(self, word: Remains) -> None:
        """Something of a version is in memory long after it ended."""
        for rollout in self.book.going:
            isOnlySet = rollout.bases.get(word.plugin) is not None and (
                rollout.bases[word.plugin].digest == word.version.digest
            )  # then nobody can tell whose it was
            if rollout.isAbout(word.plugin, word.version.digest) and not isOnlySet:
                kinds = ", ".join(word.kinds)
                rollout.leaked(f"{kinds}, {word.seconds:.0f} s after it ended, held by "
                               f"{'; '.join(word.holders) or 'nobody who can be named'}")  # fmt: skip
                self._look(rollout)

    def tripped(self, name: str, version: VersionId, reason: str) -> None:
        """A candidate fails so often that it would be taken out, were it what runs."""
        for rollout in self.book.going:
            if rollout.isAbout(name, version.digest) and not rollout.isLeaving:
                self._leave(rollout, Ending("rolled-back", reason, True), BY_EDGE)

    def _look(self, rollout: Rollout) -> None:
        """Do what is to be done by what was seen."""
        if rollout.isLeaving or rollout.isOver or rollout.trial is None or self._coordinator.hasEnded:
            return
        decision = rollout.decision()
        if decision.what == "roll-back":
            self._leave(rollout, Ending("rolled-back", decision.reason, True), BY_EDGE)
        elif rollout.isBusy:
            return
        elif decision.what in ("hold", "inconclusive"):
            kind = "rollout-held" if decision.what == "hold" else "rollout-inconclusive"
            self.hold(rollout, decision.reason, BY_EDGE, kind)
        elif decision.what == "next":
            self._soon(rollout, self.goOn(rollout, decision.reason, BY_EDGE))

    def _tick(self) -> None:
        self._timer = None
        for rollout in self.book.going:
            overShare = rollout.tick()
            if overShare:
                rollout.note(overShare)
                self._tell("rollout-share", rollout, overShare)
            if rollout.id in self._due and not rollout.isLeaving:
                self._leave(rollout, self._due[rollout.id], BY_EDGE)
            self._look(rollout)
        self.book.save(isDue=False)
        self._tickLater()

    def _tickLater(self) -> None:
        if self.book.going and self._timer is None and not self._isStopped and self._coordinator.plan is not None:
            self._timer = self._clock.callLater(TICK, self._tick)

    # What changes do

    def _committed(self, before: Plan | None, plan: Plan) -> None:
        """All workers have this plan."""
        self.book.inForce(plan.config)
        ids = {trial.id for trial in plan.trials}
        for rollout in self.book.going:
            entering = rollout.entering
            if entering is not None and rollout.id in ids:
                self._entered(rollout, entering.index, entering.reason, entering.by, entering.trial)
            elif rollout.trial is not None and before is not None and rollout.id in ids:
                self._note(rollout, before, plan)

    def _note(self, rollout: Rollout, before: Plan, plan: Plan) -> None:
        told = [str(each) for each in allDifferencesOf(before, plan)]
        if told:
            text = "; ".join(told)
            rollout.note(text)
            self._tell("rollout-changed", rollout, f"meanwhile: {text}")

    def _entered(self, rollout: Rollout, index: int, reason: str, by: str, trial: Trial | None = None) -> None:
        rollout.beginStep(index, reason, by, trial)
        text = f"{rollout.versions}: {stepText(rollout.steps[index])}, step {index + 1} of {len(rollout.steps)}"
        self._tell("rollout-step", rollout, f"{text}: {reason}")
        self.book.save()
        self._tickLater()

    def _rolled(self, request: ChangeRequest, rolled: Rolled) -> None:
        """A change has ended some, or begun some."""
        for each, ending in rolled.ended:
            rollout = self.book.get(each.id)
            if rollout is not None:
                self._ended(rollout, ending, request)
        for newcomer in rolled.newcomers:
            self._begun(newcomer, request)
        hasOthers = self.book.former != rolled.former
        self.book.former = rolled.former
        if rolled.ended or rolled.newcomers or hasOthers:
            self.book.save()
        if rolled.ended:
            self._resumeBehind()
        self._beginWaiting()

    def _begun(self, newcomer: Newcomer, request: ChangeRequest) -> None:
        plan = self._coordinator.plan
        assert plan is not None
        bases = {name: plan.entries[name] for name in newcomer.candidates}
        rollout = Rollout(f"r{os.urandom(6).hex()}", newcomer, bases, self._clock.seconds)
        isAsked = request.rollout is not None and request.rollout.begins is newcomer
        isSaid = rollout.name in newcomer.said
        found = f"{'the configuration' if isSaid else f'the folder of {rollout.name}'} has {rollout.versions}"
        reason = (request.reason or f"revproxy rollout {rollout.name} start") if isAsked else found
        rollout.warnings = cautions(newcomer.candidates, newcomer.policy, self.isolation(newcomer.candidates))
        rollout.wait(reason, nameOf(request.actor))
        self.book.add(rollout)
        self.lastBegun = newcomer
        steps = ", ".join(map(stepText, rollout.steps))
        text = f"{rollout.versions} beside {', '.join(str(each.version) for each in bases.values())}: {steps}"
        self._tell("rollout-started", rollout, text, Asker(request.actor, request.reason))
        if not isAsked:
            self._record("rollout-start", rollout, Asker(request.actor, reason), f"comes by steps: {steps}")

    def _ended(self, rollout: Rollout, ending: Ending, request: ChangeRequest) -> None:
        self.checks.stop(rollout.id)
        self._due.pop(rollout.id, None)
        rollout.end(ending, nameOf(request.actor))
        self.book.close(rollout)
        asker = Asker(request.actor, ending.reason)
        self._tell(f"rollout-{ending.state}", rollout, f"{rollout.versions}: {ending.reason}", asker)
        if request.rollout is None or request.rollout.id != rollout.id:
            self._record(f"rollout-{ending.state}", rollout, asker, ending.state.replace("-", " "))
        self._readAgain(rollout)

    def _readAgain(self, rollout: Rollout) -> None:
        """A version that waited until this one was over comes now."""
        refusals = [self._coordinator.refused.of(name) for name in rollout.newcomer.candidates]
        if any(refusal is not None and refusal.stage == BY_STEPS for refusal in refusals):
            self._later(self._read())

    async def _read(self) -> None:
        try:
            await self._coordinator.apply()
        except ChangeRefused:
            pass  # an event says so

    def _resumeBehind(self) -> None:
        """Those that did not go together with one that is over go on."""
        behind, self._behind = self._behind, set()
        for rollout in self.book.going:
            if rollout.id in behind and rollout.isHeld:
                self.resume(rollout, Asker(EDGE, "what it waited for is over"), False)

    def _beginWaiting(self) -> None:
        """Those that wait begin, as far as there is room; of those that an edge before this one looked at, too."""
        if self._coordinator.plan is None or self._coordinator.hasEnded:
            return
        self._tickLater()  # after a restart, some are in the midst of a step
        active = sum(each.state != WAITING or each.isBusy for each in self.book.going)
        for rollout in self.book.going:
            if rollout.isBusy or rollout.isHeld:
                continue
            if rollout.state == "preflight" and not self.checks.isUnderWay(rollout.id):
                self._later(self._check(rollout))
            elif rollout.state == WAITING and active < MOST_AT_A_TIME:
                active += 1
                self._soon(rollout, self.goOn(rollout, "it is its turn", BY_EDGE))

    # What is done

    async def goOn(self, rollout: Rollout, reason: str, asker: Asker) -> ChangeReport:
        """
        Have it come to its next step, or serve all after the last.

        :raises ChangeRefused: it stays where it is.
        """
        self.checks.stop(rollout.id)
        index = rollout.nextIndex
        if index is None:
            return await self.promote(rollout, reason, asker)
        step, by = rollout.steps[index], nameOf(asker.actor)
        if step.kind == "preflight":
            self._entered(rollout, index, reason, by)
            self._record("rollout-step", rollout, asker, "in a pre-flight", reason)
            self._later(self._check(rollout))
            return ChangeReport()
        trial = rollout.trialOf(index, self.book.cookieKey)
        rollout.entering, rollout.isBusy = Entering(trial, index, reason, by, rollout.isHeld), True
        try:
            change = asker.request("rollout-step", subject=rollout.name, rollout=Move(rollout.id, trial=trial))
            report = await self._coordinator.apply(replace(change, reason=asker.reason or reason))
        finally:
            rollout.entering, rollout.isBusy = None, False
        if asker is not BY_EDGE:
            rollout.accept()  # whoever says that it goes on has seen what there is
        return report

    async def promote(self, rollout: Rollout, reason: str, asker: Asker) -> ChangeReport:
        """Have the candidates serve all. :raises ChangeRefused: they do not."""
        move = Move(rollout.id, ends=Ending("promoted", reason))
        change = asker.request("rollout-promote", change=partial(_follow, rollout), subject=rollout.name, rollout=move)
        rollout.isBusy = True
        try:
            return await self._coordinator.apply(replace(change, reason=asker.reason or reason))
        finally:
            rollout.isBusy = False

    async def end(self, rollout: Rollout, ending: Ending, asker: Asker) -> ChangeReport:
        """Have the candidates serve nobody, at once. :raises ChangeRefused: that cannot be done."""
        rollout.isLeaving = True
        try:
            action = "rollout-abort" if ending.state == "aborted" else "rollout-roll-back"
            change = asker.request(
                action, subject=rollout.name, rollout=Move(rollout.id, ends=ending), isRescue=True, withoutState=True
            )
            return await self._coordinator.apply(replace(change, reason=asker.reason or ending.reason))
        finally:
            rollout.isLeaving = False

    def hold(self, rollout: Rollout, reason: str, asker: Asker, kind: str = "rollout-held") -> None:
        """Have it stay in its step."""
        rollout.hold(reason, nameOf(asker.actor))
        self._tell(kind, rollout, f"{rollout.versions} stays in its step: {reason}", asker)
        self._record("rollout-hold", rollout, asker, "stays in its step", reason)
        self.book.save()

    def resume(self, rollout: Rollout, asker: Asker, isSeen: bool = True) -> None:
        """Have it go on. :param isSeen: whether somebody has seen what the versions differ in."""
        rollout.resume(asker.reason or WANTED, nameOf(asker.actor), isSeen)
        self._tell("rollout-resumed", rollout, f"{rollout.versions} goes on by what is seen", asker)
        self._record("rollout-resume", rollout, asker, "goes on by what is seen")
        self.book.save()
        self._beginWaiting()

    def _leave(self, rollout: Rollout, ending: Ending, asker: Asker) -> None:
        self._later(self._ending(rollout, ending, asker))

    async def _ending(self, rollout: Rollout, ending: Ending, asker: Asker) -> None:
        try:
            await self.end(rollout, ending, asker)
        except ChangeRefused as refused:
            if self.book.get(rollout.id) is not rollout or self._coordinator.hasEnded:
                return
            if rollout.id not in self._due:
                rollout.note(f"it could not go back: {refused}; that is tried again each second")
            self._due[rollout.id] = ending

    async def _check(self, rollout: Rollout) -> None:
        """Find out whether it is fit, and go on if it is."""
        index = rollout.index
        try:
            problems = await self.checks.problems(rollout)
        except CancelledError:
            return
        if self.book.get(rollout.id) is not rollout or rollout.index != index or self._coordinator.hasEnded:
            return
        others = self._tiedTo(rollout) if problems and rollout.report is None else ""
        if others:
            text = f"it may have to come after {others}, on trial as well, and waits until that is over"
            self.hold(rollout, f"{text}: {'; '.join(problems)}", BY_EDGE)
            self._behind.add(rollout.id)
        elif problems:
            ending = Ending("refused", f"it did not pass its pre-flight: {'; '.join(problems)}", True)
            await self._ending(rollout, ending, BY_EDGE)
        elif not rollout.isHeld:
            self._soon(rollout, self.goOn(rollout, passedText(rollout.report), BY_EDGE))

    def _tiedTo(self, rollout: Rollout) -> str:
        """Others that go on, and are tied to it by ``requires``; empty: none is."""
        mine = rollout.newcomer.candidates
        others = [each for each in self.book.going if each is not rollout]
        tied = [each for each in others if _isTied(mine, each.newcomer.candidates)]
        return ", ".join(f"{each.name} {each.versions}" for each in tied)

    # How it is told

    def _soon(self, rollout: Rollout, work: Coroutine[Any, Any, Any]) -> None:
        """Begin something that ends with another step; one at a time."""
        rollout.isBusy = True
        self._later(self._guarded(rollout, work))

    async def _guarded(self, rollout: Rollout, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except ChangeRefused as refused:
            rollout.isBusy = False
            if self.book.get(rollout.id) is rollout and not self._coordinator.hasEnded and not rollout.isHeld:
                self.hold(rollout, f"its next step could not begin: {refused}", BY_EDGE)
                if any(each.stage == BY_STEPS for each in refused.refusals):
                    self._behind.add(rollout.id)
        finally:
            rollout.isBusy = False

    def _later(self, work: Coroutine[Any, Any, Any]) -> None:
        doing = Deferred.fromCoroutine(work)
        doing.addErrback(lambda failure: self._log.failure("a rollout", failure))

    def _tell(self, kind: str, rollout: Rollout, text: str, asker: Asker = BY_EDGE) -> None:
        """An event."""
        entry = rollout.newcomer.candidates[rollout.name]
        about = {"rollout": rollout.id, **({} if asker.actor is EDGE else asker.about)}
        self._events.add(kind, text, rollout.name, entry.version, about=about)

    def _record(self, action: str, rollout: Rollout, asker: Asker, what: str, why: str = "") -> None:
        """An audit record of what no change of the plan was needed for; ``why``, where nobody has said it."""
        coordinator = self._coordinator
        if asker.actor.deed is not None and coordinator.onTried:
            asker.actor.deed.isTaken = True
        request = Asker(asker.actor, asker.reason or why).request(action, subject=rollout.name)
        text = (f"{rollout.named}: {what}",)
        coordinator.tell(Tried(request, coordinator.plan, coordinator.records, text))


def nameOf(actor: Actor) -> str:
    """Who wanted something, in a word."""
    return actor.name or actor.via


def _isTied(some: Entries, others: Entries) -> bool:
    """Whether one of the first requires one of the others, by name, or the other way round."""
    needs = [(entry, others) for entry in some.values()] + [(entry, some) for entry in others.values()]
    return any(needed.keys() & entry.manifest.requires.keys() for entry, needed in needs)


def _follow(rollout: Rollout, records: PluginRecords, found: Catalog) -> PluginRecords:
    """
    What is remembered once its candidates run: those that are not what their folders have run until these have
    something new.
    """
    for name, entry in rollout.newcomer.candidates.items():
        pin = records.get(name).pin
        if entry.digest == rollout.bases[name].digest:
            continue  # it runs already, set otherwise
        if entry.digest is not None and not rollout.newcomer.isFolders(name):
            against = digestIn(found, name, records.get(name))
            records = records.pinned(name, Pin(entry.digest, "rollout", against))
        elif pin is not None and pin.by != "user":
            records = records.unpinned(name)
    return records


__all__ = ["BY_EDGE", "MOST_AT_A_TIME", "WANTED", "RolloutDriver", "nameOf"]
