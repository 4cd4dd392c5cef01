"""Contexts as plugins with permissions see them."""

from __future__ import annotations

from typing import Any

from revproxy.context import Context
from revproxy.guardedcontext import GuardedContext
from revproxy.permissions import NAMED_ONLY, Permissions
from revproxy.permit import Permit
from revproxy.testing import makeContext, makeResponse

FIELDS = {"X-Tenant": "a", "X-Secret": "s", "Cookie": "c=1", "Authorization": "Basic eA=="}

EVERYTHING = Permissions.of({
    "read_headers": ["*", ":path", ":authority", *NAMED_ONLY], "body": "write", "respond": True,
    "write_headers": ["*", ":path", ":method", ":authority", *NAMED_ONLY], "upstreams": ["billing", "none"],
})  # fmt: skip


def guarded(context: Context | None = None, **permissions: Any) -> tuple[Context, Any]:
    """A context with an answer, and its facade."""
    if context is None:
        context = makeContext(target="/a?q=1", headers=FIELDS, body=b"body")
        context._response = makeResponse(200, {"Set-Cookie": "s=1", "X-Tenant": "b"}, b"answer")
    return context, GuardedContext(context, Permit(Permissions.of(permissions)))
