"""
Which targets are passed over, as workers tell it, and the events of that.

Each worker finds out for itself. A target is down while one of them passes it over; an upstream is down while one of
them passes all of its targets over, but for those that somebody has drained. Events are of the whole edge: the first
worker makes one, and the last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace

from revproxy.config.settings import Config, UpstreamConfig
from revproxy.plan.events import EventLog
from revproxy.plan.words import TargetChanged


@dataclass(frozen=True, slots=True)
class TargetState:
    """
    What is known of a target.

    :ivar since: when it became so, in seconds since the epoch; None if it was never otherwise.
    :ivar failedAt: when it was passed over last; None if it never was; ``failure``: why.
    """

    isUp: bool = True
    since: float | None = None
    failedAt: float | None = None
    failure: str = ""


UP = TargetState()
"""A target of which nothing was told."""


class TargetStates:
    """
    What is known of all targets.

    Its events are ``target-down``, ``target-up``, ``upstream-down`` and ``upstream-up``.

    :ivar onChange: called when something may be another way than it was.
    """

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self._upstreams: Mapping[str, UpstreamConfig] = {}
        self._states: dict[tuple[str, str], TargetState] = {}
        # By target, the workers that pass it over.
        self._down: dict[tuple[str, str], set[int]] = {}
        self._upstreamsDown: set[str] = set()
        self._drained: Set[tuple[str, str]] = frozenset()
        self.onChange: list[Callable[[], None]] = []

    def of(self, upstream: str, url: str) -> TargetState:
        """What is known of one."""
        return self._states.get((upstream, url), UP)

    def isDown(self, upstream: str) -> bool:
        """Whether a worker has nobody to answer for an upstream."""
        return upstream in self._upstreamsDown

    @property
    def upstreamsDown(self) -> list[str]:
        """The names of upstreams that are down."""
        return sorted(self._upstreamsDown)

    def committed(self, config: Config) -> None:
        """Forget what the configuration does not have any more, and say that it is not down."""
        if config.upstreams is self._upstreams:
            return
        self._upstreams = config.upstreams
        urls = {name: _urlsOf(config.upstreams.get(name)) for name in {name for name, _ in self._states}}
        for key in [key for key in self._states if key[1] not in urls[key[0]]]:
            for worker in sorted(self._down.get(key, ())):
                self.changed(worker, TargetChanged(*key, True, "it is no target of this upstream any more"))
            del self._states[key]
        for name in sorted(self._upstreamsDown - config.upstreams.keys()):
            self._upstreamUp(name, "it is not configured any more")
        for name in sorted({*self._upstreamsDown, *(upstream for upstream, _ in self._drained)}):
            self._compare(name, "it has other targets")

    def drained(self, targets: Set[tuple[str, str]]) -> None:
        """
        These are out of service.

        :param targets: of each, upstream and URL.
        """
        before, self._drained = self._drained, targets
        for upstream in sorted({upstream for upstream, _ in before ^ targets}):
            self._compare(upstream, "targets were drained" if targets > before else "a target is back in service")
        self._changed()

    def changed(self, worker: int, word: TargetChanged) -> None:
        """
        A worker passes a target over, or no longer.

        :param worker: its number.
        """
        key = word.upstream, word.url
        down = self._down.setdefault(key, set())
        before = bool(down)
        if word.isUp:
            down.discard(worker)
        else:
            down.add(worker)
        if not down:
            del self._down[key]
        if bool(down) != before:
            self._tell(key, word)
        elif down and not word.isUp:
            self._states[key] = replace(self._states[key], failedAt=self._events.now(), failure=word.reason)
        self._compare(word.upstream, word.reason or f"{word.url} answers again")
        self._changed()

    def lastFailure(self, name: str) -> tuple[bool, float]:
        """
        Of an upstream that is down.

        :returns: whether all its targets are drained; and when the last of the others failed last.
        """
        serving = [(name, target.url) for target in self._upstreams[name].targets]
        serving = [key for key in serving if key not in self._drained]
        return not serving, max((self._states.get(key, UP).failedAt or 0.0 for key in serving), default=0.0)

    def _changed(self) -> None:
        for changed in self.onChange:
            changed()

    def _tell(self, key: tuple[str, str], word: TargetChanged) -> None:
        name, url = key
        if word.isUp:
            text = f"{url} answers again" if not word.reason else f"{url} is not passed over any more: {word.reason}"
            at = self._onEvent("target-up", name, text, url)
            self._states[key] = replace(self.of(*key), isUp=True, since=at)
        else:
            does = "fails, and there is no other" if self._isAlone(name) else "is passed over"
            at = self._onEvent("target-down", name, f"{url} {does}: {word.reason}", url)
            self._states[key] = TargetState(False, at, at, word.reason)

    def _isAlone(self, name: str) -> bool:
        upstream = self._upstreams.get(name)
        return upstream is not None and len(upstream.targets) == 1

    def _compare(self, name: str, why: str) -> None:
        """See whether the upstream is down now, or no longer."""
        upstream = self._upstreams.get(name)
        if upstream is None:
            return
        keys = [(name, target.url) for target in upstream.targets]
        serving = [key for key in keys if key not in self._drained]
        isDown = not serving or bool(set.intersection(*(self._down.get(key, set()) for key in serving)))
        if isDown and name not in self._upstreamsDown:
            self._upstreamsDown.add(name)
            text = _nobodyOf(len(keys), len(serving))
            self._onEvent("upstream-down", name, f"{text}: {why}" if serving else text)
        elif not isDown and name in self._upstreamsDown:
            self._upstreamUp(name, why)

    def _upstreamUp(self, name: str, why: str) -> None:
        self._upstreamsDown.discard(name)
        self._onEvent("upstream-up", name, why)

    def _onEvent(self, kind: str, upstream: str, text: str, target: str = "") -> float:
        """:returns: when."""
        about = {"upstream": upstream, "target": target} if target else {"upstream": upstream}
        return self._events.add(kind, f"upstream {upstream}: {text}", about=about).at


def _urlsOf(upstream: UpstreamConfig | None) -> set[str]:
    return set() if upstream is None else {target.url for target in upstream.targets}


def _nobodyOf(count: int, serving: int) -> str:
    """Why nobody answers for an upstream of so many targets, of which so many are in service."""
    if not serving:
        return "its only target is drained" if count == 1 else f"all of its {count} targets are drained"
    if count == 1:
        return "its only target does not answer"
    if serving == count:
        return f"none of its {count} targets answers"
    return f"none of its {count} targets answers, or they are drained"
