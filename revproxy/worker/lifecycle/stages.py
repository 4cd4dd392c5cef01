"""The steps of a plugin's life outside of requests: what they may take and answer, and how they fail.

    import → main → validate → attach → handover → start → health → … → update → … → stop
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import isawaitable, isgenerator
from typing import Any

from twisted.internet.defer import Deferred


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

    :ivar plugin: its name.
    :ivar version: as text.
    :ivar digest: of the bundle; None for a drop-in.
    :ivar stage: ``import``, ``main``, ``validate``, ``attach``, ``handover``, ``start``, ``health``, ``update`` or
        ``stop``.
    :ivar where: ``FILE:LINE``, a file, or a dotted name.
    :ivar reason: what, and what to do.
    :ivar message: both, for humans.
    :ivar traceback: as text.
    :ivar late: it did not come back in time, and may still be at it.
    """

    def __init__(
        self,
        plugin: str,
        version: str,
        digest: str | None,
        stage: str,
        where: str,
        reason: str,
        traceback: str = "",
        late: bool = False,
    ) -> None:
        super().__init__(plugin, stage, reason)
        self.plugin = plugin
        self.version = version
        self.digest = digest
        self.stage = stage
        self.where = where
        self.reason = reason
        self.message = f"{where}: {reason}"
        self.traceback = traceback
        self.late = late

    def __str__(self) -> str:
        return f"plugin {self.plugin} {self.version}: {self.stage}: {self.message}"


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
