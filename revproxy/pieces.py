"""
A body that a plugin makes piece by piece: an iterator, or an asynchronous one, handed to ``context.respond``.

It is asked for a piece when the client has taken what there was, and never twice in one turn of the event loop: others
get their turns, however much it makes. When the client leaves it is closed, so that its ``finally`` runs.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from revproxy.body import Body
from revproxy.bodyends import IBodySource
from revproxy.checked import content
from revproxy.errors import asException

if TYPE_CHECKING:
    from revproxy.toolbox import Toolbox


def isIterator(value: Any) -> bool:
    """Whether it makes pieces: an iterator, or what can be iterated over asynchronously."""
    return hasattr(value, "__next__") or hasattr(value, "__aiter__")


@implementer(IBodySource)
class Pieces:
    """
    Where the pieces of one body come from.

    :ivar body: the body.
    """

    __slots__ = (
        "_context",
        "_isAsync",
        "_isDue",
        "_isOver",
        "_iterator",
        "_owner",
        "_paused",
        "_turn",
        "_waiting",
        "body",
    )

    def __init__(self, iterator: Any, context: Any, owner: Toolbox) -> None:
        """
        :param context: of the request.
        :param owner: what the plugin whose iterator it is has at hand.
        """
        self._isAsync = hasattr(iterator, "__aiter__")
        self._iterator: Any = iterator.__aiter__() if self._isAsync else iterator
        self._context = context
        self._owner = owner
        self._isOver = False
        # A piece is being given, or the turn is awaited in which the next is asked for.
        self._isDue = False
        self._paused = True
        self._turn: Any = None
        self._waiting: Deferred[Any] | None = None
        # Nothing is made before somebody wants it.
        self.body = Body.paused(self)

    def isOf(self, name: str) -> bool:
        """Whether it is that plugin's."""
        return self._owner.name == name

    # IBodySource

    def pauseProducing(self) -> None:
        """The client is slow."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The client takes more."""
        self._paused = False
        self._next()

    def stopProducing(self) -> None:
        """Nobody wants the rest."""
        self._end()

    # One piece after the other

    def _next(self) -> None:
        if self._isOver or self._paused or self._waiting is not None or self._isDue:
            return
        try:
            if self._isAsync:
                self._await(self._iterator.__anext__())
            else:
                self._came(next(self._iterator))
        except StopIteration:
            self._finish()
        except BaseException:  # foreign code
            self._fail(Failure())

    def _await(self, piece: Awaitable[Any]) -> None:
        waiting = self._waiting = self._owner.awaited(self._context, piece, isPiece=True)
        waiting.addCallbacks(self._arrived, self._broke)

    def _arrived(self, piece: Any) -> None:
        self._waiting = None
        if not self._isOver:
            try:
                self._came(piece)
            except TypeError:
                self._fail(Failure())

    def _broke(self, failure: Failure) -> None:
        self._waiting = None
        if self._isOver:
            return
        if failure.check(StopAsyncIteration):
            self._finish()
        else:
            self._fail(failure)

    def _came(self, piece: Any) -> None:
        data = piece.encode() if isinstance(piece, str) else content(piece, "a piece of a body")
        self._isDue = True
        self.body.feed(data)
        if not self._isOver:
            self._turn = self._owner.later(self._go)

    def _go(self) -> None:
        self._turn, self._isDue = None, False
        self._next()

    # The end

    def _finish(self) -> None:
        self._end()
        self.body.finish()

    def _fail(self, failure: Failure) -> None:
        reason = self._owner.filterFailed(self._context, asException(failure), isFirst=False)
        self._end()
        self.body.broken(asException(failure) if reason is None else reason)

    def _end(self) -> None:
        if self._isOver:
            return
        self._isOver = True
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.cancel()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()
        iterator, self._iterator = self._iterator, None
        self._close(iterator)

    def _close(self, iterator: Any) -> None:
        close = getattr(iterator, "aclose" if self._isAsync else "close", None)
        if close is None:
            return
        try:
            closing = close()
            if self._isAsync:
                self._owner.awaited(self._context, closing).addErrback(self._closeFailed)
        except BaseException:  # foreign code
            self._closeFailed(Failure())

    def _closeFailed(self, failure: Failure) -> None:
        self._owner.blame(failure, "{name} {version} failed in closing what made a body")
