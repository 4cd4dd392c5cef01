"""
One request of the API, on the wire.
"""

# twisted.web carries few annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from io import BytesIO
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.http import Request

from revproxy.admin.api import EVENT_STREAM, Visit
from revproxy.admin.beginnings import Beginnings
from revproxy.admin.callers import Caller, Callers
from revproxy.admin.door import Head
from revproxy.admin.problem import Problem
from revproxy.admin.reply import ALWAYS, Reply, problemReply
from revproxy.admin.stream import OpenStream, Stream, Streams
from revproxy.config.problems import textOf

DISCARDED = 65536
"""Bytes of the body of a request that was refused by its head; of a longer one nothing is waited for."""


class Site(Protocol):
    """What connections and requests need to know of where they belong to; see `revproxy.admin.apisite.ApiSite`."""

    beginnings: Beginnings
    callers: Callers
    streams: Streams

    def visit(self, head: Head, caller: Caller) -> Visit:
        """:raises Problem: it may not be asked."""

    async def perform(self, visit: Visit, body: bytes) -> Reply | Stream:
        """:raises Problem: it was not done."""


class ApiRequest(Request):
    """
    :ivar isAsked: whether it is there to its end, and not answered yet.
    :ivar isStreaming: whether its answer is a stream.
    """

    channel: Any
    _log = Logger()

    def __init__(self, channel: Any, site: Site) -> None:
        super().__init__(channel, False, parsePOSTFormSubmission=False)
        self.isAsked = False
        self.isStreaming = False
        self._site = site
        self._visit: Visit | None = None
        self._refused: Problem | None = None
        self._size = 0
        self._isGone = False
        self._stream: OpenStream | None = None

    # The head

    def headReceived(self, command: bytes, target: bytes) -> None:
        """Whether it may be asked, before its body comes."""
        try:
            self._visit = self._site.visit(_head(self, command, target), self.channel)
        except Problem as problem:
            self._refused = problem
        except Exception:  # a mistake of ours
            self._log.failure("a request for the admin API")
            self._refused = Problem(500, "the edge's log says more")
        if self._refused is not None:
            self.requestHeaders.removeHeader(b"expect")  # its body is not asked for

    # The body

    @property
    def _bodyLimit(self) -> int:
        return DISCARDED if self._visit is None else self._visit.bodyLimit

    def gotLength(self, length: int | None) -> None:
        """What is too long is not waited for."""
        self.content = BytesIO()
        if length is not None and length > self._bodyLimit:
            self._tooLong()

    def handleContentChunk(self, data: bytes) -> None:
        """Bytes of the body."""
        self._size += len(data)
        if self._size > self._bodyLimit:
            self._tooLong()
        elif self._visit is not None and self.content is not None:
            self.content.write(data)

    def _tooLong(self) -> None:
        self.requestHeaders.removeHeader(b"expect")
        limit = self._bodyLimit
        text = f"its body has {limit} bytes at most" if limit else "it takes no body"
        self.channel.refuse(self._refused or Problem(413, text))

    # The answer

    def process(self) -> None:
        """It is there to its end; it begins in a turn of its own."""
        self.isAsked = True
        found = None if self._visit is None else self._visit.found
        self._site.beginnings.soon(self._begin, found is not None and found.operation.isRescue)

    def _begin(self) -> None:
        if self._isGone or not self.channel.mayBegin(self._begin):
            return
        answering = Deferred.fromCoroutine(self._answer())
        answering.addErrback(lambda failure: self._log.failure("the admin API", failure))

    async def _answer(self) -> None:
        body = self.content.read() if self.content is not None else b""
        try:
            if self._refused is not None:
                raise self._refused
            assert self._visit is not None
            result = await self._site.perform(self._visit, body)
        except Problem as problem:
            result = problemReply(problem)
        except GeneratorExit:
            raise
        except BaseException as error:  # a mistake of ours must cost neither the connection nor the edge
            name = self.method.decode("latin-1")
            self._log.failure("admin API: {method} {path} failed", method=name, path=self.path.decode("latin-1"))
            result = problemReply(Problem(500, f"{type(error).__name__}: {textOf(error)}; the edge's log has more"))
        if self._isGone:
            return
        if isinstance(result, Stream):
            self._beginStream(result)
        else:
            self._reply(result)

    def _reply(self, reply: Reply) -> None:
        self._sayHead(reply.status, reply.headers)
        if reply.status != 304:
            self.setHeader(b"Content-Length", str(sum(map(len, reply.pieces))).encode())
        if self.method != b"HEAD" and reply.pieces:
            self.write(b"".join(reply.pieces))
        self.isAsked = False
        self.finish()

    def _beginStream(self, stream: Stream) -> None:
        assert self._visit is not None
        try:
            self._site.streams.check(self._visit.entry.actor)
        except Problem as problem:
            self._reply(problemReply(problem))
            return
        self._sayHead(200, {**ALWAYS, "Content-Type": EVENT_STREAM})
        if self.method == b"HEAD":
            self._reply(Reply(200, {}))
            return
        self.isStreaming = True
        self.write(b"")
        entry = self._visit.entry
        self._stream = self._site.streams.open(stream, self, entry.actor, entry.stays)

    def _sayHead(self, status: int, headers: Any) -> None:
        self.setResponseCode(status)
        # Answers may not be guessed at: nothing comes from twisted.web by itself.
        for name, value in headers.items():
            self.setHeader(name.encode(), value.encode("latin-1", "replace"))

    def cut(self) -> None:
        """End the connection at once: a stream is over."""
        channel = self.channel
        if channel is not None and not self._isGone:
            channel.transport.abortConnection()

    def connectionLost(self, reason: Any) -> None:
        """The client is gone; what it has asked for goes on, if it has begun."""
        self._isGone = True
        self.isAsked = False
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.over()
        super().connectionLost(reason)


def _head(request: Request, command: bytes, target: bytes) -> Head:
    """:raises Problem: it is no path that is asked for."""
    if not target.isascii() or not target.startswith(b"/"):
        raise Problem(400, "what is asked for is to be a path, in ASCII")
    path, _, query = target.decode().partition("?")
    return Head(command.decode("latin-1"), path, query, request.requestHeaders, request.channel.transport)


__all__ = ["ApiRequest"]
