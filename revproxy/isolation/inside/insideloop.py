"""
The event loop of a locked process: one stream, and timers.

There is nothing else to wait for, so it needs no reactor: with no timer it sleeps in the reading of the stream. Answers
are collected while what has come is worked through, and leave together; those that have waited for `LATE` seconds
leave before the next call begins.
"""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from time import monotonic
from typing import Any, Final, NoReturn

from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from zope.interface import implementer

from revproxy.isolation.inside.holding import Holding
from revproxy.isolation.inside.timer import Timer

MOST_READ: Final = 64 * 1024
"""Bytes that are taken from the stream at a time."""

LATE: Final = 0.001
"""Seconds after which an answer leaves before the next call begins, which may spin."""


_NOT_HAD: Final = frozenset(
    (
        "addReader",
        "addSystemEventTrigger",
        "addWriter",
        "callInThread",
        "crash",
        "getThreadPool",
        "nameResolver",
        "resolve",
        "spawnProcess",
        "suggestThreadPoolSize",
        "wakeUp",
    )
)
"""What else the reactors of Twisted have."""

_NOT_HAD_PREFIXES: Final = ("adopt", "connect", "install", "listen", "remove")


@implementer(IReactorTime, IReactorFromThreads)
class InsideLoop:
    """
    Runs until the stream ends, or :meth:`stop`.

    :ivar onData: called with the bytes that have come.
    :ivar onFailure: called with what a function has raised: no timer of ours does, so it is ours that is wrong.
    """

    def __init__(self, fd: int, holding: Holding, now: Callable[[], float] = monotonic) -> None:
        """
        :param fd: of the stream, in blocking mode.
        :param holding: is told whose code a timer runs: that of the call which has set it, as long as it waits.
        """
        self._fd = fd
        self._holding = holding
        self._now = now
        self._timers: list[Timer] = []
        self._cancelled = 0
        self._soon: deque[tuple[int, Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = deque()
        self._unsent: list[bytes] = []
        self._unsentSince = 0.0
        self._isRunning = False
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self.onData: Callable[[bytes], None] = lambda data: None
        self.onFailure: Callable[[BaseException], None] = lambda error: None

    def __getattr__(self, name: str) -> NoReturn:
        """What Twisted's reactors have besides. :raises AttributeError: always; of what they have, it says why not."""
        if name in _NOT_HAD or name.startswith(_NOT_HAD_PREFIXES):
            raise AttributeError(
                f"reactor.{name}: the reactor of a locked process has time (callLater, seconds, callFromThread) and "
                "nothing else; upstreams are asked by context.client or host.client"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # IReactorTime, IReactorFromThreads

    def seconds(self) -> float:
        """Since whenever the machine began to count."""
        return self._now()

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object) -> IDelayedCall:
        """As `IReactorTime.callLater`."""
        if not delay >= 0:
            raise ValueError(f"a call comes later, not {delay!r} seconds from now")
        call = Timer(self._now() + delay, callable, args, kwargs, self._forget, self._moved, self._now)
        call.holder = self._holding.current
        heappush(self._timers, call)
        return call

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """Those that are still to come."""
        return [call for call in self._timers if not call.cancelled]

    @property
    def running(self) -> bool:
        """As `IReactorCore.running`."""
        return self._isRunning

    def callWhenRunning(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:
        """As `IReactorCore.callWhenRunning`: in the next turn, for it always runs."""
        self.callFromThread(callable, *args, **kwargs)

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:
        """Call a function in the next turn. There are no threads, but plugins need not know that."""
        self._soon.append((self._holding.current, callable, args, kwargs))

    def _forget(self, call: Timer) -> None:
        self._cancelled += 1
        if self._cancelled > 50 and self._cancelled > len(self._timers) // 2:
            self._timers = [each for each in self._timers if not each.cancelled]
            self._cancelled = 0
            heapify(self._timers)

    def _moved(self, call: Timer) -> None:
        heapify(self._timers)

    # The stream

    def send(self, data: bytes) -> None:
        """Bytes leave at the end of this turn, or when they are late."""
        if not self._unsent:
            self._unsentSince = self._now()
        self._unsent.append(data)

    def sendLate(self) -> None:
        """Before a call begins: what has waited too long leaves."""
        if self._unsent and self._now() - self._unsentSince >= LATE:
            self.flush()

    def flush(self) -> None:
        """
        All that was to be sent leaves.

        :raises OSError: nobody takes it any more.
        """
        unsent, self._unsent = self._unsent, []
        left = memoryview(b"".join(unsent) if len(unsent) != 1 else unsent[0])
        while left:
            left = left[os.write(self._fd, left) :]

    # Running

    def run(self) -> None:
        """Until the stream ends, or :meth:`stop`."""
        self._isRunning = True
        while self._isRunning:
            self.turn()

    def stop(self) -> None:
        """Return from :meth:`run` after this turn."""
        self._isRunning = False

    def turn(self) -> None:
        """What is due, what has been sent meanwhile, and a wait for more if there is nothing to do."""
        self._runDue()
        try:
            if self._unsent:
                self.flush()
            data = os.read(self._fd, MOST_READ) if self._isReadable() else None
        except InterruptedError:
            return
        except OSError:
            data = b""
        if data:
            self.onData(data)
        elif data is not None:
            self._isRunning = False
            return
        try:
            self.flush()
        except OSError:
            self._isRunning = False

    def _isReadable(self) -> bool:
        """Wait until there is something to read, or a timer is due. Without timers the reading itself waits."""
        if not self._isRunning:
            return False
        if self._soon:
            return bool(self._poll.poll(0))
        while self._timers and self._timers[0].cancelled:
            heappop(self._timers)
            self._cancelled -= 1
        if not self._timers:
            return True
        left = self._timers[0].time - self._now()  # of one that was put off, too: then it is put where it belongs
        return bool(self._poll.poll(max(0, int(left * 1000) + 1) if left > 0 else 0))

    def _runDue(self) -> None:
        for _ in range(len(self._soon)):
            self._call(*self._soon.popleft())
        if not self._timers:
            return
        now = self._now()
        due = []
        while self._timers and self._timers[0].time <= now:
            due.append(heappop(self._timers))
        for call in due:
            if call.cancelled:
                self._cancelled -= 1
            elif call.getTime() > now:
                # It was put off.
                call.activate_delay()
                heappush(self._timers, call)
            else:
                call.called = 1
                self._call(call.holder, call.func, call.args, call.kw)

    def _call(
        self, holder: int, function: Callable[..., Any], args: Sequence[object], kwargs: dict[str, object]
    ) -> None:
        self._holding.goOn(holder)
        try:
            function(*args, **kwargs)
        except BaseException as error:  # foreign code
            self.onFailure(error)
        finally:
            self._holding.leave()
