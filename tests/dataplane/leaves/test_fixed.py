"""Tests for :mod:`revproxy.dataplane.leaves.fixed`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from revproxy.dataplane.http.interfaces import ILeaf
from revproxy.dataplane.leaves.fixed import RedirectLeaf, RespondLeaf
from revproxy.dataplane.leaves.leaf import Leaf
from tests.dataplane.doubles import EdgeDouble


def answer(leaf: Leaf, target: bytes = b"/", host: bytes = b"a.example:8080", method: bytes = b"GET") -> bytes:
    client = EdgeDouble(leaf).connect()
    client.send(method + b" " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    return client.received()


class RespondTests(SynchronousTestCase):
    """The same answer for everyone."""

    def test_answer(self) -> None:
        """Status, headers and body are as configured."""
        leaf = RespondLeaf(418, b"tea", {"X-Pot": "short", "Content-Type": "text/tea"})
        self.assertTrue(verifyObject(ILeaf, leaf))
        self.assertEqual(
            answer(leaf),
            b"HTTP/1.1 418 I'm a Teapot\r\nX-Pot: short\r\nContent-Type: text/tea\r\nContent-Length: 3\r\n\r\ntea",
        )

    def test_ownCopy(self) -> None:
        """What is done to one response does not show in the next."""
        edge = EdgeDouble(RespondLeaf(200, b"hi", {}))
        client = edge.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        first = client.received()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(client.received(), first)

    def test_type(self) -> None:
        """A body has a type, none needs none."""
        self.assertIn(b"Content-Type: text/plain; charset=utf-8\r\n", answer(RespondLeaf(200, b"x", {})))
        self.assertNotIn(b"Content-Type", answer(RespondLeaf(200, b"", {})))

    def test_badHeaders(self) -> None:
        """Headers that cannot be sent are refused when the leaf is made."""
        for headers in ({"a b": "c"}, {"X": "a\r\nb"}, {"Content-Length": "5"}):
            with self.assertRaises(ValueError):
                RespondLeaf(200, b"", headers)


class RedirectTests(SynchronousTestCase):
    """Elsewhere (RFC 9110 §15.4)."""

    def location(self, leaf: RedirectLeaf, target: bytes = b"/a%20b/c?d=e&f", host: bytes = b"a.example:8080") -> bytes:
        received = answer(leaf, target, host)
        (line,) = [line for line in received.split(b"\r\n") if line.startswith(b"Location: ")]
        return line[10:]

    def test_fixed(self) -> None:
        """A location without placeholders is sent as it is."""
        received = answer(RedirectLeaf("https://b.example/", 308))
        self.assertTrue(received.startswith(b"HTTP/1.1 308 Permanent Redirect\r\n"), received)
        self.assertIn(b"Location: https://b.example/\r\n", received)
        self.assertTrue(received.endswith(b"Content-Length: 0\r\n\r\n"))

    def test_placeholders(self) -> None:
        """Parts of the request can be put in, byte for byte."""
        for location, expected in (
            ("https://{host}{target}", b"https://a.example:8080/a%20b/c?d=e&f"),
            ("https://{hostname}{target}", b"https://a.example/a%20b/c?d=e&f"),
            ("/new{path}?old={query}", b"/new/a%20b/c?old=d=e&f"),
        ):
            self.assertEqual(self.location(RedirectLeaf(location, 301)), expected)

    def test_hostnames(self) -> None:
        """The port is left out of the name, also behind an IPv6 address."""
        leaf = RedirectLeaf("https://{hostname}/", 301)
        for host, expected in ((b"a.example", b"a.example"), (b"[::1]:80", b"[::1]"), (b"[::1]", b"[::1]")):
            self.assertEqual(self.location(leaf, b"/", host), b"https://" + expected + b"/")

    def test_staysOnSite(self) -> None:
        """A location that is a path is one of this site, whatever the request's path is."""
        for location, target, expected in (
            ("{target}", b"//evil.example/a?b", b"/evil.example/a?b"),
            ("{path}?x", b"/\\evil.example", b"/evil.example?x"),
            ("{path}", b"///\\//evil.example", b"/evil.example"),
            ("{target}", b"/a//b", b"/a//b"),
            ("{target}", b"//", b"/"),
            ("/x{path}", b"//evil.example", b"/x//evil.example"),
            ("/x{query}", b"/?//evil.example", b"/x//evil.example"),
            ("//cdn.example{path}", b"//evil.example", b"//cdn.example//evil.example"),
            ("https://b.example{target}", b"//evil.example", b"https://b.example//evil.example"),
        ):
            self.assertEqual(self.location(RedirectLeaf(location, 302), target), expected, location)

    def test_noPath(self) -> None:
        """The target * is no part of a host."""
        received = answer(RedirectLeaf("https://{hostname}{target}", 308), b"*", method=b"OPTIONS")
        self.assertIn(b"Location: https://a.example/\r\n", received)

    def test_noHost(self) -> None:
        """Without a host nothing else becomes one."""
        for location, status in (("https://{host}{target}", b"400"), ("/{host}{query}", b"302")):
            client = EdgeDouble(RedirectLeaf(location, 302)).connect()
            client.send(b"GET //evil.example/?/evil.example HTTP/1.0\r\n\r\n")
            received = client.received()
            self.assertTrue(received.startswith(b"HTTP/1.1 " + status), received)
            self.assertNotIn(b"//evil", received)

    def test_lineEnds(self) -> None:
        """What is put in has no line ends: encoded ones stay encoded."""
        leaf = RedirectLeaf("/a?{query}", 302)
        self.assertEqual(self.location(leaf, b"/?b%0d%0aSet-Cookie:c"), b"/a?b%0d%0aSet-Cookie:c")
        for control in (b"\r", b"\n", b"\0", b"\t", b"\x7f"):
            received = answer(RedirectLeaf("/a?{query}", 302), b"/?b" + control + b"c")
            self.assertTrue(received.startswith(b"HTTP/1.1 400 "), received)

    def test_placeholdersInRequest(self) -> None:
        """What looks like a placeholder in the request is not one."""
        leaf = RedirectLeaf("https://b.example{path}", 301)
        self.assertEqual(self.location(leaf, b"/{query}?secret"), b"https://b.example/{query}")
