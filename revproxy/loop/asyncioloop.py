"""
asyncio beside Twisted: one loop in a thread of its own, for what plugins bring that is written for asyncio.

The loop is begun when it is first needed, and nobody waits for it: its thread is a daemon. Each task knows the book
that it belongs to (`Tasks`, one for each instance of a plugin): the coroutine that was handed over, and every task that
it or one of its callbacks begins, for these inherit the book with their context (:mod:`contextvars`). So all of them
can be cancelled with their plugin, and what fails unheard is told to the one whose it is::

    reactor's thread                              asyncio's thread
      Tasks.begin(reactor, coroutine)  ─────────▶   a task, booked ──▶ further tasks, booked alike
      Deferred  ◀──────────────────────────────────  its result
      Tasks.close() ─────────────────────────────▶  all are cancelled
      Deferred  ◀──────────────────────────────────  when the last has ended
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, ContextVar
from time import monotonic
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from revproxy.loop.unhandled import HeardDeferred

THREADS = 32
"""Threads for what asyncio itself does in threads: resolving names, ``asyncio.to_thread``."""

BEAT = 0.25
"""Seconds between two signs of life of the loop."""

HELD = 2.0
"""Seconds without one after which whoever holds the loop is told."""

_log = Logger()

_book: ContextVar[Tasks] = ContextVar("revproxy_tasks")
"""Whose the code is that runs in the loop."""


class LoopHeld(Exception):
    """A coroutine holds the asyncio loop, which all plugins share; the text says where and for how long."""


class _Task(asyncio.Task[Any]):
    """A task that knows whose it is."""

    book: Tasks | None = None


class AsyncioLoop:
    """A loop and its thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._beaten = 0.0
        self._told = 0.0

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop; it runs. Any thread may ask."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._loop.set_task_factory(_makeTask)
                self._loop.set_exception_handler(_unheard)
                self._loop.set_default_executor(ThreadPoolExecutor(THREADS, "asyncio"))
                self._thread = threading.Thread(target=self._run, args=(self._loop,), name="asyncio", daemon=True)
                self._beaten = monotonic()
                self._thread.start()
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        self._beat(loop)
        while True:
            try:
                loop.run_forever()  # until some plugin stops it: there are others
            except BaseException:  # a task has raised SystemExit or KeyboardInterrupt, and was told so itself
                _log.failure("the asyncio loop goes on")

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._beaten = monotonic()
        loop.call_later(BEAT, self._beat, loop)

    def checkHeld(self) -> None:
        """Tell whoever holds the loop, once for each time. Any thread but the loop's may ask, as often as it likes."""
        beaten, loop, thread = self._beaten, self._loop, self._thread
        if loop is None or thread is None or monotonic() - beaten < HELD or self._told == beaten:
            return
        self._told = beaten
        task = asyncio.current_task(loop)
        frame = sys._current_frames().get(thread.ident or 0)
        if isinstance(task, _Task) and task.book is not None and frame is not None:
            # The innermost line that is not the library's: that of the task's own coroutine, mostly.
            where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            held = LoopHeld(f"it has held the asyncio loop, which all plugins share, for {HELD:g} s; it is at {where}")
            task.book.unheard(Failure(held))


SHARED = AsyncioLoop()
"""The one that all plugins of a process share."""


def _makeTask(loop: asyncio.AbstractEventLoop, coroutine: Any, **named: Any) -> asyncio.Task[Any]:
    """The loop's task factory."""
    task = _Task(coroutine, loop=loop, **named)
    context = named.get("context")
    book = _book.get(None) if context is None else context.get(_book)
    if book is not None:
        book.add(task)
    return task


def _unheard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Something has failed that nobody waits for. In the loop's thread."""
    source = context.get("task") or context.get("future")
    book = getattr(source, "book", None)
    handle = context.get("handle")
    if book is None and handle is not None:
        book = handle._context.get(_book)
    if book is None:
        book = _book.get(None)
    error = context.get("exception")
    if book is None or error is None:
        loop.default_exception_handler(context)
    else:
        book.unheard(Failure(error, type(error), error.__traceback__))


class Tasks:
    """
    The tasks of one instance of a plugin. Its methods are for the reactor's thread.
    """

    def __init__(self, reactor: Any, failed: Callable[[Failure], None], loop: AsyncioLoop = SHARED) -> None:
        """
        :param reactor: in whose thread results arrive.
        :param failed: told, in the reactor's thread, of each failure that nobody in asyncio has heard of.
        """
        self._reactor = reactor
        self._failed: Callable[[Failure], None] | None = failed
        self._shared = loop
        # Of the loop's thread alone.
        self._running: set[_Task] = set()
        self._closing: Deferred[None] | None = None

    def begin(self, work: Coroutine[Any, Any, Any] | Callable[[], Coroutine[Any, Any, Any]]) -> HeardDeferred:
        """
        Run a coroutine, or what a function gives that is called in the loop.

        :returns: its result. Cancelling cancels the task, and does not wait for it.
        """
        task: list[_Task] = []

        def cancel(result: Deferred[Any]) -> None:
            loop.call_soon_threadsafe(lambda: [begun.cancel() for begun in task])

        result = HeardDeferred(cancel)
        loop = self._shared.loop
        context = Context()
        context.run(_book.set, self)

        def begin() -> None:
            if result.called:  # cancelled before it began
                if asyncio.iscoroutine(work):
                    work.close()
                return
            try:
                coroutine = work() if callable(work) else work
                begun: Any = loop.create_task(_asCoroutine(coroutine), context=context)
            except BaseException:  # foreign code
                self._reactor.callFromThread(result.arrive, Failure())
                return
            task.append(begun)
            begun.add_done_callback(lambda done: self._reactor.callFromThread(result.arrive, _resultOf(done)))

        loop.call_soon_threadsafe(begin, context=context)
        self._shared.checkHeld()
        return result

    def close(self) -> Deferred[None]:
        """
        Cancel all tasks, those too that they begin meanwhile.

        :returns: fires when none is left. A task may refuse to end: then it does not.
        """
        closing: Deferred[None] = Deferred()
        loop = self._shared.loop

        def cancel() -> None:
            self._closing = closing
            for task in list(self._running):
                task.cancel()
            self._checkClosed()

        loop.call_soon_threadsafe(cancel)
        return closing

    # In the loop's thread

    def add(self, task: _Task) -> None:
        """A task is ours."""
        task.book = self
        self._running.add(task)
        task.add_done_callback(self._ended)
        if self._closing is not None:
            task.cancel()

    def _ended(self, task: Any) -> None:
        self._running.discard(task)
        self._checkClosed()

    def _checkClosed(self) -> None:
        closing = self._closing
        if closing is not None and not self._running:
            self._failed = None  # a context that somebody keeps must not keep the plugin
            self._reactor.callFromThread(_arrive, closing)

    def unheard(self, failure: Failure) -> None:
        """Nobody has heard of this. Any thread may tell."""
        failed = self._failed
        if failed is None:
            _log.failure("after the end of its plugin", failure)
        else:
            self._reactor.callFromThread(failed, failure)

    def left(self) -> int:
        """How many tasks there are. Any thread may ask."""
        return len(self._running)


def _asCoroutine(work: Any) -> Coroutine[Any, Any, Any]:
    """The loop makes tasks of nothing else; a Future can be awaited as well."""

    async def awaited() -> Any:
        return await work

    return work if asyncio.iscoroutine(work) else awaited()


def _resultOf(done: asyncio.Task[Any]) -> Any:
    if done.cancelled():
        return Failure(CancelledError())
    error = done.exception()
    return done.result() if error is None else Failure(error, type(error), error.__traceback__)


def _arrive(closing: Deferred[None]) -> None:
    """In the reactor's thread."""
    if not closing.called:
        closing.callback(None)


__all__ = ["HELD", "SHARED", "AsyncioLoop", "LoopHeld", "Tasks"]
