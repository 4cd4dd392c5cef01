"""
A body as a plugin with permissions sees it: a guard against mistakes, and no wall.
"""

from __future__ import annotations

from revproxy.body import Body
from revproxy.facade import calling, guarded
from revproxy.guardedheaders import guardedHeaders, unguarded
from revproxy.headers import Headers
from revproxy.permit import Permit

_read, _change = Permit.readBody, Permit.changeBody


class GuardedBody(Body):
    """
    Nothing of it is seen by whoever may not read bodies, and nothing is changed by whoever may not change them.
    """

    __slots__ = ("_of", "_permit")

    of = Body.of  # type: ignore[assignment]
    paused = Body.paused

    def __init__(self, body: Body, permit: Permit) -> None:
        self._of = body
        self._permit = permit

    announced = guarded("announced", "the Trailer field of a body", _read, _change)
    changed = guarded("changed", "body.changed", _read, _change)
    framed = guarded("framed", "body.framed", _read, _change)
    length = guarded("length", "body.length", _read, _change)
    onEnd = guarded("onEnd", "body.onEnd", _read, _change)
    onRead = guarded("onRead", "body.onRead", _read, _change)
    readLimit = guarded("readLimit", "body.readLimit", _read, _change)
    sealed = guarded("sealed", "body.sealed", _read, _change)
    isMade = guarded("isMade", "body.isMade", _read, _change)

    @property  # type: ignore[override]
    def trailers(self) -> Headers | None:
        """The trailer section, of which fields are seen as of a head."""
        self._permit.readBody("body.trailers")
        trailers = self._of.trailers
        return None if trailers is None else guardedHeaders(trailers, self._permit)

    @trailers.setter
    def trailers(self, trailers: Headers | None) -> None:
        self._permit.changeBody("the change of body.trailers")
        self._of.trailers = unguarded(trailers)

    isBeingRead = guarded("isBeingRead", "body.isBeingRead", _read, _change)
    isPaused = guarded("isPaused", "body.isPaused", _read, _change)
    isOpen = guarded("isOpen", "body.isOpen", _read, _change)
    complete = guarded("complete", "body.complete", _read, _change)
    failure = guarded("failure", "body.failure", _read, _change)
    isAtHand = guarded("isAtHand", "body.isAtHand", _read, _change)

    read = calling("read", "reading a body", _read)
    keep = calling("keep", "reading a body", _read)
    isFilteredBy = calling("isFilteredBy", "body.isFilteredBy", _read)
    brokenBy = calling("brokenBy", "body.brokenBy", _read)

    replace = calling("replace", "replacing a body", _change)
    addFilter = calling("addFilter", "filtering a body", _change)
    take = calling("take", "taking a body", _change)
    attach = calling("attach", "taking a body", _change)
    detach = calling("detach", "taking a body", _change)
    feed = calling("feed", "making a body", _change)
    filtered = calling("filtered", "making a body", _change)
    finish = calling("finish", "ending a body", _change)
    completed = calling("completed", "ending a body", _change)
    fail = calling("fail", "ending a body", _change)
    broken = calling("broken", "ending a body", _change)
    pauseProducing = calling("pauseProducing", "pausing a body", _change)
    resumeProducing = calling("resumeProducing", "pausing a body", _change)
    stopProducing = calling("stopProducing", "ending a body", _change)

    def __eq__(self, other: object) -> bool:
        return self._of is (other._of if isinstance(other, GuardedBody) else other)

    def __hash__(self) -> int:
        return hash(self._of)
