"""What a plugin may touch."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.permissions import NOTHING, UNASKED, Permissions

WANTED = Permissions.of({
    "read_headers": ["X-Tenant", "Cookie", ":path"], "write_headers": ["*"], "body": "write", "respond": True,
    "upstreams": ["billing"], "store": True, "figures": True, "environment": ["REGION"], "files": ["/run/key"],
})  # fmt: skip


class PermissionsTests(SynchronousTestCase):
    """`Permissions`."""

    def test_asDict(self) -> None:
        """What is written comes back, in lower case and in order."""
        self.assertEqual(Permissions.of(WANTED.asDict()), WANTED)
        self.assertEqual(WANTED.asDict()["read_headers"], [":path", "cookie", "x-tenant"])
        self.assertEqual(NOTHING.asDict()["body"], "none")

    def test_all(self) -> None:
        """The asterisk is all but what lets people in, and but the parts of the request line."""
        every = Permissions.of({"read_headers": ["*"]})
        self.assertEqual([name for name in ("x-a", "cookie", "authorization", ":path", "set-cookie")
                          if every.mayRead(name)], ["x-a"])
        self.assertTrue(WANTED.mayRead("cookie"))
        self.assertFalse(WANTED.mayRead("authorization"))
        self.assertTrue(WANTED.mayWrite("x-anything"))

    def test_host(self) -> None:
        """The host and the field that has it are one thing; the asterisk sees it, and does not change it."""
        for name in ("Host", ":authority"):
            named = Permissions.of({"read_headers": [name]})
            self.assertTrue(named.seesHost and named.mayRead("host"), name)
            self.assertEqual(named.lacks(Permissions.of({"read_headers": ["host", ":authority"]})), ())
        every = Permissions.of({"read_headers": ["*"], "write_headers": ["*"]})
        self.assertTrue(every.seesHost)
        self.assertFalse(every.seesQuery or every.changesHost)
        self.assertTrue(Permissions.of({"write_headers": ["Host"]}).changesHost)

    def test_client(self) -> None:
        """Whoever sees a field that has the client's address sees the client."""
        for names, sees in ((["Forwarded"], True), (["X-Forwarded-For"], True), (["*"], True), (["X-A"], False)):
            self.assertEqual(Permissions.of({"read_headers": names}).seesClient, sees)

    def test_bodies(self) -> None:
        """Whoever changes bodies reads them."""
        each = [Permissions.of({"body": body}) for body in ("none", "read", "write")]
        found = [(permissions.seesBody, permissions.changesBody) for permissions in each]
        self.assertEqual(found, [(False, False), (True, False), (True, True)])

    def test_lacks(self) -> None:
        """Each that is not there, in words."""
        self.assertEqual(NOTHING.lacks(WANTED), (
            "read_headers: :path", "read_headers: Cookie", "read_headers: X-Tenant", "write_headers: *", "body: write",
            "respond", "upstreams: billing", "store", "figures", "environment: REGION", "files: /run/key",
        ))  # fmt: skip
        self.assertEqual(WANTED.lacks(WANTED), ())
        self.assertEqual(WANTED.lacks(UNASKED), ())
        self.assertEqual(Permissions(body="read").lacks(WANTED)[4], "body: write")

    def test_within(self) -> None:
        """What both have; an asterisk on one side takes what the other names."""
        bound = Permissions.of({"read_headers": ["*"], "write_headers": ["X-A"], "body": "read", "files": ["/run/key"]})
        self.assertEqual(WANTED.within(bound).asDict(), {
            "read_headers": ["x-tenant"], "write_headers": ["x-a"], "body": "read", "respond": False, "upstreams": [],
            "store": False, "figures": False, "environment": [], "files": ["/run/key"],
        })  # fmt: skip
        self.assertEqual(WANTED.within(WANTED), WANTED)
        self.assertEqual(WANTED.lacks(WANTED.within(bound)), ())
        self.assertEqual(bound.lacks(WANTED.within(bound)), ())
