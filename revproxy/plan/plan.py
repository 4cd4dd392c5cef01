"""
A plan: all that the edge is to be, as one value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from revproxy.config.settings import Config
from revproxy.plan.catalog import Entries, Order, Selected
from revproxy.plan.pemfiles import PemFiles
from revproxy.plan.trial import Arm, Trial


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What the edge is to be.

    :ivar number: counts up from 1.
    :ivar entries: every plugin there is, with the version that would run, also those that are off.
    :ivar selected: those that run somewhere.
    :ivar orderPerGroup: for each route group of the configuration its plugins in order. Groups with equal ones share
        one tuple.
    :ivar switches: what ``revproxy enable`` and ``disable`` said.
    :ivar gates: plugins that are in quarantine with no other version in their place, each with the number of the plan
        with which that began. Instances that ran before it have a gate before them; those made since have none.
    :ivar required: the names of those that run somewhere, and without which no request passes there.
    :ivar missing: required plugins that cannot be had, each with the indexes of the route groups that are answered 503.
    :ivar trials: of the rollouts that workers take part in; ``arms``: the plan as those meet it whom candidates serve.
    :ivar certificates: by place, the files that listeners' certificates are read from.
    """

    number: int
    config: Config
    entries: Entries
    selected: tuple[Selected, ...]
    orderPerGroup: tuple[Order, ...]
    switches: Mapping[str, bool] = field(default_factory=dict)
    gates: Mapping[str, int] = field(default_factory=dict)
    certificates: Mapping[str, PemFiles] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    missing: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()
    arms: tuple[Arm, ...] = ()

    def candidates(self) -> Iterator[tuple[Trial, Selected]]:
        """Each version on trial."""
        for trial in self.trials:
            for name in trial.plugins:
                candidate = self.armOf(trial.id).find(name)
                if candidate is not None:
                    yield trial, candidate

    def armOf(self, *trials: str) -> Arm:
        """The arm of those whom the candidates of these trials serve. :raises KeyError: there is none."""
        for arm in self.arms:
            if arm.trials == trials:
                return arm
        raise KeyError(f"no arm of the trials {', '.join(trials)}")

    def find(self, name: str) -> Selected | None:
        """The plugin of a name, if it runs somewhere."""
        return next((selected for selected in self.selected if selected.name == name), None)

    def pairs(self) -> Iterator[tuple[Selected, Mapping[str, Any]]]:
        """
        Each plugin with each of its configurations, once, in the order of the chains; versions on trial are not in it,
        but what runs only where they do is.
        """
        yield from _once(self.orderPerGroup)
        known = {(selected.name, id(settings)) for order in _apart(self.orderPerGroup) for selected, settings in order}
        for arm in self.arms:
            tried = self.triedIn(arm)
            for selected, settings in _once(arm.orderPerGroup):
                if selected.name not in tried and (selected.name, id(settings)) not in known:
                    known.add((selected.name, id(settings)))
                    yield selected, settings

    def candidatePairs(self) -> Iterator[tuple[Selected, Mapping[str, Any]]]:
        """Each version on trial with each of its configurations, once, in the order of the chains."""
        for trial in self.trials:
            for selected, settings in _once(self.armOf(trial.id).orderPerGroup):
                if selected.name in trial.plugins:
                    yield selected, settings

    def triedIn(self, arm: Arm) -> Mapping[str, str]:
        """The plugins whose version on trial serves an arm, each with the id of its trial."""
        return {name: trial.id for trial in self.trials if trial.id in arm.trials for name in trial.plugins}

    def isLike(self, other: Plan) -> bool:
        """Whether both amount to the same generation."""
        return (
            self.config is other.config
            and self.switches == other.switches
            and self.gates == other.gates
            and self.certificates == other.certificates
            and self.required == other.required
            and self.missing == other.missing
            and self.entries.keys() == other.entries.keys()
            and all(entry is other.entries[name] for name, entry in self.entries.items())
            and self._tiers() == other._tiers()
            and self.trials == other.trials
            and self.arms == other.arms
        )

    def _tiers(self) -> dict[str, object]:
        """Where each plugin runs, and what it may touch: the same version can be signed by somebody else by now."""
        return {each.name: (each.isolation, each.permissions) for each in self.selected}

    def describe(self) -> dict[str, Any]:
        """As JSON: all that another process with the same version store needs to build the same."""
        document = self.config.document
        return {
            "number": self.number,
            "config": None if document is None else document.value,
            "plugins": {
                selected.name: {"version": selected.entry.version.number, "digest": selected.entry.digest}
                for selected in self.selected
            },
            "switches": dict(self.switches),
            "required": list(self.required),
            "missing": {name: list(groups) for name, groups in self.missing.items()},
            "trials": {
                trial.id: {"stage": trial.stage, "plugins": {
                    selected.name: {"version": selected.entry.version.number, "digest": selected.entry.digest}
                    for other, selected in self.candidates() if other is trial
                }}
                for trial in self.trials
            },
        }


def _apart(orders: Iterable[Order]) -> Iterable[Order]:
    """Each once: groups with equal ones share one."""
    return {id(order): order for order in orders}.values()


def _once(orders: Iterable[Order]) -> Iterator[tuple[Selected, Mapping[str, Any]]]:
    seen = set()
    for order in _apart(orders):
        for selected, settings in order:
            if (selected.name, id(settings)) not in seen:
                seen.add((selected.name, id(settings)))
                yield selected, settings
