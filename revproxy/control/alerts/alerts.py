"""
The alerts of one edge: what happens and what figures say becomes alerts, and those become messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.config.alertsettings import AlertRule, AlertsConfig
from revproxy.control.alerts.alert import Alert, Sighting, State
from revproxy.control.alerts.alertbook import MOST, AlertBook
from revproxy.control.alerts.alertfile import AlertState, formatState, parseState
from revproxy.control.alerts.endings import endedBy, endingOf
from revproxy.control.alerts.evaluation import Evaluation, Finding, Measures, Verdict
from revproxy.control.alerts.labels import cut, patternMatches
from revproxy.control.alerts.receivers import Receivers
from revproxy.control.alerts.sender import Sender
from revproxy.control.alerts.silences import Silence, Silences
from revproxy.control.state.latestfile import LatestFile
from revproxy.plan.events import Event, EventLog

SAVED_AFTER = 0.5
"""Seconds after a change until all is written down."""

TICK = 1.0
"""Seconds between two looks at alerts that wait for their time."""

BELIEVED_AFTER = 60.0
"""Seconds after the start from which on it is believed that something does not stand any more: a target that is down is
only found out by a request."""

ABSENCE = 60.0
"""Seconds that an edge may be away while the time of a condition that is about to fire goes on."""

MOST_EARLY = 1000
"""Events that are kept until the edge has started."""

_OF_EVENTS = ("route", "upstream", "target", "listener", "certificate", "receiver")
"""What an event may be about, besides a plugin: these become labels."""

_NOT_ENDING = 0.9
"""The share of the most alerts below which there is room again."""

Stands = Mapping[str, Callable[[Mapping[str, str]], bool]]
"""By kind of event: whether what one told of still stands, by the labels that say what it was about."""


class Alerts:
    """
    Of one edge.

    :ivar silences: what nobody is told of.
    :ivar receivers: who is told.
    :ivar file: where all is kept.
    """

    _log = Logger()

    def __init__(
        self,
        events: EventLog,
        clock: Any,
        measures: Measures,
        stands: Stands,
        sender: Sender,
        file: LatestFile,
    ) -> None:
        """
        Reads what was known before a restart; tells nobody before :meth:`start`.

        :param clock: provides `IReactorTime`, in seconds since the epoch.
        """
        self.silences = Silences()
        self.file = file
        self._events = events
        self._clock = clock
        self._stands = stands
        self._book = AlertBook(self._changed)
        self._evaluation = Evaluation(measures, clock, self._found, self._roundOver)
        self._config = AlertsConfig()
        self._rules: dict[str, AlertRule] = {}
        self._byKind: dict[str, list[AlertRule]] = {}
        self._ofConditions: dict[tuple[str, str], str] = {}
        self._seen: set[str] = set()
        self._verdicts: dict[str, Counter[Verdict]] = {}
        self._counting: dict[str, Counter[Verdict]] = {}
        self._early: list[Event] | None = []
        self._isFull = False
        self._hasStopped = False
        self._startedAt = 0.0
        self._tick: IDelayedCall | None = None
        self._saving: IDelayedCall | None = None
        kept = self._read()
        self._wasRunning = kept.isRunning
        self.receivers = Receivers(self._book, self.silences, sender, events, clock, kept.receivers, self._soon)
        events.subscribers.append(self.happened)

    def _read(self) -> AlertState:
        state, damaged = self.file.read(parseState, AlertState())
        if damaged is not None:
            self._events.add("ledger-damaged", damaged)
        now = self._clock.seconds()
        self._book.restore([alert for alert in state.alerts if _goesOn(alert, now)], state.resolved)
        self.silences.restore(state.silences, now)
        return state  # type: ignore[no-any-return]

    # Beginning and end

    def start(self) -> None:
        """The edge serves: take up what has happened until now, and tell."""
        if self._early is None:
            return
        early, self._early = self._early, None
        self._startedAt = self._clock.seconds()
        self._tellStart()
        self._evaluation.start()
        self.receivers.start()
        self._reconcile()
        for event in early:
            self.happened(event)
        self.receivers.tellAll()
        self._tickLater()

    def _tellStart(self) -> None:
        """Unless it is the first, this start is an event; the file says how the edge before it has ended."""
        if self._wasRunning:
            text = "the edge has started; the one before it did not end in order"
            self._events.add("crashed", text)
        elif self._wasRunning is not None:
            self._events.add("restarted", "the edge has started; the one before it ended in order")
        self._soon()

    def stop(self) -> None:
        """The edge ends: what was not told stays in the file."""
        self._evaluation.stop()
        self.receivers.stop()
        for later in (self._tick, self._saving):
            if later is not None and later.active():
                later.cancel()
        self._tick = self._saving = None
        self._hasStopped = True

    def save(self) -> None:
        """Write down what is known, if the edge has begun to serve."""
        if self._early is None:
            self._save()

    def adopt(self, config: AlertsConfig) -> None:
        """This is in force from now on."""
        if config == self._config and self._rules:
            return
        self._config = config
        self._rules = {rule.name: rule for rule in config.rules}
        self._byKind = {}
        for rule in config.rules:
            for kind in rule.on:
                self._byKind.setdefault(kind, []).append(rule)
        self._evaluation.rules = config.rules
        self._verdicts = {name: known for name, known in self._verdicts.items() if name in self._rules}
        self.receivers.adopt(config)
        if self._early is None:
            self._reconcile()
            self.receivers.tellAll()

    def _reconcile(self) -> None:
        """What no rule says any more is over; what a rule says with other labels now is another alert."""
        self._ofConditions = {}
        for alert in self._book:
            rule, kind = self._rules.get(alert.rule), alert.labels.get("event", "")
            if rule is None or (kind not in rule.on if rule.on else kind):
                why = "its rule is not in force any more"
                self._book.isOver(alert.fingerprint, why, self._clock.seconds())
                continue
            about = ("event", "plugin", *_OF_EVENTS) if rule.on else (rule.of,)
            labels = self._labels(rule, {name: alert.labels.get(name, "") for name in about})
            if labels != alert.labels:
                self._book.isOver(alert.fingerprint, "its rule says it otherwise now", self._clock.seconds())
                if rule.on:
                    self._sight(Sighting(rule.name, labels, rule.summary or kind, alert.text, rule.wait))
            elif rule.when:
                self._ofConditions[rule.name, alert.labels.get(rule.of, "edge")] = alert.fingerprint

    # What happens

    def happened(self, event: Event) -> None:
        """Something has happened, and may be what a rule is about, or end it. Raises nothing."""
        if self._early is not None:
            if len(self._early) < MOST_EARLY:
                self._early.append(event)
            return
        try:
            self._end(event)
            for rule in self._byKind.get(event.kind, ()):
                self._happenedTo(rule, event)
        except Exception:  # whoever tells of events does not depend on who hears them
            self._log.failure("alerts of an event")

    def _happenedTo(self, rule: AlertRule, event: Event) -> None:
        subject = _subjectOf(event)
        if rule.only != "*" and not any(patternMatches(rule.only, name) for name in subject.values()):
            return
        labels = self._labels(rule, {"event": event.kind, **subject})
        self._sight(Sighting(rule.name, labels, rule.summary or event.kind, event.text, rule.wait))

    def _end(self, event: Event) -> None:
        kinds = endedBy(event.kind)
        if not kinds:
            return
        subject = _subjectOf(event)
        for alert in self._book:
            kind = alert.labels.get("event", "")
            if kind in kinds and (endingOf(kind).ofAll or _subjectIn(alert.labels) == subject):
                self._book.isOver(alert.fingerprint, event.text, self._clock.seconds())

    def _sight(self, seen: Sighting, isNews: bool = True) -> str | None:
        known = self._book.holds(seen, self._clock.seconds())
        if known is not None:
            self._tickLater()
            if isNews:
                self._soon()
        elif not self._isFull:
            self._isFull = True
            text = f"there are {MOST} alerts; further ones are not told, such as one of {seen.rule}"
            self._events.add("alerts-full", text)
        return known

    def _found(self, finding: Finding) -> None:
        """What a condition says."""
        rule, now = finding.rule, self._clock.seconds()
        if self._rules.get(rule.name) is not rule:
            return  # another configuration has come in the midst of a round
        self._counting.setdefault(rule.name, Counter())[finding.verdict] += 1
        key = rule.name, cut(finding.name)
        known = self._ofConditions.get(key)
        if finding.verdict is Verdict.HOLDS:
            subject = {} if rule.of == "edge" else {rule.of: finding.name}
            seen = Sighting(rule.name, self._labels(rule, subject), rule.summary or str(rule.when[0]), finding.text,
                            rule.wait)
            known = self._sight(seen, isNews=known is None)
            if known is not None:
                self._ofConditions[key] = known
        elif known is not None and finding.verdict is Verdict.NOT:
            self._book.isOver(known, finding.text, now)
            del self._ofConditions[key]
            known = None
        elif known is not None:
            self._book.isSilent(known, now)
        if known is not None:
            self._seen.add(known)

    def _roundOver(self, compared: frozenset[str]) -> None:
        """Everything was compared once: what was not there is not there any more."""
        self._verdicts, self._counting = {**self._verdicts, **self._counting}, {}
        seen, self._seen = self._seen, set()
        for key, known in list(self._ofConditions.items()):
            if (key[0] in compared and known not in seen) or self._book.get(known) is None:
                self._book.isOver(known, "it is not configured any more", self._clock.seconds())
                del self._ofConditions[key]

    def _look(self) -> None:
        """What time does to alerts and silences."""
        now = self._clock.seconds()
        for alert in self._book:
            rule = self._rules.get(alert.rule)
            if rule is None:
                continue
            if rule.on:
                self._lookAtEvent(alert, rule, now)
            elif rule.endsAfter is not None and alert.silentAt is not None and now >= alert.silentAt + rule.endsAfter:
                self._book.isOver(alert.fingerprint, "no traffic for long: whether it is well is not known", now)
        if self._isFull and len(self._book) < MOST * _NOT_ENDING:
            self._isFull = False
        if self.silences.expire(now):
            self.receivers.tellAll()
            self._soon()

    def _lookAtEvent(self, alert: Alert, rule: AlertRule, now: float) -> None:
        kind = alert.labels.get("event", "")
        after = endingOf(kind).after if rule.endsAfter is None else rule.endsAfter
        stands = self._stands.get(kind)
        isBelieved = now >= self._startedAt + BELIEVED_AFTER or alert.lastAt >= self._startedAt
        if stands is not None and isBelieved and not stands(alert.labels):
            self._book.isOver(alert.fingerprint, "it does not stand any more", now)
        elif after is not None and now >= alert.lastAt + after:
            self._book.isOver(alert.fingerprint, "it has not happened again", now)
        else:
            self._book.advance(alert.fingerprint, rule.wait, now)

    def _tickLater(self) -> None:
        """Look soon, while there is anything that time does something to."""
        isIdle = not len(self._book) and self.silences.next is None
        if not isIdle and self._tick is None and self._early is None and not self._hasStopped:
            self._tick = self._clock.callLater(TICK, self._ticked)

    def _ticked(self) -> None:
        self._tick = None
        self._look()
        self._tickLater()

    def _labels(self, rule: AlertRule, subject: Mapping[str, str]) -> dict[str, str]:
        labels = {**self._config.labels, **rule.labels, "alertname": rule.name, "severity": rule.severity, **subject}
        return {name: cut(value) for name, value in labels.items() if value}

    def _changed(self, alert: Alert) -> None:
        """An alert fires, or was resolved after it did."""
        self._soon()
        self.receivers.changed(alert)

    # What people do

    def silence(self, matchers: Sequence[str], seconds: float, by: str, reason: str) -> Silence:
        """
        Have nobody told of what matches.

        :raises ValueError: it is no silence; says why.
        """
        silence = self.silences.add(matchers, seconds, by, reason, self._clock.seconds())
        self.receivers.withdraw(silence)
        self._soon()
        self._tickLater()
        return silence

    def unsilence(self, known: str) -> Silence | None:
        """End a silence before its time. :returns: it; None if there is none with this id."""
        ended = self.silences.remove(known)
        if ended is not None:
            self.receivers.tellAll()
            self._soon()
        return ended

    # What is shown

    @property
    def firing(self) -> list[Alert]:
        """What fires, silenced or not."""
        return self._book.firing

    def asDict(self) -> dict[str, Any]:
        """As JSON shows it."""
        firing, silenced = [], []
        for alert in self._book.firing:
            silence = self.silences.of(alert.labels)
            if silence is None:
                firing.append(alert.asDict())
            else:
                silenced.append({**alert.asDict(), "silenced_by": silence.id})
        return {
            "firing": firing,
            "silenced": silenced,
            "pending": [alert.asDict() for alert in self._book if alert.state is State.PENDING],
            "resolved": [alert.asDict() for alert in reversed(self._book.resolved)],
            "silences": [silence.asDict() for silence in self.silences],
            "rules": [self._ruleAsDict(rule) for rule in self._config.rules],
            "receivers": self.receivers.asDicts(),
        }

    def _ruleAsDict(self, rule: AlertRule) -> dict[str, Any]:
        said = self._verdicts.get(rule.name, Counter())
        known = [alert for alert in self._book if alert.rule == rule.name]
        return {
            "name": rule.name,
            "on": list(rule.on),
            "when": " and ".join(map(str, rule.when)),
            "of": rule.of,
            "only": rule.only,
            "over_seconds": rule.over if rule.when else None,
            "for_seconds": rule.wait,
            "severity": rule.severity,
            "to": list(self.receivers.of(rule.name)),
            "is_ready_made": rule.isReadyMade,
            "firing": sum(alert.state.isTold for alert in known),
            "pending": sum(alert.state is State.PENDING for alert in known),
            "without_traffic": said[Verdict.SILENT],
        }

    # What is kept

    def _soon(self) -> None:
        if self._saving is None and self._early is None and not self._hasStopped:
            self._saving = self._clock.callLater(SAVED_AFTER, self._save)

    def _save(self) -> None:
        self._saving = None
        book = self._book
        state = AlertState(
            alerts=list(book), resolved=list(book.resolved), silences=list(self.silences),
            receivers=self.receivers.state(), isRunning=not self._hasStopped,
        )
        self.file.save(formatState(state))


def _goesOn(alert: Alert, now: float) -> bool:
    """Nobody has looked whether a condition held while the edge was away: not for long, or it begins anew."""
    isSeen = alert.state is not State.PENDING or "event" in alert.labels
    return isSeen or now < alert.lastAt + ABSENCE


def _subjectOf(event: Event) -> dict[str, str]:
    """What an event is about, as labels."""
    subject = {"plugin": event.plugin} if event.plugin else {}
    return {**subject, **{name: cut(event.about[name]) for name in _OF_EVENTS if event.about.get(name)}}


def _subjectIn(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: labels[name] for name in ("plugin", *_OF_EVENTS) if name in labels}
