"""
What is told of a plugin's trust: whose it is, where it runs, and what it may touch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

Facts = Mapping[str, Any]

_DIGEST = 12
_FLAGS = ("respond", "store", "figures")


def trustLines(trust: Facts) -> Iterator[str]:
    """Lines below the name of a plugin."""
    if trust["signer"] is not None:
        at = "" if trust["verified_at"] is None else f", verified {_day(trust['verified_at'])}"
        yield f"  signed by {trust['signer']} ({trust['key']}), revision {trust['revision']}{at}"
    elif trust["state"] == "trusted":
        yield "  trusted   it is in the lock file"
    elif trust["state"] != "unchecked":
        yield f"  {trust['state']:<9} {trust['message']}"
        return
    yield f"  runs in   {_placeOf(trust)}"
    permissions = trust["permissions"]
    yield f"  may       {permissionText(permissions['granted'])}"
    if permissions["missing"]:
        yield f"  not       {'; '.join(permissions['missing'])}, which it asks for"
    if permissions["beyond"]:
        yield f"  never     {'; '.join(permissions['beyond'])}: beyond what its signer may have granted"
    if trust["waiting"] is not None:
        yield from _waiting(trust["waiting"])


def permissionText(permissions: Facts | None) -> str:
    """What it may touch, in one line; None: everything."""
    if permissions is None:
        return "touch everything"
    lists = ("read_headers", "write_headers", "upstreams", "environment", "files")
    said = [f"{key}: {', '.join(permissions[key])}" for key in lists if permissions[key]]
    said += [f"body: {permissions['body']}"] if permissions["body"] != "none" else []
    said += [key for key in _FLAGS if permissions[key]]
    return "; ".join(said) or "touch nothing"


def _placeOf(trust: Facts) -> str:
    if trust["tier"] == "inline":
        return "the edge's own process"
    level = "" if trust["level"] is None else f", level {trust['level']}"
    lowered = ", as its signer's plugins do" if trust["wanted_tier"] == "inline" else ""
    return f"a locked process{level}{lowered}"


def _waiting(waiting: Facts) -> Iterator[str]:
    """What is in its folder, and does not run."""
    digest = "" if waiting["digest"] is None else f" ({waiting['digest'][:_DIGEST]})"
    yield f"  waiting   {waiting['version']}{digest}: {waiting['message']}"
    yield from (f"              + {what}" for what in waiting["added"])


def _day(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


__all__ = ["permissionText", "trustLines"]
