"""The small languages inside values; what is refused in context is in test_configfile and test_routeconfig."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config import syntax
from revproxy.config.syntax import routePath
from revproxy.readings import Budget, segmentReadings


class SyntaxTests(SynchronousTestCase):
    """Each text alone."""

    def refused(self, check: Callable[[str], object], text: str) -> str:
        return str(self.assertRaises(ValueError, check, text))

    def test_endpoint(self) -> None:
        """What Twisted can make stays as it is written; a path that is too long is refused before anything is bound."""
        for text in ("tcp:8080", "tcp:8080:interface=127.0.0.1", "tcp6:80", "unix:/run/edge.sock"):
            self.assertEqual(syntax.endpoint(text), text)
        for text in ("systemd:domain=INET:index=0", "systemd:domain=INET6:name=https", "systemd:domain=UNIX:name=a.b"):
            self.assertEqual(syntax.endpoint(text), text)
        for text in ("systemd:", "systemd:domain=X:index=0", "systemd:domain=INET", "systemd:domain=INET:name=a:b"):
            self.assertIn("write systemd:domain=INET:name=NAME", self.refused(syntax.endpoint, text))
        self.assertIn("is no port number", self.refused(syntax.endpoint, "tcp:http"))
        self.assertIn("port 70000 is not between", self.refused(syntax.endpoint, "tcp:70000"))
        longest = "unix:" + "/" + "a" * (syntax.SOCKET_PATH_LIMIT - 1)
        self.assertEqual(syntax.endpoint(longest), longest)
        self.assertIn("108 bytes", self.refused(syntax.endpoint, longest + "a"))

    def test_network(self) -> None:
        """Addresses and networks; bits beyond the prefix are a mistake whose correction is told."""
        for text in ("10.0.0.1", "10.0.0.0/8", "::1", "2001:db8::/32"):
            self.assertEqual(syntax.network(text), text)
        self.assertIn("did you mean 10.0.0.0/8?", self.refused(syntax.network, "10.0.0.1/8"))
        self.assertIn("neither an address nor a network", self.refused(syntax.network, "ten"))

    def test_hostName(self) -> None:
        """Names become lower case, IPv6 addresses short; names beyond ASCII are told as they are sent."""
        self.assertEqual(syntax.hostName("Shop.Example"), "shop.example")
        self.assertEqual(syntax.hostName("[2001:DB8::0:1]"), "[2001:db8::1]")
        self.assertEqual(syntax.hostName("*.Example.com", wildcard=True), "*.example.com")
        self.assertIn("no wildcard is possible here", self.refused(syntax.hostName, "*.example.com"))
        self.assertIn("xn--bcher-kva", self.refused(syntax.hostName, "bücher"))
        self.assertIn("nor an IPv4 address", self.refused(syntax.hostName, "10.0.0.256"))

    def test_targetURL(self) -> None:
        """Scheme, host and port, which has a default; an IPv6 address without its brackets."""
        self.assertEqual(syntax.targetURL("http://A.example"), ("http", "a.example", 80))
        self.assertEqual(syntax.targetURL("https://[::1]"), ("https", "::1", 443))
        self.assertEqual(syntax.targetURL("http://10.0.0.1:8080"), ("http", "10.0.0.1", 8080))
        self.assertIn("port 0 cannot be connected to", self.refused(syntax.targetURL, "http://a:0"))
        self.assertIn("no path", self.refused(syntax.targetURL, "http://a/"))

    def test_method(self) -> None:
        """Any token is one, as it is spelled; of standard ones another case is a mistake."""
        for text in ("GET", "PURGE", "X-1", "Mine"):
            self.assertEqual(syntax.method(text), text)
        self.assertIn("did you mean POST?", self.refused(syntax.method, "Post"))

    def test_headerField(self) -> None:
        """White space around a value goes; what frames messages is not for users to say."""
        self.assertEqual(syntax.headerField("X-A", " b\t"), ("X-A", "b"))
        self.assertEqual(syntax.headerField("X-A", "caf\xe9"), ("X-A", "caf\xe9"))
        for name in ("Content-Length", "connection", "Transfer-Encoding"):
            error = self.assertRaises(ValueError, syntax.headerField, name, "x")
            self.assertIn("is set by the edge itself", str(error))

    def test_dottedName(self) -> None:
        """At least two names with a dot between them."""
        self.assertEqual(syntax.dottedName("a_1.b.C"), "a_1.b.C")
        for text in ("a", "a.", ".a", "a.1", "a b.c"):
            self.assertIn("is no dotted name", self.refused(syntax.dottedName, text))

    @given(st.text(st.sampled_from("ab/.; \\%?#:@~!") | st.characters(codec="utf-8"), max_size=12))
    def test_routePath(self, text: str) -> None:
        """A path that a route can have means one thing to all origins; so requests for it are not refused."""
        try:
            path = routePath(f"/{text}")
        except ValueError:
            return
        for name in path.split("/")[1:]:
            written = quote(name, safe="~!$&'()*+,=:@").encode()
            self.assertEqual(segmentReadings(written, Budget()), ({(name.encode(),)}, set()))
