"""
The way back of a version that was taken out: it is left alone for a while, then probed, and restored.

    COOLING ── the cooldown is over, and a request comes ──→ HALF_OPEN ── enough probes in a row are well ──→ RESTORED
       ↑                                                        │
       └────── a probe failed: the cooldown is twice as long ───┘

While it is half-open, one request at a time is a probe. A probe that is over without having said anything (the client
left, a body broke off) changes nothing but that the next may come.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

COOLDOWN = 10.0
"""Seconds until the first probe."""

LONGEST = 300.0
"""Seconds that a cooldown grows to; also the most that a probe may take."""

PROBES = 3
"""Probes that must be well in a row."""


class RecoveryState(Enum):
    """Where a version is on its way back."""

    COOLING = "left alone"
    HALF_OPEN = "probed with one request at a time"
    RESTORED = "back in service"


class _Outcome(Enum):
    UNKNOWN = "it is under way"
    OVER = "nothing more is to be learned from it, but a failure"
    FAILED = "that, too"


class Probe:
    """
    A request that was let through.

    :ivar began: when; seconds, monotonic.
    """

    __slots__ = ("began", "outcome")

    def __init__(self, began: float) -> None:
        self.began = began
        self.outcome = _Outcome.UNKNOWN


class Recovery:
    """
    See the module. It counts probes; what one is, and how it went, is told by whoever lets requests through.

    Its events are ``half-open``, ``probe-well``, ``probe-failed`` and ``restored``.

    :ivar state: where it is.
    :ivar cooldown: seconds the next cooldown takes, or the one that is under way.
    """

    def __init__(
        self,
        name: str,
        now: Callable[[], float],
        *,
        cooldown: float = COOLDOWN,
        longest: float = LONGEST,
        probes: int = PROBES,
        onEvent: Callable[[str, str], None],
        onRestored: Callable[[], None],
    ) -> None:
        """
        :param name: of the plugin, for the events.
        :param now: the time in seconds, monotonic.
        :param cooldown: seconds of the first cooldown.
        :param longest: seconds that a cooldown grows to; also the most that a probe may take.
        :param probes: how many must be well in a row.
        :param onEvent: told the kind of an event, and a text for humans.
        :param onRestored: called once, after the last probe that was needed.
        """
        self.state = RecoveryState.COOLING
        self.cooldown = cooldown
        self._name = name
        self._now = now
        self._longest = longest
        self._needed = probes
        self._onEvent = onEvent
        self._onRestored = onRestored
        self._until = now() + cooldown
        self._current: Probe | None = None
        self._wellInARow = 0

    # What requests ask and tell

    def admits(self) -> bool:
        """Whether the next request may go through; as a probe, unless the version is restored."""
        if self.state is RecoveryState.RESTORED:
            return True
        now = self._now()
        if self.state is RecoveryState.COOLING and now < self._until:
            return False
        if self._current is not None:
            self._expire(self._current, now)
            return False
        if self.state is RecoveryState.COOLING:
            self.state = RecoveryState.HALF_OPEN
            self._onEvent("half-open", f"{self._name} is probed with one request at a time")
        return True

    def begin(self) -> Probe:
        """A request goes through."""
        probe = Probe(self._now())
        if self.state is not RecoveryState.RESTORED:
            self._current = probe
        return probe

    def over(self, probe: Probe) -> None:
        """Nothing more is to be learned from a probe, unless it fails after all."""
        if probe.outcome is _Outcome.UNKNOWN:
            probe.outcome = _Outcome.OVER
        if self._current is probe:
            self._current = None

    def succeeded(self, probe: Probe) -> None:
        """A probe is well. What was over before says nothing."""
        if probe.outcome is not _Outcome.UNKNOWN:
            return
        self.over(probe)
        if self.state is not RecoveryState.RESTORED:
            self._countWell()

    def failed(self, probe: Probe, reason: str) -> None:
        """
        A probe failed, however late; each fails once.

        :param reason: for the event.
        """
        self.over(probe)
        if self.state is not RecoveryState.RESTORED and probe.outcome is not _Outcome.FAILED:
            probe.outcome = _Outcome.FAILED
            self._cool(reason)

    # What comes of that

    def _expire(self, probe: Probe, now: float) -> None:
        if now - probe.began >= self._longest:
            self.failed(probe, f"it was not over after {self._longest:g} s")

    def _countWell(self) -> None:
        self._wellInARow += 1
        self._onEvent("probe-well", f"{self._name}: probe {self._wellInARow} of {self._needed} is well")
        if self._wellInARow >= self._needed:
            self.state = RecoveryState.RESTORED
            self._onEvent("restored", f"{self._name} is back in service after {self._wellInARow} probes")
            self._onRestored()

    def _cool(self, reason: str) -> None:
        self.state = RecoveryState.COOLING
        self._wellInARow = 0
        self.cooldown = min(self.cooldown * 2, self._longest)
        self._until = self._now() + self.cooldown
        text = f"{self._name}: a probe failed ({reason}); the next in {self.cooldown:g} s"
        self._onEvent("probe-failed", text)
