"""
The first step of a rollout: whether a version is fit to meet any request, found out without one.

All of it is done in a process of its own, a locked one for plugins of the tier ``process``: the version is loaded, made
with the configurations that it would run with, its own tests are run if it has any, and what was recorded is replayed.
Nothing here decides what becomes of the version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
from twisted.internet.defer import Deferred

from revproxy.config.rolloutpolicy import Expectation, Step
from revproxy.plan.catalog import Selected
from revproxy.plan.evidence import DifferenceCount


class PreflightReport(msgspec.Struct, frozen=True):
    """
    What came of it.

    :ivar problems: why the version does not pass, each one line, with its place if there is one; empty: it passes.
    :ivar tests: how many tests it brought, and passed.
    :ivar replayed: calls of the recording that were made again and compared.
    :ivar incomparable: by why, those that could not be.
    :ivar differences: between what was recorded and what the version does. Those with ``candidate`` above 0 that are
        not expected are among the problems; ``control`` and ``both`` are of the version that runs, made to do the same.
    :ivar output: the last lines that the tests have printed, where they do not pass.
    :ivar notes: what else is worth knowing: such as that the recording was cut off.
    """

    problems: tuple[str, ...] = ()
    tests: int = 0
    replayed: int = 0
    incomparable: Mapping[str, int] = {}
    differences: tuple[DifferenceCount, ...] = ()
    output: str = ""
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it passes."""
        return not self.problems


class Preflighting(Protocol):
    """Who finds it out."""

    def run(
        self,
        candidate: Selected,
        step: Step,
        expect: Sequence[Expectation] = (),
        running: Selected | None = None,
    ) -> Deferred[PreflightReport]:
        """
        :param candidate: with its bundle, its tests beside it, and the configurations that it would have.
        :param step: whose ``replay``, a file, is replayed, and whose ``atMost`` is the time that all may take.
        :param expect: differences that are meant.
        :param running: what runs; what it does differently from what was recorded is noise. None: nothing is known of
            noise.
        :returns: the report. It does not fail but where it is cancelled: a process that cannot be started, dies or
            takes too long is a problem like others. Cancelling ends the process, and all that it has begun.
        """
