"""
Tests of what happens in time, on machines that may keep a process waiting for any time.

Where a premise is that a process is not kept waiting for long, no bound is long enough; so the test is made again, with
more time, when it fails. What is wrong with the program fails every time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from twisted.trial.unittest import FailTest

Test = Callable[[Any], None]
Longer = Callable[[Test], Test]


def longer(*times: float) -> Longer:
    """
    Have a test made with each of these as its case's ``settle``, until it passes.

    :param times: seconds, each longer than the one before.
    """

    def decorate(test: Test) -> Test:
        @wraps(test)
        def repeated(case: Any) -> None:
            for case.settle in times[:-1]:
                try:
                    return test(case)
                except (FailTest, OSError):
                    continue
            case.settle = times[-1]
            return test(case)

        return repeated

    return decorate


def longerAnew(*times: float) -> Callable[[Callable[[Any], Awaitable[None]]], Callable[[Any], Awaitable[None]]]:
    """The same for a test that waits; in between, its case's ``again`` sets everything up anew."""

    def decorate(test: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
        @wraps(test)
        async def repeated(case: Any) -> None:
            for case.settle in times[:-1]:
                try:
                    return await test(case)
                except FailTest:
                    await case.again()
            case.settle = times[-1]
            return await test(case)

        return repeated

    return decorate
