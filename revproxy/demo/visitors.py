"""
Visitors of a shown edge: many people, each with a name of their own, and a count of what they meet.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse

from revproxy.demo.shownedge import HOST

_PATIENCE = 10.0
"""Seconds for an answer."""


@dataclass(slots=True)
class Met:
    """
    What visitors have met.

    :ivar answered: how many requests were answered as they should; ``broken``: with a status of 500 and more, or not
        at all; ``wrong``: with something that is not so, by what that is.
    :ivar times: seconds that each took.
    """

    answered: int = 0
    broken: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """All of them."""
        return self.answered + self.broken + sum(self.wrong.values())


class Visitors:
    """
    Asks an edge at a steady rate while the context lasts, by a few connections.

    :param headersOf: the header fields of a request, by the visitor's number and the request's.
    :param check: what is wrong with an answer to a visitor; empty: nothing.
    """

    def __init__(
        self,
        port: int,
        rate: float,
        people: int,
        headersOf: Callable[[int, int], Mapping[str, str]],
        check: Callable[[int, HTTPResponse], str],
        connections: int = 6,
    ) -> None:
        self._port = port
        self._pause = connections / rate
        self._people = people
        self._headersOf = headersOf
        self._check = check
        self._met = Met()
        self._number = 0
        self._lock = threading.Lock()
        self._isOver = threading.Event()
        self._threads = [threading.Thread(target=self._visit, args=(seed,), daemon=True) for seed in range(connections)]

    def __enter__(self) -> Visitors:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._isOver.set()
        for thread in self._threads:
            thread.join(_PATIENCE)

    def take(self) -> Met:
        """What they have met since this was asked last."""
        with self._lock:
            met, self._met = self._met, Met()
        return met

    def _visit(self, seed: int) -> None:
        chance = random.Random(seed)
        connection = HTTPConnection(HOST, self._port, timeout=_PATIENCE)
        due = time.monotonic() + chance.random() * self._pause
        while not self._isOver.wait(max(0.0, due - time.monotonic())):
            # Whoever was kept waiting does not catch up: that would be a burst.
            due = max(due + self._pause, time.monotonic())
            with self._lock:
                self._number += 1
                number = self._number
            self._ask(connection, chance.randrange(self._people), number)
        connection.close()

    def _ask(self, connection: HTTPConnection, person: int, number: int) -> None:
        began = time.monotonic()
        try:
            connection.request("GET", f"/page/{number % 50}", headers=dict(self._headersOf(person, number)))
            response = connection.getresponse()
            response.read()
            status, wrong = response.status, self._check(person, response)
        except (OSError, HTTPException):
            connection.close()
            status, wrong = 0, ""
        with self._lock:
            self._met.times.append(time.monotonic() - began)
            if status == 0 or status >= 500:
                self._met.broken += 1
            elif wrong:
                self._met.wrong[wrong] += 1
            else:
                self._met.answered += 1
