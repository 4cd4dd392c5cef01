"""
What one receiver is still to be told.

Alerts of a group go into one message. The first message of a group waits for ``group_wait``, for trouble seldom comes
alone; from then on there is one each ``group_interval`` at most, however often an alert comes and goes. A message that
was made stays as it is until it is delivered: it may have arrived already. What changes meanwhile waits for the next,
and only what is left of it in the end is told: of an alert that came, went and came again, that it is there. So a
receiver that was away hears of each alert and state once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec.structs import replace

from revproxy.config.alertsettings import AlertsConfig
from revproxy.control.alerts.alert import Alert
from revproxy.control.alerts.messages import Entry, Message, entryOf, newId

GIVE_UP = 86400.0
"""Seconds after which a message is not tried any more."""

MOST_DEAD = 50
"""Messages that were given up and are kept."""

MOST_PENDING = 2000
"""Alerts that wait to be told in one receiver's outbox; the oldest go."""


class DeadLetter(msgspec.Struct, frozen=True):
    """
    A message that was given up.

    :ivar at: when; ``reason``: what went wrong last.
    """

    message: Message
    at: float
    reason: str
    attempts: int


class Waiting(msgspec.Struct):
    """
    A message that was made, and is not delivered.

    :ivar since: since when; after a day it is given up.
    :ivar dueAt: before that it is not tried.
    """

    message: Message
    since: float
    dueAt: float
    attempts: int = 0
    error: str = ""


class Group(msgspec.Struct):
    """
    :ivar labels: that its alerts have in common.
    :ivar firing: by fingerprint, what the receiver was told of as firing, or is told by the message that waits.
    :ivar pending: by fingerprint, what is to be told: one state, or firing and then resolved.
    :ivar dueAt: when the next message is made; None: nothing is to be told.
    :ivar lastAt: when the last one was made.
    """

    labels: dict[str, str]
    firing: dict[str, Entry] = {}
    pending: dict[str, list[Entry]] = {}
    dueAt: float | None = None
    lastAt: float | None = None
    waiting: Waiting | None = None


class Outbox:
    """
    Of one receiver.

    :ivar groups: by their key.
    :ivar dead: messages that were given up, the newest last.
    :ivar dropped: how many changes were lost because too many waited.
    """

    def __init__(self, config: AlertsConfig) -> None:
        self.config = config
        self.groups: dict[str, Group] = {}
        self.dead: deque[DeadLetter] = deque(maxlen=MOST_DEAD)
        self.dropped = 0

    def restore(self, groups: Mapping[str, Group], dead: Iterable[DeadLetter]) -> None:
        """What was not told before a restart is told now."""
        self.groups = dict(groups)
        self.dead.extend(dead)

    def adopt(self, config: AlertsConfig, now: float) -> None:
        """Another configuration is in force. With other groups, what was told is known in these."""
        before, self.config = self.config, config
        if config.groupBy != before.groupBy:
            groups, self.groups = self.groups, {}
            for key, group in groups.items():
                self._regroup(key, group, now)
        for group in self.groups.values():
            self._plan(group, now)

    def _regroup(self, key: str, group: Group, now: float) -> None:
        for entry in group.firing.values():
            there = self._groupOf(entry.labels, now)
            there.firing[entry.fingerprint], there.lastAt = entry, group.lastAt
        for fingerprint, path in group.pending.items():
            self._groupOf(path[0].labels, now).pending[fingerprint] = path
        if group.waiting is not None:
            self.groups[f"before {key}"] = Group(group.labels, waiting=group.waiting)

    # What is to be told

    def changed(self, alert: Alert, now: float) -> None:
        """
        An alert fires, or was resolved. That one which was told fires on is nothing new.
        """
        entry = entryOf(alert)
        group = self._groupOf(entry.labels, now)
        path = group.pending.get(entry.fingerprint, [])
        told = "firing" if entry.fingerprint in group.firing else ""
        states = [told, *(each.status for each in path)]
        if entry.status in states:
            # Back where it was: what lies between is not told. What was told stays; what was not, is what it is now.
            path = path[: states.index(entry.status)]
            if path and path[-1].status == entry.status:
                path[-1] = entry
        else:
            path = [*path, entry]
        if path:
            group.pending[entry.fingerprint] = path
        else:
            group.pending.pop(entry.fingerprint, None)
        self._plan(group, now)
        self._bound()

    def isKnown(self, alert: Alert) -> bool:
        """Whether the receiver was told that it fires, or is about to be."""
        group = self.groups.get(_key(self._common(alert.labels)))
        if group is None:
            return False
        path = group.pending.get(alert.fingerprint)
        return path[-1].status == "firing" if path else alert.fingerprint in group.firing

    def withdraw(self, alert: Alert, now: float) -> None:
        """It was silenced: what the receiver was not told yet, it is not told. That it is over, it will be."""
        group = self.groups.get(_key(self._common(alert.labels)))
        if group is not None and alert.fingerprint not in group.firing:
            group.pending.pop(alert.fingerprint, None)
            self._plan(group, now)

    def _groupOf(self, labels: Mapping[str, str], now: float) -> Group:
        common = self._common(labels)
        key = _key(common)
        group = self.groups.get(key)
        if group is None or self._isOld(group, now):
            group = self.groups[key] = Group(common)
        return group

    def _isOld(self, group: Group, now: float) -> bool:
        """Whether all has been told, so long ago that what comes now is a new group."""
        isIdle = not group.firing and not group.pending and group.waiting is None
        return isIdle and (group.lastAt is None or now >= group.lastAt + self.config.groupInterval)

    def _common(self, labels: Mapping[str, str]) -> dict[str, str]:
        return {name: labels.get(name, "") for name in self.config.groupBy}

    def _plan(self, group: Group, now: float) -> None:
        """When the next message is to be made."""
        config = self.config
        if group.pending:
            if group.dueAt is None or group.lastAt is not None:
                next = None if group.lastAt is None else group.lastAt + config.groupInterval
                group.dueAt = now + config.groupWait if next is None else max(now, next)
        elif group.firing and group.lastAt is not None:
            group.dueAt = group.lastAt + config.repeatInterval
        else:
            group.dueAt = None

    def _bound(self) -> None:
        pending = sum(len(group.pending) for group in self.groups.values())
        for group in list(self.groups.values()):
            while pending > MOST_PENDING and group.pending:
                del group.pending[next(iter(group.pending))]
                self.dropped += 1
                pending -= 1

    # Messages

    def make(self, now: float, telling: Callable[[str], Alert | None]) -> None:
        """
        Make the messages that are due. One that repeats has what fires and is not silenced.

        :param telling: an alert by its fingerprint, if it fires and is to be told.
        """
        for key, group in list(self.groups.items()):
            if group.waiting is None and group.dueAt is not None and group.dueAt <= now:
                entries = self._taken(group) or self._repeated(group, telling)
                group.lastAt = now
                if entries:
                    message = Message(newId(), dict(group.labels), entries, now, len(group.firing))
                    group.waiting = Waiting(message, now, now)
                self._plan(group, now)
            if self._isOld(group, now):
                del self.groups[key]

    def _taken(self, group: Group) -> tuple[Entry, ...]:
        """What is pending, which the receiver knows from now on."""
        entries = sorted(
            (entry for path in group.pending.values() for entry in path), key=_at
        )
        for entry in entries:
            if entry.status == "firing":
                group.firing[entry.fingerprint] = entry
        for fingerprint, path in group.pending.items():
            if path[-1].status == "resolved":
                group.firing.pop(fingerprint, None)
        group.pending.clear()
        return tuple(entries)

    def _repeated(self, group: Group, telling: Callable[[str], Alert | None]) -> tuple[Entry, ...]:
        alerts = [alert for name in group.firing if (alert := telling(name)) is not None]
        return tuple(replace(entryOf(alert), isRepeated=True) for alert in alerts)

    def due(self, now: float) -> Waiting | None:
        """The message that is to be sent next, if any."""
        return min(
            (group.waiting for group in self.groups.values() if group.waiting and group.waiting.dueAt <= now),
            key=lambda waiting: waiting.message.at,
            default=None,
        )

    @property
    def next(self) -> float | None:
        """When there is something to make, send or forget; None: not by itself."""
        times: list[float] = []
        for group in self.groups.values():
            if group.waiting is not None:
                times.append(group.waiting.dueAt)
            elif group.dueAt is not None:
                times.append(group.dueAt)
        return min(times, default=None)

    @property
    def queued(self) -> int:
        """How many messages wait for being delivered."""
        return sum(group.waiting is not None for group in self.groups.values())

    def delivered(self, message: Message) -> None:
        """It has arrived."""
        for group in self.groups.values():
            if group.waiting is not None and group.waiting.message.id == message.id:
                group.waiting = None

    def failed(self, waiting: Waiting, reason: str, dueAt: float, now: float) -> bool:
        """
        It has not arrived, or that is not known.

        :returns: whether it is given up.
        """
        waiting.attempts += 1
        waiting.error = reason
        waiting.dueAt = dueAt
        if now < waiting.since + GIVE_UP:
            return False
        self.dead.append(DeadLetter(waiting.message, now, reason, waiting.attempts))
        self.delivered(waiting.message)
        return True

    def hurry(self, now: float) -> None:
        """The receiver takes messages again: try all that wait."""
        for group in self.groups.values():
            if group.waiting is not None:
                group.waiting.dueAt = min(group.waiting.dueAt, now)

    def redeliver(self, now: float) -> int:
        """
        Take up again what was given up, as messages of their own.

        :returns: how many.
        """
        letters = list(self.dead)
        self.dead.clear()
        for letter in letters:
            waiting = Waiting(letter.message, now, now)
            self.groups[f"again {letter.message.id}"] = Group(dict(letter.message.group), waiting=waiting)
        return len(letters)


def _at(entry: Entry) -> float:
    return entry.startsAt if entry.endsAt is None else entry.endsAt


def _key(labels: Mapping[str, str]) -> str:
    return "\x1f".join(f"{name}={value}" for name, value in sorted(labels.items()))
