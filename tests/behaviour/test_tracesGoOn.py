"""
Each request belongs to a trace, from the client's bytes to the origin's: continued from whom we believe, begun here
otherwise. No client can say otherwise; plugins can.
"""

from __future__ import annotations

import json
import re
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.addresses import AddressSet
from revproxy.context import Context
from revproxy.dataplane.accessline import formatJSON
from revproxy.dataplane.http.limits import Limits
from revproxy.dataplane.http.tracing import Tracing
from revproxy.dataplane.listener import Listener
from tests.behaviour.test_reroutingSkipsNothing import Site, Step

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAID = f"traceparent: 00-{TRACE}-{PARENT}-01\r\n"


class Traced(Site):
    """
    A site whose only peer is trusted, or not.

    :ivar seen: what a plugin has seen of traces.
    """

    def __init__(self, trusts: bool = False, does: Any = lambda context: True, tracing: Any = "trusted") -> None:
        self.seen: list[tuple[str | None, str | None]] = []

        def look(context: Context) -> Any:
            headers = context.request.headers
            self.seen.append((headers.get("traceparent"), headers.get("tracestate")))
            return does(context)

        super().__init__([Step("look", look)], [])
        self.edge.tracing = Tracing(tracing, 0.0) if tracing else None
        trusted = AddressSet(["192.0.2.0/24"]) if trusts else None
        self.listener = Listener(self.edge, tls=False, trusted=trusted)

    def traces(self) -> list[tuple[bytes | None, bytes | None]]:
        """What the origins heard of traces."""
        heard = [one for origin in self.origins.values() for one in origin.heard]
        return [(one.get(b"traceparent"), one.get(b"tracestate")) for one in heard]


class TraceTests(SynchronousTestCase):
    """Requests through the whole data plane."""

    def one(self, site: Traced, fields: str = "") -> tuple[str, str, str, str | None]:
        """:returns: of one request, what the plugin saw, what the origin heard, the record, and the origin's state."""
        self.assertEqual(site.get("/", fields), [200])
        [(heard, state)] = site.traces()
        [record] = site.log.records
        assert heard is not None
        seen = site.seen[0][0] or ""
        return seen, heard.decode(), record.trace.decode(), None if state is None else state.decode()

    def test_begins(self) -> None:
        """Without one, a trace begins: plugin, origin, record and access log tell of the same."""
        site = Traced()
        seen, heard, record, state = self.one(site)
        self.assertEqual((heard, state), (record, None))
        self.assertEqual((heard[:50], heard[52:]), (seen[:50], seen[52:]))
        self.assertNotEqual(heard, seen)
        line = json.loads(formatJSON(site.log.records))
        self.assertEqual(line["trace_id"], record[3:35])

    def test_continued(self) -> None:
        """A trusted proxy's goes on, and its state; the parent is remembered."""
        seen, heard, record, state = self.one(Traced(trusts=True), SAID + "tracestate: a=1\r\nTraceState: b=2\r\n")
        self.assertEqual((seen[3:35], heard[3:35], record[3:35]), (TRACE,) * 3)
        self.assertEqual((record[55:], state), (f"-{PARENT}", "a=1,b=2"))
        self.assertNotIn(PARENT, seen + heard)

    def test_strangers(self) -> None:
        """A stranger's is dropped, however it is spelt; so is a malformed one, and two."""
        two = SAID + SAID.replace(PARENT, PARENT[::-1])
        for site, fields in (
            (Traced(), SAID + "tracestate: a=1\r\n"),
            (Traced(), SAID.title() + "TRACESTATE: a=1\r\n"),
            (Traced(trusts=True), SAID.upper() + "tracestate: a=1\r\n"),
            (Traced(trusts=True), two + "tracestate: a=1\r\n"),
            (Traced(trusts=True, tracing="never"), SAID),
        ):
            seen, heard, _, state = self.one(site, fields)
            self.assertIsNone(state)
            self.assertIsNone(site.seen[0][1])
            self.assertNotIn(TRACE, (seen + heard).lower())

    def test_blanks(self) -> None:
        """Blanks around the value are not part of it (RFC 9110 §5.5)."""
        _, heard, _, state = self.one(
            Traced(trusts=True), SAID.replace(": ", ": \t").replace("\r", " \r") + "tracestate: a=1 \r\n"
        )
        self.assertEqual((heard[3:35], state), (TRACE, "a=1"))

    def test_nominated(self) -> None:
        """One that concerns the connection alone does not go on (RFC 9110 §7.6.1)."""
        _, heard, _, state = self.one(
            Traced(trusts=True), SAID + "tracestate: a=1\r\nConnection: traceparent, tracestate\r\n"
        )
        self.assertNotIn(TRACE, heard)
        self.assertIsNone(state)

    def test_lookalikes(self) -> None:
        """With underscores kept, what only looks like it is nothing to us."""
        site = Traced(trusts=True)
        site.edge.limits = Limits(keepsUnderscores=True)
        _, heard, _, _ = self.one(site, SAID.replace("traceparent", "trace_parent"))
        self.assertNotIn(TRACE, heard)

    def test_pluginChanges(self) -> None:
        """What a plugin puts in its place arrives; what it takes out does not."""

        def replace(context: Context) -> bool:
            context.request.headers.set("traceparent", "mine")
            return True

        def remove(context: Context) -> bool:
            context.request.headers.remove("traceparent")
            return True

        for does, heard in ((replace, b"mine"), (remove, None)):
            site = Traced(does=does)
            site.get()
            self.assertEqual(site.traces(), [(heard, None)])

    def test_attempts(self) -> None:
        """Each target that is tried has a parent of its own."""
        site = Traced()
        lost = site.origins["http://app0"]
        lost.headHeard = lambda connection, heard: connection.wire.leave()  # type: ignore[method-assign]
        lost.wholeHeard = lambda connection, heard: None  # type: ignore[method-assign]
        self.assertEqual(site.get(), [200])
        [(first, _), (second, _)] = site.traces()
        [record] = site.log.records
        assert first is not None and second is not None
        self.assertEqual((record.attempts, first[:50], second[:50]), (2, record.trace[:50], record.trace[:50]))
        self.assertEqual((first[50:52], second[50:52]), (b"01", b"02"))

    def test_pipeline(self) -> None:
        """Each request of a connection has a trace of its own."""
        site = Traced()
        client = site.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
        self.assertEqual(len({trace[3:35] for trace, _ in site.traces() if trace is not None}), 5)

    def test_off(self) -> None:
        """Off, they are fields like any other, and nothing is recorded."""
        site = Traced(tracing=None)
        self.assertEqual(site.get("/", "traceparent: x\r\nTraceparent: y\r\n"), [200])
        self.assertEqual(site.log.records[0].trace, b"")
        [origin] = [origin for origin in site.origins.values() if origin.heard]
        self.assertEqual([value for name, value in origin.heard[0].headers if name == b"traceparent"], [b"x", b"y"])
        self.assertNotIn("trace_id", json.loads(formatJSON(site.log.records)))

    def test_switched(self) -> None:
        """Switched while a request is under way, that request goes on as it began."""

        def does(context: Context) -> bool:
            site.edge.tracing = None
            return True

        site = Traced(does=does)
        seen, heard, record, _ = self.one(site)
        self.assertTrue(re.match("00-[0-9a-f]{32}-", seen) and heard[:50] == seen[:50] == record[:50])
