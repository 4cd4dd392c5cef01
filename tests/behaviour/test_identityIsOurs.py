"""
What the edge and its plugins tell an origin of the client, no client can say in their place.

The origins here are behind gateways: CGI and WSGI make ``HTTP_X_USER`` of ``X-User`` and of ``X_User``, PHP of
``X.User`` as well, lighttpd of ``X~User`` and of whatever else is no letter and no digit; and one of them wins. So of
every such name there must be one value, and it must be ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import chain, product
from typing import Any

import bcrypt
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.chain import Chain
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.http.limits import Limits
from revproxy.host import Host
from revproxy.plugins.basic_auth import BasicAuth
from revproxy.plugins.headers import EditHeaders
from revproxy.plugins.request_id import RequestId
from revproxy.testing import ClientDouble
from tests.behaviour.pipeline import Heard, Pipeline
from tests.dataplane.doubles import makeLink

CREDENTIALS = "Authorization: Basic YWxpY2U6d29uZGVy"


class Threads:
    """A thread pool whose work is done at once."""

    def start(self) -> None:
        """Nothing to start."""

    def callInThreadWithCallback(self, onResult: Callable[[bool, Any], None], function: Any, *arguments: Any) -> None:
        onResult(True, function(*arguments))

    def callFromThread(self, function: Any, *arguments: Any) -> None:
        function(*arguments)


def basicAuth(**config: Any) -> BasicAuth:
    """The plugin, started, with a user."""
    users = {"alice": bcrypt.hashpw(b"wonder", bcrypt.gensalt(4)).decode()}
    threads = Threads()
    plugin = BasicAuth({"users": users, **config}, lambda: 0.0, lambda size: threads)
    plugin.attach(Host(threads, "basic-auth", "1", ClientDouble))
    plugin.start()
    return plugin


def spellings(name: str) -> list[str]:
    """Every spelling that a gateway reads as this name, in two cases."""
    parts = name.split("-")
    found = []
    between = len(parts) - 1
    for joints in (*product("-_.", repeat=between), *((joint,) * between for joint in "~!+" if between)):
        spelling = "".join(part + joint for part, joint in zip(parts, (*joints, ""), strict=True))
        found += [spelling, spelling.lower()]
    return found


def environment(heard: Heard) -> dict[str, list[bytes]]:
    """What a gateway makes of the fields, and of the trailers if it is careless."""
    made: dict[str, list[bytes]] = {}
    for name, value in heard.headers + heard.trailers:
        key = "HTTP_" + re.sub("[^A-Z0-9]", "_", name.decode().upper())
        made.setdefault(key, []).append(value)
    return made


CHUNKED = "Transfer-Encoding: chunked\r\nConnection: TE\r\nTE: trailers\r\nTrailer: "
OWN = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO", "HTTP_FORWARDED")


class IdentityTests(SynchronousTestCase):
    """Built-in plugins through the whole chain, with names kept and dropped."""

    def heard(
        self, plugin: Any, *lines: str, keeps: bool = False, trailers: tuple[str, ...] = ()
    ) -> dict[str, list[bytes]]:
        """What the origin makes of a request with these lines."""
        pipeline = Pipeline(Limits(keepsUnderscores=keeps))
        if plugin is not None:
            pipeline.chain = Chain([makeLink(plugin, pipeline.deadlines, name=plugin.name)])
            pipeline.edge.generation = Generation(2, pipeline.edge.generation.tree, [pipeline.chain])
        head = "POST /a HTTP/1.1\r\nHost: x\r\n" + "".join(line + "\r\n" for line in lines)
        if trailers:
            names = ", ".join(trailer.partition(":")[0] for trailer in trailers)
            head += f"{CHUNKED}{names}\r\n\r\n2\r\nhi\r\n0\r\n" + "".join(trailer + "\r\n" for trailer in trailers)
        pipeline.connect().send((head + "\r\n").encode())
        pipeline.end()
        [heard] = pipeline.origin.heard
        self.assertTrue(heard.whole)
        return environment(heard)

    def test_basicAuth(self) -> None:
        """The name of the user is that of the plugin, however a client spells it."""
        plugin = basicAuth(user_header="X-Remote-User")
        for keeps, spelling in product((False, True), spellings("X-Remote-User")):
            got = self.heard(plugin, CREDENTIALS, f"{spelling}: mallory", keeps=keeps)
            self.assertEqual(got["HTTP_X_REMOTE_USER"], [b"alice"], spelling)
        lines = [f"{spelling}: mallory" for spelling in spellings("X-Remote-User")]
        for keeps in (False, True):
            self.assertEqual(self.heard(plugin, CREDENTIALS, *lines, keeps=keeps)["HTTP_X_REMOTE_USER"], [b"alice"])

    def test_basicAuthsOwnName(self) -> None:
        """Also under a name that only this configuration knows; one that origins would join is refused."""
        plugin = basicAuth(user_header="My-Own-Name")
        for keeps, spelling in product((False, True), spellings("My-Own-Name")):
            got = self.heard(plugin, CREDENTIALS, f"{spelling}: mallory", keeps=keeps)
            self.assertEqual(got["HTTP_MY_OWN_NAME"], [b"alice"], spelling)
        for name in ("X_Remote_User", "X.Remote.User", "X-Remote_User", "X~Remote~User"):
            self.assertIn("use hyphens", str(self.assertRaises(ValueError, basicAuth, user_header=name)))

    def test_credentials(self) -> None:
        """They end at the plugin."""
        for keeps in (False, True):
            got = self.heard(basicAuth(), CREDENTIALS, "_Authorization: x", keeps=keeps)
            self.assertNotIn("HTTP_AUTHORIZATION", got)

    def test_headers(self) -> None:
        """What the plugin sets is said once, and what it removes not at all."""
        for keeps, name in product((False, True), ("X-Tenant-Id", "X_Tenant_Id")):
            plugin = EditHeaders({"request": {"set": {name: "ours"}, "remove": ["X-Is-Admin"]}})
            lines = [f"{spelling}: theirs" for spelling in spellings("X-Tenant-Id") + spellings("X-Is-Admin")]
            got = self.heard(plugin, *lines, keeps=keeps)
            self.assertEqual(got["HTTP_X_TENANT_ID"], [b"ours"])
            self.assertNotIn("HTTP_X_IS_ADMIN", got)

    def test_requestId(self) -> None:
        """One id."""
        for keeps, spelling in product((False, True), spellings("X-Request-Id")):
            [value] = self.heard(RequestId({}), f"{spelling}: theirs", keeps=keeps)["HTTP_X_REQUEST_ID"]
            self.assertNotEqual(value, b"theirs", spelling)

    def test_ownFields(self) -> None:
        """What the edge says of the client; and what nobody but a proxy has a reason to say."""
        for keeps in (False, True):
            for name in ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "X-Forwarded-User",
                         "Client-Cert", "X-Original-URL", "True-Client-IP", "X-Forwarded-Client-Cert", "Proxy"):
                lines = [f"{spelling}: theirs" for spelling in spellings(name)]
                got = self.heard(None, *lines, keeps=keeps)
                self.assertNotIn(b"theirs", chain.from_iterable(got.values()), name)
                for key in OWN:
                    self.assertEqual(len(got[key]), 1, key)

    def test_trailers(self) -> None:
        """No trailer is taken for a field of those: not by its name, nor by a lookalike."""
        names = ["X-Forwarded-For", "X-Forwarded-User", "X-Real-IP", "Content-Length", "Proxy", "Set-Cookie"]
        trailers = [f"{spelling}: theirs" for name in names for spelling in spellings(name)[::2]]
        for keeps in (False, True):
            got = self.heard(None, keeps=keeps, trailers=(*trailers, "X-Sum: ours"))
            self.assertNotIn(b"theirs", chain.from_iterable(got.values()))
            self.assertEqual(got["HTTP_X_SUM"], [b"ours"])
        self.assertNotIn("HTTP_X_ID", self.heard(None, trailers=("X_Id: theirs", "X.Id: theirs")))
        self.assertEqual(self.heard(None, trailers=("X_Id: theirs", "A: b"))["HTTP_TRAILER"], [b"A"])
        self.assertNotIn("HTTP_TRAILER", self.heard(None, trailers=("X_Id: theirs",)))
        self.assertEqual(self.heard(None, keeps=True, trailers=("X_Id: theirs",))["HTTP_X_ID"], [b"theirs"])

    def test_trailersBehindFields(self) -> None:
        """No trailer says once more, in any spelling, what the head says that the origin got."""
        plugin = basicAuth(user_header="My-Own-Name")
        for keeps, spelling in product((False, True), spellings("My-Own-Name")):
            got = self.heard(plugin, CREDENTIALS, keeps=keeps, trailers=(f"{spelling}: mallory", "X-Sum: 1"))
            self.assertEqual(got["HTTP_MY_OWN_NAME"], [b"alice"], spelling)
            self.assertEqual(got["HTTP_X_SUM"], [b"1"])

    def test_kept(self) -> None:
        """Names with underscores are dropped, or kept if that is wanted, as they are written."""
        self.assertNotIn("HTTP_API_KEY", self.heard(None, "api_key: a"))
        self.assertEqual(self.heard(None, "api_key: a", keeps=True)["HTTP_API_KEY"], [b"a"])
