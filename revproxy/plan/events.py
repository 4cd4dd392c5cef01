"""What happened to plugins and configuration: a bounded memory of it, and a line in the log for each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.logger import Logger, LogLevel

from revproxy.config.problems import writable
from revproxy.errors import printable
from revproxy.plan.versionid import UNKNOWN, VersionId
from revproxy.secrets import masked

#: What an event is about has so many entries, and each so many characters, at most.
MOST_ABOUT = 16
MOST_ABOUT_TEXT = 1000

#: Kinds of events that are somebody's business at night.
WARNINGS = frozenset((
    "refused", "handover-lost", "undo-failed", "quarantined", "probe-failed", "stalled", "slow-plugin", "stop-failed",
    "threads-full", "limit-exceeded", "remains", "broken-off", "figures-full", "ledger-damaged", "store-failed",
    "plugin-store-damaged", "plugin-store-volatile", "certificate-refused",
    "target-down", "upstream-down", "certificate-expiring", "certificate-expired",
    "traces-dropped", "untrusted", "revoked", "held", "permission-missing", "trust-file", "signer-expiring",
    "signer-expired",
    "state-lost", "state-restored", "tokens-damaged", "audit-failed", "audit-damaged", "history-failed",
    "required-folder-gone", "required-off", "required-ended", "required-missing", "plugins-gone",
    "alert-undelivered", "receiver-disabled", "alerts-full", "crashed", "access-log-failed",
    "rollout-held", "rollout-inconclusive", "rollout-refused", "rollout-rolled-back", "rollout-share",
))


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    :ivar at: seconds since the epoch.
    :ivar kind: one word, such as ``loaded``, ``refused``, ``quarantined``; ``docs/operations.md`` lists them.
    :ivar plugin: its name; empty for what concerns the whole edge.
    :ivar version: which version of it.
    :ivar text: one sentence, the reason included.
    :ivar traceback: of foreign code that failed, or empty.
    :ivar number: counts up from 1, also over restarts where events are kept.
    :ivar about: what it is about besides, for programs, such as ``upstream`` and ``target``. To be left unchanged.
    """

    at: float
    kind: str
    plugin: str
    version: VersionId
    text: str
    traceback: str = ""
    number: int = 0
    about: Mapping[str, str] = field(default_factory=dict, hash=False)

    def asDict(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {
            "number": self.number,
            "at": self.at,
            "kind": self.kind,
            "plugin": self.plugin,
            "version": str(self.version),
            "text": self.text,
            "traceback": self.traceback,
            "about": dict(self.about),
        }


class EventLog:
    """The latest events.

    :ivar subscribers: called with each event as it happens; must not raise.
    :ivar now: the time, as events have it.
    """

    _log = Logger()

    def __init__(self, now: Callable[[], float], capacity: int = 1000) -> None:
        """
        :param now: seconds since the epoch.
        :param capacity: how many are remembered.
        """
        self.now = now
        self._events: deque[Event] = deque(maxlen=capacity)
        self._last = 0
        self.subscribers: list[Callable[[Event], None]] = []

    def add(
        self,
        kind: str,
        text: str,
        plugin: str = "",
        version: VersionId = UNKNOWN,
        traceback: str = "",
        about: Mapping[str, str] | None = None,
    ) -> Event:
        """
        Remember and log an event; secrets in its texts are masked, halves of surrogate pairs escaped: who is told of it
        has to be able to write it.

        :param about: names and values for programs; what is too much of it is cut off.
        """
        text, traceback, plugin = _shown(text), _shown(traceback), writable(plugin)
        self._last += 1
        event = Event(self.now(), kind, plugin, version, text, traceback, self._last, _bounded(about or {}))
        self._events.append(event)
        level = LogLevel.warn if kind in WARNINGS else LogLevel.info
        who = f"plugin {plugin} {version}".strip() + ": " if plugin else ""
        self._log.emit(
            level,
            "{who}{kind}: {text}{below}",
            who=who,
            kind=kind,
            text=printable(text, 2000),
            below=f"\n{traceback}" if traceback else "",
            plugin=plugin,
            version=version,
        )
        for subscriber in self.subscribers:
            subscriber(event)
        return event

    def restore(self, before: Sequence[Event]) -> list[Event]:
        """
        These have happened before all that are remembered, which are numbered anew.

        :returns: those that were remembered.
        """
        own = list(self._events)
        last = max((event.number for event in before), default=0)
        own = [replace(event, number=last + count) for count, event in enumerate(own, 1)]
        self._last = last + len(own)
        self._events.clear()
        self._events.extend((*before, *own))
        return own

    def latest(self, count: int) -> list[Event]:
        """The last ones, oldest first."""
        return list(self._events)[-count:] if count > 0 else []


def _bounded(about: Mapping[str, str]) -> Mapping[str, str]:
    return {name: _shown(text)[:MOST_ABOUT_TEXT] for name, text in list(about.items())[:MOST_ABOUT]}


def _shown(text: str) -> str:
    return writable(masked(text))
