"""
The part of a change that is about rollouts: which versions take steps, which go on, and who meets them. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from revproxy.config.settings import Config
from revproxy.control.changes import ChangeRefused, ChangeRequest
from revproxy.control.planning.arms import Selecting, withArms
from revproxy.control.planning.choice import Choice
from revproxy.control.planning.gradual import Graded, Scene, grade
from revproxy.control.planning.ongoing import Ending, Newcomer, Ongoing, Rolled
from revproxy.control.planning.settings import Former
from revproxy.control.planning.tiers import Bounds
from revproxy.control.snapshot import Snapshot
from revproxy.control.state.records import PluginRecords
from revproxy.control.trust.sieve import Sifted
from revproxy.plan.catalog import Entries, Selected
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import BY_STEPS, Refusal
from revproxy.plan.trial import Trial

Trusting = Callable[[Choice, Mapping[str, str]], Sifted]
"""What of a choice may run; with the digests of those that come from the store, by name."""


class Rolling:
    """
    That of one attempt.

    :ivar promoted: names of plugins whose candidates are to run for all.
    """

    def __init__(
        self,
        request: ChangeRequest,
        snapshot: Snapshot,
        records: PluginRecords,
        running: Entries,
        before: Plan | None,
        switches: Mapping[str, bool],
        ongoing: tuple[Ongoing, ...],
        lost: Collection[str] = (),
        former: Mapping[str, Former] | None = None,
        configBefore: Config | None = None,
    ) -> None:
        """:raises ChangeRefused: what is asked for is about a rollout that is over."""
        self._request = request
        self._snapshot = snapshot
        self._records = records
        self._running = running
        self._before = before
        self._switches = switches
        self._lost = lost
        self._former = former or {}
        self._configBefore = configBefore
        self._retries = request.force or (before is not None and snapshot.config is not before.config)
        self._ongoing = ongoing
        if request.rollout is not None:
            try:
                self._ongoing = request.rollout.appliedTo(ongoing)
            except KeyError:
                raise ChangeRefused(Refusal(request.subject, BY_STEPS, "the rollout is over")) from None
        self._refused: dict[str, Ending] = {}
        self._ended: dict[str, Ending] = {}
        self._graded = Graded(running)
        self._bounds: dict[str, Bounds] = {}

    @property
    def former(self) -> Mapping[str, Config]:
        """By name, the configurations by which plugins are set, where that is another one than is in force."""
        refused = {name: config for each in self._ongoing if each.id in self._refused
                   for name, config in each.former().items()}  # fmt: skip
        return {**self._graded.former, **refused}

    @property
    def promoted(self) -> set[str]:
        """See above."""
        move = self._request.rollout
        if move is None or move.ends is None or move.ends.state != "promoted":
            return set()
        return {name for each in self._ongoing if each.id == move.id for name in each.candidates}

    def sifted(self, choice: Choice, config: Config, trusted: Trusting) -> Sifted:
        """What may run of a choice, and does not take steps first."""
        first = trusted(choice, {})
        graded = self._graded = self._grade(first, config)
        self._bounds, self._ended = {}, {**graded.ended, **self._refused}
        candidates = self._candidates(graded)
        if not candidates and graded.entries == first.choice.entries:
            return replace(first, refusals=(*first.refusals, *graded.refusals))
        self._judge(choice, candidates, trusted)
        promoted = {name: entry for name, entry in graded.entries.items() if name in self.promoted}
        second = trusted(replace(choice, entries=graded.entries), self._storedOf(promoted))
        told = {(each.plugin, each.stage, each.digest) for each in second.refusals}
        more = [each for each in first.refusals if (each.plugin, each.stage, each.digest) not in told]
        return replace(second, refusals=(*second.refusals, *more, *graded.refusals))

    def _grade(self, sifted: Sifted, config: Config) -> Graded:
        catalog, before = self._snapshot.catalog, self._before
        inForce = self._running.keys() if before is None else {each.name for each in before.selected}
        scene = Scene(
            {} if catalog is None else catalog.entries, sifted.running, inForce,
            () if before is None else before.gates, config, self._switches, self._records, self._lost, self._retries,
            self._configBefore if before is None else before.config, self._former,
        )  # fmt: skip
        going = tuple(each for each in self._ongoing if each.id not in self._refused)
        return grade(sifted.choice.entries, scene, going, self._request.rollout)

    def _candidates(self, graded: Graded) -> Entries:
        beginning = {name: entry for each in graded.newcomers for name, entry in each.candidates.items()}
        going = {name: entry for each in graded.ongoing for name, entry in each.candidates.items()}
        return {**going, **beginning}

    def _judge(self, choice: Choice, candidates: Entries, trusted: Trusting) -> None:
        """Candidates, too, have to be trusted, and go on to be; what there is around them is known by that."""
        if not candidates:
            return
        sifted = trusted(replace(choice, entries={**choice.entries, **candidates}), self._storedOf(candidates))
        for name, candidate in candidates.items():
            if sifted.choice.entries.get(name) is not candidate:
                reasons = [each.message for each in sifted.refusals if each.plugin == name]
                self._distrust(name, "; ".join(reasons) or "nobody vouches for it any more")
            elif name in sifted.bounds:
                self._bounds[name] = sifted.bounds[name]

    def _distrust(self, name: str, reason: str) -> None:
        """:raises ChangeRefused: it is the one that somebody wants to begin."""
        graded, move = self._graded, self._request.rollout
        if move is not None and move.begins is not None and name in move.begins.candidates:
            raise ChangeRefused(Refusal(name, BY_STEPS, reason, move.begins.candidates[name].version))
        for each in graded.ongoing:
            if name in each.candidates:
                self._ended[each.id] = Ending("aborted", f"{name} {each.candidates[name].version}: {reason}", True)
        newcomers = tuple(each for each in graded.newcomers if name not in each.candidates)
        self._graded = replace(graded, newcomers=newcomers)

    def _storedOf(self, entries: Entries) -> dict[str, str]:
        """Those that are not what the folders have: they come from the store."""
        found = {} if self._snapshot.catalog is None else self._snapshot.catalog.entries
        return {
            name: entry.digest
            for name, entry in entries.items()
            if entry.digest is not None and (name not in found or found[name].digest != entry.digest)
        }

    def withTrials(
        self, plan: Plan, select: Callable[[Entries, Mapping[str, Bounds], Collection[str]], tuple[Selected, ...]]
    ) -> tuple[Plan, tuple[Refusal, ...]]:
        """
        A plan with what workers take part in.

        :param select: who would run where, if these were the plugins, there were these bounds around candidates, and
            those of these names were candidates.
        :returns: with the candidates that do not go together with the others.
        :raises ChangeRefused: one that is to come into a step goes together with what runs, but not with others on
            trial: it has to wait for those.
        """
        for each in self._graded.ongoing:
            gone = [name for name in each.candidates if not _isBase(each, name, plan)]
            if gone:
                self._ended.setdefault(each.id, Ending("aborted", f"what ran of {gone[0]} does not run any more", True))
        going = [replace(each, trial=self._currentTrial(each, plan.config)) for each in self._graded.ongoing
                 if each.id not in self._ended]

        def selecting(entries: Entries, names: Collection[str]) -> tuple[Selected, ...]:
            return select(entries, self._bounds, names)

        before = plan
        plan, errors = withArms(before, going, selecting)
        if errors:
            self._refuseMoved(before, going, selecting)
        refused = []
        for each in going:
            if each.id in errors:
                name, candidate = next(iter(each.candidates.items()))
                refused.append(Refusal(name, "order", str(errors[each.id]), candidate.version))
        return plan, tuple(refused)

    def _refuseMoved(self, plan: Plan, going: list[Ongoing], selecting: Selecting) -> None:
        """:raises ChangeRefused: as `withTrials`."""
        move = self._request.rollout
        moved = [each for each in going if move is not None and move.trial is not None and each.id == move.id]
        others = [each for each in going if each not in moved]
        if not moved or withArms(plan, moved, selecting)[1] or withArms(plan, others, selecting)[1]:
            return
        between = [(each, withArms(plan, [each, *moved], selecting)[1]) for each in others]
        names = ", ".join(_named(each) for each, errors in between if errors) or "others"
        why = "; ".join(str(error) for _, errors in between for error in errors.values())
        text = f"it does not go together with {names}, which is on trial as well, and waits until that is over"
        name, candidate = next(iter(moved[0].candidates.items()))
        raise ChangeRefused(Refusal(name, BY_STEPS, f"{text}: {why}" if why else text, candidate.version))

    def _currentTrial(self, each: Ongoing, config: Config) -> Trial | None:
        """Who may choose a version is said by the configuration that is in force."""
        name = next(iter(each.candidates))
        policy = config.plugins.rollout.policyFor(name)
        if each.trial is None:
            return None
        return replace(each.trial, testers=each.policy.testers if policy is None else policy.testers)

    def refuse(self, refusal: Refusal) -> Entries:
        """
        A version cannot be made ready.

        :returns: those whose rollout is over by that; none, if it is no candidate.
        """
        for each in self._graded.ongoing:
            candidate = each.candidates.get(refusal.plugin)
            if candidate is not None and each.id not in self._refused and refusal.digest == candidate.digest:
                self._refused[each.id] = Ending("refused", f"{refusal.stage}: {refusal.message}", True)
                self._ended[each.id] = self._refused[each.id]
                return each.candidates
        return {}

    def rolled(self, plan: Plan) -> Rolled:
        """What has become of rollouts by this plan; newcomers only where what they are held against runs."""
        newcomers = tuple(each for each in self._graded.newcomers if _isHeld(each, plan))
        ended = tuple((each, self._ended[each.id]) for each in self._ongoing if each.id in self._ended)
        return Rolled(ended, newcomers, dict(self._kept(ended, plan)))

    def _kept(self, ended: Iterable[tuple[Ongoing, Ending]], plan: Plan) -> Iterator[tuple[str, Former]]:
        """What plugins run by from now on, though the configuration says otherwise."""
        beginning = {name for each in self._graded.newcomers for name in each.said}
        for name, former in self._former.items():
            if name in self._graded.former and name not in beginning and plan.find(name) is not None:
                yield name, former
        for each, ending in ended:
            for name, config in each.former().items():
                isOver = ending.state in ("promoted", "superseded") or plan.find(name) is None
                if not isOver and name not in beginning and config is not plan.config:
                    yield name, Former(config, each.newcomer.said[name])

    def lines(self, plan: Plan) -> list[str]:
        """A line for each thing that becomes of rollouts by this plan."""
        rolled, move = self.rolled(plan), self._request.rollout
        ended = [
            f"{_named(each)}: {ending.state.replace('-', ' ')}{self._why(ending)}" for each, ending in rolled.ended
        ]
        entered = [
            f"{_named(each)}: in a {each.trial.stage}"
            for each in self._graded.ongoing
            if move is not None and move.id == each.id and each.trial is not None and each.id not in self._ended
        ]
        return [*ended, *entered, *(line for each in rolled.newcomers for line in _beginning(each, plan))]


    def _why(self, ending: Ending) -> str:
        """Unless the change itself is told with that reason."""
        return "" if ending.reason == self._request.reason else f": {ending.reason}"


def _named(each: Ongoing) -> str:
    return ", ".join(f"{name} {entry.version.number}" for name, entry in each.candidates.items())


def _beginning(newcomer: Newcomer, plan: Plan) -> Iterator[str]:
    """A line for each version that takes steps."""
    for name, entry in newcomer.candidates.items():
        what = str(entry.version) if plan.entries[name].digest != entry.digest else "its configuration"
        yield f"{name}: {what} comes by steps: `revproxy rollout {name}` shows them"


def _isBase(each: Ongoing, name: str, plan: Plan) -> bool:
    entry = plan.entries.get(name)
    return plan.find(name) is not None and entry is not None and entry.digest == each.instead.get(name)


def _isHeld(newcomer: Newcomer, plan: Plan) -> bool:
    return all(
        plan.find(name) is not None and (plan.entries[name].digest != entry.digest or name in newcomer.said)
        for name, entry in newcomer.candidates.items()
    )


__all__ = ["Rolling"]
