"""
What somebody has said of targets, over the configuration: drained, or of another weight; for a time, or until it is
taken back.

It outlives restarts, and changes of the configuration that keep the target. Workers are told by the word `Target`:
those that run, at once; those that are made later, before their first plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import to_builtins
from twisted.internet.interfaces import IDelayedCall

from revproxy.config.problems import quoted, suggestion
from revproxy.config.settings import Config, UpstreamConfig
from revproxy.control.actor import EDGE, Actor
from revproxy.control.commands import CommandError, NotThere
from revproxy.control.crew import Crew
from revproxy.control.history.audit import Audit
from revproxy.control.state.latestfile import LatestFile
from revproxy.control.targetstates import TargetStates
from revproxy.plan.events import EventLog
from revproxy.plan.words import Target

LONGEST = 366 * 86400.0
"""Seconds that an override can be for."""

MOST_WEIGHT = 1000
"""As in revproxy.yaml."""

_LATE = 3600.0
"""Seconds after which the clock is looked at again, whatever is due: it may be set."""

Kind = Literal["drain", "weight"]


class UnknownTarget(NotThere):
    """There is no such upstream or target."""


class LastTarget(CommandError):
    """Without this one an upstream would have nobody to answer."""


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    One thing that was said of a target.

    :ivar weight: if it is that.
    :ivar until: when it ends by itself, in seconds since the epoch; None: it does not.
    :ivar at: since when it holds; ``by``: who said so; ``reason``: why, in their words.
    """

    upstream: str
    url: str
    kind: Kind
    weight: int | None
    until: float | None
    at: float
    by: str
    reason: str

    def asDict(self) -> dict[str, Any]:
        """As JSON shows it, beside the target."""
        return {"by": self.by, "reason": self.reason, "at": self.at, "expires_at": self.until}


_Key = tuple[str, str, Kind]


class TargetOverrides:
    """
    All that is said of targets now.

    Its events are ``target-drained``, ``target-undrained`` and ``target-weighed``.

    :ivar file: keeps them.
    """

    def __init__(
        self,
        states: TargetStates,
        crew: Crew,
        events: EventLog,
        clock: Any,
        file: LatestFile,
        audit: Audit,
    ) -> None:
        """
        Reads what was said before a restart.

        :param clock: provides `IReactorTime`, in seconds since the epoch.
        :param audit: has each change recorded.
        """
        self.file = file
        self._states = states
        self._crew = crew
        self._events = events
        self._clock = clock
        self._audit = audit
        self._upstreams: Mapping[str, UpstreamConfig] = {}
        self._next: IDelayedCall | None = None
        self._isStopped = False
        kept, damaged = file.read(msgspec.json.Decoder(tuple[Override, ...]).decode, ())
        if damaged is not None:
            events.add("ledger-damaged", damaged)
        self._overrides: dict[_Key, Override] = {(one.upstream, one.url, one.kind): one for one in kept}

    # What there is

    def of(self, upstream: str, url: str) -> Mapping[Kind, Override]:
        """What is said of a target."""
        found = ((kind, self._overrides.get((upstream, url, kind))) for kind in _KINDS)
        return {kind: override for kind, override in found if override is not None}

    def words(self) -> Iterator[Target]:
        """What a worker is to know that is new."""
        for upstream, url in dict.fromkeys((one.upstream, one.url) for one in self._overrides.values()):
            yield self._word(upstream, url)

    def _word(self, upstream: str, url: str) -> Target:
        said = self.of(upstream, url)
        return Target(upstream, url, "drain" not in said, said["weight"].weight if "weight" in said else None)

    # What is said

    def drain(
        self, upstream: str, url: str, seconds: float | None, reason: str, actor: Actor, force: bool = False
    ) -> str:
        """
        Have a target take no new requests.

        :param seconds: for how long; None: until it is taken back.
        :param force: also if nobody else is there to answer.
        :returns: what was done, in a sentence.
        :raises UnknownTarget: there is none.
        :raises LastTarget: without force, there would be nobody.
        """
        config = self._known(upstream, url)
        others = [target.url for target in config.targets if target.url != url]
        serving = [other for other in others if "drain" not in self.of(upstream, other)]
        up = [other for other in serving if self._states.of(upstream, other).isUp]
        if not up and not force:
            raise LastTarget(self._lastText(upstream, url, others, serving))
        text = self._put(Override(upstream, url, "drain", None, *self._terms(seconds), actor.name, reason), actor)
        return text if up else f"{text}; nobody else answers for {upstream}"

    def undrain(self, upstream: str, url: str, reason: str, actor: Actor) -> str:
        """
        Have a drained target take requests again.

        :raises CommandError: there is no such target, or it is not drained.
        """
        self._known(upstream, url)
        if "drain" not in self.of(upstream, url):
            raise CommandError(f"{url} of upstream {upstream} is not drained")
        return self._end((upstream, url, "drain"), actor, reason)

    def weigh(
        self, upstream: str, url: str, weight: int | None, seconds: float | None, reason: str, actor: Actor
    ) -> str:
        """
        Give a target another weight.

        :param weight: from 1 to :data:`MOST_WEIGHT`; None: the one it is configured with.
        :param seconds: for how long; None: until it is taken back.
        :raises UnknownTarget: there is none.
        :raises CommandError: that weight cannot be had.
        """
        self._known(upstream, url)
        if weight is None:
            if "weight" not in self.of(upstream, url):
                raise CommandError(f"{url} of upstream {upstream} has the weight that it is configured with")
            return self._end((upstream, url, "weight"), actor, reason)
        if not 1 <= weight <= MOST_WEIGHT:
            raise CommandError(f"a weight is from 1 to {MOST_WEIGHT}; to have a target take nothing, drain it")
        return self._put(Override(upstream, url, "weight", weight, *self._terms(seconds), actor.name, reason), actor)

    # What happens by itself

    def committed(self, config: Config) -> None:
        """Another configuration is in force: what it has no target for has ended."""
        self._upstreams = config.upstreams
        named = {name: config.upstreams[name] for name, _, _ in self._overrides if name in config.upstreams}
        known = {(name, target.url) for name, upstream in named.items() for target in upstream.targets}
        for key in [key for key in self._overrides if key[:2] not in known]:
            self._end(key, EDGE, "it is no target of this upstream any more")
        self._tellDrained()
        self._expire()

    def stop(self) -> None:
        """Nothing ends by itself any more."""
        self._isStopped = True
        self._cancel()

    def _cancel(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _expire(self) -> None:
        """End what is due, and come back for the next."""
        self._cancel()
        now = self._clock.seconds()
        for key, override in list(self._overrides.items()):
            if override.until is not None and override.until <= now:
                self._end(key, EDGE, "its time is over")
        due = [override.until for override in self._overrides.values() if override.until is not None]
        if due and not self._isStopped:
            self._next = self._clock.callLater(min(max(0.0, min(due) - now), _LATE), self._expired)

    def _expired(self) -> None:
        self._next = None
        self._expire()

    # How it is done

    def _known(self, upstream: str, url: str) -> UpstreamConfig:
        config = self._upstreams.get(upstream)
        if config is None:
            raise UnknownTarget(f"no upstream named {quoted(upstream)}{suggestion(upstream, self._upstreams)}")
        urls = [target.url for target in config.targets]
        if url not in urls:
            raise UnknownTarget(f"upstream {upstream} has no target {quoted(url)}; it has {', '.join(urls)}")
        return config

    def _lastText(self, upstream: str, url: str, others: list[str], serving: list[str]) -> str:
        if not others:
            why = "it is the only target"
        elif not serving:
            why = "all others are drained"
        else:
            why = f"of the others none answers: {', '.join(serving)}"
        what = f"{url} of upstream {upstream}: {why}, and requests would be answered 503"
        return f"{what}; with force (--force) it is drained all the same"

    def _terms(self, seconds: float | None) -> tuple[float | None, float]:
        """:returns: until when, and since when."""
        if seconds is not None and not 0 < seconds <= LONGEST:
            raise CommandError(f"the time is to be more than nothing, and {LONGEST / 86400:.0f} days at most")
        now = self._clock.seconds()
        return None if seconds is None else now + seconds, now

    def _put(self, override: Override, actor: Actor) -> str:
        """:returns: what was done, in a sentence."""
        key = override.upstream, override.url, override.kind
        before = self._overrides.get(key)
        self._overrides[key] = override
        until = "" if override.until is None else f" until {_clockTime(override.until)}"
        if override.kind == "weight":
            text = f"{override.url} weighs {override.weight} now{until}"
            self._onEvent("target-weighed", key, text, actor, override.reason)
        else:
            text = f"{override.url} takes no new requests{until}"
            self._onEvent("target-drained", key, text, actor, override.reason)
        self._changed(actor, override.kind, key, before, override, override.reason, text)
        return text

    def _end(self, key: _Key, actor: Actor, reason: str) -> str:
        """:returns: what was done, in a sentence."""
        before, url = self._overrides.pop(key), key[1]
        if key[2] == "weight":
            text = f"{url} weighs what it is configured with"
            self._onEvent("target-weighed", key, text, actor, reason)
        else:
            text = f"{url} takes requests again"
            self._onEvent("target-undrained", key, text, actor, reason)
        self._changed(actor, "weight" if key[2] == "weight" else "undrain", key, before, None, reason, text)
        return text

    def _onEvent(self, kind: str, key: _Key, text: str, actor: Actor, reason: str) -> None:
        by = "" if actor.via == "edge" else f", says {actor.name or actor.via}"
        about = {"upstream": key[0], "target": key[1]}
        self._events.add(kind, f"upstream {key[0]}: {text}{by}{f': {reason}' if reason else ''}", about=about)

    def _changed(
        self,
        actor: Actor,
        action: str,
        key: _Key,
        before: Override | None,
        after: Override | None,
        reason: str,
        text: str,
    ) -> None:
        self._crew.tell(self._word(*key[:2]))
        self._tellDrained()
        self.file.save(msgspec.json.encode(tuple(self._overrides.values())))
        told = [None if one is None else to_builtins(one) for one in (before, after)]
        self._audit.record(
            actor, action, f"{key[0]} {key[1]}", before=told[0], after=told[1], reason=reason, text=text
        )
        if after is not None and after.until is not None:
            self._expire()

    def _tellDrained(self) -> None:
        self._states.drained(frozenset(key[:2] for key in self._overrides if key[2] == "drain"))


_KINDS: tuple[Kind, ...] = ("drain", "weight")


def _clockTime(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
