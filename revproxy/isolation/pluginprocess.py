"""
One locked process with one plugin in it: what it is asked, how long that may take, and its end.

The code of a plugin may hold its process, or wait for something. What holds it may compute for so long, or do nothing
for so long (sleep, or stop itself). Time in which it could compute, and others have the processors, is neither: a busy
machine is not the plugin's fault. What waits is bounded by its own limit. Who it
is that holds the process the process says itself, in a page of memory; if it says nothing, it is the head of the line.
A process that is held for too long is killed, for nothing else ends foreign code for sure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred

from revproxy.errors import LimitExceeded, LimitName, PluginStalled, PluginTimeout
from revproxy.isolation.frames import (
    ANSWERS,
    Cancel,
    Counted,
    Down,
    Failed,
    FailedOutside,
    Fields,
    Logged,
    ReadBody,
    SendRequest,
    Up,
    UseStore,
    Waiting,
)
from revproxy.isolation.holdpage import Hold
from revproxy.isolation.line import Ask, Line
from revproxy.isolation.process.gone import Gone
from revproxy.isolation.remotefailure import ProcessEnded
from revproxy.loop.deadlines import Deadlines

PERIOD: Final = 0.02
"""Seconds between two looks at a process that is asked something."""

MOST_HELD: Final = 10.0
"""So many times what a call may compute or wait in one go it may hold its process, however busy the machine is."""

HELD_UP: Final = 0.1
"""Seconds for which one call holds the process, after which the time of those that wait does not run."""

LONGEST_BEHIND: Final = 30.0
"""Seconds that anything may be behind others."""

MOST_STRAYS: Final = 1_000
"""Answers that nobody waits for, in one second; more are the end of a process."""

MOST_SAID: Final = 20_000
"""Things that a process may say by itself in one second: what it asks for, and tells; more are its end."""


class Process(Protocol):
    """What is needed of a `revproxy.isolation.process.lockedprocess.LockedProcess`."""

    def attach(
        self, onFrame: Callable[[Up], None], onGone: Callable[[Gone], None], onOutput: Callable[[str], None]
    ) -> None: ...

    def send(self, frame: Down) -> None: ...

    def kill(self, why: str, isFault: bool = True) -> None: ...

    def held(self) -> Hold | None: ...

    def cpuSeconds(self) -> float: ...

    def isRunnable(self) -> bool: ...

    def memoryBytes(self) -> int: ...


class TakesUpcalls(Protocol):
    """Who serves what a process asks for by itself."""

    def serve(self, process: PluginProcess, frame: ReadBody | SendRequest | UseStore) -> None:
        """It wants something; the answer is sent later."""

    def hear(self, process: PluginProcess, frame: Logged | Counted | FailedOutside) -> None:
        """It tells something."""

    def interim(self, request: int, answers: tuple[tuple[int, Fields], ...]) -> None:
        """It sends 1xx answers."""

    def output(self, line: str) -> None:
        """It has written a line to stdout or stderr."""

    def isReading(self, request: int) -> bool:
        """Whether it waits for a body of this request."""

    def exceeded(self, limit: LimitName, text: str) -> None:
        """It has gone beyond a limit."""

    def left(self, process: PluginProcess) -> None:
        """It has ended, or is about to: nobody waits for what it has asked for."""


class PluginProcess:
    """
    One process, from when it was taken to its end.

    :ivar line: what it was asked and has not answered.
    :ivar locked: the locked process itself.
    :ivar isLost: whether nothing can be asked any more: it has ended, or was killed.
    :ivar gone: fires when it has ended.
    """

    def __init__(
        self,
        locked: Process,
        clock: Any,
        deadlines: Deadlines,
        upcalls: TakesUpcalls,
        onLost: Callable[[PluginProcess, Lost], None],
    ) -> None:
        """
        :param clock: for the last stretch before a call is ended, which the deadlines are too coarse for.
        :param deadlines: whose clock times calls; swept each `PERIOD` or so.
        :param onLost: told once, when nothing can be asked any more. What was asked then is in the `Lost`.
        """
        self.locked = locked
        self.line = Line()
        self.isLost = False
        self.gone: Deferred[Gone] = Deferred()
        self.deadline = 0.0
        self._clock = clock
        self._deadlines = deadlines
        self._upcalls = upcalls
        self._onLost = onLost
        self._watch = CpuWatch(locked)
        self._isWatched = False
        self._soon: Any = None
        self._last = 0
        self._strays = 0
        self._strayWindow = 0.0
        self._said = 0
        self._saidSince = 0.0
        locked.attach(self._came, self._gone, upcalls.output)

    # What it is asked

    def ask(self, ask: Ask) -> None:
        """Send what it is to do. The answer comes to the ask."""
        now = self._deadlines.now()
        if not self._isWatched:
            self._isWatched = True
            self._watch.rest(now)
            self._deadlines.watch(self)
        self.line.add(ask, now)
        if ask.number > self._last:
            self._last = ask.number
        try:
            self.locked.send(ask.make(self, ask.number))
        except Exception as error:  # what it is told is more than fits, or nothing that can be told
            self.line.take(ask.number, now)
            ask.errback(error)

    def send(self, frame: Down) -> None:
        """Send what needs no answer."""
        if not self.isLost:
            self.locked.send(frame)

    def withdraw(self, ask: Ask) -> None:
        """Nobody waits for its answer any more."""
        if self.line.take(ask.number, self._deadlines.now()) is not None:
            self.send(Cancel(ask.number))

    def kill(self, why: str) -> None:
        """End it: it is not needed any more, and nobody is to be blamed."""
        self._lose(Lost([], None, ProcessEnded(why)), why, isFault=False)

    def end(self, error: BaseException, why: str) -> None:
        """End it for what it does, which no call is to blame for."""
        self._lose(Lost([], None, error), why, isFault=False)

    # What comes from it

    def _came(self, frame: Up) -> None:
        if self.isLost:
            return
        kind = type(frame)
        if kind in ANSWERS:
            number = frame.number  # type: ignore[union-attr]
            ask = self.line.take(number, self._deadlines.now())
            if ask is None:
                self._stray(number)
                return
            if kind is Failed and frame.kind == "MemoryError":  # type: ignore[union-attr]
                self._upcalls.exceeded("memory", "it needs more memory than it may have (limits.memory_mb)")
            ask.callback(frame)
        elif kind is Waiting:
            self._waits(frame)  # type: ignore[arg-type]
        elif self._isFlood():
            pass
        elif kind is ReadBody or kind is SendRequest or kind is UseStore:
            self._upcalls.serve(self, frame)  # type: ignore[arg-type]
        else:
            self._upcalls.hear(self, frame)  # type: ignore[arg-type]

    def _isFlood(self) -> bool:
        now = self._deadlines.now()
        if now - self._saidSince >= 1.0:
            self._saidSince, self._said = now, 0
        self._said += 1
        if self._said <= MOST_SAID:
            return False
        text = f"it says more than {MOST_SAID} things a second that it was not asked"
        self._babbles(LimitExceeded("calls", text), text)
        return True

    def _babbles(self, error: LimitExceeded, text: str) -> None:
        """It is ended for what it says; if it says whose code does that, that is to blame."""
        hold = self.locked.held()
        culprit = None if hold is None else self.line.find(hold.number)
        self._lose(Lost([], culprit, error, isCrash=True), text)

    def _waits(self, frame: Waiting) -> None:
        isNews = self.line.waits(frame.number, self._deadlines.now())
        if not isNews and self._isFlood():
            return
        ask = self.line.find(frame.number)
        if ask is not None and frame.informational:
            self._upcalls.interim(ask.request, frame.informational)

    def _stray(self, number: int) -> None:
        """An answer that nobody waits for: it was given up, unless nobody has ever asked."""
        now = self._deadlines.now()
        if now - self._strayWindow >= 1.0:
            self._strayWindow, self._strays = now, 0
        self._strays += 1
        if number > self._last or self._strays > MOST_STRAYS:
            text = f"it has answered {number}, which it was not asked" if number > self._last else (
                f"it gives more than {MOST_STRAYS} answers a second that nobody waits for"
            )
            self._babbles(LimitExceeded("reply", text), text)

    # How long it takes

    def deadlineExpired(self) -> None:
        """Look at what it is at. One that is asked nothing is not looked at again before it is."""
        if not self.line.count:
            self._isWatched = False
            self._deadlines.forget(self)
            return
        now = self._deadlines.now()
        for ask in self.line.due(now):
            if self._upcalls.isReading(ask.request) or self._isHeldUp(ask, now):
                self.line.prolong(ask, now)
            else:
                self._giveUp(ask, PluginTimeout(f"no answer within {ask.limit:g} s"))
        for ask in self.line.behind(now - LONGEST_BEHIND):
            self._giveUp(ask, PluginTimeout(f"its process has not come to it within {LONGEST_BEHIND:g} s"))
        self._lookAt(now)

    def _isHeldUp(self, ask: Ask, now: float) -> bool:
        """Whether it could not go on: another call holds the process, and is at the end of its time before long."""
        holder, since = self._holder(now)
        isHeld = holder is not None and holder is not ask and now - since >= HELD_UP
        return isHeld and now - ask.asked < LONGEST_BEHIND

    def _giveUp(self, ask: Ask, error: Exception) -> None:
        self.withdraw(ask)
        ask.fail(error)

    def _lookAt(self, now: float) -> None:
        ask, since = self._holder(now)
        if ask is None or self.isLost:
            return
        used, idle = self._watch.used(ask.number, since, now)
        if used >= ask.hold:
            self._stalled(ask, PluginStalled, f"its code has computed for {used:.3g} s in one go")
        elif idle >= ask.hold or now - since >= MOST_HELD * ask.hold:
            self._stalled(ask, PluginTimeout, f"its code has held its process for {now - since:.3g} s")
        else:
            self._lookSoon(ask.hold - max(used, idle))

    def _holder(self, now: float) -> tuple[Ask | None, float]:
        """Whose code runs, and since when: as the process says, if that can be; else the head of the line."""
        line = self.line
        hold = self.locked.held()
        head, headSince = line.head, line.headSince
        ask = None if hold is None else line.find(hold.number)
        if ask is None or hold is None:
            return head, headSince
        since = min(max(hold.since, ask.asked), now)
        # A page that always says "just now" does not help: what has not come to its head is held.
        if head is not None and now - headSince >= head.hold:
            since = min(since, headSince)
        return ask, since

    def _lookSoon(self, seconds: float) -> None:
        if seconds < PERIOD and self._soon is None:
            self._soon = self._clock.callLater(max(seconds, 0.0005), self._lookNow)

    def _lookNow(self) -> None:
        self._soon = None
        if not self.isLost:
            self._lookAt(self._deadlines.now())

    def _stalled(self, ask: Ask, kind: type[BaseException], text: str) -> None:
        stalled = kind(f"{text}, and its process was ended")
        hold = self.locked.held()
        isHeld = ask.number == 0 or (hold is not None and hold.number == ask.number)
        # That nobody says to hold it, or one that nobody waits for any more, is no fault of the head's, or a lie: it is
        # asked once more, and blamed then.
        culprit = ask if isHeld or ask.isRepeated or not ask.isRepeatable else None
        self._lose(Lost([], culprit, stalled), text, isFault=False)

    # Its end

    def _gone(self, gone: Gone) -> None:
        if not self.isLost:
            hold = self.locked.held()
            culprit = self.line.find(0) if hold is None else self.line.find(hold.number)
            error = ProcessEnded(f"its process has ended: {gone.text}")
            self._lose(Lost([], culprit if gone.isFault else None, error, gone.isFault, gone.isFault), "")
        self.gone.callback(gone)

    def _lose(self, lost: Lost, why: str, isFault: bool = True) -> None:
        if self.isLost:
            return
        self.isLost = True
        self._deadlines.forget(self)
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        lost.asks[:] = self.line.clear()
        if why:
            self.locked.kill(why, isFault)
        self._upcalls.left(self)
        self._onLost(self, lost)


class Lost:
    """
    What is to be told of the end of a process.

    :ivar asks: what it was asked and has not answered, in order.
    :ivar culprit: which of these has ended it; None: none, or nobody knows.
    :ivar error: how it has ended: what the culprit fails with.
    :ivar isCrash: whether it has ended by itself, or for what it says: the next may come later.
    :ivar isFault: False: the machine or somebody else has ended it, as by ending the template of all.
    """

    __slots__ = ("asks", "culprit", "error", "isCrash", "isFault")

    def __init__(
        self,
        asks: list[Ask],
        culprit: Ask | None,
        error: BaseException,
        isCrash: bool = False,
        isFault: bool = True,
    ) -> None:
        self.asks = asks
        self.culprit = culprit
        self.error = error
        self.isCrash = isCrash
        self.isFault = isFault


class CpuWatch:
    """
    How much a call has computed, of a process of which it is only known how much it has computed in all; and for how
    long it has held the process without computing.

    What was used between two looks is taken for that of the call that held the process at the second, as far as it has
    held it since: it is never taken for less than it is, and for too much by one period at most. What was idled away is
    counted look by look, and no more for one than two periods: if the edge itself could not look, that is nobody's
    fault here.
    """

    __slots__ = ("_base", "_cpu", "_idle", "_key", "_looked", "_process")

    def __init__(self, process: Process) -> None:
        self._process = process
        self._key: tuple[int, float] = (-1, 0.0)
        self._cpu = 0.0
        self._base = 0.0
        self._idle = 0.0
        self._looked = 0.0

    def rest(self, now: float) -> None:
        """It is asked nothing yet."""
        self._cpu = self._process.cpuSeconds()

    def used(self, number: int, since: float, now: float) -> tuple[float, float]:
        """
        :param number: whose code holds the process; ``since``: since when.
        :returns: seconds of CPU, and seconds in which it neither had one nor wanted one.
        """
        cpu = self._process.cpuSeconds()
        before, begun = self._key
        # One that is taken to have begun earlier than it said goes on: what it has used until now still counts.
        if number != before or since > begun:
            self._key = number, since
            self._base = max(self._cpu, cpu - (now - since))
            self._idle, self._looked = 0.0, since
        if not self._process.isRunnable():
            self._idle += min(now - self._looked, 2 * PERIOD)
        self._cpu, self._looked = cpu, now
        return cpu - self._base, self._idle
