"""
The configuration file: what is in it, what comes of it, and another text for it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import asdict
from typing import Any

from revproxy.admin.operation import Answer, Call, Operation, Parameter
from revproxy.admin.operations.outcome import OUTCOME
from revproxy.admin.problem import Problem
from revproxy.admin.role import Role
from revproxy.admin.shapes import FLAG, PLUGIN, REASON, TEXT, fields, items, optional, record
from revproxy.config.document import MAX_BYTES
from revproxy.control.actor import Actor
from revproxy.control.commands import CommandError
from revproxy.control.configfile import Outcome, Stale, Unwritable, Wrong
from revproxy.control.control import Control
from revproxy.control.steering import Asker

_ETAG = {**TEXT, "description": "Of what the file has; If-Match wants it."}

CONFIG = record(
    text={**TEXT, "description": "What the file says; references are not resolved."},
    etag=_ETAG,
    path=optional({**TEXT, "description": "Null: the edge was started with options."}),
    effective={"type": "object", "description": "What is in force, with all defaults; secrets are masked."},
    is_writable=FLAG,
    unwritable={**TEXT, "description": "Why the edge cannot write it; empty if it can."},
)

DRIFT = record(
    same={**FLAG, "description": "Whether what runs is what the file says."},
    path=optional(TEXT),
    failure={**TEXT, "description": "Why what the file says is not in force; empty if that is not known."},
    diff={
        **TEXT,
        "description": "From what runs to what the file says, as diff -u has it; what it refers to is masked. Without "
                       "the role configure it only says whether there is a difference.",
    },
)

WRITTEN = record(
    **OUTCOME["properties"],
    diff={**TEXT, "description": "Between the file before and after, as diff -u has it; secrets are masked."},
    etag=_ETAG,
    dry_run=FLAG,
)

PLUGIN_CONFIG = record(
    name=TEXT,
    config={"description": "What plugins.config of the file says of it; null: nothing. References are not resolved."},
    defaults=optional({"type": "object", "description": "What its plugin.json says."}),
    schema=optional({"type": "object", "description": "Its config_schema."}),
    groups=items(record(
        routes={"type": "array", "items": TEXT}, config=optional({"type": "object"}),
    ))["properties"]["items"],
    etag=_ETAG,
    is_writable=FLAG,
)  # fmt: skip

_DRY_RUN = Parameter(
    "dry_run", "Only say what would come of it; it is prepared, and then nothing is changed.",
    {"type": "boolean", "default": False},
)  # fmt: skip

_PROBLEMS = {
    409: "It was refused, or the file cannot be written by the edge; the detail says why, `path` which file.",
    412: "The file is not what If-Match says: somebody else has changed it.",
    422: "The text is no configuration; `problems` has file, line, column, path and message of each.",
}


UNSHOWN = "the text is different; the role configure may read it"
"""What stands for a difference of texts where whoever asks may not read the file: secrets may be written out there."""


def mayReadTexts(actor: Actor) -> bool:
    """Whether somebody may have texts of the configuration as they are."""
    return Role.named(actor.role) >= Role.CONFIGURE


class _Configuration:
    """The handlers."""

    def __init__(self, control: Control) -> None:
        self._file = control.configFile
        self._audit = control.audit

    async def read(self, call: Call) -> Answer:
        found = await self._file.read()
        return Answer({
            "text": found.text,
            "etag": found.etag,
            "path": None if self._file.path is None else str(self._file.path),
            "effective": await self._file.effective(),
            "is_writable": not found.unwritable,
            "unwritable": found.unwritable,
        }, etag=found.etag)  # fmt: skip

    async def effective(self, call: Call) -> Any:
        return await self._file.effective()

    async def drift(self, call: Call) -> Any:
        told = await self._file.drift()
        return told if not told["diff"] or mayReadTexts(call.actor) else {**told, "diff": UNSHOWN}

    async def write(self, call: Call) -> Answer:
        if call.ifMatch is None:
            raise Problem(428, "give If-Match, with the ETag of what the change is made of: GET has it")
        etag, trial = call.ifMatch, call.values["dry_run"]

        async def do(actor: Actor) -> Answer:
            asker = Asker(actor, call.body.get("reason") or "")
            return await answered(self._file.write(asker, call.body["text"], etag, trial), trial, self._path)

        return await self._around(call, "config", "", do)

    async def ofPlugin(self, call: Call) -> Answer:
        told = await self._file.ofPlugin(call.values["name"])
        return Answer(told, etag=told["etag"])

    async def writePlugin(self, call: Call) -> Answer:
        name, trial = call.values["name"], call.values["dry_run"]

        async def do(actor: Actor) -> Answer:
            asker = Asker(actor, call.body.get("reason") or "")
            written = self._file.writePlugin(asker, name, call.body["config"], call.ifMatch, trial)
            return await answered(written, trial, self._path)

        return await self._around(call, "plugin-config", name, do)

    @property
    def _path(self) -> str | None:
        return None if self._file.path is None else str(self._file.path)

    async def _around(self, call: Call, action: str, target: str, do: Any) -> Answer:
        if call.values["dry_run"]:
            dry: Answer = await do(call.actor)
            return dry
        made: Answer = await self._audit.around(call.actor, action, target, call.body.get("reason") or "", do)
        return made


async def answered(making: Awaitable[Outcome], isTrial: bool, path: str | None) -> Answer:
    """
    What an edit is answered.

    :raises Problem: it was not done.
    """
    try:
        outcome = await making
    except Stale as error:
        raise Problem(412, str(error), {"path": path}) from None
    except Wrong as error:
        problems = [asdict(problem) for problem in error.problems]
        raise Problem(422, str(error), {"path": path, "problems": problems}) from None
    except Unwritable as error:
        raise Problem(409, str(error), {"path": path}) from None
    except CommandError:
        raise
    return Answer({
        "text": list(outcome.text) or ["nothing had to change"],
        "refused": [
            {"plugin": each.plugin, "stage": each.stage, "message": each.message} for each in outcome.refused
        ],
        "diff": outcome.diff,
        "etag": outcome.etag,
        "dry_run": isTrial,
    }, etag=outcome.etag)  # fmt: skip


def configurationOperations(control: Control) -> tuple[Operation, ...]:
    """All about the configuration file."""
    handlers = _Configuration(control)
    return (
        Operation(
            "GET", "/config", Role.CONFIGURE, "readConfig", "The configuration file, and what comes of it.",
            handlers.read, answer=CONFIG,
        ),
        Operation(
            "GET", "/config/effective", Role.READ, "showEffectiveConfig", "What is in force, with all defaults.",
            handlers.effective, answer={"type": "object"},
            description="What came by a reference is masked, and so are values under names of secrets.",
        ),
        Operation(
            "GET", "/config/drift", Role.READ, "showDrift", "Whether what runs is what the configuration file says.",
            handlers.drift, answer=DRIFT,
        ),
        Operation(
            "PUT", "/config", Role.CONFIGURE, "writeConfig", "Give the configuration file another text.",
            handlers.write, (_DRY_RUN,), fields("text", text={"type": "string"}, reason=REASON), WRITTEN,
            description="It is checked, prepared, written and taken up, or nothing is changed. Needs If-Match.",
            problems={**_PROBLEMS, 428: "There is no If-Match."}, bodyLimit=2 * MAX_BYTES,
        ),
        Operation(
            "GET", "/plugins/{name}/config", Role.CONFIGURE, "readPluginConfig",
            "What the configuration file says of a plugin, and what comes of it.", handlers.ofPlugin, (PLUGIN,),
            answer=PLUGIN_CONFIG,
        ),
        Operation(
            "PUT", "/plugins/{name}/config", Role.CONFIGURE, "writePluginConfig",
            "Write plugins.config of a plugin into the configuration file; all else in it stays as it is.",
            handlers.writePlugin, (PLUGIN, _DRY_RUN),
            fields("config", config={"type": ["object", "boolean"]}, reason=REASON), WRITTEN,
            description="false: it is off. true: it is on, as its plugin.json says.",
            problems=_PROBLEMS, bodyLimit=1 << 20,
        ),
    )  # fmt: skip


__all__ = ["UNSHOWN", "WRITTEN", "answered", "configurationOperations", "mayReadTexts"]
