"""A reverse proxy of aiohttp's server and client: ``python -m benchmarks.peer_aiohttp ORIGIN PLAIN TLS CERT KEY LOG``.

On uvloop when it can be imported. Bodies of known and small size are passed on whole, which is aiohttp's fast way;
others stream.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys

from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web
from multidict import CIMultiDict
from yarl import URL

try:
    import uvloop
except ImportError:
    uvloop = None  # type: ignore[assignment]

_HOP_BY_HOP = ("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-connection")
_WHOLE = 1 << 16


def _forwarded(request: web.Request) -> CIMultiDict[str]:
    headers = CIMultiDict(request.headers)
    for name in _HOP_BY_HOP:
        headers.popall(name, None)
    headers["X-Forwarded-For"] = request.remote or ""
    headers["X-Forwarded-Proto"] = request.scheme
    return headers


async def serve(arguments: list[str]) -> None:
    """Serve until cancelled."""
    origin, plain, tls = map(int, arguments[:3])
    certificate, key, log = arguments[3:6]
    logger = logging.getLogger("access")
    logger.addHandler(logging.FileHandler(log))
    logger.setLevel(logging.INFO)
    session = ClientSession(
        connector=TCPConnector(limit=0, keepalive_timeout=300), auto_decompress=False, cookie_jar=DummyCookieJar()
    )

    async def proxy(request: web.Request) -> web.StreamResponse:
        target = URL(f"http://127.0.0.1:{origin}{request.raw_path}", encoded=True)
        data = request.content if request.body_exists else None
        async with session.request(
            request.method, target, headers=_forwarded(request), data=data, allow_redirects=False
        ) as reply:
            headers = CIMultiDict(reply.headers)
            for name in _HOP_BY_HOP:
                headers.popall(name, None)
            if reply.content_length is not None and reply.content_length <= _WHOLE:
                headers.pop("Content-Length", None)
                return web.Response(status=reply.status, headers=headers, body=await reply.read())
            response = web.StreamResponse(status=reply.status, headers=headers)
            await response.prepare(request)
            async for chunk in reply.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    application = web.Application(client_max_size=1 << 40)
    application.router.add_route("*", "/{rest:.*}", proxy)
    runner = web.AppRunner(application, access_log=logger, keepalive_timeout=300)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    await web.TCPSite(runner, "127.0.0.1", plain, backlog=4096).start()
    await web.TCPSite(runner, "127.0.0.1", tls, ssl_context=context, backlog=4096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    if uvloop is not None:
        uvloop.run(serve(sys.argv[1:]))
    else:
        asyncio.run(serve(sys.argv[1:]))
