"""
The calls of requests that are in the sample: each is timed, and what it has done to the header fields is seen later.

Which request is, an iterator in C decides, as for the times that are counted (`revproxy.dataplane.sampling`): it costs
the others next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, islice, repeat
from typing import Any, TypeVar

from revproxy.context import Context
from revproxy.dataplane.link import Link
from revproxy.dataplane.story import isSampled, storyOf

T = TypeVar("T")

Method = Callable[[Context], Any]


def handling(call: Method, link: Link) -> Method:
    """The ``handle`` of a link, for a request that is in the sample."""
    now = link.deadlines.now

    def handle(context: Context) -> Any:
        story = storyOf(context)
        story.because = story.because or "sample"
        fields = context._request._headers.fields.copy()
        began = now()
        try:
            return call(context)
        finally:
            story.calls += ((link, "handle", now() - began, fields),)

    return handle


def responding(call: Method, link: Link) -> Method:
    """The ``handleResponse`` of a link, for a request that is in the sample."""
    now = link.deadlines.now

    def handleResponse(context: Context) -> Any:
        response = context._response
        fields = [] if response is None else response._headers.fields.copy()
        began = now()
        try:
            return call(context)
        finally:
            storyOf(context).calls += ((link, "handleResponse", now() - began, fields),)

    return handleResponse


def either(usual: Method, sampled: Method) -> Method:
    """The second for a request that is in the sample, else the first: for calls that are slow anyhow."""
    return lambda context: sampled(context) if isSampled(context) else usual(context)


def oneIn(count: int, others: Callable[[], T], this: T) -> Callable[[], T]:
    """
    What gives each request what ``others`` gives, but one of so many ``this``, and not the first.

    :param count: 0: none.
    """
    if not count:
        return others
    if count == 1:
        return repeat(this).__next__
    return chain.from_iterable(_turns(count, iter(others, None), this)).__next__


def _turns(count: int, others: Iterator[T], this: T) -> Iterator[Any]:
    before = count // 2
    while True:
        yield islice(others, before)
        yield (this,)
        yield islice(others, count - before - 1)
