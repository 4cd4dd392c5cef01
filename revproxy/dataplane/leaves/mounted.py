"""
Any :class:`twisted.web.resource.IResource` as the end of a route.

A resource was written for ``twisted.web.server.Site``: it gets a ``twisted.web.server.Request`` whose body is there
already, in memory or in a temporary file. What it writes is :mod:`~revproxy.dataplane.leaves.resourcechannel`'s.
"""

from __future__ import annotations

from functools import partial
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET, Session, Site
from zope.interface import implementer

from revproxy.body import Body, IBodySink
from revproxy.context import Headers
from revproxy.dataplane.leaves.forms import Fields, isForm, readForm
from revproxy.dataplane.leaves.leaf import InThread, Leaf
from revproxy.dataplane.leaves.resourcechannel import Channel
from revproxy.dataplane.routing import below
from revproxy.errors import BodyTooLarge, NotFound
from revproxy.paths import normalised

if TYPE_CHECKING:
    from revproxy.dataplane.exchange import Exchange

DEFAULT_MAX_BODY = 10 * 2**20
"""Bytes of a request body that are buffered where the configuration sets no limit."""

_IN_MEMORY = 100_000
"""Bytes of a request body above which it is kept in a file, as ``twisted.web`` has it."""

_READ_AT_ONCE = 16384
"""Bytes of a form above which it is read in a thread."""


class _MountedSite(Site):  # type: ignore[misc]
    """Starts the walk through the resource tree at the mount: what is above counts as walked."""

    def __init__(self, resource: IResource, prefix: bytes, reactor: IReactorTime) -> None:
        super().__init__(resource, reactor=reactor, parsePOSTFormSubmission=False)
        self.sessionFactory = partial(Session, reactor=reactor)  # type: ignore[assignment]
        self._above = [segment for segment in prefix.split(b"/") if segment]

    def getResourceFor(self, request: Any) -> Any:
        """Part of Site."""
        request.prepath = request.postpath[: len(self._above)]
        request.postpath = request.postpath[len(self._above) :]
        return super().getResourceFor(request)


class MountedLeaf(Leaf):
    """Answers with a resource, which is given the part of the path below the route's."""

    def __init__(
        self,
        resource: IResource,
        prefix: bytes,
        reactor: IReactorTime,
        inThread: InThread,
        maxBodyBytes: int | None = None,
    ) -> None:
        """
        :param prefix: the path of the route.
        :param reactor: for pull producers and sessions.
        :param inThread: for large forms.
        :param maxBodyBytes: of a request; more is refused with 413. :data:`DEFAULT_MAX_BODY` if None.
        """
        super().__init__()
        self.site = _MountedSite(resource, prefix, reactor)
        self._prefix = prefix.rstrip(b"/")
        self._reactor = reactor
        self._inThread = inThread
        self._reading = DeferredLock()
        self._maxBody = DEFAULT_MAX_BODY if maxBodyBytes is None else maxBodyBytes

    def render(self, exchange: Exchange) -> int:
        """As :meth:`Leaf.render`; the resource answers."""
        request = exchange.context.request
        if exchange.trace and not exchange.shown:
            exchange.showTrace()
        target = resolved(request._rawTarget)
        path = target.partition(b"?")[0]
        if below(unquote_to_bytes(path), self._prefix) is None:
            # Possible only where a plugin has rewritten the path.
            exchange.failed(Failure(NotFound("the path is not below the mount")))
            return NOT_DONE_YET
        body = request._body
        if body is None:
            self._process(exchange, target, _newFile(), {})
            return NOT_DONE_YET
        if body._length is not None and body._length > self._maxBody:
            exchange.failed(Failure(BodyTooLarge(f"more than the {self._maxBody} bytes a mounted resource may get")))
            return NOT_DONE_YET
        if request.expectsContinue and not body.complete:
            # To the client, this is the origin.
            exchange.informational(100, Headers())
        buffer = _Buffer(body, self._maxBody)
        exchange.wait(buffer.whole, lambda file: self._readForm(exchange, target, file))
        body.attach(buffer)
        return NOT_DONE_YET

    def _readForm(self, exchange: Exchange, target: bytes, content: Any) -> None:
        request = exchange.context.request
        kind = request.headers.find(b"content-type") or b""
        if request._rawMethod != b"POST" or not content.tell() or not isForm(kind):
            self._process(exchange, target, content, {})
        elif content.tell() <= _READ_AT_ONCE:
            self._process(exchange, target, content, _formIn(content, kind))
        else:
            # One at a time: many would keep the event loop from its turn, and each holds its body more than once.
            form = self._reading.run(self._inThread, _formIn, content, kind)
            exchange.wait(form, lambda fields: self._process(exchange, target, content, fields))

    def _process(self, exchange: Exchange, target: bytes, content: Any, form: Fields) -> None:
        channel = Channel(self.site, exchange.context.request, self._reactor)
        channel.process(target, content, form)
        exchange.wait(channel.answer, exchange.answered)


def resolved(target: bytes) -> bytes:
    """
    The target as a resource may see it: as the client wrote it, unless routes and resource could take it differently.
    """
    path, mark, query = target.partition(b"?")
    plain = normalised(path)
    if unquote_to_bytes(path) == plain and b"%2f" not in path.lower():
        return target
    return quote_from_bytes(plain, safe="/~!$&'()*+,;=:@").encode() + mark + query


def _newFile() -> Any:
    return SpooledTemporaryFile(max_size=_IN_MEMORY)


def _formIn(content: Any, kind: bytes) -> Fields:
    content.seek(0)
    return readForm(kind, content.read())


@implementer(IBodySink)
class _Buffer:
    """
    Takes a request's body whole.

    :ivar whole: fires with the file that holds it.
    """

    def __init__(self, body: Body, limit: int) -> None:
        self.whole: Deferred[Any] = Deferred(self._cancelled)
        self._body = body
        self._limit = limit
        self._size = 0
        self._file = _newFile()

    def bodyData(self, data: bytes) -> None:
        """Part of IBodySink."""
        self._size += len(data)
        if self._size <= self._limit:
            self._file.write(data)
            return
        self._giveUp()
        self.whole.errback(Failure(BodyTooLarge(f"more than the {self._limit} bytes a mounted resource may get")))

    def bodyFinished(self) -> None:
        """Part of IBodySink."""
        self.whole.callback(self._file)

    def bodyFailed(self, reason: Failure) -> None:
        """Part of IBodySink."""
        self._file.close()
        if not self.whole.called:
            self.whole.errback(reason)

    def _giveUp(self) -> None:
        self._body.detach()
        self._body.stopProducing()
        self._file.close()

    def _cancelled(self, whole: Deferred[Any]) -> None:
        self._giveUp()
