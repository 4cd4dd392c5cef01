"""
The locked processes of one instance of a plugin, one after the other: each is taken, becomes the plugin, serves, and
ends; and when it ends by itself, or is ended because it was held for too long, the next takes its place.

What the process had been asked fails if it is to blame. The rest is innocent, and is asked once more of the next one,
unless it has caused something outside already. That one is on its way before anybody is told of the failure, so that
whatever is asked then waits for it. After crashes the next comes later and later; meanwhile everything fails at once.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, Final

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from revproxy.errors import Foreign, LimitExceeded
from revproxy.isolation.cpushare import SAMPLE, CpuShare
from revproxy.isolation.frames import Done, Down, Failed, Load, Loaded, Step, StepName
from revproxy.isolation.line import UNBOUNDED, Ask
from revproxy.isolation.pluginprocess import Lost, PluginProcess, Process, TakesUpcalls
from revproxy.isolation.processlimits import ProcessLimits
from revproxy.isolation.remotefailure import ProcessEnded, RemoteFailure, failureOf
from revproxy.loop.deadlines import Deadlines

STEADY: Final = 60.0
"""Seconds after which a process counts as one that works, and crashes before it are forgotten."""

AGAIN: Final = 5.0
"""Seconds until a process is asked for again if there is none to be had."""

LONGEST_WITHOUT: Final = 5.0
"""Seconds that anybody waits for the next process; then all fails at once until it is there."""

ENDING: Final = 5.0
"""Seconds in which a process that was killed has to be gone."""


class NotLoaded(Exception):
    """
    A process has not become the plugin.

    :ivar stage: as of a `revproxy.worker.lifecycle.stages.StageFailed`.
    :ivar error: why not.
    """

    def __init__(self, stage: str, error: BaseException) -> None:
        super().__init__(stage, str(error))
        self.stage = stage
        self.error = error

    def __str__(self) -> str:
        return f"{self.stage}: {self.error}"


class Succession:
    """
    Of one instance.

    :ivar process: the process that serves; None while there is none.
    :ivar interfaces: names of those that the plugin provides.
    :ivar isStarted: whether its ``start`` was called: then that of the next process is, too.
    :ivar load: what a process is to become.
    """

    _log = Logger()

    def __init__(
        self,
        take: Callable[[], Deferred[Process]],
        load: Load,
        limits: ProcessLimits,
        clock: Any,
        deadlines: Deadlines,
        upcalls: TakesUpcalls,
        failed: Callable[[BaseException], None],
    ) -> None:
        """
        :param take: gives a process, locked, that waits for its `Load`; later, if those before have crashed.
        :param failed: told of an end that no call is to blame for.
        """
        self.process: PluginProcess | None = None
        self.interfaces: frozenset[str] = frozenset()
        self.isStarted = False
        self.load = load
        self.limits = limits
        self._takeProcess = take
        self._clock = clock
        self._deadlines = deadlines
        self._upcalls = upcalls
        self._failed = failed
        self._next = count(1).__next__
        self._queue: list[Ask] = []
        self._down: BaseException | None = None
        self._opening: Deferred[None] | None = None
        self._isEnded = False
        self._crashes = 0
        self._since = 0.0
        self._share = CpuShare()
        self._sampling: Any = None
        self._without: Any = None

    # What it is asked

    @property
    def asked(self) -> int:
        """How much is under way."""
        return len(self._queue) + (self.process.line.count if self.process is not None else 0)

    def call(
        self, make: Callable[[Any, int], Down], request: int, isRepeatable: bool, limit: float | None
    ) -> Deferred[Any]:
        """
        Ask something of a request.

        :param make: of a process and the number, what it is sent.
        :param limit: seconds that it may take.
        :returns: the frame of the answer. Fails if the process ends over it; cancelling withdraws it.
        """
        bound = UNBOUNDED if limit is None else limit
        ask = Ask(self._next(), make, self._withdraw, bound, bound, request, isRepeatable)
        process = self.process
        if process is not None and process.line.count < self.limits.calls:
            process.ask(ask)
        elif self.asked >= self.limits.calls:
            text = f"{self.limits.calls} calls are under way in its process, and more are not made"
            ask.errback(LimitExceeded("concurrency", text))
        else:
            self._enter(ask)
        return ask

    async def step(self, step: StepName, argument: bytes = b"null", limit: float = UNBOUNDED) -> bytes:
        """
        Have the plugin take a step of its life.

        :returns: what it gives, as JSON.
        :raises RemoteFailure: it has raised.
        """
        ask = self._stepAsk(step, argument, limit)
        self._enter(ask)
        return _given(await ask)

    def notRepeatable(self, number: int | None) -> None:
        """What this request's calls have done cannot be undone: they are not made again. None: those of any."""
        process = self.process
        if process is not None:
            for ask in process.line:
                if number is None or ask.request == number:
                    ask.isRepeatable = False

    def _stepAsk(self, step: StepName, argument: bytes, limit: float) -> Ask:
        def make(process: Any, number: int) -> Step:
            return Step(number, step, argument)

        return Ask(self._next(), make, self._withdraw, self.limits.step, limit)

    def _enter(self, ask: Ask) -> None:
        if self.process is not None:
            self.process.ask(ask)
        elif self._isEnded:
            ask.errback(ProcessEnded("its process has ended with it"))
        elif self._down is not None:
            ask.errback(ProcessEnded(f"there is no process of it now: {self._down}"))
        else:
            self._queue.append(ask)

    def _withdraw(self, ask: Ask) -> None:
        if ask in self._queue:
            self._queue.remove(ask)
        elif self.process is not None:
            self.process.withdraw(ask)

    # One process after the other

    async def open(self) -> None:
        """
        Have the first process become the plugin. It is not started.

        :raises NotLoaded:
        """
        try:
            self.process = await self._open()
        except NotLoaded:
            self._isEnded = True
            raise
        self._sample()

    async def _open(self) -> PluginProcess:
        try:
            locked = await self._takeProcess()
        except Foreign as error:
            raise NotLoaded("import", error) from None
        process = PluginProcess(locked, self._clock, self._deadlines, self._upcalls, self._lost)
        self._since = self._deadlines.now()
        self._share = CpuShare()
        try:
            await self._become(process)
        except NotLoaded:
            process.kill("it has not become what it was to be")
            raise
        except CancelledError:
            process.kill("it is not needed any more")
            raise
        return process

    async def _become(self, process: PluginProcess) -> None:
        load = Ask(0, lambda process, number: self.load, None, self.limits.step, self.limits.load)
        loaded = await self._taken("import", process, load)
        if not isinstance(loaded, Loaded):
            raise NotLoaded("import", RemoteFailure("WrongAnswer", "its process has not said what it has become"))
        names = frozenset(loaded.interfaces)
        if self.interfaces and names != self.interfaces:
            raise NotLoaded("main", RemoteFailure("WrongAnswer", "it provides other interfaces than before"))
        self.interfaces = names
        if "IConfigurable" in names:
            await self._taken("validate", process, self._stepAsk("validateConfig", self.load.config, self.limits.load))
        if "IHosted" in names:
            await self._taken("attach", process, self._stepAsk("attach", b"null", self.limits.load))
        if self.isStarted and "ILifecycle" in names:
            await self._taken("start", process, self._stepAsk("start", b"null", self.limits.start))

    async def _taken(self, stage: str, process: PluginProcess, ask: Ask) -> Any:
        """:raises NotLoaded:"""
        if process.isLost:
            raise NotLoaded(stage, ProcessEnded("its process has ended"))
        process.ask(ask)
        try:
            frame = await ask
        except CancelledError:
            raise
        except Foreign as error:
            raise NotLoaded(stage, error) from None
        if isinstance(frame, Failed):
            raise NotLoaded(frame.stage if stage == "import" and frame.stage else stage, failureOf(frame))
        return frame

    def _lost(self, process: PluginProcess, lost: Lost) -> None:
        """A process has ended, or is about to."""
        wasServing = process is self.process
        if wasServing:
            self.process = None
        repeated, failing = self._sorted(lost)
        if wasServing and not self._isEnded:
            self._count(lost)
            self._queue[:0] = repeated
            self._reopen()
        else:
            failing += [(ask, lost.error) for ask in repeated]
        for ask, error in failing:
            ask.fail(error)
        if wasServing and not self._isEnded and lost.culprit is None and lost.isFault:
            self._failed(lost.error)
        if self._down is not None:
            self._failQueue(self._down)

    @staticmethod
    def _sorted(lost: Lost) -> tuple[list[Ask], list[tuple[Ask, BaseException]]]:
        """Who is asked once more, and who fails, with what."""
        repeated: list[Ask] = []
        failing: list[tuple[Ask, BaseException]] = []
        for ask in lost.asks:
            if ask is lost.culprit:
                failing.append((ask, lost.error))
            elif ask.isRepeatable and not ask.isRepeated:
                ask.isRepeated = True
                ask.due = UNBOUNDED
                repeated.append(ask)
            else:
                failing.append((ask, ProcessEnded(f"its process has ended meanwhile: {lost.error}")))
        return repeated, failing

    def _count(self, lost: Lost) -> None:
        """After a second crash in a row the next process is not there at once: nobody waits for it."""
        if not lost.isCrash:
            return
        if self._deadlines.now() - self._since >= STEADY:
            self._crashes = 0
        self._crashes += 1
        if self._crashes > 1:
            self._down = lost.error

    def _reopen(self) -> None:
        if self._opening is None:
            opening = self._opening = Deferred.fromCoroutine(self._openUntilItWorks())
            opening.addErrback(self._notOpened)
            self._stopWaiting()
            self._without = self._clock.callLater(LONGEST_WITHOUT, self._isWithout)

    def _isWithout(self) -> None:
        self._without = None
        if self.process is None:
            self._down = self._down or ProcessEnded(f"none has come within {LONGEST_WITHOUT:g} s")
            self._failQueue(self._down)

    def _stopWaiting(self) -> None:
        if self._without is not None:
            self._without.cancel()
            self._without = None

    def _notOpened(self, failure: Any) -> None:
        if not failure.check(CancelledError):
            self._log.failure("making another process for a plugin", failure)

    async def _openUntilItWorks(self) -> None:
        while not self._isEnded:
            try:
                process = await self._open()
            except NotLoaded as error:
                self._down = error
                self._failQueue(error)
                if not self._isEnded:
                    self._failed(error.error)
                    await self._pause()
                continue
            self._opening = None
            if self._isEnded:
                process.kill("it is not needed any more")
            elif process.isLost:
                self._reopen()
            else:
                self._serve(process)
            return

    def _sample(self) -> None:
        """What it uses over a minute, in calls and outside of them."""
        self._sampling = self._clock.callLater(SAMPLE, self._sample)
        process = self.process
        if process is None:
            return
        share = self._share.add(self._deadlines.now(), process.locked.cpuSeconds())
        if share is not None and share > self.limits.share:
            text = f"it has used {share:.0%} of a processor over a minute, and {self.limits.share:.0%} are the most"
            process.end(LimitExceeded("cpu-share", f"{text}; its process was ended"), text)

    async def _pause(self) -> None:
        waiting: Deferred[None] = Deferred(lambda _: call.cancel())
        call = self._clock.callLater(AGAIN, waiting.callback, None)
        await waiting

    def _serve(self, process: PluginProcess) -> None:
        self.process = process
        self._down = None
        self._stopWaiting()
        queue, self._queue = self._queue, []
        for ask in queue:
            if not ask.called:
                self._enter(ask)

    def _failQueue(self, error: BaseException) -> None:
        queue, self._queue = self._queue, []
        for ask in queue:
            ask.fail(ProcessEnded(f"there is no process of it now: {error}"))

    # The end

    async def end(self) -> bool:
        """
        End it for good. :returns: whether its process is gone, which takes no time to speak of.
        """
        self._isEnded = True
        self._stopWaiting()
        if self._sampling is not None:
            self._sampling.cancel()
            self._sampling = None
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
        self._failQueue(ProcessEnded("the plugin has ended"))
        process, self.process = self.process, None
        if process is None:
            return True
        process.kill("it is not needed any more")
        late = self._clock.callLater(ENDING, process.gone.cancel)
        try:
            await process.gone
        except CancelledError:
            return False
        late.cancel()
        return True


def _given(frame: Any) -> bytes:
    if isinstance(frame, Failed):
        raise failureOf(frame)
    if not isinstance(frame, Done):
        raise RemoteFailure("WrongAnswer", f"its process has answered a step with {type(frame).__name__}")
    try:
        # Looked at, and nothing made of it.
        frame.value.decode()
        msgspec.json.decode(frame.value, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise RemoteFailure("WrongAnswer", f"its process has answered a step with what is no JSON: {error}") from None
    return frame.value
