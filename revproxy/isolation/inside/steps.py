"""
The steps of a plugin's life outside of requests, taken in a locked process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from revproxy.interfaces import IConfigurable, IHealthCheck, IHosted, ILifecycle, IStateful
from revproxy.isolation.frames import Step, StepName
from revproxy.isolation.inside.insidehost import InsideHost
from revproxy.isolation.inside.insideplugin import InsidePlugin
from revproxy.loading.stepanswers import checkPlain, notGenerator, throughJSON

_OF: dict[StepName, Any] = {
    "validateConfig": IConfigurable,
    "attach": IHosted,
    "start": ILifecycle,
    "stop": ILifecycle,
    "checkHealth": IHealthCheck,
    "updateConfig": IConfigurable,
    "exportState": IStateful,
    "importState": IStateful,
}

_NOBODY_WAITS = frozenset(("validateConfig", "attach"))

MOST_STATE = 16 << 20
"""Bytes of a state as JSON; the edge has a lower bound."""


class Steps:
    """
    Takes them. What a plugin does not provide is done when it is asked for.
    """

    def __init__(self, plugin: InsidePlugin, host: InsideHost) -> None:
        self._plugin = plugin
        self._host = host

    async def take(self, step: Step) -> bytes:
        """
        :returns: as `Done.value`.
        :raises Exception: what the plugin raises, or a TypeError for what it answers and must not.
        """
        if not self._plugin.provides(_OF[step.step]):
            if step.step == "stop":
                await self._host.close()
            return b"null"
        argument = msgspec.json.decode(step.argument)
        call = self._callOf(step.step, argument)
        if step.step in _NOBODY_WAITS:
            checkPlain(step.step, call())
            return b"null"
        try:
            answer = notGenerator(call)
            if isinstance(answer, Deferred) or hasattr(answer, "__await__"):
                answer = await answer
        finally:
            if step.step == "stop":
                await self._host.close()
        return msgspec.json.encode(throughJSON(answer, MOST_STATE)) if step.step == "exportState" else b"null"

    def _callOf(self, name: StepName, argument: Any) -> Callable[[], Any]:
        method = getattr(self._plugin.object, name)
        if name == "attach":
            return lambda: method(self._host)
        if name in ("validateConfig", "updateConfig"):
            return lambda: method(argument)
        if name == "importState":
            state, version = argument
            return lambda: method(state, version)
        return lambda: method()
