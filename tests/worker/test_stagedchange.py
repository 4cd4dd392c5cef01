"""
Tests for `revproxy.worker.stagedchange`; most of it is shown by `tests.worker.test_staging`.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.worker.lifecycle.stages import StageLimits
from revproxy.worker.stagedchange import StagedChange


class InstanceDouble:
    """
    One that takes a configuration when a test says so.
    """

    def __init__(self) -> None:
        self.taking: Deferred[None] = Deferred()
        self.configs: list[Any] = []

    async def updateConfig(self, config: Any, limit: float | None = None) -> None:
        """
        As of an `Instance`.
        """
        self.configs.append(config)
        await self.taking


class UndoTests(SynchronousTestCase):
    """
    Configurations are given back.
    """

    def test_cancelled(self) -> None:
        """
        Where that is broken off with one of them, the others get theirs with the next try.
        """
        nothing: Any = lambda *arguments: None  # noqa: E731
        change = StagedChange(None, StageLimits(), Clock(), nothing, nothing, nothing, nothing)
        first, second = InstanceDouble(), InstanceDouble()
        change._updated[:] = [(first, {"of": "first"}), (second, {"of": "second"})]  # type: ignore[list-item]
        undoing = Deferred.fromCoroutine(change.undo())
        undoing.cancel()
        self.failureResultOf(undoing, CancelledError)
        first.taking.callback(None)
        self.successResultOf(Deferred.fromCoroutine(change.undo()))
        self.assertEqual((first.configs, second.configs), ([{"of": "first"}], [{"of": "second"}]))
