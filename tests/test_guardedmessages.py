"""Tests for `revproxy.guardedmessages` and `revproxy.guardedbody`: the parts of a request and an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.errors import NotPermitted
from revproxy.guardedcontext import GuardedContext
from revproxy.headers import Headers
from revproxy.messages import Peer
from revproxy.permit import Permit
from revproxy.testing import makeContext, makeResponse
from tests.guardedcontexts import EVERYTHING, FIELDS, guarded


class PartTests(SynchronousTestCase):
    """The parts of a request and an answer, one by one."""

    def refusals(self, facade: Any, cases: dict[str, Callable[[Any], Any]]) -> None:
        """Each raises, and names what to ask for."""
        for permission, call in cases.items():
            error = self.assertRaises(NotPermitted, call, facade)
            self.assertEqual(error.permission, permission.partition(" #")[0])

    def test_always(self) -> None:
        """Method and path, and what is nobody's secret."""
        context, facade = guarded()
        request = facade.request
        self.assertEqual((request.method, request.path, request.scheme, request.version, request.rawMethod),
                         ("GET", "/a", "https", "1.1", b"GET"))
        self.assertEqual((facade.route, facade.id, facade.serial, facade.upstream, facade.depth),
                         ("default", "request-1", b"request-1", None, 0))
        self.assertEqual(facade.response.status, 200)
        facade.values["a"] = 1
        facade.fields["b"] = "c"
        facade.id = "mine"
        self.assertEqual((context.values, dict(context.fields), context.id), ({"a": 1}, {"b": "c"}, "mine"))
        self.assertRaises(AttributeError, setattr, facade, "depth", 1)
        self.assertRaises(AttributeError, setattr, facade, "route", "other")

    def test_reading(self) -> None:
        """Whatever else is read takes permission."""
        self.refusals(guarded()[1], {
            "read_headers: :path # 1": lambda facade: facade.request.query,
            "read_headers: :path # 2": lambda facade: facade.request.target,
            "read_headers: :path # 3": lambda facade: facade.request.rawTarget,
            "read_headers: :authority # 1": lambda facade: facade.request.host,
            "read_headers: :authority # 2": lambda facade: facade.request.rawHost,
            "read_headers: :authority # 3": lambda facade: facade.request.tls,
            "read_headers: X-Forwarded-For": lambda facade: facade.request.peer,
            "body: read # 1": lambda facade: facade.request.hasBody,
            "body: read # 2": lambda facade: facade.request.body.read(9),
            "body: read # 3": lambda facade: facade.request.body.length,
            "body: read # 4": lambda facade: facade.response.body.trailers,
            "body: read # 5": lambda facade: facade.response.body.keep(),
            "upstreams: NAME": lambda facade: facade.origins,
        })  # fmt: skip

    def test_changing(self) -> None:
        """Whatever is changed takes permission, and stays as it was without."""
        context, facade = guarded(read_headers=["*", ":path", ":authority"], body="read")
        self.refusals(facade, {
            "write_headers: :method # 1": lambda facade: setattr(facade.request, "method", "PUT"),
            "write_headers: :method # 2": lambda facade: setattr(facade.request, "version", "1.0"),
            "write_headers: :path # 1": lambda facade: setattr(facade.request, "path", "/b"),
            "write_headers: :path # 2": lambda facade: setattr(facade.request, "query", "b"),
            "write_headers: :path # 3": lambda facade: setattr(facade.request, "target", "/b"),
            "write_headers: :authority": lambda facade: setattr(facade.request, "host", "b"),
            "write_headers: X-Forwarded-For": lambda facade: setattr(facade.request, "peer", Peer("a", 1, "a")),
            "write_headers: X-Forwarded-Proto": lambda facade: setattr(facade.request, "scheme", "http"),
            "write_headers: Upgrade": lambda facade: setattr(facade.request, "upgrade", b"x"),
            "write_headers: Te": lambda facade: setattr(facade.request, "wantsTrailers", True),
            "write_headers: Expect": lambda facade: setattr(facade.request, "expectsContinue", True),
            "body: write # 1": lambda facade: facade.request.body.replace(b""),
            "body: write # 2": lambda facade: facade.response.body.addFilter(lambda data, last: data),
            "body: write # 3": lambda facade: facade.response.body.take(),
            "body: write # 4": lambda facade: setattr(facade.request.body, "trailers", None),
            "body: write # 5": lambda facade: setattr(facade.request.body, "readLimit", None),
            "respond: true # 1": lambda facade: facade.respond(403),
            "respond: true # 2": lambda facade: facade.sendInformational(103),
            "respond: true # 3": lambda facade: setattr(facade, "response", makeResponse(500)),
            "respond: true # 4": lambda facade: setattr(facade.response, "status", 500),
            "respond: true # 5": lambda facade: setattr(facade.response, "reason", "No"),
            "write_headers: :path, or :authority": lambda facade: facade.reroute(),
            "upstreams: billing": lambda facade: setattr(facade, "upstream", "billing"),
            "upstreams: NAME # 1": lambda facade: setattr(facade, "upstream", None),
            "upstreams: NAME # 2": lambda facade: setattr(facade, "origin", "http://x"),
        })  # fmt: skip
        request, response = context.request, context.response
        self.assertEqual((request.method, request.target, request.host, request.peer.host, request.scheme),
                         ("GET", "/a?q=1", "www.example.com", "192.0.2.1", "https"))
        assert response is not None
        self.assertEqual((response.status, self.successResultOf(response.body.read(99))), (200, b"answer"))

    def test_granted(self) -> None:
        """With permission, all of it is done to the request itself."""
        context = makeContext(target="/a?q=1", headers=FIELDS, body=b"body")
        facade: Any = GuardedContext(context, Permit(EVERYTHING))
        facade.request.method = "PUT"
        facade.request.target = "/b?c"
        facade.request.host = "other.example"
        facade.request.body.replace(b"new")
        self.assertEqual((context.request.method, context.request.target, context.request.host),
                         ("PUT", "/b?c", "other.example"))
        self.assertEqual(self.successResultOf(facade.request.body.read(99)), b"new")
        self.assertEqual(context.request.body.length, 3)
        self.assertRaises(AttributeError, setattr, facade.request, "body", b"")

    def test_trailers(self) -> None:
        """Of trailers, fields are seen as of a head."""
        context, facade = guarded(body="read", read_headers=["X-Sum"])
        context.request.body.trailers = Headers.of({"X-Sum": "1", "X-Other": "2"})
        self.assertEqual(list(facade.request.body.trailers), [("X-Sum", "1")])

    def test_hints(self) -> None:
        """What may be said early may be said: ``read_headers: Forwarded`` is to see the client, too."""
        self.assertEqual(guarded(read_headers=["Forwarded"])[1].request.peer.host, "192.0.2.1")
