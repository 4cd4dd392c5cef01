"""
What ends the alert of an event: another event, that it stands no longer, or that it has not happened again for long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from revproxy.config.readymadealerts import ENDS_AFTER

_DAY = 86400.0
_REPLACED = ("replaced", "removed")
_GOES_ON = (
    "rollout-step", "rollout-resumed", "rollout-promoted", "rollout-rolled-back", "rollout-aborted",
    "rollout-superseded", "rollout-refused",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ending:
    """
    :ivar events: kinds that end it, if they are about the same.
    :ivar ofAll: whether they end it whatever they are about.
    :ivar after: seconds after which it is over if it did not happen again; None: only the events end it, or whoever
        knows that it does not stand any more.
    """

    events: tuple[str, ...] = ()
    ofAll: bool = False
    after: float | None = None


ENDINGS: Mapping[str, Ending] = {
    "target-down": Ending(("target-up",)),
    "upstream-down": Ending(("upstream-up",)),
    "refused": Ending(("loaded", "replaced")),
    "untrusted": Ending(("loaded", "replaced")),
    "revoked": Ending(("loaded", "replaced")),
    "held": Ending(("loaded", "replaced")),
    "trust-file": Ending(("trust-file-read",), ofAll=True),
    "certificate-refused": Ending(),
    "quarantined": Ending(("restored", "unpinned", *_REPLACED)),
    "probe-failed": Ending(("restored", *_REPLACED)),
    "half-open": Ending(("restored", "probe-failed", *_REPLACED)),
    "slow-plugin": Ending(("slow-plugin-over", *_REPLACED)),
    "stalled": Ending(_REPLACED, after=900.0),
    "threads-full": Ending(_REPLACED, after=900.0),
    "limit-exceeded": Ending(_REPLACED, after=900.0),
    "figures-full": Ending(_REPLACED, after=_DAY),
    "undo-failed": Ending(("loaded", *_REPLACED), after=_DAY),
    "required-missing": Ending(("loaded", *_REPLACED)),
    "required-folder-gone": Ending(_REPLACED, after=_DAY),
    "required-off": Ending(("loaded",), after=_DAY),
    "store-failed": Ending(("written",), ofAll=True),
    "state-lost": Ending(("state-restored",), ofAll=True),
    "access-log-failed": Ending(("access-log-written",), ofAll=True),
    "audit-failed": Ending(("audit-restored",), ofAll=True),
    "history-failed": Ending(("history-restored",), ofAll=True),
    "audit-damaged": Ending(after=_DAY),
    "rolled-back": Ending(("unpinned", "removed"), after=3600.0),
    "rollout-rolled-back": Ending(("rollout-started", "removed"), after=_DAY),
    "rollout-refused": Ending(("rollout-started", "removed"), after=_DAY),
    "rollout-held": Ending(_GOES_ON),
    "rollout-inconclusive": Ending(_GOES_ON),
    "rollout-share": Ending(_GOES_ON),
    "restarted": Ending(after=300.0),
    "crashed": Ending(after=3600.0),
    "remains": Ending(after=_DAY),
    "ledger-damaged": Ending(after=_DAY),
    "plugin-store-damaged": Ending(after=_DAY),
    "plugin-store-volatile": Ending(after=_DAY),
    "alert-undelivered": Ending(("alert-delivered",)),
    "receiver-disabled": Ending(("alert-delivered",)),
}
"""By kind; those of others are over after a while."""

_OTHER = Ending(after=ENDS_AFTER)


def endingOf(kind: str) -> Ending:
    """What ends the alert of an event of this kind."""
    return ENDINGS.get(kind, _OTHER)


def endedBy(kind: str) -> tuple[str, ...]:
    """The kinds whose alerts an event of this kind ends."""
    return _BY_END.get(kind, ())


_BY_END: dict[str, tuple[str, ...]] = {}
for _kind, _ending in ENDINGS.items():
    for _end in _ending.events:
        _BY_END[_end] = (*_BY_END.get(_end, ()), _kind)
