"""
What is told of an error of the plugin's code.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final, NamedTuple

from revproxy.errors import Refused
from revproxy.isolation.frames import Failed, FailedOutside, Fields
from revproxy.loading.contract import PluginError
from revproxy.loading.tracebacks import described, lastLineIn, tracebackOf

LONGEST: Final = 4_000
"""Characters of an error's text."""

NO_FILES: Final = (
    "a locked process has no files, no sockets and no other processes: what stands in the plugin's folder is read with "
    "importlib.resources, and upstreams are asked by context.client"
)
NO_THREADS: Final = "a locked process has one thread: await what takes long"
NO_MODULE: Final = (
    "in a locked process there is what stands in the plugin's folder, what plugin.json names under dependencies, and "
    "most of the standard library"
)


class Told(NamedTuple):
    """
    :ivar kind: the name of its class.
    :ivar where: ``FILE:LINE`` of the plugin's code, or empty.
    """

    kind: str
    text: str
    where: str
    traceback: str


def hintOf(error: BaseException) -> str:
    """What an author is to know of an error that only a locked process raises; with a semicolon before it, or empty."""
    if isinstance(error, OSError) and error.errno in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        return f"; {NO_FILES}"
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return f"; {NO_THREADS}"
    if isinstance(error, ModuleNotFoundError):
        return f"; {NO_MODULE}"
    return ""


def toldOf(error: BaseException, directory: Path) -> Told:
    """
    :param directory: what tracebacks call the plugin's place.
    """
    try:
        text, traceback = described(error).partition(": ")[2], tracebackOf(error)
    except BaseException:  # foreign code: its text cannot be had
        text, traceback = "", ""
    hint = hintOf(error)
    where = lastLineIn(error, directory) or ""
    if traceback and hint:
        traceback = f"{traceback.rstrip()}{hint}\n"
    return Told(type(error).__name__[:200], f"{text[:LONGEST]}{hint}", where, traceback)


def failed(number: int, error: BaseException | None, directory: Path) -> Failed:
    """What is answered in the place of what a number asked for."""
    if isinstance(error, Refused):
        return refused(number, error)
    assert error is not None, "Twisted makes no Failure without one"
    told = toldOf(error, directory)
    return Failed(number, "", told.kind, told.text, told.where, told.traceback)


def refused(number: int, error: Refused) -> Failed:
    """The plugin answers by an error."""
    fields: Fields = tuple((name, value) for _, name, value in error.headers.fields)
    return Failed(number, "", "Refused", str(error), status=error.status, fields=fields, body=error.body)


def failedToLoad(stage: str, error: BaseException, directory: Path) -> Failed:
    """:param stage: ``import`` or ``main``."""
    if isinstance(error, PluginError):
        cause = error.__cause__
        hint = "" if cause is None else hintOf(cause)
        traceback = "" if cause is None else toldOf(cause, directory).traceback
        return Failed(0, stage, "PluginError", f"{error.message[:LONGEST]}{hint}", error.where[:LONGEST], traceback)
    told = toldOf(error, directory)
    return Failed(0, stage, told.kind, told.text, told.where, told.traceback)


def failedOutside(error: BaseException | None, function: str, directory: Path) -> FailedOutside:
    """:param function: its name."""
    assert error is not None, "Twisted makes no Failure without one"
    told = toldOf(error, directory)
    return FailedOutside(told.kind, told.text, function[:LONGEST], told.where, told.traceback)
