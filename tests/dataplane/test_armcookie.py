"""Tests for `revproxy.dataplane.armcookie`: the cookie by which clients stay with a version."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.context import Headers, Response
from revproxy.dataplane.armcookie import IssuedDraw, Issuer
from revproxy.messages import Request
from revproxy.testing import makeContext
from tests.trials import bits

SALT, KEY = b"0123456789abcdef", b"k" * 32


def requestWith(cookie: str = "", host: str = "192.0.2.1", scheme: str = "http", method: str = "GET") -> Request:
    """A client's request."""
    headers = {"Cookie": cookie} if cookie else {}
    request: Request = makeContext(method, headers=headers, client=host, scheme=scheme).request
    return request


class StreamDouble:
    """A client's side of an exchange."""

    hasSent = False

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def sendInformational(self, status: int, headers: Headers) -> None:
        self.calls.append(status)

    def sendResponse(self, response: Response) -> None:
        self.hasSent = True
        self.calls.append(response._headers.getAll("set-cookie"))

    def switchProtocols(self, response: Response, tunnel: Any) -> None:
        self.calls.append(tunnel)

    def abort(self) -> None:
        self.calls.append("abort")


class CookieTests(SynchronousTestCase):
    """One trial."""

    def setUp(self) -> None:
        self.draw = IssuedDraw("7f", SALT, bits(range(0, 4096, 2)), KEY)
        self.issuer = Issuer([self.draw])

    def valueFor(self, request: Request) -> str:
        return self.issuer.cookieFor(request).partition(b"=")[2].partition(b";")[0].decode()

    def test_stays(self) -> None:
        """Who sends it stays, wherever it comes from, and gets no other one."""
        first = self.draw.standingOf(requestWith())
        self.assertTrue(first.lacksCookie)
        value = self.valueFor(requestWith())
        later = self.draw.standingOf(requestWith(f"x=y; revproxy_arm={value}", "198.51.100.9"))
        self.assertEqual((later.bucket, later.isCandidate, later.lacksCookie), (first.bucket, first.isCandidate, False))

    def test_refused(self) -> None:
        """Who does not send it back is told by address, each time."""
        buckets = {self.draw.standingOf(requestWith()).bucket for _ in range(3)}
        self.assertEqual(buckets, {self.draw.byAddress("192.0.2.1").bucket})

    def test_attributes(self) -> None:
        """Nobody but the edge reads it; it does not go over the wire in the clear where it has not come so."""
        plain, secure = self.issuer.cookieFor(requestWith()), self.issuer.cookieFor(requestWith(scheme="https"))
        self.assertTrue(plain.endswith(b"; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"), plain)
        self.assertTrue(secure.endswith(b"; Path=/; Max-Age=2592000; Secure; HttpOnly; SameSite=Lax"), secure)

    def test_forged(self) -> None:
        """Nobody chooses a bucket: what was not signed so is none, whatever it is."""
        value = self.valueFor(requestWith())
        data = urlsafe_b64decode(value + "=" * (-len(value) % 4))
        bad = [bytes((*data[:at], data[at] ^ 1, *data[at + 1 :])) for at in range(len(data))]
        other = IssuedDraw("7f", SALT, bits(()), b"x" * 32)
        bad += [b"", b"\x01", data[:-1], b"\x01" + other.entry(5), b"\x02" + data[1:], b"\x01" + self.draw._tag]
        texts = [urlsafe_b64encode(each).rstrip(b"=").decode() for each in bad]
        for text in (*texts, "é", "!!", "a" * 5, "A" * 10_000, "=", '"'):
            self.assertTrue(self.draw.standingOf(requestWith(f"revproxy_arm={text}")).lacksCookie, text)

    def test_largeBucket(self) -> None:
        """A bucket that there is not is none, even if it is signed."""
        value = urlsafe_b64encode(b"\x01" + self.draw.entry(4096)).rstrip(b"=").decode()
        self.assertTrue(self.draw.standingOf(requestWith(f"revproxy_arm={value}")).lacksCookie)

    def test_severalTrials(self) -> None:
        """One cookie for all of them; when another begins, clients get one for both and stay where they are."""
        request = requestWith(f"revproxy_arm={self.valueFor(requestWith())}", "198.51.100.9")
        before = self.draw.standingOf(request).bucket
        second = IssuedDraw("8a", SALT[::-1], bits(()), KEY)
        self.assertTrue(second.standingOf(request).lacksCookie)
        self.issuer = Issuer([second, self.draw])
        both = requestWith(f"revproxy_arm={self.valueFor(request)}", "203.0.113.5")
        self.assertEqual(self.draw.standingOf(both).bucket, before)
        self.assertEqual(second.standingOf(both).bucket, second.byAddress("198.51.100.9").bucket)
        self.assertFalse(second.standingOf(both).lacksCookie)


class IssuingStreamTests(SynchronousTestCase):
    """`IssuingStream`."""

    def setUp(self) -> None:
        self.real = StreamDouble()
        request = requestWith()
        self.stream = Issuer([IssuedDraw("7f", SALT, bits(()), KEY)]).through(request)(self.real)

    def test_given(self) -> None:
        """With an answer that is the client's alone, besides the cookies that are there."""
        headers = Headers.of({"Cache-Control": "private", "Set-Cookie": "a=b"})
        self.stream.sendResponse(Response(200, None, headers, None))
        [[other, cookie]] = self.real.calls
        self.assertEqual((other, cookie.partition("=")[0]), ("a=b", "revproxy_arm"))
        self.assertTrue(self.stream.hasSent)

    def test_shared(self) -> None:
        """Where a plugin answers several clients with the same fields, none gets another one's cookie."""
        headers = Headers.of({"Cache-Control": "private"})
        for _ in range(2):
            self.stream.sendResponse(Response(200, None, headers, None))
        self.assertEqual([len(cookies) for cookies in self.real.calls], [1, 1])
        self.assertIsNone(headers.get("Set-Cookie"))

    def test_kept(self) -> None:
        """An answer that others may get from a cache has none."""
        self.stream.sendResponse(Response(200, None, Headers.of({"Cache-Control": "max-age=60"}), None))
        self.assertEqual(self.real.calls, [[]])

    def test_others(self) -> None:
        """All else is passed on."""
        self.assertFalse(self.stream.hasSent)
        self.stream.sendInformational(103, Headers())
        self.stream.switchProtocols(Response(101, None, Headers(), None), "tunnel")
        self.stream.abort()
        self.assertEqual(self.real.calls, [103, "tunnel", "abort"])
