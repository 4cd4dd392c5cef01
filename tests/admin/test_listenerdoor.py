"""The door of the admin listener: every operation, for nobody and for every role; browsers, and pages of strangers."""

from __future__ import annotations

import msgspec

from revproxy.admin.operation import Operation
from revproxy.admin.problem import Problem
from revproxy.admin.role import Role
from tests.admin.benches import AdminCase, FakeConnection

_CHANGE_NOTHING = ("beginSession", "endSession", "rehearseRequest", "forecastRollout")
"""Operations that are no GET, and change nothing of the edge."""


class TableTests(AdminCase):
    """All operations that there are, as they are in the table: a new one is covered by being there."""

    def path(self, operation: Operation) -> str:
        return operation.path.strip("/").replace("{", "").replace("}", "")

    def may(self, operation: Operation, token: str = "", **fields: str) -> int:
        """Whether a request gets as far as the operation: the status that it is refused with; 200 if it is not."""
        self.connection = FakeConnection()
        method = {"GET": "GET"}.get(operation.method, operation.method)
        try:
            visit = self.api.visit(self.head(method, self.path(operation), fields, token), self.door)
        except Problem as problem:
            return problem.status
        assert visit.found is not None
        self.assertIs(visit.found.operation, operation)
        return 200

    def test_nobody(self) -> None:
        """Without a token, or with a bad one, none may be asked but the one that begins a session."""
        open_ = [each.name for each in self.admin.router.operations if each.role is None]
        self.assertEqual(open_, ["beginSession"])
        for count, operation in enumerate(self.admin.router.operations):
            expected = 200 if operation.role is None else 401
            self.assertEqual(self.may(operation), expected, operation.name)
            for bad in ("Bearer rvp_x", "Basic YTpi", "Bearer", ""):
                self.connection = FakeConnection()
                self.door._attempts._known.clear()
                self.assertEqual(self.may(operation, Authorization=bad), expected, (operation.name, bad, count))

    def test_roles(self) -> None:
        """Each role may what it may, and those before it; a token that ended, nothing."""
        tokens = {role: self.token(role)[1] for role in Role}
        for operation in self.admin.router.operations:
            for role, token in tokens.items():
                self.door._attempts._known.clear()
                isEnough = operation.role is None or role >= operation.role
                self.assertEqual(self.may(operation, token), 200 if isEnough else 403, (operation.name, role))
        number, token = self.token(Role.ADMIN)
        self.admin.tokens.revoke(number)
        for operation in self.admin.router.operations:
            self.door._attempts._known.clear()
            self.assertEqual(self.may(operation, token), 200 if operation.role is None else 401, operation.name)

    def test_changes(self) -> None:
        """What changes something takes more than the role read, and is no GET."""
        for operation in self.admin.router.operations:
            if operation.method != "GET" and operation.name not in _CHANGE_NOTHING:
                self.assertGreaterEqual(operation.role or 0, Role.OPERATE, operation.name)

    def test_nothingElse(self) -> None:
        """What is not in the table does not exist; who may ask nothing does not learn that."""
        for path in ("nothing", "plugins/", "../api/v1/plugins", "plugins/a/pin/x", ""):
            self.assertEqual(self.ask("GET", path).status, 401, path)
        _, token = self.token(Role.READ)
        self.assertEqual(self.ask("GET", "nothing", token=token).status, 404)
        for path in ("/", "/api", "/api/v2/plugins", "/API/V1/plugins", "//api/v1/plugins", "/healthz/", "/metrics"):
            self.assertEqual(self.ask("GET", path).status, 404, path)


class BrowserTests(AdminCase):
    """Cookies, and the pages that requests come from."""

    def login(self, role: Role = Role.ADMIN) -> tuple[str, dict[str, str]]:
        """:returns: the id of the token, and the fields that the browser then sends."""
        number, token = self.token(role)
        said = self.ask("POST", "session", {"token": token})
        self.assertEqual(said.status, 200)
        return number, {"Cookie": said.headers["Set-Cookie"].partition(";")[0]}

    def test_cookie(self) -> None:
        """A token is traded for a cookie that no script sees and no foreign page sends; by TLS it is this host's."""
        number, token = self.token(Role.OBSERVE)
        said = self.ask("POST", "session", {"token": token})
        name, _, rest = said.headers["Set-Cookie"].partition("=")
        self.assertEqual((name, rest.partition("; ")[2]), ("revproxy-9900", "Path=/api/v1; HttpOnly; SameSite=Strict"))
        self.assertEqual((said.json["name"], said.json["role"], said.json["token"]), ("ann", "observe", number))
        self.assertNotIn(token, str(said))
        self.door.isSecure = True
        said = self.ask("POST", "session", {"token": token})
        self.assertRegex(said.headers["Set-Cookie"], r"^__Host-revproxy=\w{43}; Path=/; .*; Secure$")
        self.assertEqual([each[:2] for each in self.audited], [("ann", "login"), ("ann", "login")])

    def test_session(self) -> None:
        """With it one is who one was with the token; a change needs our header, too."""
        _, fields = self.login(Role.OPERATE)
        self.assertEqual(self.ask("GET", "session", fields=fields).json["role"], "operate")
        said = self.ask("POST", "plugins/a/disable", fields=fields)
        self.assertEqual((said.status, "X-Revproxy: 1" in said.json["detail"]), (403, True))
        self.assertEqual(self.ask("POST", "plugins/a/disable", fields={**fields, "X-Revproxy": "1"}).status, 200)
        self.assertTrue(self.connection.isUrgent)
        self.assertEqual(self.ask("GET", "tokens", fields=fields).status, 403)

    def test_ends(self) -> None:
        """By logging out, and by the end of its token."""
        _, fields = self.login()
        said = self.ask("DELETE", "session", fields={**fields, "X-Revproxy": "1"})
        self.assertRegex(said.headers["Set-Cookie"], r"^revproxy-9900=; .*Max-Age=0")
        self.assertEqual(self.ask("GET", "session", fields=fields).status, 401)
        number, fields = self.login()
        _, token = self.token(Role.ADMIN, "boss")
        self.assertEqual(self.ask("DELETE", f"tokens/{number}?reason=gone", token=token).status, 200)
        self.assertEqual(self.ask("GET", "session", fields=fields).status, 401)
        self.assertEqual(self.ask("DELETE", "session", token=token).status, 409)

    def test_stays(self) -> None:
        """Who came in by a token or a session stays as long as that would let him in as the one he was."""
        _, token = self.token(Role.ADMIN, "boss")
        _, fields = self.login(Role.OPERATE)
        entries = [
            self.door.enter(self.head("GET", "session", fields), Role.READ),
            self.door.enter(self.head("GET", "session", token=token), Role.READ),
        ]
        self.assertEqual([entry.stays() for entry in entries], [True, True])
        self.ask("DELETE", "session", fields={**fields, "X-Revproxy": "1"})
        self.assertEqual([entry.stays() for entry in entries], [False, True])
        self.bench.clock.advance(86401)
        self.assertEqual([entry.stays() for entry in entries], [False, False])
        record, secret = self.admin.tokens.new("ci", Role.OPERATE, 86400.0, "root")
        self.admin.tokens.revoke(record.id)
        self.admin.tokens.others["f"] = (record,)
        entry = self.door.enter(self.head("GET", "session", token=secret), Role.READ)
        self.assertTrue(entry.stays())
        self.admin.tokens.others["f"] = (msgspec.structs.replace(record, role="read"),)
        self.assertFalse(entry.stays())

    def test_otherCookies(self) -> None:
        """Other cookies are nobody's business; two of ours are as good as none."""
        _, fields = self.login()
        cookie = fields["Cookie"]
        for text, status in ((f"a=b; {cookie}; c", 200), (f"{cookie};{cookie}x", 401), ("x" * 9000, 401), ("\xff", 401),
                             (cookie.replace("9900", "9901"), 401)):
            self.assertEqual(self.ask("GET", "session", fields={"Cookie": text}).status, status, text[:50])

    def test_badLogins(self) -> None:
        """Are refused, recorded, and not without end."""
        for _ in range(10):
            self.assertEqual(self.ask("POST", "session", {"token": "rvp_x"}).status, 401)
        self.assertEqual(self.audited, [("", "login", "", "refused")] * 10)
        said = self.ask("POST", "session", {"code": "x"})
        self.assertEqual((said.status, said.headers["Retry-After"]), (429, "60"))
        self.assertEqual(len(self.audited), 10)
        _, token = self.token(Role.READ)
        self.assertEqual(self.ask("GET", "session", token="rvp_y").status, 429)
        self.assertEqual(self.ask("GET", "session", token=token).status, 200)  # who has a good one is let in
        for body in ({}, {"token": "a", "code": "b"}, {"token": 7}, {"token": ""}):
            self.assertEqual(self.ask("POST", "session", body).status, 400)

    def test_refusalsAreAudited(self) -> None:
        """Who may not is recorded, with what was tried."""
        _, token = self.token(Role.READ)
        self.ask("POST", "plugins/a/disable", token=token)
        self.assertEqual(self.audited, [("ann", "access", "POST /api/v1/plugins/a/disable", "refused")])

    def test_codes(self) -> None:
        """A code logs in once, as whoever had it made, with the role that it was made for."""
        number, token = self.token(Role.ADMIN, "boss")
        code = self.ask("POST", "login-codes", {"role": "observe"}, token=token).json["code"]
        said = self.ask("POST", "session", {"code": code})
        self.assertEqual((said.json["name"], said.json["role"], said.json["token"]), ("boss", "observe", number))
        self.assertEqual(self.ask("POST", "session", {"code": code}).status, 401)

    def test_strangers(self) -> None:
        """A page of another origin changes nothing, however it asks; reading tells it nothing either."""
        _, fields = self.login()
        _, token = self.token(Role.ADMIN)
        ours = {**fields, "X-Revproxy": "1"}
        for stranger in (
            {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "https://127.0.0.1:9900"},
            {"Origin": "http://127.0.0.1:9901"}, {"Origin": ""}, {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://127.0.0.1:9900", "Sec-Fetch-Site": "cross-site"},
        ):  # fmt: skip
            self.assertEqual(self.ask("POST", "reload", fields={**ours, **stranger}).status, 403, stranger)
            self.assertEqual(self.ask("POST", "reload", fields=stranger, token=token).status, 403, stranger)
            self.assertEqual(self.ask("POST", "session", {"token": token}, stranger).status, 403, stranger)
            self.assertNotIn("Access-Control-Allow-Origin", self.ask("GET", "plugins", fields=ours | stranger).headers)
        for own in ({"Origin": "http://127.0.0.1:9900"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
            self.assertEqual(self.ask("POST", "reload", fields={**ours, **own}).status, 200, own)
        self.door.origins = {"https://admin.example"}
        trusted = {"Origin": "https://admin.example", "Sec-Fetch-Site": "same-site"}
        self.assertEqual(self.ask("POST", "reload", fields={**ours, **trusted}).status, 200)

    def test_hosts(self) -> None:
        """Names that are not ours are not answered to, whatever is asked: they may lead here all the same."""
        _, token = self.token(Role.ADMIN)
        for path in ("/healthz", "plugins", "/nothing"):
            for host in ("evil.example", "evil.example:9900", "", "a@b", "127.0.0.1.evil.example", "[::1", "x" * 300,
                         "localhost.evil", "127.0.0.1:9900, b"):
                self.host = host
                self.assertEqual(self.ask("GET", path, token=token).status, 421, host)
        self.door.hosts = {"admin.example"}
        for host in ("127.0.0.1", "127.0.0.1:1", "localhost:9900", "LocalHost", "[::1]:9900", "192.0.2.1",
                     "admin.example", "Admin.Example:443"):
            self.host = host
            self.assertEqual(self.ask("GET", "/healthz").status, 200, host)

    def test_twice(self) -> None:
        """Fields that decide are there once."""
        _, token = self.token(Role.ADMIN)
        for name in (b"Host", b"Authorization", b"Origin"):
            head = self.head("POST", "reload", {"Origin": "http://127.0.0.1:9900"}, token)
            head.headers.addRawHeader(name, b"other")
            self.assertEqual(self.assertRaises(Problem, self.api.visit, head, self.door).status, 400, name)

    def test_probes(self) -> None:
        """Say a word each to whoever asks."""
        self.assertEqual([self.ask("GET", path).json for path in ("/healthz", "/readyz")], [b"ok\n", b"ready\n"])
        self.assertEqual(self.ask("POST", "/healthz").status, 405)
        self.bench.coordinator.halt()
        said = self.ask("GET", "/readyz")
        self.assertIn((said.status, said.json), [(200, b"ready\n"), (503, b"not ready\n")])
