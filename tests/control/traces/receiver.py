"""A receiver of OTLP over HTTP, on loopback, that decodes what it is sent; and records to be exported."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from revproxy.requestrecord import RequestRecord

TRACE, SPAN, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba90200", "b7ad6b7169203331"


class Receiver:
    """
    Takes spans.

    :ivar spans: all that came: resource attributes, and the span.
    :ivar requests: the fields of each request, names in lower case.
    :ivar status: of its answers. 0: it never answers.
    """

    def __init__(self, status: int = 200) -> None:
        self.spans: list[tuple[dict[str, Any], Any]] = []
        self.requests: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.status = status
        self.released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._take(self)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.requests.append({name.lower(): value for name, value in request.headers.items()})
        self.paths.append(request.path)
        if not self.status:
            self.released.wait(60)
            return
        if self.status == 200:
            said = ExportTraceServiceRequest.FromString(body)
            for resource in said.resource_spans:
                told = {each.key: each.value.string_value for each in resource.resource.attributes}
                self.spans += [(told, span) for scope in resource.scope_spans for span in scope.spans]
        request.send_response(self.status)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def close(self) -> None:
        """Listen no more."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


def attributesOf(span: Any) -> dict[str, Any]:
    """Those of a span as it was sent."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


def record(**changes: Any) -> RequestRecord:
    """Of a request of a sampled trace."""
    fields: dict[str, Any] = {
        "startedAt": 1_700_000_000.0,
        "duration": 0.5,
        "id": "a1",
        "peer": "192.0.2.7",
        "method": b"GET",
        "target": b"/items?token=s3cret",
        "host": b"shop.example.com:8443",
        "version": "1.1",
        "scheme": "https",
        "status": 200,
        "route": "shop/items",
        "upstream": "http://10.0.0.7:9000",
        "upstreamSeconds": 0.25,
        "pool": "web",
        "attempts": 1,
        "trace": f"00-{TRACE}-{SPAN[:14]}01-01".encode(),
        "sentSeconds": 0.125,
    }
    return RequestRecord(**{**fields, **changes})


def batchOf(*records: RequestRecord) -> bytes:
    """As a worker tells of them."""
    return msgspec.msgpack.encode(records)
