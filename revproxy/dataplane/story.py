"""
What a request leaves behind, so that somebody can say later why it went as it did.

Of most requests that is nothing: where their chain explains, they have a copy of their fields as they came, and at the
end nobody wants it. What is rare, or slow anyhow, is noted where it happens: a wait for a plugin's answer, a failure, a
target that failed, a gate. Of one in some hundred, the sample, every call is (`revproxy.dataplane.sampledcalls`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from twisted.internet.defer import Deferred

from revproxy.context import Context
from revproxy.explained import AWAITED, MOST_STEPS, Try
from revproxy.headers import Field

Call = tuple[Any, str, float, list[Field]]
"""A link, which method of its was called, the seconds that took, and the fields of the message before."""


class Story:
    """
    What is noted of one request.

    :ivar awaited: a link whose answer is awaited now, which method of its was called, and when that was over.
    :ivar because: why it is to be explained in any case; empty: that depends on how it ends.
    :ivar calls: of one in the sample, each.
    :ivar waits: by link and method, seconds from the end of the call to its answer.
    :ivar notes: names of plugins, and what happened with them.
    :ivar tries: targets that it was lost at.
    """

    # Of the class, and none of them can be changed: each request whose plugin is waited for begins with these.
    awaited: tuple[Any, str, float] | None = None
    because = ""
    calls: tuple[Call, ...] = ()
    waits: Mapping[tuple[Any, str], float] = MappingProxyType({})
    notes: tuple[tuple[str, str], ...] = ()
    tries: tuple[Try, ...] = ()


def storyOf(context: Context) -> Story:
    """That of a request; it begins here if there is none yet."""
    story: Story | None = context._story
    if story is None:
        story = context._story = Story()
    return story


def note(context: Context, plugin: str, text: str, because: str = "") -> None:
    """
    Something has happened with a plugin that is not seen elsewhere.

    :param because: the request is to be explained for this reason.
    """
    story = storyOf(context)
    if len(story.notes) < MOST_STEPS:
        story.notes += ((plugin, text),)
    story.because = story.because or because


def lost(context: Context, one: Try, because: str) -> None:
    """A target did not answer the request. :param because: as in :func:`note`."""
    story = storyOf(context)
    if len(story.tries) < MOST_STEPS:
        story.tries += (one,)
    story.because = story.because or because


def timedWait(answer: Deferred[Any], context: Context, link: Any, method: str) -> Deferred[Any]:
    """Note how long a plugin's answer takes."""
    waitBegins(context, link, method)
    return answer.addBoth(_waited, context)


def waitBegins(context: Context, link: Any, method: str) -> None:
    """A plugin's answer is awaited from now on."""
    storyOf(context).awaited = link, method, link.deadlines.now()


def _waited(result: Any, context: Context) -> Any:
    waitEnds(context)
    return result


def waitEnds(context: Context) -> None:
    """It is there, or will not come."""
    story: Story | None = context._story
    if story is not None:  # the request is not over
        _cameAfter(story)


def _cameAfter(story: Story) -> None:
    if story.awaited is not None:
        link, method, began = story.awaited
        story.awaited = None
        if len(story.waits) < MOST_STEPS:
            story.waits = {**story.waits, (link, method): link.deadlines.now() - began}


def noteAwaited(story: Story) -> None:
    """The request ends. If a plugin's answer is awaited, note whose, and how long it was."""
    if story.awaited is not None:
        link, method, _ = story.awaited
        _cameAfter(story)
        story.notes = ((link.name, f"{AWAITED}{method}"), *story.notes)


def isSampled(context: Context) -> bool:
    """Whether every call of a request is noted."""
    story: Story | None = context._story
    return story is not None and bool(story.calls)
