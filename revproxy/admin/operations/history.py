"""
What was changed, by whom, and back again.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.operation import Answer, Call, Operation, Parameter
from revproxy.admin.operations.configuration import UNSHOWN, WRITTEN, answered, mayReadTexts
from revproxy.admin.problem import Problem
from revproxy.admin.role import Role
from revproxy.admin.shapes import COUNT, FLAG, REASON, TEXT, TIME, fields, items, optional, record
from revproxy.control.actor import Actor
from revproxy.control.control import Control
from revproxy.control.history.comparison import compared
from revproxy.control.history.historyfiles import Entry
from revproxy.control.history.standing import Standing
from revproxy.control.reverting import Lost
from revproxy.control.steering import Asker
from revproxy.secrets import masked

ACTOR = record(
    via={"enum": ["socket", "http", "files", "edge"]}, name=TEXT, token=TEXT, role=TEXT, address=TEXT,
)  # fmt: skip

CHANGE = record(
    number=COUNT,
    at=TIME,
    actor=ACTOR,
    action={
        **TEXT, "description": "files, start, config, plugin-config, enable, disable, rollback, pin, unpin, reload, "
                               "revert, quarantine, restore.",
    },
    plugin={**TEXT, "description": "Whom it was about; empty: nobody alone."},
    reason=TEXT,
    result={"enum": ["done", "refused"]},
    text={"type": "array", "items": TEXT, "description": "What has changed, a line each."},
    refused={"type": "array", "items": record(plugin=TEXT, stage=TEXT, message=TEXT)},
    standing={**TEXT, "description": "SHA-256 of how things stood afterwards."},
    config={**TEXT, "description": "SHA-256 of the configuration's text then; empty: there was none."},
)  # fmt: skip

_NAMED = {"type": "object"}

STOOD = record(
    **CHANGE["properties"],
    stood=optional(record(
        "How things stood afterwards; null: that cannot be had any more.",
        config=TEXT, plugins=_NAMED, pins=_NAMED, switches=_NAMED, gates=_NAMED,
    )),
    config_text=optional({
        **TEXT,
        "description": "The configuration then; what it refers to is masked. Null: it is lost, or whoever asks may not "
                       "read the file, which takes the role configure.",
    }),
)  # fmt: skip

_SIDES = {"type": "array", "items": record(plugin=TEXT, before={}, after={})}

DIFFERENCE = record(
    **{"from": {"type": "integer"}, "to": optional({"type": "integer"})},
    config={
        **TEXT,
        "description": "Of the configuration's text, as diff -u has it; what it refers to is masked. Without the role "
                       "configure it only says whether it is different.",
    },
    lines={"type": "array", "items": TEXT, "description": "All else, for people."},
    plugins=_SIDES,
    pins=_SIDES,
    switches=_SIDES,
    gates=_SIDES,
)

_NUMBER: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": 1 << 53}


class _History:
    """The handlers."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._history = control.history

    async def all(self, call: Call) -> Any:
        before, limit = call.values["cursor"], call.values["limit"]
        found = [entry for entry in self._history.entries if before is None or entry["number"] < before]
        page = found[-limit:][::-1]
        return {"items": page, "next": page[-1]["number"] if len(found) > limit else None}

    async def one(self, call: Call) -> Any:
        entry = self._entry(call.values["number"])
        standing = await self._history.standing(entry)
        text = await self._history.config(entry) if mayReadTexts(call.actor) else None
        stood = None if standing is None else standing.asDict()
        shown = None if text is None else await self._control.coordinator.files.do(masked, text)
        return {**entry, "stood": stood, "config_text": shown}

    async def difference(self, call: Call) -> Any:
        first, last = call.values["from"], call.values["to"]
        before, textBefore = await self._stood(first)
        after, textAfter = await self._now() if last is None else await self._stood(last)
        told = await self._control.coordinator.files.do(compared, before, after, textBefore, textAfter)
        if told["config"] and not mayReadTexts(call.actor):
            told["config"] = UNSHOWN
        return {"from": first, "to": last, **told}

    async def _stood(self, number: int) -> tuple[Standing, str | None]:
        entry = self._entry(number)
        standing = await self._history.standing(entry)
        if standing is None:
            raise Problem(404, f"how things stood after change {number} is not there any more")
        return standing, await self._history.config(entry)

    async def _now(self) -> tuple[Standing, str | None]:
        coordinator = self._control.coordinator
        if coordinator.plan is None:
            raise Problem(409, "the edge is starting; try again")
        config = coordinator.plan.config
        text = coordinator.snapshots.textOf(config)
        return Standing.of(coordinator.plan, coordinator.records, text), text

    def _entry(self, number: int) -> Entry:
        entry = self._history.find(number)
        if entry is None:
            entries = self._history.entries
            kept = f"kept are {entries[0]['number']} to {entries[-1]['number']}" if entries else "none is kept"
            raise Problem(404, f"there is no change {number}; {kept}")
        return entry

    async def revert(self, call: Call) -> Answer:
        number, trial = call.body["to"], bool(call.body.get("dry_run"))
        reason, path = call.body.get("reason") or "", self._control.configFile.path

        async def do(actor: Actor) -> Answer:
            try:
                making = self._control.reverting.revert(Asker(actor, reason), number, trial)
                return await answered(making, trial, None if path is None else str(path))
            except Lost as lost:
                raise Problem(409, str(lost), {"missing": lost.missing}) from None

        if trial:
            return await do(call.actor)
        return await self._control.audit.around(call.actor, "revert", str(number), reason, do)


def historyOperations(control: Control) -> tuple[Operation, ...]:
    """All about what was changed."""
    handlers = _History(control)
    return (
        Operation(
            "GET", "/history", Role.READ, "listChanges", "What was changed, and what was refused; the newest first.",
            handlers.all, (
                Parameter("limit", "So many.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 50}),
                Parameter("cursor", "Only those before: `next` of the page before.", _NUMBER),
            ), answer=items(CHANGE, next=optional(COUNT)),
        ),
        Operation(
            "GET", "/history/{number}", Role.READ, "showChange", "One change, and how things stood after it.",
            handlers.one, (Parameter("number", "Its number.", _NUMBER, "path", True),), answer=STOOD,
            problems={404: "It is not kept."},
        ),
        Operation(
            "GET", "/diff", Role.READ, "compareChanges",
            "What is different between how things stood after two changes.", handlers.difference, (
                Parameter("from", "Number of a change.", _NUMBER, required=True),
                Parameter("to", "Number of another; left out: now.", _NUMBER),
            ), answer=DIFFERENCE, problems={404: "One of them is not kept."},
        ),
        Operation(
            "POST", "/revert", Role.CONFIGURE, "revert", "Go back to how things stood after a change.",
            handlers.revert, (),
            fields("to", to={**_NUMBER, "description": "Number of the change."}, reason=REASON, dry_run=FLAG), WRITTEN,
            description="The configuration file, pins and switches of then, and its versions as pins: one change, all "
                        "of it or nothing.",
            problems={
                404: "There is no such change.",
                409: "Something of it cannot be had; `missing` says what, and why.",
                412: "Somebody has changed the configuration file in the same moment.",
                422: "The configuration of then will not do any more; `problems` has each with its place.",
            },
        ),
    )  # fmt: skip


__all__ = ["historyOperations"]
