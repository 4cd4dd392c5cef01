"""
Looks at everything.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.doctor import isolation
from revproxy.admin.doctor.check import Check
from revproxy.admin.doctor.isolation import isolationChecks
from revproxy.admin.doctor.lint import lintChecks
from revproxy.admin.doctor.machine import machineChecks
from revproxy.admin.doctor.ownprocess import processChecks
from revproxy.admin.doctor.places import placeChecks
from revproxy.admin.doctor.running import fileDiffers, runningChecks
from revproxy.config.settings import Config
from revproxy.control.control import Control
from revproxy.loop.jobthread import DiskSilent, JobThread

PATIENCE = 5.0
"""Seconds that the disk may take."""


class Doctor:
    """
    Of one edge.
    """

    def __init__(self, control: Control, clock: Any) -> None:
        """
        :param clock: provides `IReactorTime`.
        """
        self._control = control
        # Of its own: that it waits for a disk, and not for somebody else's job there, is what it tells.
        self._jobs = JobThread(clock, control.keeper.disk.inThread, PATIENCE)
        self._trials = JobThread(clock, control.keeper.disk.inThread, isolation.PATIENCE + PATIENCE)

    async def examine(self) -> list[Check]:
        """All checks; those that need no disk first."""
        checks = runningChecks(self._control)
        config = self._control.coordinator.config
        try:
            checks += await self._jobs.do(self._look, config)
        except DiskSilent as silent:
            advice = "See whether the disk, or a network drive, hangs; the edge serves meanwhile."
            return [*checks, Check("state", "failing", str(silent), advice)]
        return [*checks, *await self._isolation(config)]

    async def _isolation(self, config: Config) -> list[Check]:
        plan = self._control.coordinator.plan
        isNeeded = plan is not None and any(selected.isolation == "process" for selected in plan.selected)
        try:
            found: list[Check] = await self._trials.do(isolationChecks, config, isNeeded)
        except DiskSilent:
            text = "it could not be tried: that took too long"
            return [Check("isolation", "warning", text, "Ask again in a moment.")]
        return found

    def _look(self, config: Config) -> list[Check]:
        """Blocks."""
        path = self._control.configFile.path
        return [
            *self._drift(config),
            *lintChecks(config),
            *placeChecks(config, path),
            *machineChecks(config.limits.maxConnections),
            *processChecks(),
        ]

    def _drift(self, config: Config) -> list[Check]:
        path = self._control.configFile.path
        if path is None:
            return []
        try:
            differs = fileDiffers(path, self._control.snapshots.textOf(config))
        except (OSError, ValueError) as error:
            return [Check("drift", "failing", f"{path} cannot be read: {error}", "A restart would fail.")]
        if not differs:
            return [Check("drift", "ok", f"{path} is what is in force")]
        if self._control.coordinator.refused.of("") is not None:
            return []  # that was told
        advice = "`revproxy reload` takes it up." if not config.plugins.watch else "Ask again in a moment."
        return [Check("drift", "warning", f"{path} has something else than what is in force", advice)]
