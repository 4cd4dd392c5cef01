"""
The pre-flights of an edge: a version is proved in processes of its own, while the edge serves.

What they find is decided here: which differences from a recording are meant, which are noise, and that a recording
which shows nothing is no success.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from revproxy.config.rolloutpolicy import Expectation, Step
from revproxy.config.settings import Config
from revproxy.control.rollout.preflight import PreflightReport
from revproxy.plan.catalog import Selected
from revproxy.plan.evidence import DifferenceCount
from revproxy.proving.differencegroups import unexpected
from revproxy.proving.orders import Report
from revproxy.proving.proof import Proof
from revproxy.proving.subjects import subjectOf
from revproxy.secrets import masked

SECONDS: Final = 300.0
"""That a pre-flight may take, where its step does not say."""

_TOLD: Final = 20
"""Differences that are named."""

_NOBODYS: Final = frozenset(("status", "verdict"))
"""Fields in which there is nothing of a request."""


class Preflights:
    """Makes them; see `revproxy.control.rollout.preflight.Preflighting`."""

    def __init__(
        self, config: Callable[[], Config], inThread: Callable[..., Deferred[Any]], makes: Callable[..., Any] = Proof
    ) -> None:
        """
        :param config: tells that which is in force.
        :param inThread: runs a function, with arguments, in a thread.
        """
        self._config = config
        self._inThread = inThread
        self._makes = makes

    def run(
        self,
        candidate: Selected,
        step: Step,
        expect: Sequence[Expectation] = (),
        running: Selected | None = None,
    ) -> Deferred[PreflightReport]:
        """See `Preflighting`."""
        config = self._config()
        others = None
        if step.replay is not None and running is not None and running.entry.bundle is not None:
            others = subjectOf(running, config)
        seconds = SECONDS if step.atMost is None else step.atMost
        proof = self._makes(
            subjectOf(candidate, config), others, step.replay, seconds, config.trust.minimumLevel, config.trust.uids
        )
        result = Deferred[PreflightReport](lambda given: proof.end())

        def over(found: Any) -> None:
            if not result.called:
                result.callback(_told(found, step, candidate.name, expect))

        self._inThread(proof.run).addBoth(over)
        return result


def _told(found: Report | Failure, step: Step, name: str, expect: Sequence[Expectation]) -> PreflightReport:
    if isinstance(found, Failure):
        return PreflightReport((masked(f"it could not be proved: {found.value!r}"),))
    problems = found.problems
    if not problems and step.replay is not None:
        problems = tuple(replayProblems(found, name, expect))
    return PreflightReport(
        tuple(map(masked, problems)),
        found.tests,
        found.replayed,
        found.incomparable,
        found.differences,
        masked(found.output) if problems else "",
        (found.cut,) if found.cut else (),
    )


def replayProblems(found: Report, name: str, expect: Sequence[Expectation]) -> Iterator[str]:
    """Why a replay speaks against a version: that nothing was compared is no success either."""
    if not found.calls:
        yield f"the recording has no calls of {name}: record a route that it is on"
    elif not found.replayed:
        why = max(found.incomparable, key=lambda each: found.incomparable[each], default="")
        yield f"none of {found.calls} recorded calls could be compared: {why}"
    meant = unexpected(found.differences, expect)
    for each in meant[:_TOLD]:
        yield differenceText(each, found.replayed)
    if len(meant) > _TOLD:
        yield f"{len(meant) - _TOLD} more kinds of differences"
    if found.unnamed:
        yield f"{found.unnamed} further differences, of more kinds than are told apart"


def differenceText(count: DifferenceCount, calls: int) -> str:
    """
    One kind of difference, in one line. It is in events, and who may see nothing of any request may see those: of
    examples there is no more in it than what no client has sent.
    """
    noise = f"; by itself in {count.control + count.both}" if count.control or count.both else ""
    text = f"{count.field} {count.kind} in {count.candidate} of {calls} replayed calls{noise}"
    if not count.examples:
        return text
    _, before, after = count.examples[0]
    if count.field in _NOBODYS:
        text += f": {before or 'nothing'} became {after or 'nothing'}"
    return f"{text}; revproxy replay shows in which requests"


__all__ = ["Preflights", "differenceText", "replayProblems"]
