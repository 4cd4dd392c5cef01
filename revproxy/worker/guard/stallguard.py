"""
Notices when the reactor is held, says by whom, and ends calls of plugins that take too long.

While one call runs, nothing else does: every connection waits. Nothing of that is measured where calls are made. The
guard has three parts, each for what the others cannot see.

*The beat*, in the reactor, notes the time a few times a second. Late, it reports the hold that is over.

*The alarm*, an interval timer (``SIGALRM``), is set by each beat for a time shortly after the next: while the reactor
turns, it never rings. When it does, its handler runs in the midst of what holds the reactor and takes samples of the
stack until that is over. The same call of a plugin there for longer than its limit: the handler raises
:class:`~revproxy.errors.PluginStalled` in it, and again with every further sample. What runs in the
interpreter, blocks in a system call, or asks for signals as ``re`` does, is ended. While the plugin has called into the
edge or Twisted, where an exception from nowhere could break what others rely on, the handler waits a little for a
better moment. Without a plugin on the stack it never raises.

*The thread* says on standard error, within about half a second, that the reactor is held and where. It is all there is
where the handler cannot be had: in a reactor that is not in the main thread, or if somebody else uses ``SIGALRM``.

What cannot be ended: one long call in C that heeds no signals (``sum(range(10**9))``), or code that catches
``BaseException`` and goes on. The former is named when it is over: the alarm's handler, run late, knows that the
processor was busy in the frame it finds. If it is never over, `faulthandler`, which needs no lock of the interpreter's,
writes the stacks to standard error after 10 to 15 seconds; then only a supervisor's watchdog helps. Standard error is
used, not the log: who holds the reactor may hold a lock of the log's.

System calls are interrupted by the alarm (Python makes them anew, PEP 475). With them restarted by the kernel, as
Twisted does for ``SIGCHLD``, a plugin blocked in ``recv`` would never get to the handler.
"""

from __future__ import annotations

import atexit
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.errors import PluginStalled
from revproxy.worker.guard.stacksampler import Call, Culprit, Identify, Place, StackSamples, place

__all__ = ["Culprit", "Stall", "StallGuard"]

LIMIT = 0.25
"""Seconds from which a hold is reported."""

TICK = 0.05
"""Seconds between two samples of what holds the reactor."""

PAUSE = 0.5
"""Seconds that the thread waits between two checks, where there is the alarm, too."""

PATIENCE = 4
"""Ticks to wait at most for a plugin to come back out of the edge or Twisted."""

HANG = 10.0
"""Seconds after which the stacks are written."""

_REARM = 5.0
"""Seconds between two settings of that; each makes a thread."""

_STDERR = 2


@dataclass(frozen=True, slots=True)
class Stall:
    """
    The reactor was held; now it turns again.

    :ivar plugin: whose call did it; None if it was no plugin, or none for the better part of the time.
    :ivar version: the plugin's, or None.
    :ivar where: ``FILE:LINE`` of the plugin's code where it was seen last; without one, of wherever the stack stood
        most often. Empty if no sample could be taken.
    :ivar function: the qualified name of the function there.
    :ivar seconds: how long, at least; at most half the limit more.
    :ivar ended: whether the call was ended.
    :ivar key: of the `Culprit`, or None.
    :ivar cpuSeconds: for how long of this the reactor's thread had a processor; None: not known.
    """

    plugin: str | None
    version: str | None
    where: str
    function: str
    seconds: float
    ended: bool
    key: object
    cpuSeconds: float | None = None


class StallGuard:
    """
    See the module. There can be one per process, which has one interval timer.

    :ivar interrupts: whether calls can be ended; known once the reactor runs.
    """

    _log = Logger()

    # Of the beat: when it was last, and when the writing of stacks was put off.
    _beatAt = 0.0
    _hangSet = 0.0

    # Of the alarm: when it was to ring and after how many seconds, what the processor had done by then, and since when
    # a call that is to be ended has been within the edge.
    _due = 0.0
    _armed = 0.0
    _busy = 0.0
    _overdue = 0.0

    # Since the beat was late: when it was first seen, and what the processor had done by then.
    _seenAt = 0.0
    _seenBusy = 0.0

    # Of the thread: whom it watches, when it was up last, and when it found that it had not been.
    _ident = 0
    _cpu = 0
    _awake = 0.0
    _slept = 0.0

    _complained = False

    def __init__(
        self,
        reactor: Any,
        identify: Identify,
        onStall: Callable[[Stall], None],
        *,
        limit: float = LIMIT,
        tick: float = TICK,
    ) -> None:
        """
        :param identify: gives whose code a module is. Called in a signal handler and in a thread.
        :param limit: seconds from which a hold is reported. Ended calls always are.
        :param onStall: told in the reactor's thread, once it turns again, of each ended call and of each hold.
        :param reactor: provides `IReactorTime` and `IReactorFromThreads`.
        :param tick: seconds between two samples of what holds the reactor.
        """
        self.interrupts = False
        self._reactor = reactor
        self._identify = identify
        self._onStall = onStall
        self._limit = limit
        self._tick = tick
        # Each beat wakes the process: at 0.05 s that alone was 0.24 % of a processor where it was measured.
        self._period = limit / 2
        self._running = False
        self._samples = StackSamples(identify)
        self._next: IDelayedCall | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin when the reactor turns. While it runs already, nothing happens."""
        if not self._running:
            self._running = True
            self._next = self._reactor.callLater(0, self._begin)

    def stop(self) -> None:
        """End; the signal's handler and the timer are as before. May be started again."""
        if not self._running:
            return
        self._running = False
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopped.set()
        atexit.unregister(self.stop)
        if self.interrupts:
            self.interrupts = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        faulthandler.cancel_dump_traceback_later()
        self._samples = StackSamples(self._identify)
        thread.join(self._limit)

    def _begin(self) -> None:
        self._ident = threading.get_ident()
        self._cpu = time.pthread_getcpuclockid(self._ident)
        self._hangSet = 0.0
        reason = _unavailable()
        if reason is None:
            signal.signal(signal.SIGALRM, self._rang)
            self.interrupts = True
        else:
            self._log.warn("plugins that hold the reactor cannot be interrupted: {reason}", reason=reason)
        # The interpreter, when it ends, restores the signal's default action: the end of the process.
        atexit.register(self.stop)
        self._beatAt = self._awake = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, args=(self._stopped,), name="revproxy stall guard", daemon=True
        )
        self._thread.start()
        self._beat()

    # In the reactor

    def _beat(self) -> None:
        if not self._running:
            return
        now = time.monotonic()
        seen, self._samples = self._samples, StackSamples(self._identify)
        late = now - self._beatAt - self._period
        self._beatAt = now
        if self._next is not None and self._next.active():  # the thread has called, not the clock
            self._next.reset(self._period)
        else:
            self._next = self._reactor.callLater(self._period, self._beat)
        if self.interrupts:
            self._arm(self._period + self._tick / 2)
        if now - self._hangSet >= _REARM:
            self._hangSet = now
            faulthandler.dump_traceback_later(HANG + _REARM, file=_STDERR)
        seen.close()
        if late >= self._limit or seen.calls:
            self._report(seen, late)
        self._seenAt = 0.0

    def _report(self, seen: StackSamples, late: float) -> None:
        rest = late
        longest: Call | None = None
        for call in seen.calls:
            if call.ended:
                rest -= call.seconds
                self._tell(call.culprit, call.place, call.seconds, True)
            else:
                longest = call
        if rest < self._limit:
            return
        # Up to one and a half passed unseen, after the beat was due and after the last sample.
        if longest is not None and longest.seconds + self._tick >= rest / 2:
            self._tell(longest.culprit, longest.place, rest, False)
        else:
            self._tell(None, seen.usual, rest, False)

    def _tell(self, culprit: Culprit | None, where: Place | None, seconds: float, ended: bool) -> None:
        stall = Stall(
            culprit.plugin if culprit else None,
            culprit.version if culprit else None,
            where.where if where else "",
            where.function if where else "",
            seconds,
            ended,
            culprit.key if culprit else None,
            self._cpuOf(seconds),
        )
        try:
            self._onStall(stall)
        except Exception:
            self._log.failure("while hearing of a stall")

    def _cpuOf(self, seconds: float) -> float | None:
        """How much of a hold the thread had a processor, as it did since it was seen to be late."""
        now = time.monotonic()
        if not self._seenAt or now <= self._seenAt:
            return None
        share = (time.clock_gettime(self._cpu) - self._seenBusy) / (now - self._seenAt)
        return seconds * min(1.0, max(0.0, share))

    # In the signal's handler

    def _arm(self, seconds: float) -> None:
        self._armed = seconds
        self._due = time.monotonic() + seconds
        self._busy = time.clock_gettime(self._cpu)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def _rang(self, number: int, frame: FrameType | None) -> None:
        """
        The reactor is late.

        :raises PluginStalled: in the call that has held it too long.
        """
        try:
            call = self._overlong(frame) if frame is not None and self._running else None
        except Exception as error:  # of ``identify``; in whoever runs here, it would strike the wrong one
            call = None
            self._complain(error)
            self._arm(self._tick)
        if call is not None:
            raise PluginStalled(f"held the reactor for {call.seconds:.2f} s, at {call.place.where}")

    def _overlong(self, frame: FrameType) -> Call | None:
        """The call to be ended now, if there is one."""
        now = time.monotonic()
        tick = self._tick
        lag = max(0.0, now - self._due)
        self._seeBusy(now, lag)
        if lag < tick or self._ran(lag, now):
            call = self._samples.take(frame, now, now - lag)
        else:
            call = self._samples.take(frame, now, now, lost=lag)
        limit = None if call is None else call.culprit.limit
        if call is None or limit is None:
            self._arm(tick)
            return None
        remains = limit - call.seconds
        # One sample is not enough: what was long may be over by now.
        if remains > 0 or call.samples < 2:
            self._overdue = 0.0
            self._arm(min(tick, max(remains, tick / 10)))
            return None
        if call.place.within:
            self._overdue = self._overdue or now
            if now - self._overdue < PATIENCE * tick:
                self._arm(tick / 10)
                return None
        self._overdue = 0.0
        call.ended = True
        self._arm(tick)
        return call

    def _seeBusy(self, now: float, lag: float) -> None:
        """It is late. Where the handler itself was kept waiting, that began when it was to ring."""
        if not self._seenAt:
            isKept = lag >= self._tick
            self._seenAt = self._due - self._armed if isKept else now
            self._seenBusy = self._busy if isKept else time.clock_gettime(self._cpu)

    def _ran(self, lag: float, now: float) -> bool:
        """
        Whether the handler is so late because one instruction took that long, for handlers run between instructions.

        Then the processor was busy in this thread, or the other one was up meanwhile. Else the process was suspended.
        """
        if self._worked(time.clock_gettime(self._cpu) - self._busy - self._armed, lag):
            return True
        return self._awake > now - lag and now - self._slept > lag

    def _worked(self, busy: float, lag: float) -> bool:
        """
        Whether the reactor's thread had the processor while it was late. Not for all that time: others may want it.

        :param busy: seconds of the processor's, at least.
        """
        return busy >= min(self._tick, lag / 5)

    # In the thread

    def _watch(self, stopped: threading.Event) -> None:
        """Check every now and then whether the beat is late."""
        short = self._limit / 4
        told = pinged = 0.0
        busy = time.clock_gettime(self._cpu)
        pause = short
        while not stopped.wait(pause):
            now = time.monotonic()
            before, self._awake = self._awake, now
            wasBusy, busy = busy, time.clock_gettime(self._cpu)
            since, lost = now, 0.0
            if now - before > pause + short:
                # Either the process was suspended, or the reactor had the interpreter's lock, for one instruction.
                self._slept = now
                if self._worked(busy - wasBusy - pause, now - before - pause):
                    since = before + pause
                else:
                    lost = now - before
            beat = self._beatAt
            late = now - beat - self._period
            if late >= self._tick / 2 and not self.interrupts:
                self._withStack(partial(self._sample, now, since, lost))
            if late >= self._limit and pinged == beat and told != beat:
                told = beat
                self._withStack(partial(self._sayWhere, late))
            if late >= self._limit / 2 and pinged != beat:
                # If the time of day was set back, the reactor's clock stands still, but the reactor does not.
                pinged = beat
                self._reactor.callFromThread(self._beat)
            pause = PAUSE if self.interrupts and late < self._limit / 2 else short

    def _withStack(self, use: Callable[[FrameType], object]) -> None:
        """Call with the innermost frame of the reactor's thread."""
        try:
            frame: FrameType | None = sys._current_frames()[self._ident]
            while frame is not None and frame.f_globals.get("__name__") in (__name__, StackSamples.__module__):
                frame = frame.f_back  # the alarm's handler, on top of what it samples
            if frame is not None:
                use(frame)
        except Exception as error:  # of ``identify``, or the stack changed meanwhile
            self._complain(error)

    def _sample(self, now: float, since: float, lost: float, frame: FrameType) -> None:
        if not self._seenAt:
            self._seenAt, self._seenBusy = now, time.clock_gettime(self._cpu)
        self._samples.take(frame, now, since, lost)

    def _sayWhere(self, late: float, frame: FrameType) -> None:
        here = place(frame, self._identify)
        who = f"in plugin {here.culprit.plugin} {here.culprit.version}, " if here.culprit else ""
        _write(f"revproxy: the reactor is held, for {late:.2f} s so far, {who}at {here.where} in {here.function}")

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            self._complained = True
            _write(f"revproxy: while looking who holds the reactor: {error!r}")


def _unavailable() -> str | None:
    """Why there can be no handler, or None."""
    if threading.current_thread() is not threading.main_thread():
        return "the reactor is not in the main thread"
    if signal.getsignal(signal.SIGALRM) != signal.SIG_DFL:
        return "SIGALRM is in use"
    return None


def _write(line: str) -> None:
    try:
        os.write(_STDERR, line.encode(errors="replace") + b"\n")
    except OSError:
        pass
