"""
What the access log keeps of a request until it is written.
"""

from __future__ import annotations

import msgspec

from revproxy.logfields import LogValue

__all__ = ["AccessRecord"]


class AccessRecord(msgspec.Struct, gc=False):
    """
    What is known of one request when it is over. A C-level struct: making one costs 0.2 µs.

    :ivar startedAt: when the head was complete, seconds since the epoch.
    :ivar duration: seconds from then to the last byte.
    :ivar id: the request id.
    :ivar peer: the client's address, without port, after trusted proxies were looked through.
    :ivar method: as on the wire.
    :ivar target: as on the wire.
    :ivar host: as on the wire.
    :ivar version: ``1.0`` or ``1.1``.
    :ivar scheme: ``http`` or ``https``.
    :ivar status: as sent; 499 when the client left before there was one.
    :ivar bytesIn: body bytes received.
    :ivar bytesOut: bytes of the answer that were written, head included.
    :ivar route: the route's name, empty when none matched.
    :ivar upstream: the target that answered or was tried last.
    :ivar upstreamSeconds: from sending the head there to receiving the answer's head.
    :ivar interruptedBy: the plugin that answered instead of the route.
    :ivar pluginErrors: plugins that failed in this request.
    :ivar pluginsSkipped: plugins that failed and were passed over because they are ``open``.
    :ivar error: a short cause when the request did not end well.
    :ivar userAgent: as on the wire; filled for the combined format only.
    :ivar referer: as on the wire.
    :ivar fields: what plugins have added; None if nothing.
    """

    startedAt: float
    duration: float
    id: str
    peer: str
    method: bytes
    target: bytes
    host: bytes
    version: str
    scheme: str
    status: int
    bytesIn: int = 0
    bytesOut: int = 0
    route: str = ""
    upstream: str | None = None
    upstreamSeconds: float | None = None
    interruptedBy: str | None = None
    pluginErrors: tuple[str, ...] = ()
    pluginsSkipped: tuple[str, ...] = ()
    error: str | None = None
    userAgent: bytes = b""
    referer: bytes = b""
    fields: dict[str, LogValue] | None = None
