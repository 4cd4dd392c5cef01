"""
The spans of a request, made of its record: what the edge did for it, what each target did, and what plugins did as far
as that was looked at.

Names and attributes are those of OpenTelemetry's semantic conventions for HTTP. There is no value of a header field in
them but Host, and nothing of the query.

:mod:`opentelemetry` is an extra: this module is imported in the thread that needs it, and there alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from revproxy import __version__
from revproxy.explained import Explained, Step, decodeExplained
from revproxy.hostport import splitPort, withoutBrackets
from revproxy.plan.counted import METHODS, OTHER
from revproxy.requestrecord import RequestRecord
from revproxy.secrets import masked

_SCOPE = InstrumentationScope("revproxy", __version__)
_USUAL = {"http": 80, "https": 443}


class Spans:
    """
    Makes them.
    """

    def __init__(self, service: str) -> None:
        """:param service: whose they are."""
        self._resource = Resource.create({"service.name": service, "service.version": __version__})

    def of(self, record: RequestRecord) -> list[ReadableSpan]:
        """All of one request, the edge's own first."""
        made = _Request(record, self._resource)
        return [made.server(), *made.clients(), *made.plugins()]


class _Request:
    """One request: its record, and what is known besides."""

    def __init__(self, record: RequestRecord, resource: Resource) -> None:
        self._record = record
        self._resource = resource
        self._explained = _explained(record)
        trace = record.trace.decode("ascii")
        self._trace, self._span, self._flags = trace[3:35], f"{trace[36:50]}00", int(trace[53:55], 16)
        self._parent = trace[56:72]
        method = record.method.decode("latin-1")
        self._method = method if method in METHODS else OTHER
        self._path = masked(record.target.partition(b"?")[0].decode("latin-1"))

    def server(self) -> ReadableSpan:
        """What the edge did, from the head of the request to the last byte of the answer."""
        record = self._record
        host, port = splitPort(record.host.decode("latin-1"))
        attributes: dict[str, Any] = {
            "http.request.method": self._method,
            "url.scheme": record.scheme,
            "url.path": self._path,
            "http.response.status_code": record.status,
            "client.address": record.peer,
            "network.protocol.name": "http",
            "network.protocol.version": record.version,
            "revproxy.request_id": record.id,
        }
        if self._method == OTHER:
            attributes["http.request.method_original"] = record.method.decode("latin-1")
        if record.route:
            attributes["http.route"] = record.route
        if host:
            attributes["server.address"] = withoutBrackets(host)
            attributes["server.port"] = int(port) if port.isdigit() else _USUAL.get(record.scheme, 0)
        if record.interruptedBy is not None:
            attributes["revproxy.interrupted_by"] = record.interruptedBy
        self._addError(attributes, record.status >= 500)
        name = f"{self._method} {record.route}" if record.route else self._method
        parent = self._context(self._parent, isRemote=True) if self._parent else None
        span = name, self._span, parent, SpanKind.SERVER, attributes
        return self._made(*span, 0.0, record.duration, isError=record.status >= 500)

    def clients(self) -> Iterator[ReadableSpan]:
        """What each target did that the request went to: until it was lost there, or until the answer's head."""
        record = self._record
        if not record.attempts:
            return
        begins = sent = record.sentSeconds or 0.0
        losses = {} if self._explained is None else {one.attempt: one for one in self._explained.tries if one.attempt}
        for attempt in range(1, record.attempts):
            loss = losses.get(attempt)
            if loss is not None:
                yield self._client(attempt, loss.url, begins, loss.seconds, None, loss.reason.partition(":")[0])
                begins = loss.seconds
        waited, status, error = record.upstreamSeconds, None, ""
        if waited is None:
            error = "" if record.error is None else record.error.partition(":")[0]
        elif record.interruptedBy is None:
            status = record.status
        ends = record.duration if waited is None else min(record.duration, sent + waited)
        yield self._client(record.attempts, record.upstream or "", begins, ends, status, error)

    def _client(
        self, attempt: int, url: str, begins: float, ends: float, status: int | None, error: str
    ) -> ReadableSpan:
        parts = urlsplit(url)
        attributes: dict[str, Any] = {
            "http.request.method": self._method,
            "server.address": parts.hostname or "",
            "server.port": parts.port or _USUAL.get(parts.scheme, 0),
            "url.scheme": parts.scheme,
            "url.full": url + self._path,
            "revproxy.upstream": self._record.pool,
        }
        if attempt > 1:
            attributes["http.request.resend_count"] = attempt - 1
        if status is not None:
            attributes["http.response.status_code"] = status
        isError = bool(error) or (status is not None and status >= 400)
        if isError:
            attributes["error.type"] = error or str(status)
        span = f"{self._span[:14]}{attempt % 255 or 255:02x}"
        parent = self._context(self._span)
        return self._made(self._method, span, parent, SpanKind.CLIENT, attributes, begins, max(begins, ends), isError)

    def plugins(self) -> Iterator[ReadableSpan]:
        """What plugins did, where somebody looked. Only how long is known: on the way in one comes after the other."""
        explained = self._explained
        if explained is None:
            return
        number, duration = 0, self._record.duration
        wayIn = [step for step in explained.steps if step.call == "handle"]
        wayOut = [step for step in explained.steps if step.call != "handle"]
        for steps, begins in ((wayIn, 0.0), (wayOut, max(0.0, duration - sum(map(_lasting, wayOut))))):
            for step in steps:
                number += 1
                ends = min(duration, begins + _lasting(step))
                yield self._plugin(step, number, begins, ends)
                begins = ends

    def _plugin(self, step: Step, number: int, begins: float, ends: float) -> ReadableSpan:
        attributes: dict[str, Any] = {
            "revproxy.plugin": step.plugin,
            "revproxy.plugin.version": step.version,
            "code.function.name": step.call,
        }
        if step.seconds is not None:
            attributes["revproxy.plugin.loop_seconds"] = step.seconds
        isError = step.plugin in self._record.pluginErrors
        if isError:
            attributes["error.type"] = "PluginFailed"
        # It ends as ours does, and no attempt's does; and differs from ours before that.
        span = f"{self._span[:12]}{int(self._span[12:14], 16) ^ number:02x}00"
        parent = self._context(self._span)
        name = f"plugin {step.plugin}"
        return self._made(name, span, parent, SpanKind.INTERNAL, attributes, begins, max(begins, ends), isError)

    def _addError(self, attributes: dict[str, Any], isError: bool) -> None:
        record = self._record
        if record.error is not None:
            attributes["error.type"] = record.error.partition(":")[0]
        elif isError:
            attributes["error.type"] = str(record.status)

    def _context(self, span: str, isRemote: bool = False) -> SpanContext:
        return SpanContext(int(self._trace, 16), int(span, 16), isRemote, TraceFlags(self._flags))

    def _made(
        self,
        name: str,
        span: str,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: dict[str, Any],
        begins: float,
        ends: float,
        isError: bool,
    ) -> ReadableSpan:
        """:param begins: seconds after the head of the request, as ``ends``."""
        started = self._record.startedAt
        return ReadableSpan(
            name,
            self._context(span),
            parent,
            self._resource,
            attributes,
            kind=kind,
            status=Status(StatusCode.ERROR) if isError else Status(),
            start_time=int((started + begins) * 1e9),
            end_time=int((started + ends) * 1e9),
            instrumentation_scope=_SCOPE,
        )


def _explained(record: RequestRecord) -> Explained | None:
    if not record.explained:
        return None
    try:
        return decodeExplained(record.explained)
    except ValueError:
        return None


def _lasting(step: Step) -> float:
    """Seconds, as far as they are known."""
    return (step.seconds or 0.0) + (step.waited or 0.0)
