"""What the steps of a plugin's life may answer, and what of a state is handed over.

A state goes to the successor as what JSON holds of it, and nothing else. No object of the old version may live on in
the new one, or the old version's modules would stay in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable, isgenerator
from math import isfinite
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from revproxy.config.problems import quoted


def notGenerator(step: Callable[[], Any]) -> Any:
    """What a step answers.

    :raises TypeError: of a generator, whose code would never run.
    """
    answer = step()
    if isgenerator(answer):
        raise TypeError("it is a generator, whose code would never run; write async def, or inlineCallbacks")
    return answer


def checkPlain(method: str, answer: Any) -> None:
    """Whether a step that is not waited for has done everything.

    :raises TypeError: of an answer that would have to be waited for.
    """
    if isawaitable(answer) or isgenerator(answer) or isinstance(answer, Deferred):
        if hasattr(answer, "close"):
            answer.close()
        raise TypeError(f"{method} answered {type(answer).__name__}, which nobody waits for; write a plain function")


def throughJSON(state: Any, limit: int, isRead: bool = True) -> Any:
    """The state as the successor is given it.

    :param state: a `msgspec.Raw` is JSON already.
    :param limit: bytes that it may be, as JSON.
    :param isRead: whether the successor is of this process; else what is JSON already stays that: to make millions of
        lists of it would take long.
    :raises TypeError: something in it would not come back as what it is. A tuple may: it comes back as a list.
    :raises ValueError: it is too large, or has a number that is none to JSON.
    :raises RecursionError: it is nested too deeply, or within itself.
    :raises OverflowError: a number in it is beyond what the encoder takes.
    """
    isRaw = isinstance(state, msgspec.Raw)
    data = bytes(state) if isRaw else msgspec.json.encode(state)
    if len(data) > limit:
        raise ValueError(f"{len(data)} bytes of state are more than the {limit} that may be")
    if isRaw:
        return msgspec.json.decode(data) if isRead else state
    passed = msgspec.json.decode(data)
    if state != passed:
        _checkPlain(state)
    return passed


def _checkPlain(value: Any) -> None:
    """:raises TypeError, ValueError: of what JSON makes something else of."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {quoted(key)} of a dict is no str")
            _checkPlain(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _checkPlain(inner)
    elif isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{value} is no number to JSON")
    elif value is not None and not isinstance(value, (str, int, float)):
        raise TypeError(f"{quoted(value)} would not come back as it went")
