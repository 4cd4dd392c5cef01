"""
Whether a request that is over is explained, and what is told of it then.

Those that failed, were answered by a plugin, were slow, routed anew or lost by a target; and those in the sample.
What nobody can work out later from the record and the plan is gathered here, and travels with the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from revproxy.context import Context
from revproxy.dataplane.story import Call, Story, noteAwaited
from revproxy.destination import SETTLED
from revproxy.errors import EdgeError
from revproxy.explained import (
    MOST,
    MOST_STEPS,
    Changes,
    Explained,
    Step,
    changesOf,
    encodeExplained,
)
from revproxy.headers import Field

if TYPE_CHECKING:
    from revproxy.dataplane.chain import Chain

MOST_A_SECOND: Final = 500
"""Requests that are explained within a second. When more fail than that, they fail alike."""

_NOTHING: Final = Story()


class Explainer:
    """
    Explains the requests of one edge.

    :ivar left: so many may still be explained in this second.
    """

    _log = Logger()

    def __init__(self, slower: float, now: Callable[[], float]) -> None:
        """
        :param slower: seconds from which on a request is slow.
        :param now: the time in seconds.
        """
        self.left = MOST_A_SECOND
        self._slower = slower
        self._now = now
        self._second = 0

    def explain(
        self, context: Context, chain: Chain | None, error: EdgeError | None, seconds: float, sent: float | None
    ) -> bytes:
        """
        :param seconds: it took.
        :param sent: seconds until it was sent to the origin; None if it was not.
        :returns: what its record has as ``explained``; empty: nothing.
        """
        story = context._story or _NOTHING
        because = self._because(context, story, error, seconds)
        if not because or chain is None or not self._hasRoom():
            return b""
        try:
            return self._explained(because, context, chain, story, sent)
        except Exception:  # plugins have had all of it in their hands
            self._log.failure("request {id} cannot be explained", id=context.id)
            return b""

    def _explained(self, because: str, context: Context, chain: Chain, story: Story, sent: float | None) -> bytes:
        goal, request = context._goal, context._request
        chosen = goal is not None and goal is not SETTLED
        noteAwaited(story)
        return encodeExplained(
            Explained(
                because,
                _steps(context, chain, story),
                None if context._before is None else changesOf(context._before, request._headers.fields),
                _responseChanges(context),
                story.tries[:MOST],
                story.notes[:MOST],
                sent,
                (goal.upstream or "") if chosen and goal is not None else "",
                (goal.origin or "") if chosen and goal is not None else "",
            )
        )

    def _because(self, context: Context, story: Story, error: EdgeError | None, seconds: float) -> str:
        if error is not None:
            return "failed"
        if context._interruptedBy is not None:
            return "interrupted"
        return story.because or ("slow" if seconds > self._slower else "")

    def _hasRoom(self) -> bool:
        second = int(self._now())
        if second != self._second:
            self._second, self.left = second, MOST_A_SECOND
        self.left -= 1
        return self.left >= 0


def explainsNothing(
    context: Context, chain: Chain | None, error: EdgeError | None, seconds: float, sent: float | None
) -> bytes:
    """What stands in the place of :meth:`Explainer.explain` where nothing is to be explained."""
    return b""


def _steps(context: Context, chain: Chain, story: Story) -> tuple[Step, ...]:
    if not story.calls:
        waited = list(story.waits.items())[:MOST_STEPS]
        return tuple(Step(link.name, link.version, method, None, wait) for (link, method), wait in waited)
    response = context._response
    answer = [] if response is None else response._headers.fields
    handled = [call for call in story.calls if call[1] == "handle"]
    answered = [call for call in story.calls if call[1] != "handle"]
    steps = [*_stepsOf(handled, context._request._headers.fields, story), *_stepsOf(answered, answer, story)]
    return tuple(steps[:MOST_STEPS])


def _stepsOf(calls: Sequence[Call], last: list[Field], story: Story) -> Iterable[Step]:
    """What is there before the next call, this one has left. :param last: what the last one has left."""
    after = [*(fields for _, _, _, fields in calls), last][1:]
    for (link, method, seconds, before), left in zip(calls, after, strict=True):
        wait = story.waits.get((link, method))
        yield Step(link.name, link.version, method, seconds, wait, changesOf(before, left))


def _responseChanges(context: Context) -> Changes | None:
    """Of what a plugin has answered, all fields are its own."""
    response = context._response
    if response is None:
        return None
    if context._interruptedBy is not None:
        return changesOf([], response._headers.fields)
    before = context._answerBefore
    return None if before is None else changesOf(before, response._headers.fields)
