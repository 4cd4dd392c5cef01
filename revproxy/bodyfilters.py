"""
The filters of one body: what plugins have every piece pass through, in order.

A filter that answers at once costs its own lines and little more. One that answers later (a coroutine, a Deferred)
holds up the body: its source is paused, and what is on its way all the same is queued until the answer is here. Each
filter belongs to the plugin that added it, whose failure it is when it raises, answers nonsense, or takes too long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from revproxy.errors import asException

if TYPE_CHECKING:
    from revproxy.headers import Headers
    from revproxy.toolbox import Toolbox

Filter = Callable[[bytes, bool], bytes | Awaitable[bytes]]
"""
Called with each piece and whether it is the last; gives what goes on instead, at once or later. The last piece may be
empty.
"""


def madeBy(filter: Filter, made: Any) -> bytes | Awaitable[bytes]:
    """
    What a filter has answered, if it is what filters answer.

    :raises TypeError: if not. A forgotten return would otherwise drop the piece and leave a body that looks whole.
    """
    if isinstance(made, bytes):
        return made
    if isinstance(made, (bytearray, memoryview)):
        return bytes(made)
    if isinstance(made, Deferred) or isawaitable(made):
        return made
    raise TypeError(f"a body filter returns bytes, not {type(made).__name__}: {filter!r}")


class Filtered(Protocol):
    """The body, as its filters see it."""

    @property
    def isPaused(self) -> bool:
        """Whether the source is asked to wait."""

    def pauseProducing(self) -> None:
        """Ask the source to wait."""

    def resumeProducing(self) -> None:
        """Ask the source to go on."""

    def filtered(self, data: bytes) -> None:
        """Some bytes have passed the filters, later than they came."""

    def completed(self, trailers: Headers | None) -> None:
        """All bytes have arrived, and have passed the filters."""

    def broken(self, reason: Failure) -> None:
        """A plugin's code has broken it off."""


def _unchanged(data: bytes, last: bool) -> bytes:
    return data


class Filters:
    """
    Of one body that is not complete.

    :ivar isBusy: whether a filter's answer is awaited, or is being passed on; the source is paused meanwhile.
    :ivar resumes: whether the source is to go on when that is over.
    """

    __slots__ = (
        "_body",
        "_context",
        "_ended",
        "_fresh",
        "_functions",
        "_over",
        "_owners",
        "_queue",
        "_trailers",
        "_waiting",
        "isBusy",
        "resumes",
    )

    def __init__(self, body: Filtered, context: Any) -> None:
        """:param context: the :class:`~revproxy.context.Context` of the request; None where no plugin is concerned."""
        self._body = body
        self._context = context
        self._functions: list[Filter] = []
        self._owners: list[Toolbox | None] = []
        self._fresh: list[bool] = []
        self._queue: deque[bytes] = deque()
        self._waiting: Deferred[bytes] | None = None
        self._trailers: Headers | None = None
        self._ended = False
        self._over = False
        self.isBusy = False
        self.resumes = False

    def add(self, filter: Filter, owner: Toolbox | None, isFresh: bool) -> None:
        """
        One more, behind those there are.

        :param owner: what the plugin that adds it has at hand; None if that is not known.
        :param isFresh: whether nothing of the body has passed it.
        """
        self._functions.append(filter)
        self._owners.append(owner)
        self._fresh.append(isFresh)

    def areOf(self, name: str) -> bool:
        """Whether a plugin of that name has added any."""
        return any(owner is not None and owner.name == name for owner in self._owners)

    def passed(self, data: bytes) -> bytes | None:
        """What becomes of a piece that has arrived; None or no bytes if nothing does, or not yet."""
        if self.isBusy:
            self._queue.append(data)
            return None
        return self._run(data, False, 0)

    def end(self, trailers: Headers | None) -> bytes | None:
        """All pieces have arrived: what the last call gives. None if that comes later, or never."""
        self._trailers = trailers
        if self.isBusy:
            self._ended = True
            return None
        return self._run(b"", True, 0)

    def awaitFirst(self, made: Awaitable[bytes], data: bytes, last: bool, trailers: Headers | None) -> None:
        """The filter that was added last has been called with what was there already, and answers later."""
        self._trailers = trailers
        self._wait(made, data, last, len(self._functions) - 1)

    def drop(self) -> None:
        """Nobody wants what they make any more; what is awaited is cancelled."""
        self._over = True
        self._queue.clear()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()

    def _run(self, data: bytes, last: bool, at: int) -> bytes | None:
        """The way of a piece through the filters, from one on. None if one of them waits, or has failed."""
        functions, fresh = self._functions, self._fresh
        while at < len(functions) and (data or last):
            try:
                made: Any = functions[at](data, last)
                if made.__class__ is not bytes:
                    made = madeBy(functions[at], made)
                    if made.__class__ is not bytes:
                        self._wait(made, data, last, at)
                        return None
            except BaseException:  # foreign code
                made = self._failed(Failure(), data, at)
                if made is None:
                    return None
            fresh[at] = False
            data = made
            at += 1
        return data

    def _wait(self, made: Awaitable[bytes], data: bytes, last: bool, at: int) -> None:
        owner = self._owners[at]
        if not self.isBusy:
            self.resumes = not self._body.isPaused
            self._body.pauseProducing()
            self.isBusy = True
        if owner is not None and self._context is not None:
            waiting = owner.awaited(self._context, made)
        else:
            waiting = made if isinstance(made, Deferred) else Deferred.fromCoroutine(_awaited(made))
        self._waiting = waiting
        extra = (data, last, at)
        waiting.addCallbacks(self._arrived, self._broke, callbackArgs=extra, errbackArgs=extra)

    def _arrived(self, made: Any, data: bytes, last: bool, at: int) -> None:
        self._waiting = None
        if self._over:
            return
        try:
            made = madeBy(self._functions[at], made)
            if not isinstance(made, bytes):
                raise TypeError(f"a body filter answers with bytes, not with a {type(made).__name__}")
        except TypeError:
            made = self._failed(Failure(), data, at)
        if made is not None:
            self._goOn(made, last, at)

    def _broke(self, failure: Failure, data: bytes, last: bool, at: int) -> None:
        self._waiting = None
        if self._over:
            return
        made = self._failed(failure, data, at)
        if made is not None:
            self._goOn(made, last, at)

    def _goOn(self, data: bytes, last: bool, at: int) -> None:
        """A filter has answered: on to those behind it, and to what has arrived meanwhile."""
        self._fresh[at] = False
        at += 1
        while True:
            made = self._run(data, last, at)
            if made is None:
                return
            if made:
                self._body.filtered(made)
            if self._over:
                return
            if last:
                self.isBusy = False
                self._body.completed(self._trailers)
                return
            if self._queue:
                data, last, at = self._queue.popleft(), False, 0
            elif self._ended:
                data, last, at = b"", True, 0
            else:
                break
        self.isBusy = False
        if self.resumes:
            self._body.resumeProducing()

    def _failed(self, failure: Failure, data: bytes, at: int) -> bytes | None:
        """
        :returns: what goes on instead, if the filter is to be passed over; None if it has failed the body.
        """
        owner = self._owners[at]
        reason: Failure | None = asException(failure)
        if owner is not None and self._context is not None:
            reason = owner.filterFailed(self._context, asException(failure), self._fresh[at])
        if reason is None:
            self._functions[at] = _unchanged
            return data
        # Half a filtered body must not pass for a whole one.
        self._body.broken(reason)
        return None


async def _awaited(made: Awaitable[bytes]) -> bytes:
    return await made
