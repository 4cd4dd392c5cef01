"""
An exception of a plugin's as a value.
"""

from __future__ import annotations

import re
from types import TracebackType
from typing import Final

from revproxy.errors import Refused
from revproxy.replay.outcome import Raised
from revproxy.replay.recordedcall import RecordedResponse

LONGEST: Final = 300
"""Characters of its text."""

_STAMP = re.compile(r"@[0-9a-f]{12}$")
"""What the names of files of a plugin's code end with."""


def raisedBy(error: BaseException, folder: str = "") -> Raised:
    """
    :param folder: of the plugin: where in it the exception was last, is told; empty: where it was last at all.
    """
    kind = _told(error, "kind")  # of one that was raised in a locked process
    where, function = _place(error.__traceback__, f"{folder}/" if folder else "")
    return Raised(kind or type(error).__name__, textOf(error), where or _told(error, "where"), function)


def refusalIn(error: Refused) -> RecordedResponse:
    """The answer that an exception is."""
    return RecordedResponse(error.status, tuple((name, value) for _, name, value in error.headers.fields), error.body)


def _place(traceback: TracebackType | None, folder: str) -> tuple[str, str]:
    where = function = ""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename.startswith(folder):
            file = _STAMP.sub("", code.co_filename.removeprefix(folder))
            where, function = f"{file}:{traceback.tb_lineno}", code.co_qualname
        traceback = traceback.tb_next
    return where, function


def _told(error: BaseException, name: str) -> str:
    try:
        told = getattr(error, name, None)
        return str(told) if isinstance(told, str) else ""
    except BaseException:  # foreign code
        return ""


def textOf(error: BaseException) -> str:
    """Its text, as far as it has any."""
    try:
        return str(error)[:LONGEST]
    except BaseException:  # foreign code
        return ""
