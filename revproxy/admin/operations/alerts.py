"""
Alerts: what fires, who is told, and what nobody is to be told of.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.operation import Call, Operation, Parameter
from revproxy.admin.problem import Problem
from revproxy.admin.role import Role
from revproxy.admin.shapes import COUNT, FLAG, NUMBER, REASON, TEXT, TIME, fields, optional, record
from revproxy.config.problems import quoted, suggestion
from revproxy.control.alerts.alerts import Alerts
from revproxy.control.alerts.labels import MAX_MATCHER, MAX_MATCHERS
from revproxy.control.alerts.sender import NotSent
from revproxy.control.alerts.silences import LONGEST
from revproxy.control.control import Control
from revproxy.control.history.audit import Audit
from revproxy.durations import DURATION, parseDuration

_LABELS = {"type": "object", "additionalProperties": TEXT, "description": "What it is."}

ALERT = record(
    fingerprint=TEXT, rule=TEXT, state={"enum": ["pending", "firing", "no-traffic", "resolved"]}, labels=_LABELS,
    summary=TEXT, text=TEXT, since=TIME, fired_at=optional(TIME), ended_at=optional(TIME), why=TEXT,
)  # fmt: skip

SILENCE = record(
    id=TEXT, matchers={"type": "array", "items": TEXT}, by=TEXT, reason=TEXT, at=TIME, until=TIME
)

_RULE = record(
    name=TEXT, on={"type": "array", "items": TEXT}, when=TEXT, of=TEXT, only=TEXT, over_seconds=optional(NUMBER),
    for_seconds=NUMBER, severity=TEXT, to={"type": "array", "items": TEXT}, is_ready_made=FLAG, firing=COUNT,
    pending=COUNT, without_traffic=COUNT,
)  # fmt: skip

_DEAD = record(
    "A message that was given up.",
    id=TEXT, at=TIME, alerts={"type": "array", "items": TEXT}, attempts=COUNT, reason=TEXT,
)  # fmt: skip

_RECEIVER = record(
    name=TEXT, kind={"enum": ["alertmanager", "webhook", "slack"]}, is_disabled=FLAG, last_delivery=optional(TIME),
    last_failure=optional(TIME), last_error=TEXT, failures=COUNT, queued=COUNT, dead_letters=COUNT,
    dead={"type": "array", "items": _DEAD},
)  # fmt: skip


def _list(schema: Any) -> Any:
    return {"type": "array", "items": schema}


_ALL = record(
    firing=_list(ALERT), silenced=_list(ALERT), pending=_list(ALERT), resolved=_list(ALERT), silences=_list(SILENCE),
    rules=_list(_RULE), receivers=_list(_RECEIVER),
)  # fmt: skip

_MATCHERS = {
    "type": "array",
    "items": {"type": "string", "minLength": 1, "maxLength": MAX_MATCHER},
    "minItems": 1,
    "maxItems": MAX_MATCHERS,
    "description": "LABEL=PATTERN or LABEL!=PATTERN, with * for anything; all of them must match.",
}

_FOR = {**DURATION, "exclusiveMinimum": 0, "maximum": LONGEST, "description": "How long it lasts."}

_ID = Parameter("id", "The silence's id.", {"type": "string", "minLength": 1, "maxLength": 32}, "path", required=True)

_NAME = Parameter("name", "The receiver's name.", {"type": "string", "minLength": 1, "maxLength": 64}, "path",
                  required=True)  # fmt: skip


class _Alerts:
    """The handlers."""

    def __init__(self, alerts: Alerts, audit: Audit) -> None:
        self._alerts = alerts
        self._audit = audit

    async def all(self, call: Call) -> Any:
        return self._alerts.asDict()

    async def silence(self, call: Call) -> Any:
        body, actor = call.body, call.actor
        reason, by = body.get("reason", ""), actor.name or actor.via
        try:
            silence = self._alerts.silence(body["matchers"], parseDuration(body["for"]), by, reason)
        except ValueError as error:
            self._audit.record(actor, "silence", " ".join(body["matchers"]), reason=reason, result="refused",
                               text=str(error))  # fmt: skip
            raise Problem(422, str(error)) from None
        self._audit.record(actor, "silence", silence.id, after=silence.asDict(), reason=reason)
        return silence.asDict()

    async def unsilence(self, call: Call) -> Any:
        known = call.values["id"]
        ended = self._alerts.unsilence(known)
        if ended is None:
            text = f"no silence has the id {quoted(known)}; `revproxy alerts` lists them"
            self._audit.record(call.actor, "unsilence", known, result="refused", text=text)
            raise Problem(404, text)
        self._audit.record(call.actor, "unsilence", known, before=ended.asDict())
        return ended.asDict()

    async def test(self, call: Call) -> Any:
        name = self._known(call)
        try:
            answer = await self._alerts.receivers.test(name, call.actor.name or call.actor.via)
        except NotSent as error:
            self._audit.record(call.actor, "test-receiver", name, result="failed", text=str(error))
            return {"is_delivered": False, "status": None, "text": str(error)}
        result = "done" if answer.isTaken else "failed"
        self._audit.record(call.actor, "test-receiver", name, result=result, text=str(answer))
        return {"is_delivered": answer.isTaken, "status": answer.status, "text": answer.text}

    async def redeliver(self, call: Call) -> Any:
        name = self._known(call)
        count = self._alerts.receivers.redeliver(name)
        self._audit.record(call.actor, "redeliver", name, text=f"{count} messages")
        return {"messages": count}

    def _known(self, call: Call) -> str:
        name = str(call.values["name"])
        receivers = list(self._alerts.receivers)
        if name not in receivers:
            known = suggestion(name, receivers) if receivers else "; there are none (alerts.receivers in revproxy.yaml)"
            raise Problem(404, f"no receiver is named {quoted(name)}{known}")
        return name


def alertOperations(control: Control) -> tuple[Operation, ...]:
    """All about alerts."""
    handlers = _Alerts(control.alerts, control.audit)
    noReceiver = {404: "There is no such receiver."}
    return (
        Operation("GET", "/alerts", Role.READ, "listAlerts", "What fires, and who is told of it.", handlers.all,
                  answer=_ALL, description="Of resolved ones the last 100, the newest first."),
        Operation("POST", "/alerts/silences", Role.OPERATE, "silenceAlerts", "Tell nobody of what matches, for a time.",
                  handlers.silence, (), fields("matchers", "for", matchers=_MATCHERS, reason=REASON, **{"for": _FOR}),
                  SILENCE, problems={422: "It is no silence, or there are too many."}),
        Operation("DELETE", "/alerts/silences/{id}", Role.OPERATE, "unsilenceAlerts", "End a silence before its time.",
                  handlers.unsilence, (_ID,), answer=SILENCE, problems={404: "There is no such silence."}),
        Operation("POST", "/alerts/receivers/{name}/test", Role.OPERATE, "testReceiver",
                  "Send a receiver a message that says that it is a test.", handlers.test, (_NAME,),
                  answer=record(is_delivered=FLAG, status=optional(COUNT), text=TEXT), problems=noReceiver,
                  description="Answered within 10 s. One that takes it is told again what waits for it."),
        Operation("POST", "/alerts/receivers/{name}/redeliver", Role.OPERATE, "redeliverAlerts",
                  "Try again what was given up.", handlers.redeliver, (_NAME,), answer=record(messages=COUNT),
                  problems=noReceiver),
    )  # fmt: skip


__all__ = ["ALERT", "SILENCE", "alertOperations"]
