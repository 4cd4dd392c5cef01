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
        :param makeWorker: given what takes the worker's words, makes it. What it says meanwhile is heard by
            :meth:`employ`.
        """
        super().__init__(clock)
        self._makeWorker = makeWorker

    def hire(self) -> Worker:
        """
        Make the worker. Who is to hear its first words is set by now.
        """
        worker = self._makeWorker(self._says)
        self.employ([_Here(worker.receive)])
        return worker

    def _says(self, word: Up) -> None:
        self.heard(0, word)
