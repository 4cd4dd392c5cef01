"""What spans are made of a record."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy import __version__
from revproxy.control.traces.spans import Spans
from revproxy.dataplane.http.tracing import ownOf, traceparentOf
from revproxy.explained import Explained, Step, Try, encodeExplained
from revproxy.secrets import hide
from tests.control.traces.receiver import PARENT, SPAN, TRACE, record


class SpansTests(SynchronousTestCase):
    """The spans of one request."""

    def of(self, **changes: Any) -> list[Any]:
        """Of a request with these changes."""
        return Spans("shop").of(record(**changes))

    def at(self, span: Any) -> tuple[float, float]:
        """Beginning and end, in seconds after the head."""
        return tuple(round(at / 1e9 - 1_700_000_000, 6) for at in (span.start_time, span.end_time))  # type: ignore[return-value]

    def test_server(self) -> None:
        """One for the edge: name, kind, times, and what is known of the request; nothing of the query."""
        server, _ = self.of()
        self.assertEqual((server.name, server.kind.name, server.status.status_code.name),
                         ("GET shop/items", "SERVER", "UNSET"))
        self.assertEqual((f"{server.context.trace_id:032x}", f"{server.context.span_id:016x}"), (TRACE, SPAN))
        self.assertEqual(ownOf(record().trace)[36:52].decode(), SPAN)
        self.assertIsNone(server.parent)
        self.assertEqual(self.at(server), (0.0, 0.5))
        self.assertEqual(dict(server.attributes), {
            "http.request.method": "GET", "url.scheme": "https", "url.path": "/items",
            "http.response.status_code": 200, "client.address": "192.0.2.7", "network.protocol.name": "http",
            "network.protocol.version": "1.1", "revproxy.request_id": "a1", "http.route": "shop/items",
            "server.address": "shop.example.com", "server.port": 8443,
        })  # fmt: skip
        resource = server.resource.attributes
        self.assertEqual((resource["service.name"], resource["service.version"]), ("shop", __version__))

    def test_continued(self) -> None:
        """A trace that was continued: whoever called is the parent, and elsewhere."""
        server, client = self.of(trace=f"00-{TRACE}-{SPAN[:14]}01-03-{PARENT}".encode())
        self.assertEqual((f"{server.parent.span_id:016x}", server.parent.is_remote), (PARENT, True))
        self.assertEqual((client.parent.span_id, client.parent.is_remote), (server.context.span_id, False))
        self.assertEqual(int(server.context.trace_flags), 3)

    def test_client(self) -> None:
        """One for the target, with the span that it was told of; from the sending to the head of the answer."""
        _, client = self.of()
        told = traceparentOf(record().trace, 1)
        self.assertEqual((client.name, client.kind.name, f"{client.context.span_id:016x}".encode()),
                         ("GET", "CLIENT", told[36:52]))
        self.assertEqual(self.at(client), (0.125, 0.375))
        self.assertEqual(dict(client.attributes), {
            "http.request.method": "GET", "server.address": "10.0.0.7", "server.port": 9000, "url.scheme": "http",
            "url.full": "http://10.0.0.7:9000/items", "revproxy.upstream": "web", "http.response.status_code": 200,
        })  # fmt: skip

    def test_attempts(self) -> None:
        """One for each target that was tried, each with its own span, times and failure."""
        explained = Explained("retried", tries=(
            Try("http://10.0.0.5:9000", "ConnectionStale: closed", 1, 0.13),
            Try("http://10.0.0.5:9000", "ConnectFailed: refused", 1, 0.15),
            Try("http://10.0.0.6:9000", "UpstreamTimeout: late", 2, 0.3)))
        changes = {"attempts": 3, "explained": encodeExplained(explained)}
        _, first, second, third = self.of(**changes)
        self.assertEqual([self.at(span) for span in (first, second, third)],
                         [(0.125, 0.15), (0.15, 0.3), (0.3, 0.375)])
        self.assertEqual([span.attributes.get("http.request.resend_count") for span in (first, second, third)],
                         [None, 1, 2])
        self.assertEqual([span.attributes.get("error.type") for span in (first, second, third)],
                         ["ConnectFailed", "UpstreamTimeout", None])
        self.assertEqual([span.status.status_code.name for span in (first, second, third)], ["ERROR", "ERROR", "UNSET"])
        self.assertEqual([f"{span.context.span_id:016x}".encode() for span in (first, second, third)],
                         [traceparentOf(record().trace, attempt)[36:52] for attempt in (1, 2, 3)])
        self.assertEqual(len(self.of(attempts=3)), 2)

    def test_manyAttempts(self) -> None:
        """However many, the span is what the target was told."""
        for attempt in (1, 254, 255, 256, 600):
            client = self.of(attempts=attempt)[-1]
            self.assertEqual(f"{client.context.span_id:016x}".encode(), traceparentOf(record().trace, attempt)[36:52])

    def test_statuses(self) -> None:
        """The edge's own span has an error from 500 on, the target's from 400 on; whoever left is no error of ours."""
        for status, server, client in ((301, "UNSET", "UNSET"), (404, "UNSET", "ERROR"), (503, "ERROR", "ERROR")):
            spans = self.of(status=status)
            self.assertEqual([span.status.status_code.name for span in spans], [server, client])
        left = self.of(status=499, error="ClientGone: the client left", upstreamSeconds=None)
        self.assertEqual((left[0].status.status_code.name, left[0].attributes["error.type"]), ("UNSET", "ClientGone"))
        self.assertEqual(self.of(status=500)[0].attributes["error.type"], "500")

    def test_notSent(self) -> None:
        """What a plugin answered, or a leaf, has no client span."""
        changes = {"attempts": 0, "upstream": None, "upstreamSeconds": None, "sentSeconds": None, "pool": ""}
        [server] = self.of(interruptedBy="auth", status=401, **changes)
        self.assertEqual(server.attributes["revproxy.interrupted_by"], "auth")

    def test_lost(self) -> None:
        """A target that never answered: the span ends with the request, with the error."""
        _, client = self.of(status=502, upstreamSeconds=None, error="ConnectFailed: refused")
        self.assertEqual((self.at(client), client.attributes["error.type"], client.status.status_code.name),
                         ((0.125, 0.5), "ConnectFailed", "ERROR"))
        self.assertNotIn("http.response.status_code", client.attributes)

    def test_plugins(self) -> None:
        """Of what was looked at: on the way in one after the other, on the way out up to the end; none twice."""
        explained = Explained("slow", steps=(
            Step("auth", "1.0", "handle", 0.01, 0.04), Step("quota", "2.0", "handle", None, 0.02),
            Step("quota", "2.0", "handleResponse", 0.1)))
        server, _, auth, quota, out = self.of(pluginErrors=("auth",), explained=encodeExplained(explained))
        self.assertEqual([span.name for span in (auth, quota, out)], ["plugin auth", "plugin quota", "plugin quota"])
        times = [tuple(round(each, 3) for each in self.at(span)) for span in (auth, quota, out)]
        self.assertEqual(times, [(0.0, 0.05), (0.05, 0.07), (0.4, 0.5)])
        self.assertEqual((auth.status.status_code.name, quota.status.status_code.name), ("ERROR", "UNSET"))
        self.assertEqual(auth.attributes["revproxy.plugin.loop_seconds"], 0.01)
        self.assertEqual({span.parent.span_id for span in (auth, quota, out)}, {server.context.span_id})
        self.assertEqual(len({span.context.span_id for span in self.of(explained=encodeExplained(explained))}), 5)

    def test_secrets(self) -> None:
        """What is known to be secret is masked in the path, wherever that is."""
        hide("hook-4711-correct-horse")
        server, client = self.of(target=b"/hooks/hook-4711-correct-horse?a=1")
        self.assertEqual(server.attributes["url.path"], "/hooks/***")
        self.assertEqual(client.attributes["url.full"], "http://10.0.0.7:9000/hooks/***")

    def test_strange(self) -> None:
        """What clients send makes no name: unknown methods are one; without a host or a route there is none."""
        server, client = self.of(method=b"BREW", host=b"", route="", version="1.0", target=b"*")
        self.assertEqual((server.name, client.name), ("_OTHER", "_OTHER"))
        self.assertEqual(server.attributes["http.request.method_original"], "BREW")
        self.assertNotIn("server.address", server.attributes)
        self.assertEqual(self.of(host=b"[2001:db8::1]")[0].attributes["server.address"], "2001:db8::1")
        self.assertEqual(self.of(host=b"a")[0].attributes["server.port"], 443)
        self.of(explained=b"nonsense")
