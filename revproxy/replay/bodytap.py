"""
What a plugin sees of a body, and what it makes of it, written down while it passes.

A body that is to be taken down becomes a `TappedBody`: of the same layout, so the same object, whoever holds it. All
that it does is what a `Body` does. Others cost nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from hashlib import sha256
from inspect import isawaitable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from revproxy.body import Body
from revproxy.bodyfilters import Filter
from revproxy.errors import Refused
from revproxy.headers import Headers
from revproxy.replay.outcome import Raised
from revproxy.replay.raising import raisedBy, refusalIn
from revproxy.replay.recordedcall import RecordedResponse

_PIECES: Final = 128
"""Pieces of some bytes that are kept apart."""


class Kept:
    """
    The beginning of some bytes.

    :ivar digests: whether there is to be a digest of those that are not kept. To be set before there are any.
    :ivar isOver: whether they have come to their end; ``isCut``: whether there were more than are kept.
    """

    __slots__ = ("_digest", "_most", "_pieces", "_size", "digests", "isCut", "isOver")

    def __init__(self, most: int) -> None:
        """:param most: bytes that are kept."""
        self._most = most
        self._pieces: list[bytes] = []
        self._size = 0
        self._digest: Any = None
        self.digests = True
        self.isOver = self.isCut = False

    @classmethod
    def of(cls, data: bytes, most: int) -> Kept:
        """Bytes that are whole."""
        kept = cls(most)
        kept.add(data)
        kept.isOver = True
        return kept

    def add(self, data: bytes) -> None:
        """Some more."""
        room = self._most - self._size
        if len(data) > room:
            if self.digests and self._digest is None:
                self._digest = sha256(self.data)
            self.isCut = True
            if room:
                self._pieces.append(data[:room])
                self._size = self._most
        else:
            self._pieces.append(data)
            self._size += len(data)
            if len(self._pieces) > _PIECES:  # clients choose how small they are
                self._pieces = [self.data]
        if self._digest is not None:
            self._digest.update(data)

    @property
    def data(self) -> bytes:
        """What is kept."""
        return b"".join(self._pieces)

    @property
    def isWhole(self) -> bool:
        """Whether that is all."""
        return self.isOver and not self.isCut

    def digest(self) -> str:
        """SHA-256 of all, also of what is not kept, in hexadecimal digits; empty: there is none."""
        if self.isCut and self._digest is None:
            return ""
        digest: str = (sha256(self.data) if self._digest is None else self._digest).hexdigest()
        return digest


_EMPTY: Final = Kept.of(b"", 0)
"""Of what has no body."""


class BodyUse:
    """
    What one call has to do with one body.

    :ivar given: what the plugin could read; None: nobody knows, for others make it on its way.
    :ivar made: what the plugin has put in its place, with ``replace`` or by its filter; None: nothing.
    :ivar raised: what a filter of the plugin's has; ``refused``: with which answer one has refused the request.
    """

    __slots__ = ("_folder", "_most", "body", "given", "made", "raised", "refused")

    def __init__(self, body: Body | None, given: Kept | None, most: int, folder: str = "") -> None:
        """:param folder: of the plugin, to tell where a filter of its raises."""
        self._folder = folder
        self.raised: Raised | None = None
        self.refused: RecordedResponse | None = None
        self.body = body
        self.given = given
        self.made: Kept | None = None
        self._most = most

    def replaced(self, data: bytes) -> None:
        """The plugin has put others in the place of the bytes."""
        self.made = Kept.of(data, self._most)

    def filtering(self, filter: Filter) -> Filter:
        """The same filter, of which is seen what comes out, and, where nobody knows it yet, what goes in."""
        made = self.made = Kept(self._most)
        given: Kept | None = None
        if self.given is None:
            given = self.given = Kept(self._most)
        elif not self.given.isCut:
            self.given.digests = True

        @wraps(filter)
        def passed(data: bytes, last: bool) -> Any:
            if given is not None:
                given.add(data)
                given.isOver = last
            try:
                return _seen(filter(data, last), made, last, self._broke)
            except BaseException as error:  # foreign code
                self._broke(error)
                raise

        return passed

    def _broke(self, error: BaseException) -> None:
        """A filter has raised. Nothing of the exception is kept: its traceback would keep the request."""
        if isinstance(error, Refused):
            self.refused = refusalIn(error)
        elif self.raised is None and not isinstance(error, (CancelledError, GeneratorExit)):
            self.raised = raisedBy(error, self._folder)

    @property
    def isUntouched(self) -> bool:
        """Whether what the plugin has made is what was there."""
        made, given = self.made, self.given
        if made is None:
            return True
        return given is not None and made.isOver and given.isOver and made.digest() == given.digest()


def _seen(answer: Any, made: Kept, last: bool, broke: Callable[[BaseException], None]) -> Any:
    """What a filter has answered; it is written down when it is there."""

    def arrived(data: Any) -> Any:
        if isinstance(data, (bytes, bytearray, memoryview)):
            made.add(bytes(data))
            made.isOver = last
        return data

    def failed(failure: Failure) -> Failure:
        if failure.value is not None:
            broke(failure.value)
        return failure

    async def later(answer: Awaitable[Any]) -> Any:
        try:
            return arrived(await answer)
        except BaseException as error:  # foreign code
            broke(error)
            raise

    if isinstance(answer, Deferred):
        return answer.addCallbacks(arrived, failed)
    return later(answer) if isawaitable(answer) else arrived(answer)


class BodyTap:
    """
    Of one body.

    :ivar came: what its source has given.
    :ivar use: of the call that is under way; None: none is.
    """

    __slots__ = ("came", "use")

    def __init__(self, came: Kept) -> None:
        self.came = came
        self.use: BodyUse | None = None


class TappedBody(Body):
    """A body that is taken down."""

    __slots__ = ()

    def feed(self, data: bytes) -> None:
        """As `Body.feed`."""
        if data and not self._finished and self._failure is None:
            self._tap.came.add(data)
        super().feed(data)

    def finish(self, trailers: Headers | None = None) -> None:
        """As `Body.finish`."""
        if not self._finished and self._failure is None:
            self._tap.came.isOver = True
        super().finish(trailers)

    def replace(self, data: bytes | bytearray | memoryview) -> None:
        """As `Body.replace`."""
        super().replace(data)
        if self._tap.use is not None:
            self._tap.use.replaced(bytes(data))

    def addFilter(self, filter: Filter) -> None:
        """As `Body.addFilter`."""
        use = self._tap.use
        super().addFilter(use.filtering(filter) if use is not None and callable(filter) else filter)


def useOf(body: Body | None, most: int, folder: str = "") -> BodyUse:
    """
    A call begins that may look at a body, and change it.

    :param body: None: there is none.
    :param most: bytes that are kept.
    :param folder: of the plugin, to tell where a filter of its raises.
    """
    if body is None:
        return BodyUse(None, _EMPTY, most, folder)
    if body.__class__ is Body:
        body.__class__ = TappedBody  # of the same layout: whoever holds it, holds this
        came = _held(body, most)
        came.digests = came.isCut  # of a long one, it takes longer than to pass it on; a filter is held against it
        body._tap = BodyTap(came)
    if body.__class__ is not TappedBody:  # made piece by piece
        return BodyUse(body, None, most, folder)
    tap: BodyTap = body._tap
    if body._filters is not None:
        given = None
    elif body.changed:
        given = _held(body, most) if body.isAtHand else None
    else:
        given = tap.came
    tap.use = BodyUse(body, given, most, folder)
    return tap.use


def _held(body: Body, most: int) -> Kept:
    kept = Kept(most)
    for piece in body._chunks:
        kept.add(piece)
    kept.isOver = body.complete
    return kept


def useOver(use: BodyUse, body: Body | None) -> None:
    """
    The call is over.

    :param body: that is there now.
    """
    if use.body is not None and use.body.__class__ is TappedBody:
        use.body._tap.use = None
    if body is not use.body and body is not None:
        use.made = _held(body, use._most) if body.isAtHand else Kept(use._most)
