"""The steps of a plugin's life outside of requests: what they may take, and how they fail."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zope.interface import Invalid

from revproxy.config.problems import textOf
from revproxy.worker.lifecycle.loader import plainFile

if TYPE_CHECKING:
    from revproxy.worker.lifecycle.instance import Version

MAX_TRACEBACK = 8_000
"""Characters of a traceback that are kept; the end is what tells."""


@dataclass(frozen=True, slots=True)
class StageLimits:
    """How much a plugin is given outside of requests.

    :ivar start: seconds ``start`` may take; ``health``, ``stop`` and ``update`` likewise for ``checkHealth``, ``stop``
        and ``updateConfig``, ``handover`` for ``exportState`` and for ``importState``, each.
    :ivar hold: seconds any of them, or the import, may hold the reactor without coming back.
    :ivar stateBytes: the most that ``exportState`` may give, as JSON.
    """

    start: float = 10.0
    health: float = 10.0
    stop: float = 10.0
    update: float = 10.0
    handover: float = 5.0
    hold: float = 5.0
    stateBytes: int = 32 * 1024 * 1024


class StageFailed(Exception):
    """A step of a plugin's life failed.

    :ivar stage: ``import``, ``main``, ``validate``, ``attach``, ``handover``, ``start``, ``health``, ``update`` or
        ``stop``.
    :ivar where: ``FILE:LINE``, a file, or a dotted name.
    :ivar reason: what, and what to do.
    :ivar message: both.
    :ivar traceback: as text.
    :ivar late: it did not come back in time, and may still be at it.
    """

    def __init__(
        self, version: Version, stage: str, where: str, reason: str, traceback: str = "", late: bool = False
    ) -> None:
        super().__init__(version.name, stage, reason)
        self.plugin = version.name
        self.version = version.text
        self.digest = version.digest
        self.stage = stage
        self.where = where
        self.reason = reason
        self.message = f"{where}: {reason}"
        self.traceback = traceback
        self.late = late

    def __str__(self) -> str:
        return f"plugin {self.plugin} {self.version}: {self.stage}: {self.message}"


def described(error: BaseException) -> str:
    """An exception in one line."""
    text = textOf(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def tracebackOf(error: BaseException) -> str:
    """As text, from the first frame of a plugin on, and only its end if it is long."""
    shown = traceback.TracebackException.from_exception(error)
    # These say by themselves what is wrong with the plugin; the stack is ours.
    none = len(shown.stack) if isinstance(error, (SyntaxError, Invalid)) else 0
    first = next((n for n, frame in enumerate(shown.stack) if plainFile(frame.filename) != frame.filename), none)
    del shown.stack[:first]
    return "".join(shown.format())[-MAX_TRACEBACK:]
