"""
What is told of a failure of a plugin's code while it runs: what, where, and the way there.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from twisted.python.failure import Failure

from revproxy.config.problems import writable
from revproxy.errors import WrongAnswer
from revproxy.isolation.remotefailure import RemoteFailure
from revproxy.loading.tracebacks import described, plainFile, stampIn
from revproxy.plan.words import LastFailure
from revproxy.secrets import masked
from revproxy.worker.lifecycle.instance import Instance

HEAD = 2_000
"""Characters of a traceback's beginning that are told, if it is long; and ``TAIL`` of its end."""
TAIL = 6_000

MAX_MESSAGE = 1_000
"""Characters of an exception's text."""

_DEEPEST = 2_000
"""Frames that are looked through."""


def lastFailureOf(failure: Failure, instance: Instance, at: float) -> LastFailure:
    """
    :param at: seconds since the epoch.
    """
    error: Any = failure.value
    if isinstance(error, RemoteFailure):
        where = error.where.rpartition("/")[2]
        return LastFailure(at, _shortMessage(str(error)), error.function, where, _shortened(error.traceback))
    steps = _stepsOf(error.__traceback__ or failure.getTracebackObject(), instance)
    if not steps:
        return LastFailure(at, _message(error), *_answering(error, instance))
    first, last = steps[0], steps[-1]
    code = last.tb_frame.f_code
    where = f"{Path(plainFile(code.co_filename)).name}:{last.tb_lineno}"
    text = masked(writable("".join(_formatted(error, first))))
    return LastFailure(at, _message(error), first.tb_frame.f_code.co_qualname, where, _shortened(text))


def _answering(error: Any, instance: Instance) -> tuple[str, str]:
    """The method that gave a wrong answer, and where it begins: it has returned, so no traceback leads there."""
    method = getattr(type(instance.object), error.method, None) if isinstance(error, WrongAnswer) else None
    code = getattr(method, "__code__", None)
    if code is None:
        return "", ""
    return code.co_qualname, f"{Path(plainFile(code.co_filename)).name}:{code.co_firstlineno}"


def _stepsOf(trace: TracebackType | None, instance: Instance) -> list[TracebackType]:
    """The steps of a traceback that are in the plugin's own code."""
    module = instance.version.module
    own = type(instance.object).__module__
    steps = []
    for _ in range(_DEEPEST):
        if trace is None:
            break
        frame = trace.tb_frame
        isOwn = stampIn(frame.f_code.co_filename) if module is not None else frame.f_globals.get("__name__") == own
        if isOwn:
            steps.append(trace)
        trace = trace.tb_next
    return steps


def _formatted(error: BaseException, first: TracebackType) -> Iterator[str]:
    """From the plugin's first frame on; what came before is the edge's way to it."""
    yield from traceback.TracebackException(type(error), error, first).format()


def _message(error: BaseException) -> str:
    return _shortMessage(described(error))


def _shortMessage(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}…"


def _shortened(text: str) -> str:
    if len(text) <= HEAD + TAIL:
        return text
    return f"{text[:HEAD]}\n… ({len(text) - HEAD - TAIL} characters)\n{text[-TAIL:]}"
