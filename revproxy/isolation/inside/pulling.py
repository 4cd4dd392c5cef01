"""
An answer that the plugin makes piece by piece: the edge asks for the next one when the client has taken the last.
"""

from __future__ import annotations

from twisted.python.failure import Failure
from zope.interface import implementer

from revproxy.body import Body
from revproxy.bodyends import IBodySink
from revproxy.isolation.frames import Piece, Pull
from revproxy.isolation.inside.bodysource import EdgesBody
from revproxy.isolation.inside.filtering import Answer


@implementer(IBodySink)
class Pulling:
    """
    One answer's.
    """

    def __init__(self, body: Body, answer: Answer) -> None:
        self._body = body
        self._answer = answer
        self._made: list[bytes] = []
        self._number = 0
        self._isAttached = False
        self._isOver = False
        self._failure: Failure | None = None

    def pull(self, frame: Pull) -> None:
        """The next piece is wanted, or no further one is."""
        self._number = frame.number
        if frame.ends:
            self._isOver = True
            self._body.detach()
            self._body.stopProducing()
        elif not self._isAttached:
            self._attach()
        elif not self._made and not self._isOver and self._failure is None:
            self._body.resumeProducing()
        self._settle()
        if self._number:
            self._answer(frame.number, None)

    def _attach(self) -> None:
        self._isAttached = True
        source = self._body._source
        self._body.attach(self)
        if isinstance(source, EdgesBody):
            source.fetch(source.body.readLimit or 0)  # it is another answer's, and made a part of this one

    def _settle(self) -> None:
        if not self._number or not (self._made or self._isOver or self._failure is not None):
            return
        number, self._number = self._number, 0
        made, self._made = b"".join(self._made), []
        if self._failure is not None and not made:
            self._answer(number, self._failure)
        else:
            self._answer(number, Piece(number, made, self._isOver))

    # IBodySink

    def bodyData(self, data: bytes) -> None:
        """A piece is made. The next waits until it is asked for."""
        self._made.append(data)
        self._body.pauseProducing()
        self._settle()

    def bodyFinished(self) -> None:
        """There is no further one."""
        self._isOver = True
        self._settle()

    def bodyFailed(self, reason: Failure) -> None:
        """What makes it has failed."""
        self._failure = reason
        self._settle()
