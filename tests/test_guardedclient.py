"""Tests for `revproxy.guardedclient`, and for what a host refuses to a plugin with permissions."""

from __future__ import annotations

from typing import Any

from hyperlink import DecodedURL
from twisted.trial.unittest import SynchronousTestCase

from revproxy.errors import NotPermitted
from revproxy.hostclient import HostClient
from revproxy.testing import ClientAnswer, HostDouble

UPSTREAMS = {"billing": ["http://10.0.0.1:8080", "http://10.0.0.2:8080"], "other": ["https://other.example"]}


class GuardedCase(SynchronousTestCase):
    """A host whose plugin has permissions."""

    def host(self, **permissions: Any) -> HostDouble:
        """:param permissions: as plugin.json has them."""
        return HostDouble(permissions=permissions, upstreams=UPSTREAMS)


class GuardedClientTests(GuardedCase):
    """`GuardedClient`."""

    def sent(self, url: Any, host: HostDouble | None = None) -> str:
        """:returns: where a request went."""
        host = host or self.host(upstreams=["billing"])
        for place in ("http://10.0.0.1:8080", "http://10.0.0.2:8080"):
            for path in ("", "/a?b=c"):
                host.clientDouble.answers("GET", place + path, ClientAnswer(200))
        self.successResultOf(host.client.get(url))
        [*_, (_, went, options)] = host.clientDouble.requests
        self.assertIs(options["allow_redirects"], False)
        return went

    def test_name(self) -> None:
        """The name of an upstream stands for its targets, in turn; those that are down are left out."""
        host = self.host(upstreams=["billing"])
        went = [self.sent("http://billing/a?b=c", host) for _ in range(3)]
        self.assertEqual(went, [f"http://10.0.0.{number}:8080/a?b=c" for number in (1, 2, 1)])
        host.destinationsDouble.down.add("http://10.0.0.1:8080")
        self.assertEqual({self.sent("http://billing/a?b=c", host) for _ in range(2)}, {"http://10.0.0.2:8080/a?b=c"})

    def test_allDown(self) -> None:
        """Where all targets are down, they are tried."""
        host = self.host(upstreams=["billing"])
        host.destinationsDouble.down.update(UPSTREAMS["billing"])
        self.assertIn(self.sent("http://billing", host), UPSTREAMS["billing"])

    def test_target(self) -> None:
        """A plugin that knows the URL of a target may go on using it, in whatever form treq takes."""
        for url in ("http://10.0.0.2:8080/a?b=c", b"http://10.0.0.2:8080/a?b=c",
                    DecodedURL.from_text("http://10.0.0.2:8080/a?b=c")):
            self.assertEqual(self.sent(url), "http://10.0.0.2:8080/a?b=c")

    def test_refused(self) -> None:
        """Anything else raises, and says what to ask for: another scheme or port is another place."""
        host = self.host(upstreams=["billing"])
        for url, permission in (
            ("https://other.example/", "upstreams: other.example"), ("http://other/", "upstreams: other"),
            ("http://10.0.0.2:8081/", "upstreams: 10.0.0.2:8081"),
            ("https://10.0.0.2:8080/", "upstreams: 10.0.0.2:8080"),
            ("http://billing@other.example/", "upstreams: other.example"), ("/a", "upstreams: NAME"),
        ):  # fmt: skip
            self.assertEqual(self.assertRaises(NotPermitted, host.client.get, url).permission, permission)
        self.assertEqual(host.clientDouble.requests, [])

    def test_configuredNoMore(self) -> None:
        """What was granted and is no upstream is an error where it is used, and in nobody's way elsewhere."""
        host = self.host(upstreams=["gone", "billing"])
        self.assertRaises(ValueError, host.client.get, "http://gone/")
        self.assertEqual(self.sent("http://10.0.0.1:8080", host), "http://10.0.0.1:8080")


class GuardedHostTests(GuardedCase):
    """What else a host has."""

    def test_nothing(self) -> None:
        """Without permission there is neither a client, nor a store, nor a figure."""
        host = self.host()
        for use, permission in (
            (lambda: host.client, "upstreams: NAME"), (lambda: host.store, "store: true"),
            (lambda: host.counter("a_total"), "figures: true"), (lambda: host.histogram("a"), "figures: true"),
        ):  # fmt: skip
            self.assertEqual(self.assertRaises(NotPermitted, use).permission, permission)

    def test_granted(self) -> None:
        """With it, there are; and what says nothing has all of it."""
        host = self.host(store=True, figures=True)
        host.counter("a_total").inc()
        self.assertIsNone(self.successResultOf(host.store.get("a")))
        plain = HostDouble()
        plain.counter("a_total").inc()
        self.assertIs(type(plain.client), HostClient)
