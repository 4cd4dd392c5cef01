"""
Which of the versions that are meant take steps, and what runs meanwhile. Pure.

Where a plugin runs, and there is a policy for it, what runs stays, and what is new is a *newcomer*: its rollout begins.
While one goes on, what its folder has may become another thing once more; whether that ends it is found out here, too.
So may what somebody says of the plugin: to pin it, to go back, to switch it off are wishes that go before any rollout.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from revproxy.config.rolloutpolicy import RolloutPolicy
from revproxy.config.settings import Config
from revproxy.control.planning.heldback import blockOf, heldBack
from revproxy.control.planning.ongoing import End, Ending, Move, Newcomer, Ongoing
from revproxy.control.planning.resolution import groups
from revproxy.control.planning.settings import Former, fingerprint, isSetOtherwise, settingsOf
from revproxy.control.planning.switching import runsSomewhere
from revproxy.control.state.records import PluginRecords
from revproxy.plan.catalog import CatalogEntry, Entries
from revproxy.plan.refusal import BY_STEPS, Refusal


@dataclass(frozen=True, slots=True)
class Graded:
    """
    :ivar entries: the versions that are to run.
    :ivar ongoing: rollouts that go on.
    :ivar ended: those that do not, by id.
    :ivar newcomers: versions that are to take steps.
    :ivar refusals: versions that do not come, and why.
    :ivar former: by name, the configurations by which plugins are set, where that is another one than is in force.
    """

    entries: Entries
    ongoing: tuple[Ongoing, ...] = ()
    ended: Mapping[str, Ending] = field(default_factory=dict)
    newcomers: tuple[Newcomer, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    former: Mapping[str, Config] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scene:
    """
    What a change finds.

    :ivar found: what the folders have.
    :ivar running: what runs, or ran before a restart, and may go on.
    :ivar inForce: the names of those of it that run somewhere.
    :ivar gated: names of plugins in quarantine with nothing in their place.
    :ivar lost: names of those whose folders went with all others: they run on.
    :ivar retries: whether what could not be made ready is tried again.
    :ivar before: the configuration that was in force until now, or by which ran what ran before a restart; None: none
        was.
    :ivar former: by name, what is run by though the configuration says otherwise.
    """

    found: Entries
    running: Entries
    inForce: Collection[str]
    gated: Collection[str]
    config: Config
    switches: Mapping[str, bool]
    records: PluginRecords
    lost: Collection[str] = ()
    retries: bool = False
    before: Config | None = None
    former: Mapping[str, Former] = field(default_factory=dict)


def grade(wanted: Entries, scene: Scene, ongoing: tuple[Ongoing, ...] = (), move: Move | None = None) -> Graded:
    """
    :param wanted: the versions that are meant.
    :param ongoing: the rollouts that are not over.
    :param move: what is asked for of one of them, or of one that begins.
    """
    return _Grading(wanted, scene, ongoing, move).run()


class _Grading:
    """One run of `grade`."""

    def __init__(self, wanted: Entries, scene: Scene, ongoing: tuple[Ongoing, ...], move: Move | None) -> None:
        self.wanted = wanted
        self.scene = scene
        self.ongoing = ongoing
        self.move = move
        self.entries = dict(wanted)
        self.refusals: list[Refusal] = []
        self.newcomers: list[Newcomer] = []
        self.ended: dict[str, Ending] = {}
        self.former: dict[str, Config] = {}

    def run(self) -> Graded:
        going = tuple(each for each in self.ongoing if self._goesOn(each))
        begins = None if self.move is None else self.move.begins
        if begins is not None:
            self._keepRunning(begins.candidates)
            self.newcomers.append(begins)
        for each in going:
            self._keepRunning(each.candidates)
            self.former.update(each.former())
        if begins is not None and begins.settings is not None:
            self.former.update(dict.fromkeys(begins.said, begins.settings))
        busy = {name for each in going for name in each.candidates} | (set(begins.candidates) if begins else set())
        free = [name for name in sorted(self.entries) if name not in busy]
        changed = [name for name in free if self._isForSteps(name) or self._isSetBySteps(name)]
        for name in free:
            if name not in changed:
                self._keepOff(name)
        self._begin(changed)
        return Graded(self.entries, going, self.ended, tuple(self.newcomers), tuple(self.refusals), self.former)

    def _keepRunning(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self.scene.running:
                self.entries[name] = self.scene.running[name]

    # Rollouts that are not over

    def _goesOn(self, each: Ongoing) -> bool:
        ending = self._asked(each)
        for name in each.candidates if ending is None else ():
            ending = ending or self._endingOf(each, name)
        if ending is None:
            return True
        self.ended[each.id] = ending
        if ending.state not in ("promoted", "superseded"):
            self.former.update(each.former())
        if ending.state == "promoted":
            self.entries.update(each.candidates)
        elif ending.state != "superseded":
            self._withoutBlocked(each, ending)
        return False

    def _asked(self, each: Ongoing) -> Ending | None:
        move = self.move
        if move is None:
            return None
        if move.begins is not None and move.begins.candidates.keys() & each.candidates.keys():
            number = ", ".join(str(entry.version) for entry in move.begins.candidates.values())
            return Ending("superseded", f"the rollout of {number} was started")
        return move.ends if move.id == each.id else None

    def _withoutBlocked(self, each: Ongoing, ending: Ending) -> None:
        """What has not come through its steps does not come by the end of them."""
        for name, candidate in each.candidates.items():
            entry = self.entries.get(name)
            if ending.blocks and entry is not None and entry.digest == candidate.digest:
                self._keepRunning([name])

    def _endingOf(self, each: Ongoing, name: str) -> Ending | None:
        """What ends a rollout on account of one plugin."""
        scene, candidate = self.scene, each.candidates[name]
        base, entry = scene.running.get(name), self.wanted.get(name)
        pin = scene.records.get(name).pin
        if pin is not None and pin != each.newcomer.pins.get(name):
            isWanted = pin.digest == candidate.digest and len(each.candidates) == 1 and not each.isSame(name)
            state: End = "promoted" if isWanted else "aborted"
            return Ending(state, f"{name} was pinned to {scene.records.get(name).pinnedTo} by {pin.by}")
        if scene.switches.get(name) is False:
            return Ending("aborted", f"{name} was switched off", True)
        if base is None:
            after = ", and nothing" if entry is None else f"; {entry.version.number}"
            does = "takes its place" if entry is None else "takes its place at once"
            return Ending("aborted", f"what ran of {name} may not run any more{after} {does}")
        if entry is None and name not in scene.lost:
            return Ending("aborted", f"the folder of {name} is gone", True)
        if base.digest != each.instead.get(name):
            return Ending("aborted", f"{name} {base.version} runs by now")
        if name in scene.gated:
            text = f"what runs of {name} is in quarantine, so there is nothing to hold it against"
            return Ending("aborted", f"{text}; `revproxy pin {name} VERSION` has a stored version run", True)
        if entry is None:
            return None
        return self._endingBySettings(each, name) or self._endingByFolder(each, name, entry, base)

    def _endingBySettings(self, each: Ongoing, name: str) -> Ending | None:
        """What is said of the plugin is another thing by now."""
        settings, config = each.newcomer.settings, self.scene.config
        if settings is None or name not in each.newcomer.said:
            return None
        if fingerprint(name, config) == each.newcomer.said[name] and settingsOf(name, settings, config) is not None:
            return None
        return Ending("superseded", f"the configuration says something else of {name} by now")

    def _endingByFolder(
        self, each: Ongoing, name: str, entry: CatalogEntry, base: CatalogEntry
    ) -> Ending | None:
        candidate, here = each.candidates[name], self.scene.found.get(name)
        if entry.digest == candidate.digest:
            return None
        if entry is base or entry.digest == base.digest:
            isBack = here is not None and here.digest == base.digest and each.newcomer.isFolders(name)
            return Ending("aborted", f"the folder of {name} has {base.version} again") if isBack else None
        if entry.digest == each.newcomer.found.get(name):
            return None  # it was there when this began
        if each.policy.onNewer == "supersede" or not self._takesSteps(entry, base):
            return Ending("superseded", f"the folder of {name} has {entry.version}")
        text = f"{candidate.version} is being rolled out; this one waits until that is over (on_newer: refuse)"
        self.refusals.append(Refusal(name, BY_STEPS, text, entry.version))
        return None

    # Versions that are new

    def _isForSteps(self, name: str) -> bool:
        """Whether a plugin runs, has another version now, and that may take steps."""
        scene, entry = self.scene, self.entries[name]
        base = scene.running.get(name)
        if base is None or base is entry or base.digest == entry.digest or not self._hasRun(name):
            return False
        pin = scene.records.get(name).pin
        if pin is not None and pin.digest == entry.digest:
            return False  # somebody wants this very one
        runs = runsSomewhere(base, scene.config, scene.switches) and runsSomewhere(entry, scene.config, scene.switches)
        return runs and self._takesSteps(entry, base) and not self._isPromoted(name, entry)

    def _isPromoted(self, name: str, entry: CatalogEntry) -> bool:
        ended = [each for each in self.ongoing if each.id in self.ended and self.ended[each.id].state == "promoted"]
        return any(each.candidates.get(name) is entry for each in ended)

    def _takesSteps(self, entry: CatalogEntry, base: CatalogEntry) -> bool:
        """Whether a change from one to the other is of a kind that is made by steps."""
        if entry.origin != "directory" or base.origin != "directory":
            return False
        return self.scene.config.plugins.rollout.config or not entry.isCodeOf(base)

    def _begin(self, changed: list[str]) -> None:
        held = [name for name in changed if self._isHeldBack(name) and not self._isSetBySteps(name)]
        sides = (self.entries, self.scene.running)
        for group in groups([name for name in changed if name not in held], sides, lambda each: each.requires):
            policy = self._policyOf(group)
            free = [name for name in group if name not in self.scene.gated]
            if policy is not None and len(free) == len(group):
                newcomer = newcomerOf({name: self.entries[name] for name in group}, policy, self.scene)
                self.newcomers.append(self._withSettings(newcomer))
                self._keepRunning(group)

    # What is said of plugins

    def _basis(self, name: str) -> Config | None:
        """The configuration by which what runs is set, if another is in force."""
        for each in self.ongoing:
            if each.id in self.ended and self.ended[each.id].state == "superseded" and name in each.former():
                return each.newcomer.settings
        former = self.scene.former.get(name)
        return self.scene.before if former is None else former.config

    def _isSetAnew(self, name: str) -> bool:
        """Whether the configuration says something else of a plugin than what it runs by, and that can take steps."""
        scene, basis, base = self.scene, self._basis(name), self.scene.running.get(name)
        if basis is None or base is None or basis is scene.config or base.origin != "directory":
            return False
        if name not in scene.inForce or not isSetOtherwise(name, basis, scene.config):
            return False
        runs = runsSomewhere(base, basis, scene.switches) and runsSomewhere(base, scene.config, scene.switches)
        return runs and settingsOf(name, basis, scene.config) is not None

    def _isSetBySteps(self, name: str) -> bool:
        """Whether what runs of a plugin is to be set otherwise, and that takes steps."""
        if not self._isSetAnew(name):
            return False
        former = self.scene.former.get(name)
        if former is not None and former.rejected == fingerprint(name, self.scene.config):
            self._keepSettings(name, former)
            return False
        return self.scene.config.plugins.rollout.config

    def _keepSettings(self, name: str, former: Former) -> None:
        self.former[name] = former.config
        text = (
            f"it runs by what {former.config.source} said of it before: what it says now did not come through its "
            f"steps; `revproxy rollout {name} start` tries it again"
        )
        self.refusals.append(Refusal(name, BY_STEPS, text, self.scene.running[name].version))

    def _withSettings(self, newcomer: Newcomer) -> Newcomer:
        """With what is said of its plugins, where that takes steps, too."""
        scene = self.scene
        anew = [name for name in newcomer.candidates if self._isSetAnew(name)]
        basis = self._basis(anew[0]) if anew else None
        if basis is None or not (scene.config.plugins.rollout.config or anew[0] in scene.former):
            return newcomer
        said = {name: fingerprint(name, scene.config) for name in anew if self._basis(name) is basis}
        self.former.update(dict.fromkeys(said, basis))
        return replace(newcomer, settings=basis, said=said)

    # Those that were tried

    def _policyOf(self, group: Iterable[str]) -> RolloutPolicy | None:
        """The first that one of them has, by name: what comes together takes the same steps."""
        rollout = self.scene.config.plugins.rollout
        return next(filter(None, (rollout.policyFor(name) for name in group)), None)

    def _isHeldBack(self, name: str) -> bool:
        """Whether a version was tried, and is not to be tried again by itself. Then what runs stays."""
        entry = self.entries[name]
        trial = blockOf(entry, self.scene.records)
        if trial is None or (trial.state == "refused" and self.scene.retries):
            return False
        self._keepRunning([name])
        self.refusals.append(heldBack(entry, trial))
        return True

    def _keepOff(self, name: str) -> None:
        """
        What did not come through its steps, or has not taken them, does not come because its plugin was off meanwhile:
        what is switched on again is what ran.
        """
        scene, entry = self.scene, self.entries[name]
        base, pin = scene.running.get(name), scene.records.get(name).pin
        if base is None or base.digest == entry.digest or self._isPromoted(name, entry):
            return
        if (pin is not None and pin.digest == entry.digest) or self._isHeldBack(name):
            return
        isOff = self._hasRun(name) and not runsSomewhere(base, scene.config, scene.switches)
        if isOff and self._takesSteps(entry, base) and self._policyOf([name]) is not None:
            self._keepRunning([name])

    def _hasRun(self, name: str) -> bool:
        """Whether what there is of a plugin runs, or did before that was switched off."""
        base, record = self.scene.running.get(name), self.scene.records.get(name)
        if base is None or base.digest is None or name in self.scene.inForce:
            return base is not None and name in self.scene.inForce
        known = record.find(base.digest)
        return known is not None and known.trial is None


def newcomerOf(candidates: Entries, policy: RolloutPolicy, scene: Scene) -> Newcomer:
    """Versions that come together, with what their folders have and what is said of them now."""
    found = {name: scene.found[name].digest if name in scene.found else None for name in candidates}
    return Newcomer(candidates, policy, found, {name: scene.records.get(name).pin for name in candidates})


__all__ = ["Graded", "Scene", "grade", "newcomerOf"]
