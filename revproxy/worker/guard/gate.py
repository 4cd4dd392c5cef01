"""
What stands in the place of a plugin's version that was taken out, when there is no earlier one to go back to.

For a while, the cooldown, the version is left alone: requests pass it by, or, if its ``on_error`` is ``closed``, get
503: it is temporary, which 500 would not say. Then one request at a time is let through as a probe. A few of them well
in a row, and the version is back; one failed, and the next cooldown is twice as long.

A probe is a whole request: it is well when ``handle`` answered and, if the request comes so far, ``handleResponse``
has. It says nothing when the client leaves before. What a probe raises goes on to the chain, which treats it as it does
every failure.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from revproxy.context import Context
from revproxy.dataplane.counters import Tally
from revproxy.dataplane.link import unsendable
from revproxy.errors import EdgeError, Foreign, PluginQuarantined
from revproxy.interfaces import IMiddleware, IObserver, IResponseMiddleware

COOLDOWN = 10.0
"""Seconds until the first probe."""

LONGEST = 300.0
"""Seconds that a cooldown grows to; also the most that a probe may take."""

PROBES = 3
"""Probes that must be well in a row."""


class _Probe:
    """
    A request that was let through.

    :ivar began: when.
    :ivar over: nothing more is to be learned from it, but a failure.
    :ivar failed: that, too.
    """

    __slots__ = ("began", "failed", "over")

    def __init__(self, began: float) -> None:
        self.began = began
        self.over = False
        self.failed = False


@implementer(IMiddleware, IObserver)
class Gate:
    """
    A middleware out of service, probed now and then.

    It provides `IResponseMiddleware` if the one in its care does, and `IObserver` always, for that is how it hears of
    the end of its probes. All other attributes are those of the one in its care, which sees ``handleResponse`` and
    ``finished`` only of requests it has handled.

    Events are ``half-open``, ``probe-well``, ``probe-failed`` and ``restored``.

    :ivar cooldown: seconds the next cooldown takes, or the one that is under way.
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
        tally: Tally | None = None,
        onEvent: Callable[[str, str], None],
        onRestored: Callable[[], None],
    ) -> None:
        """
        :param instance: the one that failed; it stays started.
        :param now: the time in seconds, monotonic.
        :param onEvent: told the kind of an event, and a text for humans.
        :param onRestored: called once, after the last probe that was needed; from then on all requests reach the
            instance.
        :param open: whether requests are let past; else they get 503.
        :param tally: where the chain counts calls; what is let past is none.
        """
        self.instance = instance
        self.name = name
        self.open = open
        self.cooldown = cooldown
        self._tally = tally
        self._now = now
        self._longest = longest
        self._probes = probes
        self._onEvent = onEvent
        self._onRestored = onRestored
        self._until = now() + cooldown
        self._halfOpen = False
        self._restored = False
        self._well = 0
        # Each is taken out in ``finished``, which comes for every request; contexts cannot be referred to weakly.
        self._let: dict[Context, _Probe] = {}
        self._current: _Probe | None = None
        self._responds = IResponseMiddleware.providedBy(instance)
        self._observes = IObserver.providedBy(instance)
        if self._responds:
            alsoProvides(self, IResponseMiddleware)

    def __getattr__(self, name: str) -> Any:
        if name == "instance":  # being copied or unpickled
            raise AttributeError(name)
        return getattr(self.instance, name)

    # What the chain calls

    def handle(self, context: Context) -> Any:
        """
        Let the request past, or through as a probe.

        :raises PluginQuarantined: if it may not pass.
        :raises Exception: what the probe raises.
        """
        if self._restored or self._admits():
            return self._probe(context)
        if self.open:
            if self._tally is not None:
                self._tally.calls -= 1
            context.pluginsSkipped += (self.name,)
            return True
        raise PluginQuarantined(f"{self.name} is out of service")

    def handleResponse(self, context: Context) -> Any:
        """On to the instance, if it handled this request."""
        probe = self._let.get(context)
        if probe is None:
            return None
        return self._watched(context, probe, self.instance.handleResponse, self._left)

    def finished(self, context: Context) -> None:
        """On to the instance, if it handled this request; which, as a probe, is over."""
        probe = self._let.pop(context, None)
        if probe is None:
            return
        self._over(probe)
        if self._observes:
            try:
                self.instance.finished(context)
            except Foreign as error:
                self._failed(probe, _described(error))
                raise

    # Probes

    def _admits(self) -> bool:
        """Whether the next request is a probe."""
        now = self._now()
        if now < self._until:
            return False
        current = self._current
        if current is not None:
            if now - current.began >= self._longest:
                self._failed(current, f"it was not over after {self._longest:g} s")
            return False
        if not self._halfOpen:
            self._halfOpen = True
            self._onEvent("half-open", f"{self.name} is probed with one request at a time")
        return True

    def _probe(self, context: Context) -> Any:
        probe = self._let[context] = _Probe(self._now())
        if not self._restored:
            self._current = probe
        return self._watched(context, probe, self.instance.handle, self._entered)

    def _watched(
        self,
        context: Context,
        probe: _Probe,
        call: Callable[[Context], Any],
        answered: Callable[[Context, _Probe, Any], None],
    ) -> Any:
        """What the call answers, which is looked at, and so is what becomes of it if it is a Deferred or coroutine."""
        try:
            answer = call(context)
        except Foreign as error:
            self._raised(context, probe, error)
            raise
        if isinstance(answer, Deferred):
            return answer.addCallbacks(
                self._fired, self._fell, callbackArgs=(context, probe, answered), errbackArgs=(context, probe)
            )
        if isawaitable(answer):
            return self._awaited(answer, context, probe, answered)
        answered(context, probe, answer)
        return answer

    def _fired(
        self, answer: Any, context: Context, probe: _Probe, answered: Callable[[Context, _Probe, Any], None]
    ) -> Any:
        answered(context, probe, answer)
        return answer

    def _fell(self, failure: Failure, context: Context, probe: _Probe) -> Failure:
        # Cancelled: when the client leaves, ``finished`` comes before. It is a time-out, or the plugin's own doing.
        self._raised(context, probe, failure.value)
        return failure

    async def _awaited(
        self, answer: Any, context: Context, probe: _Probe, answered: Callable[[Context, _Probe, Any], None]
    ) -> Any:
        try:
            result = await answer
        except Foreign as error:
            self._raised(context, probe, error)
            raise
        answered(context, probe, result)
        return result

    def _entered(self, context: Context, probe: _Probe, verdict: Any) -> None:
        """``handle`` has answered."""
        if verdict is True:
            if not self._responds:
                self._succeeded(probe)
        elif verdict is not False:
            self._failed(probe, f"handle answered a {type(verdict).__name__}")
        elif (wrong := unsendable(context.response)) is not None:
            self._failed(probe, f"handle answered False, but {wrong}")
        else:
            self._succeeded(probe)

    def _left(self, context: Context, probe: _Probe, answer: Any) -> None:
        """``handleResponse`` has answered."""
        if answer is None or answer.__class__ is bool:
            self._succeeded(probe)
        else:
            self._failed(probe, f"handleResponse answered a {type(answer).__name__}")

    def _raised(self, context: Context, probe: _Probe, error: BaseException | None) -> None:
        if isinstance(error, EdgeError) and context.bodyBrokenBy(error):
            self._over(probe)  # the client's failure, or the origin's
        elif context in self._let:
            self._failed(probe, _described(error))

    # What comes of them

    def _over(self, probe: _Probe) -> None:
        probe.over = True
        if self._current is probe:
            self._current = None

    def _succeeded(self, probe: _Probe) -> None:
        if probe.over:
            return
        self._over(probe)
        if self._restored:
            return
        self._well += 1
        self._onEvent("probe-well", f"{self.name}: probe {self._well} of {self._probes} is well")
        if self._well >= self._probes:
            self._restored = True
            self._onEvent("restored", f"{self.name} is back in service after {self._well} probes")
            self._onRestored()

    def _failed(self, probe: _Probe, reason: str) -> None:
        self._over(probe)
        if self._restored or probe.failed:
            return
        probe.failed = True
        self._well = 0
        self._halfOpen = False
        self.cooldown = min(self.cooldown * 2, self._longest)
        self._until = self._now() + self.cooldown
        self._onEvent("probe-failed", f"{self.name}: a probe failed ({reason}); the next in {self.cooldown:g} s")


def _described(error: BaseException | None) -> str:
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
