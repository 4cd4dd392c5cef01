"""
What can be known of plugins in locked processes without starting anything: each is loaded in one, and ended. Nothing of
them is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred

from revproxy.config.problems import Problem
from revproxy.config.trustconfig import TrustConfig
from revproxy.isolation.process.processes import Processes
from revproxy.loop.deadlines import Deadlines
from revproxy.plan.catalog import Selected
from revproxy.worker.lifecycle.instance import Version
from revproxy.worker.lifecycle.stages import StageFailed, StageLimits
from revproxy.worker.lockedplugins import LockedPlugins

PATIENCE = 15.0
"""Seconds until a plugin has to be loaded, the making of the first process included."""


class LockedCheck:
    """Loads plugins in locked processes, before any loop runs."""

    def __init__(self, trust: TrustConfig) -> None:
        from twisted.internet import reactor

        self._reactor = reactor
        self._processes = Processes(reactor, trust.minimumLevel, trust.uids, spares=0)
        self._deadlines = Deadlines(reactor, 0.02, monotonic)  # type: ignore[arg-type]
        self._locked = LockedPlugins(
            reactor, trust, self._deadlines, _sendsNothing, maybeDeferred, lambda config: self._processes
        )

    def problems(self, plugin: Selected, config: Mapping[str, Any]) -> Iterator[Problem]:
        """What is wrong with a plugin in a configuration."""
        version = Version(
            plugin.entry, StageLimits(), isolation="process", permissions=plugin.permissions, locked=self._locked.make
        )
        instance = None
        try:
            instance = version.make(config, self._reactor, lambda: None)
            self._processes.waitFor(Deferred.fromCoroutine(instance.load()), PATIENCE)
        except StageFailed as failed:
            for problem in failed.refusal.problems:
                yield Problem(problem.source, 0, 0, "", f"{problem.message} (plugin {plugin.name})")
        except TimeoutError:
            message = f"it is not loaded after {PATIENCE:g} s (plugin {plugin.name})"
            yield Problem(version.place, 0, 0, "", message)
        finally:
            if instance is not None:
                self._processes.waitFor(Deferred.fromCoroutine(instance.close()), PATIENCE)

    def close(self) -> None:
        """End all processes."""
        self._deadlines.stop()
        self._processes.waitFor(self._locked.close(), PATIENCE)


def _sendsNothing(frame: Any, seconds: float, most: int, hold: Any) -> Deferred[Any]:
    return fail(RuntimeError("nothing is sent in a check"))
