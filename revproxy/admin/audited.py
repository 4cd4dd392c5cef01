"""
No operation that changes something can forget to be audited: each is watched, and has its record if nobody makes one
who knows more of it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from revproxy.admin.operation import Call, Operation
from revproxy.control.actor import Actor
from revproxy.control.history.audit import Audit

_ACTION = re.compile("([A-Z])")
"""Records say test-receiver, as they say token-new; operations are named as programs write it."""


def audited(operation: Operation, audit: Audit) -> Operation:
    """The same operation; one record of each call that is to change something, done or refused."""
    if operation.method == "GET" or not operation.isChange:
        return operation
    handler, action = operation.handler, _ACTION.sub(r"-\1", operation.name).lower()

    async def handle(call: Call) -> Any:
        body: Any = call.body if isinstance(call.body, dict) else {}
        if call.values.get("dry_run") or body.get("dry_run"):
            return await handler(call)
        places = [parameter.name for parameter in operation.parameters if parameter.place == "path"]
        target = " ".join(str(call.values[name]) for name in places)
        reason = str(body.get("reason") or call.values.get("reason") or "")

        async def do(actor: Actor) -> Any:
            return await handler(replace(call, actor=actor))

        return await audit.around(call.actor, action, target, reason, do)

    return replace(operation, handler=handle)


__all__ = ["audited"]
