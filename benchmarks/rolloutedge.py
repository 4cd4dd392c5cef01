"""
An edge on which versions of a plugin are rolled out, and what is planted in them.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.processes import BenchmarkError
from benchmarks.swapedge import SwapEdge
from revproxy.demo.rolloutversions import CANDIDATES, FIRST, NAME, Candidate

SHADOW: Sequence[Any] = ({"shadow": "100%", "until": {"pairs": 1_000_000}},)
CANARY: Sequence[Any] = ({"canary": "5%", "until": {"fault": "0.01%"}, "shadow": "0.1%"},)
"""Steps that end by what is found, and by nothing else."""

WIDE: Sequence[Any] = ({**CANARY[0], "canary": "25%"},)
"""
For what happens to too few: of 2,000 visitors, 200 have no key. That none of ten in the canary is stopped is chance.
"""


_STARTING = 60.0


def raising(every: int, version: str = "") -> Candidate:
    """A version that raises in one request of so many."""
    head = f"        if number % {every} == 7:\n            raise KeyError({version!r})\n"
    return replace(FIRST, title=f"raises in 1 of {every}", handle=f"{head}{FIRST.handle}")


def mixing(every: int) -> Candidate:
    """A version that says a wrong plan in one answer of so many."""
    test = f"        if plan is not None and number % {every} == 7:\n            plan = \"undefined\""
    return replace(FIRST, title=f"wrong header in 1 of {every}", response=test)


SLOW = next(each for each in CANDIDATES if each.title == "slow")
OPEN = next(each for each in CANDIDATES if each.title == "lets all through")


class RolloutEdge(SwapEdge):
    """
    A running edge with the plugin of the demonstration. Use as a context manager: leaving ends it.

    :param origin: None: it answers by itself.
    :param steps: of the policy; empty: versions come at once.
    """

    def __init__(
        self,
        directory: Path,
        cpus: frozenset[int],
        steps: Sequence[Any],
        base: Candidate = FIRST,
        origin: int | None = None,
        by: str = "header:X-Visitor",
    ) -> None:
        self._number = 0
        self._by = by
        super().__init__(directory, origin, cpus, {NAME: base.files()})
        self.steer(steps)

    def steer(self, steps: Sequence[Any]) -> None:
        """Other steps, before it is started."""
        self._configuration.write_text(self._text(self._sections(steps)))

    def _sections(self, steps: Sequence[Any]) -> str:
        policy = {"steps": list(steps), "by": self._by} if steps else "at_once"
        plugins = {"directory": str(self.folder), "rollout": {"plugins": {NAME: policy}},
                   "quarantine": {"failures": 1_000_000}}  # fmt: skip
        return f"plugins: {json.dumps(plugins)}\n"

    def save(self, candidate: Candidate) -> str:
        """
        Save a version, with a number that no other has.

        :returns: that.
        """
        self._number += 1
        number = f"2.{self._number}.0"
        for path, content in replace(candidate, number=number).files().items():
            self.write(NAME, path, f"{content}# {number}\n" if path == "plugin.py" else content)
        self.reload()
        return number

    def begin(self, candidate: Candidate, state: str) -> str:
        """
        Save a version, and wait until its rollout has come to a state.

        :raises BenchmarkError: it does not.
        """
        number = self.save(candidate)
        end = time.monotonic() + _STARTING
        while (view := self.view(number)).get("state") != state:
            if view.get("ended") is not None or time.monotonic() > end:
                raise BenchmarkError(f"{number} is {view.get('state', 'nowhere')}: {view.get('verdict')}")
            time.sleep(0.05)
        return number

    def view(self, number: str) -> Mapping[str, Any]:
        """The rollout of a version; empty: there is none."""
        found = [each for each in self.control("GET", "rollouts")["items"] if each["plugin"] == NAME]
        if not found:
            return {}
        view: Mapping[str, Any] = self.control("GET", f"rollouts/{NAME}")
        return view if view["candidate"]["version"] == number else {}

    def stampOf(self, headers: Mapping[str, str]) -> str:
        """What a version says of itself to whoever sends these headers, in ``X-Stamp``."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_STARTING)
        try:
            connection.request("GET", "/", headers=dict(headers))
            response = connection.getresponse()
            response.read()
            return response.headers.get("X-Stamp", "")
        finally:
            connection.close()

    def kill(self) -> None:
        """End it as a failing machine would."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(_STARTING)

    def abort(self) -> None:
        """End it."""
        self.control("POST", f"rollouts/{NAME}/abort")


__all__ = ["CANARY", "OPEN", "SHADOW", "SLOW", "WIDE", "RolloutEdge", "mixing", "raising"]
