"""What it costs to choose a request's arm, by what clients are told apart by."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from revproxy.dataplane.armcookie import IssuedDraw, Issuer
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.draw import Draw, cookieKey, headerKey
from revproxy.dataplane.fork import RUNNING, Fork
from revproxy.testing import makeContext

FIELDS = {"User-Agent": "Mozilla/5.0", "Accept": "*/*", "Accept-Language": "en", "DNT": "1"}

_SALT = bytes(range(16))
_CANARY = bytes([0x11]) * 512


def armCosts(rounds: int, clients: int = 500) -> dict[str, float]:
    """
    Microseconds that a request takes more in a fork than in its chain: the least of so many rounds.

    :returns: by ``address``, ``header``, ``cookie``, ``issued``; of clients that were there before; those that are new
        as ``header, new`` and so on.
    """
    costs: dict[str, float] = {}
    for name, make in _DRAWS.items():
        contexts = _contexts(name, clients)
        plain = min(_perRequest(Chain([]), contexts) for _ in range(rounds))
        fresh = min(_perRequest(_fork(make()), contexts) for _ in range(rounds))
        fork = _fork(make())
        known = min(_perRequest(fork, contexts) for _ in range(rounds + 1))
        costs[name], costs[f"{name}, new"] = known - plain, fresh - plain
    return costs


_DRAWS: Mapping[str, Callable[[], Draw]] = {
    "address": lambda: Draw("1", _SALT, _CANARY),
    "header": lambda: Draw("1", _SALT, _CANARY, headerKey(b"X-User")),
    "cookie": lambda: Draw("1", _SALT, _CANARY, cookieKey(b"session")),
    "issued": lambda: IssuedDraw("1", _SALT, _CANARY, _SALT),
}


def _contexts(name: str, count: int) -> list[Any]:
    """One request of each client."""
    found = []
    for number in range(count):
        context = makeContext(headers={**FIELDS, **_fieldOf(name, number)}, client=_address(number))
        context._exchange = _Exchange()
        found.append(context)
    return found


class _Exchange:
    """As much of one as a fork knows."""

    chain: Any = None


def _address(number: int) -> str:
    return f"10.1.{number >> 8}.{number & 255}"


def _fieldOf(name: str, number: int) -> dict[str, str]:
    if name == "header":
        return {"X-User": f"user-{number}"}
    if name == "cookie":
        return {"Cookie": f"theme=dark; session=0123456789abcdef{number}; lang=en"}
    if name == "issued":
        draw = IssuedDraw("1", _SALT, _CANARY, _SALT)
        value = Issuer([draw]).cookieFor(makeContext(client=_address(number)).request)
        return {"Cookie": value.split(b";")[0].decode()}
    return {}


def _fork(draw: Draw) -> Fork:
    return Fork({RUNNING: Chain([]), 1: Chain([])}, [draw])


def _perRequest(chain: Chain, contexts: Sequence[Any]) -> float:
    began = time.perf_counter()
    for context in contexts:
        chain.enter(context)
    return (time.perf_counter() - began) / len(contexts) * 1e6
