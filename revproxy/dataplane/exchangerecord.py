"""
What is kept of an exchange when it is over.
"""

from __future__ import annotations

from typing import Any

from revproxy.requestrecord import RequestRecord


def recordOf(exchange: Any, status: int, seconds: float, bytesIn: int, bytesOut: int) -> RequestRecord:
    """
    :param exchange: an `revproxy.dataplane.exchange.Exchange`, which imports this.
    :param seconds: how long it took.
    """
    context, error, edge = exchange.context, exchange.error, exchange._edge
    request, explained = context._request, b""
    # What a plugin has put in the place of these is for the origin.
    method, target, host = request._asSent or (request._rawMethod, request._rawTarget, request._rawHost)
    sent = exchange._sentAt - exchange.began if exchange._sentAt else None
    if error is not None or context._story is not None or seconds > edge.slow or context._interruptedBy is not None:
        explained = edge.explain(context, exchange.chain, error, seconds, sent)
    return RequestRecord(
        edge.now() - seconds,
        seconds,
        context._id or context._serial.decode("ascii"),
        request._peer.host,
        method,
        target,
        host,
        request._version,
        request._scheme,
        status,
        bytesIn,
        bytesOut,
        context._route.name,
        exchange.upstream,
        exchange.upstreamSeconds,
        context._interruptedBy,
        context._pluginErrors,
        context._pluginsSkipped,
        None if error is None else f"{type(error).__name__}: {error}",
        request._headers.find(b"user-agent") or b"" if edge.logsAgents else b"",
        request._headers.find(b"referer") or b"" if edge.logsAgents else b"",
        None if context._fields is None else dict(context._fields),
        exchange.generation,
        exchange.pool,
        exchange.attempts,
        exchange.trace,
        explained,
        sent,
        () if exchange.chain is None else exchange.chain.arms,
    )


__all__ = ["recordOf"]
