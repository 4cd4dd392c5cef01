"""
What stands in the place of a plugin's version that was taken out, when there is no earlier one to go back to.

For a while, the cooldown, the version is left alone: requests pass it by, or, if its ``on_error`` is ``closed``, get
503: it is temporary, which 500 would not say. Then one request at a time is let through as a probe. A few of them well
in a row, and the version is back; one failed, and the next cooldown is twice as long: see
`revproxy.worker.guard.recovery`.

A probe is a whole request: it is well when ``handle`` answered and, if the request comes so far, ``handleResponse``
has; where it filters a body, when that body has passed. It says nothing when the client leaves before. What a probe
raises goes on to the chain, which treats it as it does every failure.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from revproxy.config.problems import textOf
from revproxy.context import Context
from revproxy.dataplane.counters import HANDLE, Counters
from revproxy.dataplane.link import unsendable
from revproxy.dataplane.story import note
from revproxy.errors import EdgeError, Foreign, PluginQuarantined, Refused
from revproxy.interfaces import IMiddleware, IObserver, IResponseMiddleware
from revproxy.worker.guard.recovery import COOLDOWN, LONGEST, PROBES, Probe, Recovery

MAX_TEXT = 300
"""Characters of what a probe raised that are told."""

_Judge = Callable[[Context, Probe, Any], None]
"""Told what a call of the middleware has answered."""


@implementer(IMiddleware, IObserver)
class Gate:
    """
    A middleware out of service, probed now and then.

    It provides `IResponseMiddleware` if the one in its care does, and `IObserver` always, for that is how it hears of
    the end of its probes. All other attributes are those of the one in its care, which sees ``handleResponse`` and
    ``finished`` only of requests it has handled.

    :ivar instance: the one in its care.
    """

    def __init__(
        self,
        instance: Any,
        name: str,
        open: bool,
        now: Callable[[], float],
        *,
        cooldown: float = COOLDOWN,
        longest: float = LONGEST,
        probes: int = PROBES,
        counters: Counters | None = None,
        onEvent: Callable[[str, str], None],
        onRestored: Callable[[], None],
    ) -> None:
        """
        :param instance: the one that failed; it stays started.
        :param name: of the plugin.
        :param open: whether requests are let past; else they get 503.
        :param now: the time in seconds, monotonic.
        :param cooldown: and ``longest``, ``probes``, ``onEvent``: see `Recovery`.
        :param counters: where the chain counts calls; what is let past is none.
        :param onRestored: called once, after the last probe that was needed; from then on all requests reach the
            instance.
        """
        self.instance = instance
        self.name = name
        self.open = open
        self._counters = counters or Counters()
        self._recovery = Recovery(
            name, now, cooldown=cooldown, longest=longest, probes=probes, onEvent=onEvent, onRestored=onRestored
        )
        # Each is taken out in ``finished``, which comes for every request; contexts cannot be referred to weakly.
        self._probes: dict[Context, Probe] = {}
        self._filtering: set[Context] = set()
        self._responds = IResponseMiddleware.providedBy(instance)
        self._observes = IObserver.providedBy(instance)
        if self._responds:
            alsoProvides(self, IResponseMiddleware)

    def __getattr__(self, name: str) -> Any:
        if name == "instance":  # being copied or unpickled
            raise AttributeError(name)
        return getattr(self.instance, name)

    @property
    def cooldown(self) -> float:
        """Seconds the next cooldown takes, or the one that is under way."""
        return self._recovery.cooldown

    # What the chain calls

    def handle(self, context: Context) -> Any:
        """
        Let the request past, or through as a probe.

        :raises PluginQuarantined: if it may not pass.
        :raises Exception: what the probe raises.
        """
        if self._recovery.admits():
            probe = self._probes[context] = self._recovery.begin()
            note(context, self.name, "probe")
            return self._watched(context, probe, self.instance.handle, self._handled)
        note(context, self.name, "quarantine")
        self._counters.passed += 1
        if self.open:
            self._counters.calls -= 1
            self._counters.skipped(HANDLE, "gate")
            context._pluginsSkipped += (self.name,)
            return True
        raise PluginQuarantined(f"{self.name} is out of service")

    def handleResponse(self, context: Context) -> Any:
        """On to the instance, if it handled this request."""
        probe = self._probes.get(context)
        if probe is None:
            self._counters.responses -= 1
            self._counters.passed += 1
            return None
        return self._watched(context, probe, self.instance.handleResponse, self._responded)

    def finished(self, context: Context) -> Any:
        """On to the instance, if it handled this request; which, as a probe, is over."""
        probe = self._probes.pop(context, None)
        if probe is None or not self._observes:
            self._counters.observed -= 1
        if probe is None:
            return None
        isFiltering = context in self._filtering
        self._filtering.discard(context)
        if self.name in context._pluginErrors or self.name in context._pluginsSkipped:
            self._recovery.failed(probe, "a filter of its failed")
        elif isFiltering and context._outcome.error is None:
            self._recovery.succeeded(probe)
        self._recovery.over(probe)
        if self._observes:
            try:
                return self.instance.finished(context)
            except BaseException as error:  # foreign code
                self._recovery.failed(probe, _described(error))
                raise
        return None

    # What the calls come to

    def _watched(self, context: Context, probe: Probe, call: Callable[[Context], Any], judge: _Judge) -> Any:
        """What the call answers, unchanged; the judge hears of it, also when it is a Deferred or coroutine."""
        try:
            answer = call(context)
        except BaseException as error:  # foreign code
            self._raised(context, probe, error)
            raise
        if isinstance(answer, Deferred):
            return answer.addCallbacks(
                self._fired, self._firedFailure, callbackArgs=(context, probe, judge), errbackArgs=(context, probe)
            )
        if isawaitable(answer):
            return self._awaited(answer, context, probe, judge)
        judge(context, probe, answer)
        return answer

    def _fired(self, answer: Any, context: Context, probe: Probe, judge: _Judge) -> Any:
        judge(context, probe, answer)
        return answer

    def _firedFailure(self, failure: Failure, context: Context, probe: Probe) -> Failure:
        # Cancelled: when the client leaves, ``finished`` comes before. It is a time-out, or the plugin's own doing.
        self._raised(context, probe, failure.value)
        return failure

    async def _awaited(self, answer: Any, context: Context, probe: Probe, judge: _Judge) -> Any:
        try:
            result = await answer
        except Foreign as error:
            self._raised(context, probe, error)
            raise
        judge(context, probe, result)
        return result

    def _handled(self, context: Context, probe: Probe, verdict: Any) -> None:
        """``handle`` has answered."""
        if verdict is True:
            if not self._responds:
                self._well(context, probe)
        elif verdict is not False:
            self._recovery.failed(probe, f"handle answered a {type(verdict).__name__}")
        elif (wrong := unsendable(context.response)) is not None:
            self._recovery.failed(probe, f"handle answered False, but {wrong}")
        else:
            self._recovery.succeeded(probe)

    def _responded(self, context: Context, probe: Probe, answer: Any) -> None:
        """``handleResponse`` has answered."""
        if answer is None or answer.__class__ is bool:
            self._well(context, probe)
        else:
            self._recovery.failed(probe, f"handleResponse answered a {type(answer).__name__}")

    def _well(self, context: Context, probe: Probe) -> None:
        """Its calls were well; its filters are seen to at the end."""
        if context.isFilteredBy(self.name):
            self._filtering.add(context)
        else:
            self._recovery.succeeded(probe)

    def _raised(self, context: Context, probe: Probe, error: BaseException | None) -> None:
        if isinstance(error, Refused):
            self._recovery.succeeded(probe)
        elif isinstance(error, EdgeError) and context.bodyBrokenBy(error):
            self._recovery.over(probe)  # the client's failure, or the origin's
        elif context in self._probes:
            self._recovery.failed(probe, _described(error))


def _described(error: BaseException | None) -> str:
    text = textOf(error)[:MAX_TEXT]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
