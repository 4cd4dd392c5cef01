"""Stock Twisted reverse proxies: ``python -m benchmarks.peer_twisted ORIGIN PLAIN TLS CERT KEY LOG proxy|treq``.

``proxy`` is ``twisted.web.proxy.ReverseProxyResource`` as it comes. ``treq`` is a resource under
``twisted.web.server.Site`` that asks the origin with an ordinary ``treq.client.HTTPClient`` over an Agent with a
persistent pool.
"""

from __future__ import annotations

import sys

from treq.client import HTTPClient
from treq.response import _Response
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.python import log as oldLog
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.proxy import ReverseProxyResource
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

_HOP_BY_HOP = {b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"proxy-connection"}


class TreqProxy(Resource):
    """Passes every request on with treq."""

    isLeaf = True

    def __init__(self, origin: int) -> None:
        super().__init__()
        pool = HTTPConnectionPool(reactor, persistent=True)
        pool.maxPersistentPerHost = 1024
        self._client = HTTPClient(Agent(reactor, pool=pool))
        self._origin = f"http://127.0.0.1:{origin}"

    def render(self, request: Request) -> int:
        """Ask the origin and copy its answer."""
        headers = Headers()
        for name, values in request.requestHeaders.getAllRawHeaders():
            if name.lower() not in _HOP_BY_HOP | {b"content-length"}:
                headers.setRawHeaders(name, values)
        headers.setRawHeaders(b"X-Forwarded-For", [request.getClientAddress().host.encode()])
        headers.setRawHeaders(b"X-Forwarded-Proto", [b"https" if request.isSecure() else b"http"])
        assert request.content is not None
        data = request.content.read() or None
        method, url = request.method.decode("ascii"), self._origin + request.uri.decode("ascii")
        reply = self._client.request(method, url, headers=headers, data=data, allow_redirects=False, unbuffered=True)
        reply.addCallback(self._copy, request)
        reply.addErrback(self._failed, request)
        return NOT_DONE_YET

    def _copy(self, response: _Response, request: Request) -> Deferred[None]:
        request.setResponseCode(response.code, response.phrase)
        for name, values in response.headers.getAllRawHeaders():
            if name.lower() not in _HOP_BY_HOP:
                request.responseHeaders.setRawHeaders(name, values)
        return response.collect(request.write).addCallback(lambda _: request.finish())

    def _failed(self, reason: Failure, request: Request) -> None:
        oldLog.err(reason)
        if not request.startedWriting:
            request.setResponseCode(502)
            request.finish()
        elif request.channel is not None:
            request.loseConnection()


def main(arguments: list[str]) -> None:
    """Listen and run the reactor."""
    origin, plain, tls = map(int, arguments[:3])
    certificate, key, log, kind = arguments[3:7]
    oldLog.startLogging(sys.stderr)
    resource: IResource = TreqProxy(origin) if kind == "treq" else ReverseProxyResource("127.0.0.1", origin, b"")
    site = Site(resource, logPath=log, timeout=300)
    site.noisy = False
    for text in (
        f"tcp:{plain}:interface=127.0.0.1:backlog=4096",
        f"ssl:{tls}:interface=127.0.0.1:backlog=4096:privateKey={key}:certKey={certificate}",
    ):
        serverFromString(reactor, text).listen(site).addErrback(_cannotListen)
    reactor.run()


def _cannotListen(reason: Failure) -> None:
    oldLog.err(reason)
    reactor.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
