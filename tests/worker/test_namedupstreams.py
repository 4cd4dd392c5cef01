"""Requests of plugins in locked processes, to upstreams by their names."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.errors import Unavailable
from revproxy.isolation.frames import SendRequest
from revproxy.worker.namedupstreams import NamedUpstreams, _PluginsRequest
from tests.worker.test_upstreamfactory import FactoryCase


class TargetDouble:
    host = b"origin.example"


def frame(**changes: Any) -> SendRequest:
    usual: dict[str, Any] = {"method": b"GET", "upstream": "app", "target": b"/a?b", "fields": (), "body": b""}
    return SendRequest(1, 0, **{**usual, **changes})


class HeadTests(SynchronousTestCase):
    """What is written."""

    def head(self, **changes: Any) -> bytes:
        request = _PluginsRequest(None, frame(**changes))  # type: ignore[arg-type]
        request.aimAt(TargetDouble())  # type: ignore[arg-type]
        return request.head

    def test_head(self) -> None:
        """As the plugin has it, with the target's host and the body's length."""
        self.assertEqual(self.head(fields=((b"X-A", b"1"),)),
                         b"GET /a?b HTTP/1.1\r\nHost: origin.example\r\nX-A: 1\r\n\r\n")  # fmt: skip
        self.assertTrue(self.head(method=b"POST", body=b"four").endswith(b"\r\nContent-Length: 4\r\n\r\n"))
        self.assertTrue(self.head(method=b"PUT").endswith(b"\r\nContent-Length: 0\r\n\r\n"))


class AskTests(FactoryCase):
    """Upstreams as they are configured."""

    def test_unknown(self) -> None:
        """One that is configured no more, or the name of a host."""
        named = NamedUpstreams(dict, self.reactor)
        self.assertRaises(Unavailable, named.ask, frame(upstream="www.example"), 1.0, 100)

    def test_late(self) -> None:
        """What does not answer in time is given up."""
        known = self.make(self.config())
        named = NamedUpstreams(lambda: known, self.reactor)
        asked: Deferred[Any] = named.ask(frame(), 2.0, 100)
        self.assertNoResult(asked)
        self.reactor.advance(2.0)
        self.assertIn("Time", type(self.failureResultOf(asked).value).__name__)
