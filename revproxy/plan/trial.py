"""
Versions on trial: what a plan has of a rollout.

A plan says which version of each plugin runs. For a plugin that is being rolled out it names a second one, and who
meets that: an *arm* is the plan as those clients meet it. Each trial draws its clients by itself, so with two trials
there are four arms. Which clients these are, a keyed hash of the client says: it gives one of :data:`BUCKETS` buckets,
and some of those are the candidate's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from revproxy.config.rolloutpolicy import BY_ADDRESS, ClientKey, Testers
from revproxy.plan.catalog import Order, Selected

BUCKETS = 4096
"""Into so many parts the clients of a rollout fall. A number that other parts count with: 512 bytes have a bit each."""

Stage = Literal["shadow", "canary"]

Thresholds = tuple[float, float, float]
"""Seconds of self time that 10 %, 1 % and 0.1 % of the calls of the running version are above."""


@dataclass(frozen=True, slots=True)
class Trial:
    """
    A rollout in a stage in which workers take part.

    :ivar id: of the rollout; no other has it.
    :ivar plugins: those that come into service together; most often one.
    :ivar salt: 16 bytes; what the hash of clients is keyed with.
    :ivar canary: a bit for each bucket (bit ``b % 8`` of byte ``b // 8``): whether the candidate serves it.
    :ivar sampled: the share of requests on which the version that does not serve is tried besides, 0 to 1.
    :ivar judges: whether evidence is gathered: of a trial that is held by somebody, too.
    :ivar known: by plugin, where the running version's self time was before a restart; those that are not in it are
        measured first.
    :ivar cookieKey: 32 bytes that cookies of the edge's own are signed with; empty: it issues none.
    """

    id: str
    plugins: tuple[str, ...]
    stage: Stage
    salt: bytes
    canary: bytes
    by: ClientKey = BY_ADDRESS
    testers: Testers | None = None
    sampled: float = 0.0
    judges: bool = True
    known: Mapping[str, Thresholds] = field(default_factory=dict)
    cookieKey: bytes = b""

    def isCandidates(self, bucket: int) -> bool:
        """Whether the candidate serves a bucket."""
        return bool(self.canary[bucket >> 3] >> (bucket & 7) & 1)


@dataclass(frozen=True, slots=True)
class Arm:
    """
    The plan as clients meet it that the candidates of some trials serve.

    :ivar trials: the ids of those, at least one. An arm of one trial is there for each; those of several, for trials
        in the stage ``canary`` only.
    :ivar selected: all plugins that run somewhere then; those that no trial changes are the same as in the plan.
    :ivar orderPerGroup: as that of the plan.
    """

    trials: tuple[str, ...]
    selected: tuple[Selected, ...]
    orderPerGroup: tuple[Order, ...]

    def find(self, name: str) -> Selected | None:
        """The plugin of a name, if it runs somewhere."""
        return next((selected for selected in self.selected if selected.name == name), None)
