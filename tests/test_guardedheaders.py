"""Tests for `revproxy.guardedheaders`: what of the fields a plugin sees, and which it changes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.errors import NotPermitted
from revproxy.guardedcontext import GuardedContext
from revproxy.guardedheaders import guardedHeaders
from revproxy.headers import Headers, JoinedHeaders
from revproxy.permissions import Permissions
from revproxy.permit import Permit
from revproxy.testing import makeContext
from tests.guardedcontexts import EVERYTHING, FIELDS, guarded


class HeaderTests(SynchronousTestCase):
    """What of the fields is seen, and changed."""

    def test_hidden(self) -> None:
        """A field that may not be read is nowhere to be found."""
        _, facade = guarded(read_headers=["X-Tenant"])
        headers = facade.request.headers
        self.assertEqual((headers.get("x-tenant"), headers.get("Cookie"), headers.get("X-Secret", "no")),
                         ("a", None, "no"))
        self.assertEqual((headers.getAll("Cookie"), headers.getAll("X-Tenant")), ([], ["a"]))
        self.assertEqual((headers.find(b"cookie"), headers.find(b"x-tenant")), (None, b"a"))
        self.assertEqual(("Cookie" in headers, "X-Tenant" in headers), (False, True))
        self.assertEqual((list(headers), len(headers), repr(headers)), ([("X-Tenant", "a")], 1, "<Headers X-Tenant>"))
        self.assertEqual(headers.fields, [(b"x-tenant", b"X-Tenant", b"a")])
        self.assertEqual(list(headers.copy()), [("X-Tenant", "a")])
        self.assertEqual(list(facade.response.headers), [("X-Tenant", "b")])

    def test_allButSecrets(self) -> None:
        """The asterisk is all but what lets people in, however it is spelt."""
        _, facade = guarded(read_headers=["*"])
        self.assertEqual([name for name, _ in facade.request.headers], ["Host", "X-Tenant", "X-Secret"])
        self.assertEqual([name for name, _ in facade.response.headers], ["X-Tenant"])
        permit = Permit(Permissions.of({"read_headers": ["*"], "write_headers": ["*"]}))
        headers = Headers([(b"proxy_authorization", b"Proxy_Authorization", b"x"), (b"set.cookie", b"Set.Cookie", b"")])
        self.assertEqual(list(guardedHeaders(headers, permit)), [])
        self.assertRaises(NotPermitted, guardedHeaders(headers, permit).set, "Proxy_Authorization", "z")

    def test_named(self) -> None:
        """What is named is seen, secrets and the host, too."""
        _, facade = guarded(read_headers=["cookie", ":authority"])
        self.assertEqual(list(facade.request.headers), [("Host", "www.example.com"), ("Cookie", "c=1")])

    def test_written(self) -> None:
        """What may not be written raises, and stays; the error says what to ask for."""
        context, facade = guarded(read_headers=["*"], write_headers=["X-New", "X-Tenant"])
        headers = facade.request.headers
        headers.set("X-New", "1")
        headers.add("X-New", "2")
        headers.remove("X-Tenant")
        headers.setRaw(b"x-tenant", b"X-Tenant", b"b")
        before = list(context.request.headers)
        for call in (
            lambda: headers.set("x-secret", "t"), lambda: headers.add("X-Secret", "t"),
            lambda: headers.remove("X-SECRET"), lambda: headers.setRaw(b"x-secret", b"X-Secret", b"t"),
            lambda: headers.removeRaw(b"x-secret"),
        ):  # fmt: skip
            error = self.assertRaises(NotPermitted, call)
            self.assertEqual(error.permission, "write_headers: X-Secret")
            self.assertIn("plugin.json", str(error))
        self.assertRaises(NotPermitted, headers.set, "Host", "elsewhere.example")
        self.assertEqual(list(context.request.headers), before)
        self.assertEqual(context.request.headers.getAll("X-New"), ["1", "2"])
        self.assertEqual(context.request.headers.get("X-Tenant"), "b")

    def test_raw(self) -> None:
        """The list of fields is no way around: it is looked at, or assigned as a whole."""
        context, facade = guarded(read_headers=["*"], write_headers=["X-New"])
        headers = facade.request.headers
        for change in (lambda: headers.fields.append(0), lambda: headers.fields.clear(),
                       lambda: headers.fields.__setitem__(0, 0), lambda: headers.fields.remove(0)):
            self.assertRaises(TypeError, change)
        headers.fields = [*headers.fields, (b"x-new", b"X-New", b"1")]
        self.assertEqual(context.request.headers.get("X-New"), "1")
        self.assertEqual(context.request.headers.get("Cookie"), "c=1")
        before = list(context.request.headers)
        self.assertRaises(NotPermitted, setattr, headers, "fields", [])
        self.assertRaises(NotPermitted, setattr, facade.request, "headers", Headers.of({"X-Other": "1"}))
        self.assertEqual(list(context.request.headers), before)

    def test_writtenUnseen(self) -> None:
        """What may be set and not be seen takes the place of what was there; cookies of others stay."""
        context, facade = guarded(write_headers=["X-Secret", "Set-Cookie"])
        facade.request.headers.set("X-Secret", "t")
        self.assertEqual(context.request.headers.getAll("X-Secret"), ["t"])
        facade.response.headers.set("Set-Cookie", "mine=1")
        self.assertEqual(context._response.headers.getAll("Set-Cookie"), ["s=1", "mine=1"])  # type: ignore[union-attr]
        facade.request.headers.fields = [(b"x-secret", b"X-Secret", b"u")]
        self.assertEqual(context.request.headers.getAll("X-Secret"), ["u"])
        self.assertEqual(context.request.headers.get("Cookie"), "c=1")

    def test_joined(self) -> None:
        """Where underscores are hyphens, permissions take them so as well."""
        headers = JoinedHeaders()
        headers.add("X_Tenant", "a")
        headers.add("Proxy_Authorization", "b")
        permissions = Permissions.of({"read_headers": ["x_tenant"], "write_headers": ["X-Tenant"]})
        seen = guardedHeaders(headers, Permit(permissions))
        self.assertEqual((seen.get("x-tenant"), seen.get("X_Tenant"), seen.get("Proxy-Authorization")),
                         ("a", "a", None))
        self.assertEqual([name for name, _ in seen], ["X_Tenant"])
        seen.set("X.Tenant", "b")
        self.assertEqual(headers.getAll("X-Tenant"), ["b"])
        self.assertRaises(NotPermitted, seen.set, "Proxy_Authorization", "c")
        self.assertIsInstance(seen.copy(), JoinedHeaders)

    def test_everything(self) -> None:
        """Whoever may do with fields what he likes is given the section itself."""
        context = makeContext(headers=FIELDS)
        facade = GuardedContext(context, Permit(EVERYTHING))
        self.assertIs(facade.request.headers, context.request.headers)
