"""
How long a plugin itself has worked on an answer that it waits for things to give.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any


class Steps:
    """
    Foreign code that is awaited, in its steps: from one wait to the next nobody else runs.
    """

    def __init__(
        self,
        answer: Awaitable[Any],
        now: Callable[[], float],
        lasted: Callable[[float], None],
        begins: Callable[[], None] = lambda: None,
    ) -> None:
        """
        :param lasted: given the seconds of each step, when it is over.
        :param begins: told of each.
        """
        self._begins = begins
        self._answer = answer
        self._now = now
        self._lasted = lasted

    def __await__(self) -> Generator[Any, Any, Any]:
        steps: Any = self._answer.__await__()
        resume, value = getattr(steps, "send", None) or (lambda value: next(steps)), None
        send = resume
        while True:
            self._begins()
            began = self._now()
            try:
                wait = resume(value)
            except StopIteration as done:
                return done.value
            finally:
                self._lasted(self._now() - began)
            try:
                value = yield wait
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as error:  # what it waited for has failed, or it is cancelled
                resume, value = steps.throw, error
            else:
                resume = send
