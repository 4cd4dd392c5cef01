"""
What the calls of one version have taken of the process's memory, where its plugin.json bounds that.

In one process nobody can tell whose memory is whose. So the resident memory is looked at before each call and after it,
and at each step of a coroutine: what it has grown by is booked to the version. That takes three microseconds a call of
such a plugin, and nothing of others. A version is over its limit when its calls account for more than that, and the
process has grown by as much since it was loaded; what it has given back since does not count.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from inspect import iscoroutine
from typing import Any

from revproxy.context import Context
from revproxy.errors import LimitExceeded

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MB = 1 << 20


class ResidentMemory:
    """Bytes that this process has in memory; the file that says so stays open."""

    __slots__ = ("_file",)

    def __init__(self) -> None:
        """:raises OSError: nobody tells here."""
        self._file = open("/proc/self/statm", "rb", buffering=0)  # noqa: SIM115

    def __call__(self) -> int:
        return int(os.pread(self._file.fileno(), 64, 0).split(b" ", 2)[1]) * _PAGE


class MemoryMeter:
    """
    Of one version.

    :ivar taken: bytes that its calls have taken, as far as the process has not given them back.
    """

    __slots__ = ("_base", "_most", "_resident", "taken")

    def __init__(self, most: int, resident: Callable[[], int]) -> None:
        """
        :param most: bytes that it may take.
        :param resident: tells how many bytes the process has in memory.
        """
        self.taken = 0
        self._most = most
        self._resident = resident
        self._base = resident()

    def check(self) -> None:
        """:raises LimitExceeded: it has taken too much, and has it still."""
        if self.taken <= self._most:
            return
        now = self._resident()
        self._base = min(self._base, now)
        self.taken = min(self.taken, now - self._base)
        if self.taken > self._most:
            text = f"its calls have taken {self.taken // _MB} MB, and limits.memory_mb is {self._most // _MB}"
            raise LimitExceeded("memory", text)

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """While some of its code runs."""
        before = self._resident()
        try:
            yield
        finally:
            self._took(before)

    def _took(self, before: int) -> None:
        self.taken = max(0, self.taken + self._resident() - before)

    def measured(self, call: Callable[[Context], Any]) -> Callable[[Context], Any]:
        """The same call, whose growth is booked here. A coroutine only begins with it: see :meth:`steps`."""
        resident, took = self._resident, self._took

        def measuredCall(context: Context) -> Any:
            before = resident()
            try:
                return call(context)
            finally:
                took(before)

        return measuredCall

    def checked(self, call: Callable[[Context], Any]) -> Callable[[Context], Any]:
        """The same, which is not made when too much was taken."""
        measured, check = self.measured(call), self.check

        def checkedCall(context: Context) -> Any:
            check()
            return measured(context)

        return checkedCall

    def steps(self, answer: Awaitable[Any]) -> Any:
        """A coroutine, each of whose steps is measured."""
        return _MeasuredSteps(answer, self) if iscoroutine(answer) else answer


class _MeasuredSteps:
    """Stands for a coroutine in whatever drives it."""

    __slots__ = ("_coroutine", "_meter")

    def __init__(self, coroutine: Any, meter: MemoryMeter) -> None:
        self._coroutine = coroutine
        self._meter = meter

    def send(self, value: Any) -> Any:
        with self._meter.measuring():
            return self._coroutine.send(value)

    def throw(self, error: BaseException) -> Any:
        with self._meter.measuring():
            return self._coroutine.throw(error)

    def close(self) -> None:
        self._coroutine.close()


def meterFor(megabytes: int | None) -> MemoryMeter | None:
    """
    For a version that may take so many megabytes. None: there is no bound, or nobody tells what the process takes.
    """
    if megabytes is None:
        return None
    try:
        return MemoryMeter(megabytes * _MB, _resident())
    except OSError:
        return None


@cache
def _resident() -> ResidentMemory:
    return ResidentMemory()
