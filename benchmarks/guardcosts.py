"""What guards in the edge's own process cost: permissions of a call, and the signature of a folder."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from zope.interface import implementer

from revproxy.guardedmiddleware import guardedMiddleware
from revproxy.interfaces import IMiddleware
from revproxy.permissions import Permissions
from revproxy.testing import makeContext

PERMISSIONS = Permissions.of({"read_headers": ["X-Tenant"], "write_headers": ["X-Seen"]})

FIELDS = {"X-Tenant": "shop", "User-Agent": "Mozilla/5.0", "Accept": "*/*", "Cookie": "session=1", "DNT": "1"}


@implementer(IMiddleware)
class Empty:
    """Looks at nothing."""

    name = "empty"

    def handle(self, context: Any) -> bool:
        """It lets all pass."""
        return True


@implementer(IMiddleware)
class Usual:
    """Looks at a field, and sets another."""

    name = "usual"

    def handle(self, context: Any) -> bool:
        """It lets all pass."""
        headers = context.request.headers
        if headers.get("X-Tenant"):
            headers.set("X-Seen", "1")
        return True


def facadeCosts(rounds: int, calls: int = 2_000) -> dict[str, float]:
    """Microseconds that a call takes more, by what it does: the least of so many rounds with and without a facade."""
    costs = {}
    for middleware in (Empty(), Usual()):
        context = makeContext(headers=FIELDS)
        plain, guarded = middleware, guardedMiddleware(middleware, PERMISSIONS)
        pairs = [(_perCall(plain.handle, context, calls), _perCall(guarded.handle, context, calls))
                 for _ in range(rounds)]  # fmt: skip
        costs[middleware.name] = min(after for _, after in pairs) - min(before for before, _ in pairs)
    return costs


def _perCall(call: Callable[[Any], Any], context: Any, calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        call(context)
    return (time.perf_counter() - began) / calls * 1e6


def verificationCost(verify: Callable[[], Any], rounds: int) -> float:
    """Milliseconds: the median."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        verify()
        taken.append((time.perf_counter() - began) * 1e3)
    return statistics.median(taken)
