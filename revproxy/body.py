"""
A stream of bytes between one source and one sink, with backpressure between them.

The source (a connection that receives) calls :meth:`Body.feed`, :meth:`Body.finish` and :meth:`Body.fail`. The sink (a
connection that sends) is attached with :meth:`Body.attach`; until then at most :data:`HIGH_WATER` bytes are held and
the source is paused. A body is also the ``IPushProducer`` that its sink registers with its transport.

Between the two, plugins may look (:meth:`Body.read`), change (:meth:`Body.addFilter`) or substitute
(:meth:`Body.replace`) what passes. Filters see the bytes as they arrive, so a later reader sees what the earlier
filter made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Self

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from revproxy.bodyends import NOWHERE, IBodySink, IBodySource
from revproxy.bodyfilters import Filter, Filters, madeBy
from revproxy.bodyreading import Reading, readAlready
from revproxy.checked import Checked, content, kept, told
from revproxy.errors import BodyTooLarge
from revproxy.headers import Headers

__all__ = ["HIGH_WATER", "Body", "Filter", "IBodySink", "IBodySource"]

HIGH_WATER = 65536
"""Bytes that are held for a sink that has not come yet before the source is paused."""

@implementer(IPushProducer)
class Body:
    """
    The body of a request or response.

    :param source: where the bytes come from; None for a body that nobody feeds.
    :param length: number of bytes when known beforehand, else None.
    :ivar length: number of bytes when known beforehand, else None.
    :ivar trailers: the trailer section (RFC 9110 §6.5), once finished, if there is one.
    :ivar framed: whether the header section carries the right Content-Length already.
    :ivar onEnd: called when all bytes are here, or the rest never will be, and no sink has come for them yet; or None.
    :ivar onRead: called when a plugin begins to wait for bytes that have not come (100-continue), or None.
    :ivar readLimit: the most that :meth:`read` gives the plugin being called (``limits.body_bytes``), or None.
    :ivar sealed: True once a head was made that says how the body is framed: from then on it is not to be changed.
    :ivar announced: the value of the ``Trailer`` field (RFC 9110 §6.6.2), or None.
    :ivar changed: True once a plugin replaced or filtered the body, so that its original framing no longer holds.
    :ivar isMade: whether a plugin makes it piece by piece, and may yet fail before the first.
    """

    __slots__ = (
        "_announced",
        "_buffered",
        "_chunks",
        "_context",
        "_failure",
        "_filters",
        "_finished",
        "_isBounded",
        "_length",
        "_limit",
        "_paused",
        "_reader",
        "_sink",
        "_source",
        "_tap",
        "changed",
        "framed",
        "onEnd",
        "onRead",
        "readLimit",
        "sealed",
        "trailers",
    )

    announced: Checked[bytes | None] = kept("_announced")
    length: Checked[int | None] = kept("_length", "it follows from body.replace and body.addFilter")

    isMade = False

    _context: Any
    """Of the request, once a plugin has looked at the body; until then not set, for most are never looked at."""

    _tap: Any
    """Of one that is taken down; see `revproxy.replay.bodytap`. Of others not set."""

    def __init__(self, source: IBodySource | None, length: int | None) -> None:
        self._source = source
        self._length = length
        self.trailers: Headers | None = None
        self.changed = False
        self.framed = False
        self.sealed = False
        self.readLimit: int | None = None
        self.onRead: Callable[[], None] | None = None
        self.onEnd: Callable[[], None] | None = None
        self._announced: bytes | None = None
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._finished = False
        self._failure: Failure | None = None
        self._sink: IBodySink | None = None
        self._filters: Filters | None = None
        self._reader: Deferred[bytes] | None = None
        self._limit = 0
        self._paused = False

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> Self:
        """A body that is complete already. :raises TypeError: for what is not bytes."""
        if data.__class__ is not bytes:
            data = content(data)
        body = cls(None, len(data))
        if data:
            body._chunks.append(data)
            body._buffered = len(data)
        body._finished = True
        return body

    @staticmethod
    def paused(source: IBodySource) -> Body:
        """One that a plugin makes: its source is asked to go on when somebody wants it."""
        body = _MadeBody(source, None)
        body._paused = True
        return body

    # What plugins use

    def read(self, limit: int) -> Deferred[bytes]:
        """
        All bytes, once they are there. They are still forwarded afterwards. Cancelling gives up the wait only.

        :param limit: bytes; the most that is held in memory.
        :returns: the bytes.
        :raises BodyTooLarge: (in the Deferred) if there are more; the body can still be forwarded or replaced.
        :raises RuntimeError: (in the Deferred) if the body is on its way, or being read, already.
        """
        if self._sink is not None:
            return readAlready(RuntimeError("this body is already on its way: read it in handle or handleResponse"))
        if self._reader is not None:
            return readAlready(RuntimeError("this body is already being read"))
        bound = self.readLimit
        self._isBounded = bound is not None and bound < limit
        self._limit = limit = bound if bound is not None and bound < limit else limit
        if self._buffered > limit or (self._length is not None and self._length > limit):
            return readAlready(self._tooLarge())
        if self._finished:
            return readAlready(b"".join(self._chunks))
        if self._failure is not None:
            return readAlready(self._failure)
        self._reader = Reading(self._readCancelled)
        reader = self._reader
        if self.onRead is not None:
            self.onRead()
        self._resumeSource()
        return reader

    def _tooLarge(self) -> BodyTooLarge:
        """What a reader is told, and its plugin's limits if it was these."""
        context = getattr(self, "_context", None)
        if self._isBounded and context is not None and context._toolbox is not None:
            text = f"a body of more than {self._limit} bytes, which are limits.body_bytes"
            context._toolbox.exceeded("body", text)
        return BodyTooLarge(f"body is larger than {self._limit} bytes")

    def replace(self, data: bytes | bytearray | memoryview) -> None:
        """
        Send these bytes instead; what the source still has is discarded.

        :param data: bytes; a bytearray or memoryview is copied.
        :raises TypeError: for what is not bytes.
        :raises RuntimeError: if the body is on its way already.
        """
        if data.__class__ is not bytes:
            data = content(data, "what replaces a body")
        if self._sink is not None or self.sealed:
            raise RuntimeError("this body is already on its way: replace it in handle or handleResponse")
        self.changed = True
        self._dropFilters()
        self._chunks = [data] if data else []
        self._buffered = self._length = len(data)
        self.trailers = None
        self._failure = None
        self._finished = True
        self.stopProducing()
        if self._reader is not None:
            self._readDone(data)

    def addFilter(self, filter: Filter) -> None:
        """
        Have every piece pass through ``filter(data, last) -> bytes``; the length is unknown from then on.

        :param filter: may also answer with a Deferred or be a coroutine of the bytes: the body waits meanwhile. May
            raise :class:`~revproxy.errors.Refused` as long as nothing of the answer was sent.
        :raises RuntimeError: if the body is on its way already.
        :raises Exception: what the filter raises for the bytes that are here already; the body is then as it was.
            Raised later, it fails the body: the receiver must not take half of it for whole.
        :raises TypeError: if it cannot be called.
        """
        if not callable(filter):
            raise TypeError(f"a filter is called with (data, last) and returns bytes; not callable: {told(filter)}")
        if self._sink is not None or self.sealed:
            raise RuntimeError("this body is already on its way: filter it in handle or handleResponse")
        held = b"".join(self._chunks)
        later: Awaitable[bytes] | None = None
        if held or self._finished:
            made = madeBy(filter, filter(held, self._finished))
            if not isinstance(made, bytes):
                later, made = made, b""
            self._chunks = [made] if made else []
            self._buffered = len(made)
        self.changed = True
        if self._finished and later is None:
            self._length = self._buffered
            return
        self._addFilter(filter, held, later)

    def _addFilter(self, filter: Filter, held: bytes, later: Awaitable[bytes] | None) -> None:
        """:param later: what the filter makes of what is held, if it was called with that and has not answered."""
        self._length = None
        context = getattr(self, "_context", None)
        filters = self._filters
        if filters is None:
            filters = self._filters = Filters(self, context)
        filters.add(filter, None if context is None else context._toolbox, isFresh=later is not None or not held)
        if later is not None:
            last, self._finished = self._finished, False
            filters.awaitFirst(later, held, last, self.trailers)

    @property
    def isBeingRead(self) -> bool:
        """Whether a plugin waits for :meth:`read`."""
        return self._reader is not None

    @property
    def isPaused(self) -> bool:
        """Whether the source is asked to wait."""
        return self._paused

    @property
    def isOpen(self) -> bool:
        """Whether a plugin's code may yet fail, or refuse, before the first byte: the head has to wait for that."""
        return self._filters is not None or self.isMade

    def isFilteredBy(self, name: str) -> bool:
        """Whether a plugin of that name filters or makes it."""
        if self._filters is not None and self._filters.areOf(name):
            return True
        return self.isMade and self._source is not None and self._source.isOf(name)  # type: ignore[attr-defined]

    # What the source calls

    def feed(self, data: bytes) -> None:
        """Some bytes have arrived. None are nothing: as a chunk, no bytes would be the end of the body."""
        if not data or self._finished or self._failure is not None:
            return
        if self._filters is not None:
            made = self._filters.passed(data)
            if not made:
                return
            data = made
        if self._sink is not None:
            self._sink.bodyData(data)
        else:
            self._hold(data)

    def filtered(self, data: bytes) -> None:
        """Some bytes have passed the filters, later than they came."""
        if self._sink is not None:
            self._sink.bodyData(data)
        else:
            self._hold(data)

    def _hold(self, data: bytes) -> None:
        self._chunks.append(data)
        self._buffered += len(data)
        if self._reader is not None:
            if self._buffered > self._limit:
                self._readDone(Failure(self._tooLarge()))
        elif self._buffered >= HIGH_WATER:
            self.pauseProducing()

    def finish(self, trailers: Headers | None = None) -> None:
        """All bytes have arrived."""
        if self._finished or self._failure is not None:
            return
        if self._filters is not None:
            last = self._filters.end(trailers)
            if last is None:
                self._source = None
                return
            if last:
                if self._sink is not None:
                    self._sink.bodyData(last)
                else:
                    self._chunks.append(last)
                    self._buffered += len(last)
        self.completed(trailers)

    def completed(self, trailers: Headers | None) -> None:
        """All bytes have arrived, and have passed the filters."""
        self._filters = None
        self.trailers = trailers
        self._finished = True
        self._source = None
        if self._sink is not None:
            self._sink.bodyFinished()
            return
        if self._length is None:
            self._length = self._buffered
        if self.onEnd is not None:
            self.onEnd()
        if self._reader is None:
            return
        # A filter's last words count too.
        if self._buffered > self._limit:
            self._readDone(Failure(self._tooLarge()))
        else:
            self._readDone(b"".join(self._chunks))

    def fail(self, reason: Failure) -> None:
        """The rest will never arrive."""
        if self._finished or self._failure is not None:
            return
        self._failure = reason
        self._source = None
        if self._filters is not None:
            self._dropFilters()
        if self._sink is not None:
            self._sink.bodyFailed(reason)
            return
        if self.onEnd is not None:
            self.onEnd()
        if self._reader is not None:
            self._readDone(reason)

    def broken(self, reason: Failure) -> None:
        """A plugin's code has broken it off: the rest is not wanted, either."""
        source = self._source
        self.fail(reason)
        if source is not None:
            source.stopProducing()

    def brokenBy(self, error: Exception) -> bool:
        """Whether this is why it will never be complete."""
        return self._failure is not None and self._failure.value is error

    # What the sink uses

    @property
    def complete(self) -> bool:
        """True when every byte is here: :meth:`take` gives them."""
        return self._finished

    @property
    def failure(self) -> Failure | None:
        """Why it will never be complete, if that is known."""
        return self._failure

    def take(self) -> bytes:
        """The bytes of a complete body, at once, instead of :meth:`attach`."""
        chunks = self._chunks
        self._chunks = []
        self._sink = NOWHERE
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def keep(self) -> bytes:
        """As :meth:`take`, but the bytes stay here, to be had again, until :meth:`detach`."""
        chunks = self._chunks
        if len(chunks) != 1:
            chunks[:] = [b"".join(chunks)]
        return chunks[0]

    @property
    def isAtHand(self) -> bool:
        """Whether every byte is here and can still be had."""
        return self._finished and self._sink is None

    def attach(self, sink: IBodySink) -> None:
        """Give what is held, and from now on everything, to the sink; a source that had to wait goes on."""
        self._sink = sink
        chunks, self._chunks = self._chunks, []
        # From here on paused means that the sink asked for it, perhaps while it takes what is held.
        waited, self._paused = self._paused, False
        for chunk in chunks:
            sink.bodyData(chunk)
            if self._sink is not sink:
                return
        if self._finished:
            sink.bodyFinished()
        elif self._failure is not None:
            sink.bodyFailed(self._failure)
        elif waited and not self._paused and self._source is not None:
            self._paused = True
            self._resumeSource()

    def detach(self) -> None:
        """The sink takes no more; what still comes from the source is dropped."""
        if self._filters is not None:
            self._dropFilters()
        self._chunks = []
        self._sink = NOWHERE

    def pauseProducing(self) -> None:
        """Ask the source to wait."""
        if self._filters is not None and self._filters.isBusy:
            self._filters.resumes = False
        if not self._paused and self._source is not None:
            self._paused = True
            self._source.pauseProducing()

    def resumeProducing(self) -> None:
        """Ask the source to go on."""
        self._resumeSource()

    def stopProducing(self) -> None:
        """Tell the source that the rest is not wanted."""
        source, self._source = self._source, None
        if source is not None:
            source.stopProducing()

    def _resumeSource(self) -> None:
        if self._filters is not None and self._filters.isBusy:
            self._filters.resumes = True
        elif self._paused and self._source is not None:
            self._paused = False
            self._source.resumeProducing()

    def _dropFilters(self) -> None:
        filters, self._filters = self._filters, None
        if filters is not None:
            filters.drop()

    def _readDone(self, result: bytes | Failure) -> None:
        reader, self._reader = self._reader, None
        if self._buffered >= HIGH_WATER and not self._finished:
            self.pauseProducing()
        assert reader is not None
        if isinstance(result, Failure):
            reader.errback(result)
        else:
            reader.callback(result)

    def _readCancelled(self, _: Deferred[bytes]) -> None:
        self._reader = None
        if self._buffered >= HIGH_WATER:
            self.pauseProducing()


class _MadeBody(Body):
    """A body that a plugin makes."""

    __slots__ = ()

    isMade = True
