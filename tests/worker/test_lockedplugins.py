"""What is said of the processes that plugins of a worker are locked in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.trustconfig import TrustConfig
from revproxy.plan.words import Locking
from revproxy.worker.lockedplugins import LockedPlugins


class Pool:
    """Gives what the test says."""

    level: str | None = "B"
    layers: Mapping[str, str] = {"seccomp": "enforced", "namespaces": "EPERM"}

    def __init__(self, result: Any) -> None:
        self.result = result

    def take(self, version: str, memoryBytes: int = 0) -> Deferred[Any]:
        return fail(self.result) if isinstance(self.result, Exception) else succeed(self.result)

    def close(self) -> Deferred[None]:
        return succeed(None)


class ToldTests(SynchronousTestCase):
    """How well processes can be locked."""

    def setUp(self) -> None:
        self.told: list[Any] = []
        self.pool = Pool("a process")
        anything: Any = None
        self.locked = LockedPlugins(
            Clock(), TrustConfig(), anything, anything, anything, lambda config: self.pool, self.told.append
        )

    def test_once(self) -> None:
        """It is said when the first one is made, and when it has changed; who asks has what he asks for."""
        for _ in range(2):
            self.assertEqual(self.successResultOf(self.locked._take("a 1.0", 1)), "a process")
        self.assertEqual(self.told, [Locking("B", {"seccomp": "", "namespaces": "EPERM"})])
        self.pool.level, self.pool.layers = "C", {"seccomp": "enforced"}
        self.locked._take("a 1.0", 1)
        self.assertEqual(self.told[1:], [Locking("C", {"seccomp": ""})])

    def test_refused(self) -> None:
        """Also where none could be had, for it says why; and not while nobody knows."""
        self.pool.result, self.pool.level = RuntimeError("below the minimum"), None
        self.failureResultOf(self.locked._take("a 1.0", 1), RuntimeError)
        self.assertEqual(self.told, [Locking(None, {"seccomp": "", "namespaces": "EPERM"})])
        self.pool.layers = {}
        self.failureResultOf(self.locked._take("a 1.0", 1), RuntimeError)
        self.assertEqual(len(self.told), 1)
