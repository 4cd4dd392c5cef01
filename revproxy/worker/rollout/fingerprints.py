"""
Exceptions, told apart by what stays when code is edited: their type, and the file and function they come from.

Never by lines: a line above, and everything below it would be new.
"""

from __future__ import annotations

import re
from types import TracebackType
from typing import Any, Final, NamedTuple

from twisted.python.failure import Failure

from revproxy.config.problems import writable
from revproxy.errors import WrongAnswer, printable
from revproxy.isolation.remotefailure import RemoteFailure
from revproxy.loading.tracebacks import described, plainFile, stampIn
from revproxy.secrets import masked
from revproxy.worker.lifecycle.instance import Instance

MOST_SAMPLE: Final = 300
"""Characters of how an exception reads."""

MOST_NAME: Final = 200
"""Of what its class is called."""

_DEEPEST: Final = 2_000
"""Frames that are looked through."""

_IN = re.compile(r'^ *File "[^"\n]*", line \d+, in (\S+)$', re.MULTILINE)


class Print(NamedTuple):
    """
    What an exception is known by.

    :ivar kind: its class; ``file``: below the plugin's folder, or dotted; ``function``: qualified.
    """

    kind: str
    file: str
    function: str


def fingerprintOf(failure: Failure, instance: Instance) -> tuple[Print, str]:
    """:returns: what an exception is known by, and how it reads, with its line."""
    error: Any = failure.value
    if isinstance(error, RemoteFailure):
        return _ofRemote(error, instance)
    # Of the class itself: what an exception says of it may be anything, and of any length.
    kind = printable(type.__getattribute__(type(error), "__qualname__")[:MOST_NAME])
    last = _lastOwn(error.__traceback__ or failure.getTracebackObject(), instance)
    if last is None:
        function = _answering(error, instance)
        return Print(kind, "", function), _sample(described(error), "")
    code = last.tb_frame.f_code
    file = _fileOf(code.co_filename, last.tb_frame.f_globals.get("__name__", ""), instance)
    return Print(kind, file, code.co_qualname), _sample(described(error), f"{file}:{last.tb_lineno}")


def _ofRemote(error: RemoteFailure, instance: Instance) -> tuple[Print, str]:
    file = _below(error.where.rpartition(":")[0], instance)
    function = error.function or (_IN.findall(error.traceback) or [""])[-1]
    return Print(error.kind, file, function), _sample(str(error), error.where.rpartition("/")[2])


def _lastOwn(trace: TracebackType | None, instance: Instance) -> TracebackType | None:
    """The deepest step of a traceback that is in the plugin's own code."""
    own = type(instance.object).__module__
    found = None
    for _ in range(_DEEPEST):
        if trace is None:
            break
        frame = trace.tb_frame
        isBundled = instance.version.module is not None
        if stampIn(frame.f_code.co_filename) if isBundled else frame.f_globals.get("__name__") == own:
            found = trace
        trace = trace.tb_next
    return found


def _fileOf(filename: str, module: Any, instance: Instance) -> str:
    return str(module) if instance.version.module is None else _below(plainFile(filename), instance)


def _below(path: str, instance: Instance) -> str:
    """Below the plugin's folder: the same for all versions."""
    bundle = instance.version.entry.bundle
    folder = "" if bundle is None else f"{bundle.directory}/"
    return path.removeprefix(folder) if folder else path


def _answering(error: Any, instance: Instance) -> str:
    """The method that gave a wrong answer: it has returned, so no traceback leads there."""
    method = getattr(type(instance.object), error.method, None) if isinstance(error, WrongAnswer) else None
    code = getattr(method, "__code__", None)
    return "" if code is None else str(code.co_qualname)


def _sample(text: str, where: str) -> str:
    told = masked(writable(f"{text} ({where})" if where else text))
    return told if len(told) <= MOST_SAMPLE else f"{told[:MOST_SAMPLE]}…"
