"""
Rollouts as changes find them, and what a change does to them: values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from revproxy.config.rolloutpolicy import RolloutPolicy
from revproxy.config.settings import Config
from revproxy.control.planning.settings import Former
from revproxy.control.state.records import Pin
from revproxy.plan.catalog import Entries
from revproxy.plan.trial import Trial

End = Literal["promoted", "rolled-back", "aborted", "superseded", "refused"]
"""How a rollout is over."""


@dataclass(frozen=True, slots=True)
class Ending:
    """
    :ivar blocks: whether the version does not begin again by itself while its folder has it.
    """

    state: End
    reason: str
    blocks: bool = False


@dataclass(frozen=True, slots=True)
class Newcomer:
    """
    A version that is to take steps, or several that come together.

    :ivar candidates: by name.
    :ivar found: by name, the digest of what its folder had then.
    :ivar pins: by name, what it was pinned to then.
    :ivar settings: the configuration by which what runs is set meanwhile, if what is said of a plugin takes steps;
        None: that in force.
    :ivar said: by name, the fingerprint of what is said of each that takes steps.
    """

    candidates: Entries
    policy: RolloutPolicy
    found: Mapping[str, str | None] = field(default_factory=dict)
    pins: Mapping[str, Pin | None] = field(default_factory=dict)
    settings: Config | None = field(default=None, compare=False)
    said: Mapping[str, str] = field(default_factory=dict)

    def isFolders(self, name: str) -> bool:
        """Whether a candidate is what its folder had."""
        return self.found.get(name) == self.candidates[name].digest


@dataclass(frozen=True, slots=True)
class Ongoing:
    """
    A rollout that is not over.

    :ivar instead: by name, the digest of what ran when it began: that is what the candidates are held against.
    :ivar trial: what workers take part in; None: nothing yet.
    """

    id: str
    newcomer: Newcomer
    instead: Mapping[str, str | None]
    trial: Trial | None = None

    @property
    def candidates(self) -> Entries:
        """By name."""
        return self.newcomer.candidates

    @property
    def policy(self) -> RolloutPolicy:
        """Its steps."""
        return self.newcomer.policy

    def isSame(self, name: str) -> bool:
        """Whether a candidate is the version that runs, set otherwise."""
        return self.candidates[name].digest == self.instead.get(name)

    def former(self) -> Mapping[str, Config]:
        """By name, the configurations by which what runs is set."""
        settings = self.newcomer.settings
        return {} if settings is None else dict.fromkeys(self.newcomer.said, settings)


@dataclass(frozen=True, slots=True)
class Move:
    """
    What somebody wants of a rollout.

    :ivar begins: a new one of this id; ``trial``: it comes into this stage; ``ends``: it is over. One of them.
    """

    id: str
    begins: Newcomer | None = None
    trial: Trial | None = None
    ends: Ending | None = None

    def appliedTo(self, ongoing: tuple[Ongoing, ...]) -> tuple[Ongoing, ...]:
        """:raises KeyError: there is no such rollout."""
        if self.begins is not None:
            return ongoing
        if all(each.id != self.id for each in ongoing):
            raise KeyError(self.id)
        if self.trial is None:
            return ongoing
        return tuple(replace(each, trial=self.trial) if each.id == self.id else each for each in ongoing)


@dataclass(frozen=True, slots=True)
class Rolled:
    """
    What a change did to rollouts.

    :ivar ended: those that are over by it.
    :ivar newcomers: that begin now.
    :ivar former: by name, what plugins run by from now on, though the configuration says otherwise.
    """

    ended: tuple[tuple[Ongoing, Ending], ...] = ()
    newcomers: tuple[Newcomer, ...] = ()
    former: Mapping[str, Former] = field(default_factory=dict)


__all__ = ["End", "Ending", "Move", "Newcomer", "Ongoing", "Rolled"]
