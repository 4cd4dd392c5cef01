"""Making, listing and ending tokens by the API."""

from __future__ import annotations

from revproxy.admin.role import Role
from tests.admin.benches import AdminCase


class TokenTests(AdminCase):
    """As an admin."""

    def setUp(self) -> None:
        super().setUp()
        self.number, self.own = self.token(Role.ADMIN, "boss")

    def test_new(self) -> None:
        """It is shown this once, works at once, and is recorded without being shown."""
        said = self.ask("POST", "tokens", {"name": "ci", "role": "operate", "expires_in": "7d", "reason": "x"},
                        token=self.own)  # fmt: skip
        self.assertEqual((said.status, said.json["role"]), (201, "operate"))
        self.assertAlmostEqual(said.json["expires_at"], self.bench.clock.seconds() + 7 * 86400, delta=10)
        self.assertEqual(self.ask("GET", "session", token=said.json["token"]).json["name"], "ci")
        listed = self.ask("GET", "tokens", token=self.own).json["items"]
        self.assertEqual([(each["name"], each["created_by"]) for each in listed], [("boss", "root"), ("ci", "boss")])
        self.assertNotIn(said.json["token"], str(listed))
        self.assertEqual(self.audited, [("boss", "token-new", said.json["id"], "done")])

    def test_usual(self) -> None:
        """Ninety days, if nothing is said."""
        said = self.ask("POST", "tokens", {"name": "ci", "role": "read"}, token=self.own)
        self.assertAlmostEqual(said.json["expires_at"], self.bench.clock.seconds() + 90 * 86400, delta=10)

    def test_wrong(self) -> None:
        """What is no name, no role, and no time."""
        good = {"name": "ci", "role": "read"}
        for bad in ({"name": ""}, {"name": "a\nb"}, {"name": "x" * 101}, {"role": "root"}, {"expires_in": 1},
                    {"expires_in": "1y"}, {"expires_in": "4000d"}, {"expires_in": None}, {"more": 1}):
            self.assertEqual(self.ask("POST", "tokens", good | bad, token=self.own).status, 400, bad)
        self.assertEqual(self.ask("POST", "tokens", {"name": "ci"}, token=self.own).status, 400)

    def test_revoke(self) -> None:
        """It ends at once, and is recorded; one that there is not cannot be ended."""
        number, token = self.token(Role.READ)
        self.assertEqual(self.ask("DELETE", f"tokens/{number}", token=self.own).status, 200)
        self.assertEqual(self.ask("GET", "session", token=token).status, 401)
        self.assertEqual(self.audited[0], ("boss", "token-revoke", number, "done"))
        self.assertEqual(self.ask("DELETE", f"tokens/{number}", token=self.own).status, 404)
        self.assertEqual(self.audited[-1], ("boss", "token-revoke", number, "refused"))
        self.assertEqual(self.ask("DELETE", "tokens/..", token=self.own).status, 404)
        self.assertEqual(self.ask("DELETE", "tokens/x", token=self.own).status, 400)
