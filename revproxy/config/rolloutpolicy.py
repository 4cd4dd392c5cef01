"""
By which steps a new version of a plugin comes into service, as revproxy.yaml says it under ``plugins.rollout``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

StepKind = Literal["preflight", "shadow", "canary"]

OnInconclusive = Literal["hold", "promote", "roll_back"]
"""What becomes of a version of which a step has shown nothing when its time is over."""

OnNewer = Literal["supersede", "refuse"]
"""What becomes of a version that is saved while an earlier one is being rolled out."""


@dataclass(frozen=True, slots=True)
class Until:
    """
    What ends a step well, if nothing speaks against the new version until then.

    :ivar pairs: of a shadow: so many calls were compared. None: that does not end it.
    :ivar fault: of a canary: the share of faulty calls that would have been found by now, above 0; None: that does not
        end it.
    :ivar power: with which probability, above 0 and below 1.
    """

    pairs: int | None = None
    fault: float | None = None
    power: float = 0.9


@dataclass(frozen=True, slots=True)
class Step:
    """
    One of them.

    :ivar share: of a shadow, the share of requests that are tried; of a canary, that of clients that the new version
        serves. Above 0, up to 1.
    :ivar atLeast: seconds that it lasts at least; ``atMost``: at most; None: as long as it takes.
        Of a pre-flight, None: as long as what it does may take by itself.
    :ivar replay: of a pre-flight: what was recorded, and is tried; None: nothing is.
    :ivar shadow: of a canary: the share of requests on which the other version is tried besides.
    """

    kind: StepKind
    share: float = 0.0
    until: Until = Until()
    atLeast: float = 0.0
    atMost: float | None = None
    replay: Path | None = None
    shadow: float = 0.0


@dataclass(frozen=True, slots=True)
class ClientKey:
    """
    By what clients are told apart.

    :ivar kind: ``address``; a ``header``; a ``cookie`` that somebody else sets; or ``issued``: a cookie of the edge's
        own. Who does not send it is told by address.
    :ivar name: of the header or the cookie.
    """

    kind: Literal["address", "header", "cookie", "issued"] = "address"
    name: str = ""


BY_ADDRESS = ClientKey()


@dataclass(frozen=True, slots=True)
class Testers:
    """
    Who chooses a version: a request with this header, ``TOKEN candidate`` or ``TOKEN running``. It is not judged.

    :ivar token: a `Secret`.
    """

    header: str
    token: Any


@dataclass(frozen=True, slots=True)
class Expectation:
    """
    A difference that is meant.

    :ivar field: a glob: ``header:x-new``, ``status``, ``values.*``; see `revproxy.replay.difference`.
    :ivar kind: a glob: ``added``, ``removed``, ``changed``.
    """

    field: str
    kind: str = "*"

    def isMet(self, field: str, kind: str) -> bool:
        """Whether a difference is one of those."""
        return fnmatchcase(field, self.field) and fnmatchcase(kind, self.kind)


@dataclass(frozen=True, slots=True)
class RolloutPolicy:
    """
    How one plugin's new versions come into service.

    :ivar steps: at least one.
    """

    steps: tuple[Step, ...]
    onInconclusive: OnInconclusive = "hold"
    by: ClientKey = BY_ADDRESS
    testers: Testers | None = None
    expect: tuple[Expectation, ...] = ()
    onNewer: OnNewer = "supersede"


USUAL = RolloutPolicy(
    (
        Step("preflight"),
        Step("shadow", 0.2, Until(3000), atMost=900.0),
        Step("canary", 0.05, Until(fault=0.01), atLeast=60.0, atMost=900.0, shadow=0.2),
        Step("canary", 0.5, Until(fault=0.01), atLeast=60.0, atMost=900.0, shadow=0.2),
    )
)
"""Of a plugin whose versions come at once, where somebody asks for steps and does not say which."""


@dataclass(frozen=True, slots=True)
class RolloutConfig:
    """
    How new versions come into service.

    :ivar default: of plugins that ``plugins`` does not name; None: at once.
    :ivar config: whether another configuration of a plugin takes the same steps.
    :ivar plugins: by name.
    """

    default: RolloutPolicy | None = None
    config: bool = False
    plugins: Mapping[str, RolloutPolicy | None] = field(default_factory=dict)

    def policyFor(self, name: str) -> RolloutPolicy | None:
        """That of a plugin; None: at once."""
        return self.plugins.get(name, self.default)


AT_ONCE = RolloutConfig()
"""Nothing is rolled out by steps."""
