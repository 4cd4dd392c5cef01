"""
Which requests are timed: one in :data:`~revproxy.dataplane.counters.SAMPLE`; and all of them for a while, once one of
these was long.

What gives the next request its calls is an iterator in C, and costs a request next to nothing; Python runs once for a
whole batch of them. So a plugin that is quick costs the same whether somebody looks for slow ones or not, and of one
that is slow the figures are exact soon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import isawaitable
from itertools import chain
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from revproxy.context import Context
from revproxy.dataplane.counters import SAMPLE
from revproxy.dataplane.link import Link

ATTENTION = 64
"""Batches of requests that are timed, each of them, after a long call."""

T = TypeVar("T")


class Attention:
    """
    How closely calls are watched.

    :ivar batches: so many of the next are timed, each request of them.
    """

    __slots__ = ("batches",)

    def __init__(self) -> None:
        self.batches = 0


def timed(
    call: Callable[[Context], Any], link: Link, phase: str, weight: int, attention: Attention
) -> Callable[[Context], Any]:
    """The same call, which adds its time to the link's counters, so many times. A coroutine only begins with it."""
    now = link.deadlines.now
    counters = link.counters

    def timedCall(context: Context) -> Any:
        answer, passed = None, counters.passed
        began = now()
        try:
            answer = call(context)
            return answer
        finally:
            seconds = now() - began
            if counters.took(seconds, phase, weight):
                attention.batches = ATTENTION
            isWhole = answer is None or answer.__class__ is bool or isinstance(answer, Deferred)
            if passed == counters.passed and (isWhole or not isawaitable(answer)):
                counters.lasted(seconds, phase, weight)

    return timedCall


def sampled(plain: T, weighted: T, exact: T, attention: Attention) -> Callable[[], T]:
    """
    What gives one of them to each request: the weighted one once in :data:`~revproxy.dataplane.counters.SAMPLE` times,
    and not first, when all is cold; all others are plain. Under attention, all are exact.
    """
    return chain.from_iterable(_batches(plain, weighted, exact, attention)).__next__


def _batches(plain: T, weighted: T, exact: T, attention: Attention) -> Iterator[list[T]]:
    before = SAMPLE // 2
    usual = [plain] * before + [weighted] + [plain] * (SAMPLE - before - 1)
    close = [exact] * SAMPLE
    while True:
        if attention.batches:
            attention.batches -= 1
            yield close
        else:
            yield usual
