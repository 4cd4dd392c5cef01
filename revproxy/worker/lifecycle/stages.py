"""The steps of a plugin's life outside of requests: what they may take, and how they fail.

    import → main → validate → attach → handover → start → health → … → update → … → stop
"""

from __future__ import annotations

from dataclasses import dataclass

from revproxy.plan.refusal import Refusal


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

    Nothing of the exception that it may have been is kept: its traceback would keep the module alive that failed.

    :ivar refusal: what control is told. Its stage is ``import``, ``main``, ``validate``, ``attach``, ``handover``,
        ``start``, ``health``, ``update`` or ``stop``.
    :ivar late: it did not come back in time, and may still be at it.
    """

    def __init__(self, refusal: Refusal, late: bool = False) -> None:
        super().__init__(refusal.plugin, refusal.stage, refusal.message)
        self.refusal = refusal
        self.late = late

    def __str__(self) -> str:
        refusal = self.refusal
        return f"plugin {refusal.plugin} {refusal.version}: {refusal.stage}: {refusal.message}"
