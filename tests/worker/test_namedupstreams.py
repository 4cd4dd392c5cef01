"""Requests of plugins in locked processes, to upstreams by their names."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.body import Body
from revproxy.errors import BodyTooLarge, Unavailable
from revproxy.isolation.frames import SendRequest
from revproxy.worker.namedupstreams import NamedUpstreams, _PluginsRequest, _read
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


class ReadTests(SynchronousTestCase):
    """Bodies of answers: no more is held than was asked for before."""

    def read(self, length: int | None, most: int, *pieces: bytes) -> tuple[Any, list[int]]:
        held: list[int] = []
        body = Body(None, length)
        reading = Deferred.fromCoroutine(_read(body, most, held.append))
        for piece in pieces:
            body.feed(piece)
        body.finish()
        found: list[Any] = []
        reading.addBoth(found.append)
        return found[0], held

    def test_known(self) -> None:
        """All of it at once."""
        self.assertEqual(self.read(4, 100, b"four"), (b"four", [4]))
        failure, held = self.read(4, 3, b"four")
        self.assertTrue(failure.check(BodyTooLarge))
        self.assertEqual(held, [])

    def test_notKnown(self) -> None:
        """More and more, up to the most; what was here stays."""
        data = bytes(range(250)) * 400
        self.assertEqual(self.read(None, 1 << 20, *[data] * 5), (data * 5, [65536, 196608, 786432]))
        failure, held = self.read(None, 200_000, *[data] * 5)
        self.assertTrue(failure.check(BodyTooLarge))
        self.assertEqual(sum(held), 200_000)

    def test_tooMuch(self) -> None:
        """What is too much is told to whoever asks."""
        def hold(size: int) -> None:
            raise OSError(size)

        reading = Deferred.fromCoroutine(_read(Body(None, 5), 100, hold))
        self.failureResultOf(reading, OSError)
