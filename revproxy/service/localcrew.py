"""
A crew of one worker in the same process: words are handed over as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from revproxy.control.crew import Crew
from revproxy.plan.words import Down, Up
from revproxy.worker.worker import Worker


class _Here:
    """The way to the worker."""

    def __init__(self, receive: Callable[[Down], None]) -> None:
        self._receive = receive

    def send(self, word: Down) -> None:
        self._receive(word)


class LocalCrew(Crew):
    """
    The crew of an edge in one process. What the worker says is heard before it goes on.
    """

    def __init__(self, clock: Any, makeWorker: Callable[[Callable[[Up], None]], Worker]) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param makeWorker: given what takes the worker's words, makes it; called by :meth:`hire`.
        """
        super().__init__(clock)
        self._makeWorker = makeWorker

    def hire(self) -> Worker:
        """
        Make the worker. Set `onWord` before: the worker speaks while it is made.
        """
        worker = self._makeWorker(self._says)
        self.employ([_Here(worker.receive)])
        return worker

    def _says(self, word: Up) -> None:
        self.heard(0, word)
