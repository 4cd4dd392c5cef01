"""
Files of a folder (RFC 9110): GET and HEAD, conditions, one range; no listings.

Every call that may block on a disk is made in a thread; between two of them at most one piece of a file is held.

What may be served: regular files below the folder, whichever symlinks lead to them as long as these stay below it,
and no path with a segment that begins with a dot (a folder may itself be one: route ``/.well-known/`` to
``./public/.well-known``). The path is resolved first and then opened segment by segment without following anything,
so that nothing swapped in between leads outside.
"""

from __future__ import annotations

import os
from email.utils import formatdate
from enum import Enum, auto
from errno import EMFILE, ENFILE
from mimetypes import MimeTypes
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from revproxy.body import Body, IBodySource
from revproxy.context import Headers, Response
from revproxy.dataplane.http.errorpage import errorResponse
from revproxy.dataplane.leaves.conditional import evaluate, wantedRange
from revproxy.dataplane.leaves.leaf import InThread, Leaf
from revproxy.dataplane.routing import below
from revproxy.errors import (
    EdgeError,
    MethodNotAllowed,
    NotFound,
    PreconditionFailed,
    RangeNotSatisfiable,
    Unavailable,
)
from revproxy.paths import normalised
from revproxy.regularfile import FLAGS

if TYPE_CHECKING:
    from revproxy.dataplane.exchange import Exchange

PIECE = 65536
"""Bytes read from a file at a time; a file of no more is answered in one go."""

_MAX_SEGMENTS = 64

_TYPES = MimeTypes()
# What the standard library of some Python that we run on does not know yet.
for _ending, _kind in ((".webp", "image/webp"), (".woff2", "font/woff2"), (".md", "text/markdown")):
    _TYPES.add_type(_kind, _ending)

_ENCODED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


def contentType(name: bytes) -> bytes:
    """The media type of a file, by its name. What is packed is served as a packed file, not as an encoding."""
    kind, encoding = _TYPES.guess_type(name.decode("utf-8", "replace"))
    if encoding is not None:
        kind = _ENCODED.get(encoding)
    if kind is None:
        return b"application/octet-stream"
    if kind.startswith("text/") or kind in ("application/javascript", "image/svg+xml"):
        kind += "; charset=utf-8"
    return kind.encode("ascii")


class OpenFile:
    """
    One file that is open for reading; every method may block.

    :ivar size: bytes.
    :ivar modified: nanoseconds since the epoch.
    :ivar first: what was read already: all of a small file.
    """

    __slots__ = ("_descriptor", "first", "modified", "name", "size")

    def __init__(self, descriptor: int, name: bytes, size: int, modified: int) -> None:
        self._descriptor = descriptor
        self.name = name
        self.size = size
        self.modified = modified
        self.first = b""

    def read(self, offset: int, size: int) -> bytes:
        """:raises OSError: also if the file has become shorter: half of it must not pass for the whole."""
        data = os.pread(self._descriptor, size, offset)
        if not data:
            raise OSError("the file has become shorter while it was being sent")
        return data

    def close(self) -> None:
        """Let go of it; twice is no error."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def openBelow(folder: bytes, segments: list[bytes]) -> OpenFile | None:
    """
    Open a file below a folder, or the ``index.html`` of a folder below it.

    :param segments: of the path; a last one that is empty names a folder.
    :returns: None for a folder that was not named as one.
    :raises OSError: if there is none, it is not a regular file, or it is elsewhere.
    """
    if segments and not segments[-1]:
        segments = [*segments[:-1], b"index.html"]
    root = os.path.realpath(folder)
    real = os.path.realpath(os.path.join(root, *segments))
    inside = os.path.relpath(real, root).split(b"/") if real != root else []
    if inside[:1] == [b".."]:
        raise FileNotFoundError("a link leads out of the folder")
    descriptor = _openStepwise(root, inside)
    try:
        status = os.fstat(descriptor)
        if S_ISDIR(status.st_mode) and segments[-1:] != [b"index.html"]:
            os.close(descriptor)
            return None
        if not S_ISREG(status.st_mode):
            raise FileNotFoundError("this is not a regular file")
        file = OpenFile(descriptor, segments[-1], status.st_size, status.st_mtime_ns)
        if 0 < file.size <= PIECE:
            file.first = file.read(0, file.size)
        return file
    except BaseException:
        os.close(descriptor)
        raise


def _openStepwise(root: bytes, segments: list[bytes]) -> int:
    descriptor = os.open(root, FLAGS | os.O_DIRECTORY)
    for segment in segments:
        above = descriptor
        try:
            descriptor = os.open(segment, FLAGS | os.O_NOFOLLOW, dir_fd=above)
        finally:
            os.close(above)
    return descriptor


class StaticLeaf(Leaf):
    """Answers with the files of a folder."""

    def __init__(self, folder: str | os.PathLike[str], prefix: bytes, inThread: InThread) -> None:
        """
        :param folder: need not exist yet; if it is a link, it is resolved anew for every request.
        :param prefix: the path of the route, which is not part of the file's.
        """
        super().__init__()
        self._folder = os.fsencode(folder)
        self._prefix = prefix.rstrip(b"/")
        self._inThread = inThread

    def render(self, exchange: Exchange) -> int:
        """As :meth:`Leaf.render`; a file, or why there is none, is the answer."""
        request = exchange.context._request
        if request._rawMethod not in (b"GET", b"HEAD"):
            self._refuse(exchange, MethodNotAllowed("files are for GET and HEAD", (b"GET", b"HEAD")))
            return NOT_DONE_YET
        path = normalised(request._rawTarget.partition(b"?")[0])
        segments = self._segments(path)
        if segments is None:
            exchange.failed(Failure(NotFound("this path names no file")))
            return NOT_DONE_YET
        opened: Deferred[OpenFile | None] = Deferred()
        self._inThread(openBelow, self._folder, segments).addBoth(self._opened, opened)
        exchange.wait(opened, lambda file: self._answer(exchange, path, file))
        return NOT_DONE_YET

    def _segments(self, path: bytes) -> list[bytes] | None:
        """Of the path below the prefix; None if it can be no file's."""
        rest = below(path, self._prefix)
        if not rest:
            # Exactly the prefix: the folder itself, not named as one.
            return None if rest is None else []
        segments = rest[1:].split(b"/")
        if len(segments) > _MAX_SEGMENTS or b"\0" in path or any(segment.startswith(b".") for segment in segments):
            return None
        return segments

    def _opened(self, result: OpenFile | Failure | None, opened: Deferred[OpenFile | None]) -> None:
        if opened.called:
            # The client left meanwhile.
            if isinstance(result, OpenFile):
                self._inThread(result.close)
        elif not isinstance(result, Failure):
            opened.callback(result)
        elif isinstance(result.value, OSError) and result.value.errno in (EMFILE, ENFILE):
            opened.errback(Failure(Unavailable("no file descriptor is left")))
        elif isinstance(result.value, OSError):
            opened.errback(Failure(NotFound(f"{type(result.value).__name__}")))
        else:
            opened.errback(result)

    def _refuse(self, exchange: Exchange, error: EdgeError, *fields: tuple[bytes, bytes, bytes]) -> None:
        exchange.error = error
        response = errorResponse(error, exchange.context._request, exchange.context.id)
        response.headers.fields.extend(fields)
        exchange.answered(response)

    def _answer(self, exchange: Exchange, path: bytes, file: OpenFile | None) -> None:
        request = exchange.context._request
        if file is None:
            query = request._rawTarget.partition(b"?")
            location = quote_from_bytes(path, safe="/~!$&'()*+,;=:@").encode() + b"/" + query[1] + query[2]
            exchange.answered(Response(301, None, Headers([(b"location", b"Location", location)]), Body.of(b"")))
            return
        fields = [
            (b"content-type", b"Content-Type", contentType(file.name)),
            (b"etag", b"ETag", b'"%x-%x"' % (file.modified, file.size)),
            (b"last-modified", b"Last-Modified", formatdate(file.modified // 10**9, usegmt=True).encode()),
            (b"accept-ranges", b"Accept-Ranges", b"bytes"),
        ]
        verdict = evaluate(request.headers, fields[1][2], file.modified // 10**9)
        if verdict:
            self._inThread(file.close)
            if verdict == 304:
                exchange.answered(Response(304, None, Headers(fields[1:3]), None))
            else:
                self._refuse(exchange, PreconditionFailed("If-Match or If-Unmodified-Since does not hold"))
            return
        span = wantedRange(request, fields[1][2], fields[2][2], file.size)
        if span is None:
            self._inThread(file.close)
            whole = (b"content-range", b"Content-Range", b"bytes */%d" % file.size)
            self._refuse(exchange, RangeNotSatisfiable("the file is shorter"), whole)
            return
        self._send(exchange, file, fields, *span)

    def _send(
        self, exchange: Exchange, file: OpenFile, fields: list[tuple[bytes, bytes, bytes]], start: int, end: int
    ) -> None:
        status = 200
        if end - start != file.size:
            status = 206
            value = b"bytes %d-%d/%d" % (start, end - 1, file.size)
            fields.append((b"content-range", b"Content-Range", value))
        fields.append((b"content-length", b"Content-Length", b"%d" % (end - start)))
        source: _FileSource | None = None
        if exchange.context._request._rawMethod == b"HEAD":
            body = Body.of(b"")
        elif end - start <= len(file.first):
            body = Body.of(file.first[start:end])
        elif start == end:
            body = Body.of(b"")
        else:
            source = _FileSource(self._inThread, file, start, end)
            body = source.body
        body.framed = True
        if source is None:
            self._inThread(file.close)
        else:
            source.begin()
        exchange.answered(Response(status, None, Headers(fields), body))


class _Reading(Enum):
    """
    What a file's source does.

    - ``IDLE``: nothing is being read; where it is paused, that stays so.
    - ``READING``: a thread reads a piece.
    - ``ABANDONED``: the same, but nobody wants the piece any more.
    - ``OVER``: the file is closed.
    """

    IDLE = auto()
    READING = auto()
    ABANDONED = auto()
    OVER = auto()


@implementer(IBodySource)
class _FileSource:
    """Reads a part of a file piece by piece, each in a thread, and no further than the sink keeps up."""

    def __init__(self, inThread: InThread, file: OpenFile, start: int, end: int) -> None:
        self.body = Body(self, end - start)
        self._inThread = inThread
        self._file = file
        self._at = start
        self._end = end
        self._state = _Reading.IDLE
        self._paused = False

    def begin(self) -> None:
        """Read the next piece."""
        self._state = _Reading.READING
        self._inThread(self._file.read, self._at, min(PIECE, self._end - self._at)).addCallbacks(
            self._arrived, self._failed
        )

    def _arrived(self, data: bytes) -> None:
        if self._state is _Reading.ABANDONED:
            self._close()
            return
        self._state = _Reading.IDLE
        self._at += len(data)
        self.body.feed(data)
        # Who took it may have had enough, or have asked for the next piece.
        if self._state is not _Reading.IDLE:
            return
        if self._at == self._end:
            self._close()
            self.body.finish()
        elif not self._paused:
            self.begin()

    def _failed(self, reason: Failure) -> None:
        before = self._state
        self._close()
        if before is not _Reading.ABANDONED:
            self.body.fail(Failure(EdgeError(f"while reading a file: {reason.getErrorMessage()}")))

    def _close(self) -> None:
        self._state = _Reading.OVER
        self._inThread(self._file.close)

    def pauseProducing(self) -> None:
        """Part of IBodySource."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Part of IBodySource."""
        self._paused = False
        if self._state is _Reading.IDLE and self._at < self._end:
            self.begin()

    def stopProducing(self) -> None:
        """Part of IBodySource. A piece that is being read is waited for, and then the file is closed."""
        if self._state is _Reading.READING:
            self._state = _Reading.ABANDONED
        elif self._state is _Reading.IDLE:
            self._close()
