"""
A small origin: it shows what arrives, and it can be slow, large and endless.

Made of stock ``twisted.web``, so that the edge talks to something that knows nothing of it.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.web.resource import IResource, NoResource, Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

__all__ = ["listenForOrigin", "originSite"]

_LONGEST = 60.0
_LARGEST = 1 << 30
_CHUNK = b"0123456789abcdef" * 4096

_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>The origin</title>
<style>
 body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 3rem auto; padding: 0 1rem; color: #223 }}
 table {{ border-collapse: collapse }} td {{ padding: .1rem 1rem .1rem 0; vertical-align: top }}
 code, td {{ font-family: ui-monospace, monospace; font-size: 14px; overflow-wrap: anywhere }}
</style>
<body>
<h1>It works</h1>
<p>This page comes from the demo origin, through the edge. The origin received
<code>{request}</code> from {peer} with these headers:</p>
<table>{headers}</table>
<p>More to ask for:</p>
<ul>
<li><a href="/api/echo">/api/echo</a>: the request as JSON; try <code>curl -d hello</code></li>
<li><a href="/slow?seconds=2">/slow?seconds=2</a>: an answer that takes its time</li>
<li><a href="/bytes/1000000">/bytes/1000000</a>: that many bytes</li>
<li><a href="/stream">/stream</a>: server-sent events, one each second, without end</li>
</ul>
</body>
"""


def _headers(request: Request) -> list[tuple[str, str]]:
    """
    All of the request's header fields, in the order ``twisted.web`` knows.
    """
    fields = request.requestHeaders.getAllRawHeaders()
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, values in fields for value in values]


class _Leaf(Resource):
    """
    A page without pages below it.
    """

    isLeaf = True

    def __init__(self) -> None:
        Resource.__init__(self)


class _Index(_Leaf):
    """
    The page for people.
    """

    def render_GET(self, request: Request) -> bytes:
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        rows = (f"<tr><td>{escape(name)}<td>{escape(value)}" for name, value in _headers(request))
        line = f"{request.method.decode('latin-1')} {request.uri.decode('latin-1')}"
        address = request.getClientAddress()
        peer = escape(f"{address.host}:{address.port}")
        return _PAGE.format(request=escape(line), peer=peer, headers="\n".join(rows)).encode()


class _Echo(_Leaf):
    """
    The page for programs. Answers every method.
    """

    def render(self, request: Request) -> bytes:
        request.setHeader(b"content-type", b"application/json")
        body = {
            "method": request.method.decode("latin-1"),
            "target": request.uri.decode("latin-1"),
            "headers": _headers(request),
            "body_bytes": len(request.content.read()) if request.content else 0,
        }
        return json.dumps(body, indent=1).encode() + b"\n"


class _Slow(_Leaf):
    """
    Answers after ``?seconds=``, at most a minute.
    """

    def __init__(self, clock: IReactorTime) -> None:
        super().__init__()
        self._clock = clock

    def render_GET(self, request: Request) -> bytes | int:
        try:
            seconds = float(request.args.get(b"seconds", [b"1"])[0])
        except ValueError:
            request.setResponseCode(400)
            return b"seconds is to be a number\n"
        if not 0 <= seconds <= _LONGEST:
            request.setResponseCode(400)
            return b"seconds is to be between 0 and 60\n"

        def answer() -> None:
            request.write(b"after %g seconds\n" % seconds)
            request.finish()

        later = self._clock.callLater(seconds, answer)
        request.notifyFinish().addErrback(lambda gone: later.cancel())
        return NOT_DONE_YET


@implementer(IPushProducer)
class _Bytes:
    """
    Writes a number of bytes, as fast as they are taken.
    """

    def __init__(self, request: Request, count: int) -> None:
        self._request = request
        self._left = count
        self._paused = False

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        while self._left and not self._paused:
            chunk = _CHUNK[: self._left]
            self._left -= len(chunk)
            self._request.write(chunk)
            if not self._left:
                self._request.unregisterProducer()
                self._request.finish()

    def stopProducing(self) -> None:
        self._left = 0


class _Sized(Resource):
    """
    ``/bytes/N``: N bytes, at most 1 GiB.
    """

    def __init__(self) -> None:
        Resource.__init__(self)

    def getChild(self, path: bytes, request: Request) -> IResource:
        if path.isdigit() and len(path) < 12 and int(path) <= _LARGEST:
            return _SizedLeaf(int(path))
        return NoResource()


class _SizedLeaf(_Leaf):
    """
    That many bytes, with a length.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def render_GET(self, request: Request) -> bytes | int:
        request.setHeader(b"content-type", b"application/octet-stream")
        request.setHeader(b"content-length", b"%d" % self._count)
        if request.method == b"HEAD" or not self._count:
            return b""
        producer = _Bytes(request, self._count)
        request.registerProducer(producer, True)
        producer.resumeProducing()
        return NOT_DONE_YET


class _Stream(_Leaf):
    """
    Server-sent events until the client leaves.
    """

    def __init__(self, clock: IReactorTime) -> None:
        super().__init__()
        self._clock = clock

    def render_GET(self, request: Request) -> int:
        request.setHeader(b"content-type", b"text/event-stream")
        request.setHeader(b"cache-control", b"no-store")
        ticks = 0

        def tick() -> None:
            nonlocal ticks
            ticks += 1
            request.write(b"data: tick %d\n\n" % ticks)

        loop = LoopingCall(tick)
        loop.clock = self._clock
        loop.start(1)
        request.notifyFinish().addErrback(lambda gone: loop.stop())
        return NOT_DONE_YET


def originSite(clock: IReactorTime) -> Site:
    """
    The demo origin, without a port.
    """
    root, api = Resource(), Resource()
    root.putChild(b"", _Index())
    root.putChild(b"api", api)
    api.putChild(b"echo", _Echo())
    root.putChild(b"slow", _Slow(clock))
    root.putChild(b"bytes", _Sized())
    root.putChild(b"stream", _Stream(clock))
    site = Site(root, reactor=clock, parsePOSTFormSubmission=False)
    site.displayTracebacks = False
    return site


def listenForOrigin(reactor: Any, port: int) -> int:
    """
    Serve the origin on loopback.

    :param reactor: `IReactorTCP` and `IReactorTime`.
    :param port: 0 for a free one.
    :return: the port.
    :raise CannotListenError: when the port is taken.
    """
    return int(reactor.listenTCP(port, originSite(reactor), interface="127.0.0.1").getHost().port)
