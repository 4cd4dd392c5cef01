"""
An exception of a plugin's as a value.
"""

from __future__ import annotations

import re
from types import TracebackType
from typing import Final

from revproxy.errors import FailedElsewhere, Refused, printable
from revproxy.replay.outcome import Raised
from revproxy.replay.recordedcall import RecordedResponse

LONGEST: Final = 300
"""Characters of its text."""

LONGEST_NAME: Final = 200
"""Of its class, and of the function and the file it comes from."""

_STAMP = re.compile(r"@[0-9a-f]{12}$")
"""What the names of files of a plugin's code end with."""


def raisedBy(error: BaseException, folder: str = "") -> Raised:
    """
    :param folder: of the plugin: where in it the exception was last, is told; empty: where it was last at all.
    """
    kind, told = type.__getattribute__(type(error), "__name__"), ""
    where, function = _place(error.__traceback__, f"{folder}/" if folder else "")
    if isinstance(error, FailedElsewhere):  # in a locked process, which says so; of others no attribute means anything
        kind, told = getattr(error, "kind", "") or kind, getattr(error, "where", "")
    return Raised(_name(kind), textOf(error), _name(where or told), _name(function))


def _name(text: str) -> str:
    return printable(text[:LONGEST_NAME])


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


def textOf(error: BaseException) -> str:
    """Its text, as far as it has any."""
    try:
        return printable(str(error)[:LONGEST])
    except BaseException:  # foreign code
        return ""
