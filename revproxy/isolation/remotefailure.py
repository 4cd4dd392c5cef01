"""
What has failed in a locked process, as the edge has it.
"""

from __future__ import annotations

from typing import Any

from revproxy.errors import FailedElsewhere, Refused, printable
from revproxy.headers import Headers
from revproxy.isolation.fieldchecks import BadField, checkedFields
from revproxy.isolation.frames import Failed, FailedOutside
from revproxy.permissions import Permissions
from revproxy.secrets import masked

MOST_TEXT = 1_000
"""Characters of a text that comes from a process; more are cut."""

MOST_TRACEBACK = 8_000


class RemoteFailure(FailedElsewhere):
    """
    A plugin's code has raised in its process.

    :ivar kind: the name of the exception's class, as the process tells it.
    :ivar text: its text.
    :ivar where: ``FILE:LINE`` of the plugin's code, or empty.
    :ivar function: in which it was raised, or empty.
    :ivar traceback: as text, or empty.
    :ivar stage: in which the plugin could not be loaded: ``import``, ``main``; else empty.
    """

    def __init__(
        self, kind: str, text: str, where: str = "", function: str = "", traceback: str = "", stage: str = ""
    ) -> None:
        self.kind = printable(kind, 100).replace("\n", " ")
        self.text = printable(masked(text), MOST_TEXT)
        self.where = printable(where, 300).replace("\n", " ")
        self.function = printable(function, 200).replace("\n", " ")
        self.traceback = printable(masked(traceback)[-MOST_TRACEBACK:])
        self.stage = stage
        super().__init__(self.kind, self.text)

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" if self.text else self.kind


class ProcessEnded(Exception):
    """A plugin's process has ended, and with it what it was doing; the text says how."""


def failureOf(failed: Failed) -> RemoteFailure:
    """What a process says of a call that has raised."""
    return RemoteFailure(failed.kind, failed.text, failed.where, "", failed.traceback, failed.stage)


def failureOutside(failed: FailedOutside) -> RemoteFailure:
    """What a process says of its timers and the like."""
    return RemoteFailure(failed.kind, failed.text, failed.where, failed.function, failed.traceback)


def refusalOf(failed: Failed, permissions: Permissions) -> Exception:
    """What a plugin answers with by raising `Refused`; if it may not, or not so, that is a failure of its."""
    if not permissions.respond:
        return RemoteFailure("Refused", "an answer of its own, which it is not granted (respond)", failed.where)
    made: Any = None
    try:
        made = Refused(failed.status)
        made.body = failed.body
        made.headers = Headers(checkedFields(failed.fields, permissions))
    except (BadField, ValueError) as error:
        return RemoteFailure("Refused", f"with what cannot be sent: {error}", failed.where)
    return made  # type: ignore[no-any-return]
