"""
The source of plugins: what is different between two stored versions.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.operation import Call, Operation, Parameter
from revproxy.admin.problem import Problem
from revproxy.admin.role import Role
from revproxy.admin.shapes import PLUGIN, TEXT, record
from revproxy.bundles.versionstore import StoreError
from revproxy.control.control import Control
from revproxy.control.pinning import meantVersion

_FILE = record(path=TEXT, diff={**TEXT, "description": "As `diff -u` shows it, without its two first lines."})

_VERSION = {"type": "string", "minLength": 1, "maxLength": 256}


def sourceOperations(control: Control) -> tuple[Operation, ...]:
    """All about source text: whoever may see it may write the configuration."""

    async def difference(call: Call) -> Any:
        name, records = call.values["name"], control.coordinator.records
        control.pluginView.check(name)
        before, after = (meantVersion(records, name, call.values[key]).digest for key in ("from", "to"))
        try:
            files = await control.sources(name, before, after)
        except (StoreError, OSError) as error:
            raise Problem(409, str(error)) from None
        return {"from": before, "to": after, "files": files}

    return (
        Operation(
            "GET", "/plugins/{name}/diff", Role.CONFIGURE, "comparePluginVersions",
            "What is different between two stored versions of a plugin.", difference,
            (
                PLUGIN,
                Parameter("from", "A version, or the beginning of a digest.", _VERSION, required=True),
                Parameter("to", "Another.", _VERSION, required=True),
            ),
            answer=record(**{"from": TEXT, "to": TEXT, "files": {"type": "array", "items": _FILE}}),
            problems={404: "There is no such plugin.", 409: "One of them is not stored, or not named clearly."},
        ),
    )  # fmt: skip


__all__ = ["sourceOperations"]
