"""
Threads that nobody waits for: a bounded number of them, with a bounded queue before them.

Twisted's pool is joined when the reactor stops, and its queue has no end: one function that does not come back keeps
the process, and many keep everybody else. Threads of these pools are daemons. They are made when there is work and end
when there is none for a while; what waits can be taken back; what runs can be left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from threading import Condition, Thread
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from revproxy.loop.unhandled import HeardDeferred

_log = Logger()

IDLE = 10.0
"""Seconds after which a thread without work ends."""


class ThreadsFull(Exception):
    """All threads are busy, and as much waits for them as may; the text says whose, and how many."""


class Job:
    """
    A function that waits for a thread, or runs in one.

    :ivar onResult: called in the thread, with whether it came back, and its result or its `Failure`.
    """

    __slots__ = ("_arguments", "_function", "_named", "onResult")

    def __init__(
        self,
        onResult: Callable[[bool, Any], object],
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        named: Mapping[str, Any],
    ) -> None:
        self.onResult = onResult
        self._function: Callable[..., Any] | None = function
        self._arguments = arguments
        self._named = named

    def run(self) -> None:
        """In the thread."""
        function, arguments, named = self._function, self._arguments, self._named
        self.forget()
        assert function is not None
        try:
            result, success = function(*arguments, **named), True
        except BaseException:  # whatever it is, it is for whoever waits for the result
            result, success = Failure(), False
        self.onResult(success, result)

    def forget(self) -> None:
        """Whoever keeps the job does not keep what it would have called."""
        self._function, self._arguments, self._named = None, (), {}


class Threads:
    """
    A pool of daemon threads.

    :ivar most: how many threads there may be.
    :ivar busy: how many are at work.
    :ivar rejected: how many functions were not taken because too many waited.
    :ivar onFull: called in the thread that asks, each time one is not taken.
    """

    def __init__(self, name: str, most: int, queue: int | None = None, idle: float = IDLE) -> None:
        """
        :param name: of the threads.
        :param queue: how many functions may wait; None: any number.
        :param idle: seconds after which a thread without work ends.
        """
        self.most = most
        self.busy = 0
        self.rejected = 0
        self.onFull: Callable[[], None] = lambda: None
        self._name = name
        self._queue = queue
        self._idleLimit = idle
        self._idle = 0
        self._count = 0
        self._isEnding = False
        # In the order in which they came; each is found at once.
        self._waiting: dict[Job, None] = {}
        self._ready = Condition()  # whose lock its thread may take again: a ``__del__`` may run in the midst of this

    @property
    def queued(self) -> int:
        """How many functions wait."""
        return len(self._waiting)

    def begin(
        self, onResult: Callable[[bool, Any], object], function: Callable[..., Any], *arguments: Any, **named: Any
    ) -> Job:
        """
        Run a function as soon as there is a thread for it.

        :param onResult: called in the thread, with whether it came back, and its result or its `Failure`.
        :raises ThreadsFull: too many wait already.
        :raises RuntimeError: the system gives no thread, and there is none.
        """
        job = Job(onResult, function, arguments, named)
        with self._ready:
            isFull = self._queue is not None and self.busy + len(self._waiting) >= self.most + self._queue
            if isFull:
                self.rejected += 1
            else:
                self._isEnding = False
                self._waiting[job] = None
                self._wake(job)
        if isFull:
            self.onFull()
            raise ThreadsFull(
                f"all {self.most} threads of {self._name} are busy, and {self._queue} calls wait for them already"
            )
        return job

    def _wake(self, job: Job) -> None:
        """Have a thread look for work: one that has none, or a new one."""
        if len(self._waiting) <= self._idle:
            self._ready.notify()
        elif self._count < self.most:
            try:
                Thread(target=self._work, name=self._name, daemon=True).start()
            except RuntimeError:
                if not self._count:
                    del self._waiting[job]
                    raise
            else:
                self._count += 1

    def callInThreadWithCallback(
        self, onResult: Callable[[bool, Any], object], function: Callable[..., Any], *arguments: Any, **named: Any
    ) -> None:
        """As the method of `twisted.python.threadpool.ThreadPool`. :raises ThreadsFull:"""
        self.begin(onResult, function, *arguments, **named)

    def take(self, job: Job) -> bool:
        """
        Have a function never run.

        :returns: False if it has begun already, and goes on by itself.
        """
        with self._ready:
            if job not in self._waiting:
                return False
            del self._waiting[job]
        job.forget()
        return True

    def end(self) -> None:
        """Let go of threads without work now. Nothing is waited for; a function that comes later makes new ones."""
        with self._ready:
            self._isEnding = True
            self._ready.notify_all()

    # In the threads

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job.run()
            except Exception:  # of who is told the result; the thread goes on with the next
                _log.failure("a thread of {name}: nobody took a result", name=self._name)
            finally:
                del job  # it may hold a plugin
                with self._ready:
                    self.busy -= 1

    def _next(self) -> Job | None:
        """What is to be run; None: the thread is to end."""
        with self._ready:
            if not self._waiting and not self._isEnding:
                self._idle += 1
                self._ready.wait(self._idleLimit)
                self._idle -= 1
            if not self._waiting:
                self._count -= 1
                return None
            job = next(iter(self._waiting))
            del self._waiting[job]
            self.busy += 1
            return job


def deferToThreads(
    reactor: Any, threads: Threads, function: Callable[..., Any], *arguments: Any, **named: Any
) -> HeardDeferred:
    """
    Run a function in one of these threads.

    :param reactor: in whose thread the result arrives.
    :returns: its result. Cancelling takes it back if it waits; what runs goes on: its result is dropped, its failure
        is told. Fails with `ThreadsFull` if it was not taken.
    """

    def cancel(result: Any) -> None:
        threads.take(job)

    result = HeardDeferred(cancel)

    def arrived(success: bool, value: Any) -> None:
        result.arrive(value)

    try:
        job = threads.begin(partial(reactor.callFromThread, arrived), function, *arguments, **named)
    except (ThreadsFull, RuntimeError):
        result.errback(Failure())
    return result
