"""Sessions of browsers, and attempts to get in."""

from __future__ import annotations

from math import inf

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.attempts import ADDRESSES, PER_MINUTE, RECORDED, Attempts
from revproxy.admin.problem import Problem
from revproxy.admin.role import Role
from revproxy.admin.sessions import CODE_LASTS, CODES, IDLE, LASTS, OF_ONE, SESSIONS, Sessions


class SessionTests(SynchronousTestCase):
    """What a cookie is good for, and how long."""

    def setUp(self) -> None:
        self.now = 1000.0
        self.roles = {"t1": Role.ADMIN, "t2": Role.ADMIN}
        self.sessions = Sessions(lambda: self.now, self.roles.get)

    def test_found(self) -> None:
        """Who has the cookie is known; nobody else."""
        secret, session = self.sessions.begin("t1", "ann", Role.READ, inf)
        found = self.sessions.find(secret)
        assert found is not None
        self.assertEqual((found[1].name, found[1].role, session.expiresAt), ("ann", Role.READ, 1000 + LASTS))
        for other in ("", secret[:-1], secret + "x", "\ud800"):
            self.assertIsNone(self.sessions.find(other))

    def test_ends(self) -> None:
        """By itself, when it is not used, with its token, and when somebody says so."""
        secret, _ = self.sessions.begin("t1", "ann", Role.READ, 2000.0)
        self.now = 1999.0
        self.assertIsNotNone(self.sessions.find(secret))
        self.now = 2000.0
        self.assertIsNone(self.sessions.find(secret))
        secret, _ = self.sessions.begin("t1", "ann", Role.READ, inf)
        for _ in range(20):
            self.now += IDLE - 1
            if self.sessions.find(secret) is None:
                break
        self.assertGreaterEqual(self.now, 2000 + LASTS)
        for end in (self.sessions.revoked, self.roles.pop):
            secret, _ = self.sessions.begin("t2", "bob", Role.READ, inf)
            other, _ = self.sessions.begin("t1", "ann", Role.READ, inf)
            end("t2")
            self.assertIsNone(self.sessions.find(secret))
            found = self.sessions.find(other)
            assert found is not None
            self.sessions.end(found[0])
            self.assertIsNone(self.sessions.find(other))

    def test_role(self) -> None:
        """A session may what its token may by now, and no more than when it began."""
        secret, _ = self.sessions.begin("t1", "ann", Role.OPERATE, inf)
        for now, may in ((Role.READ, Role.READ), (Role.ADMIN, Role.OPERATE), (Role.OBSERVE, Role.OBSERVE)):
            self.roles["t1"] = now
            found = self.sessions.find(secret)
            assert found is not None
            self.assertEqual((found[1].role, self.sessions.roleIn(found[0])), (may, may))
        code, _ = self.sessions.newCode("t1", "ann", Role.ADMIN, inf)
        made, _ = self.sessions.useCode(code)
        found = self.sessions.find(made)
        assert found is not None
        self.assertEqual(found[1].role, Role.OBSERVE)

    def test_ofOne(self) -> None:
        """One token has not more than its share: the one of its own that was used longest ago gives way."""
        other, _ = self.sessions.begin("t2", "boss", Role.ADMIN, inf)
        mine = [self.sessions.begin("t1", "ann", Role.READ, inf)[0] for _ in range(SESSIONS + 5)]
        self.assertIsNotNone(self.sessions.find(other))
        self.assertEqual([bool(self.sessions.find(each)) for each in mine[-OF_ONE - 1 :]], [False] + [True] * OF_ONE)

    def test_look(self) -> None:
        """To look whether one is good does not prolong it."""
        secret, _ = self.sessions.begin("t1", "ann", Role.READ, inf)
        found = self.sessions.find(secret)
        assert found is not None
        self.now += IDLE - 1
        self.assertEqual(self.sessions.roleIn(found[0]), Role.READ)
        self.now += 1
        self.assertIsNone(self.sessions.roleIn(found[0]))

    def test_idle(self) -> None:
        """One that is not used ends."""
        secret, _ = self.sessions.begin("t1", "ann", Role.READ, inf)
        self.now += IDLE
        self.assertIsNone(self.sessions.find(secret))

    def test_bounded(self) -> None:
        """There are so many; who has used one longest ago gives way."""
        tokens = [f"t{count % (SESSIONS // OF_ONE)}" for count in range(SESSIONS)]
        self.roles |= dict.fromkeys(tokens, Role.READ)
        secrets = [self.sessions.begin(token, "ann", Role.READ, inf)[0] for token in tokens]
        self.sessions.find(secrets[0])
        self.sessions.begin("boss", "boss", Role.READ, inf)
        self.assertEqual(len(self.sessions), SESSIONS)
        self.assertIsNotNone(self.sessions.find(secrets[0]))
        self.assertIsNone(self.sessions.find(secrets[1]))

    def test_codes(self) -> None:
        """A code begins one session, within five minutes, for whoever had it made, and no longer than that one may."""
        code, until = self.sessions.newCode("t1", "ann", Role.OPERATE, 1500.0)
        self.assertEqual(until, 1000 + CODE_LASTS)
        secret, session = self.sessions.useCode(code)
        self.assertEqual((session.token, session.name, session.expiresAt), ("t1", "ann", 1500.0))
        self.assertIsNotNone(self.sessions.find(secret))
        late, _ = self.sessions.newCode("", "root", Role.ADMIN, inf)
        ofNobody, _ = self.sessions.newCode("t2", "bob", Role.ADMIN, inf)
        self.roles.pop("t2")
        self.assertRaises(Problem, self.sessions.useCode, ofNobody)
        self.now += CODE_LASTS
        for bad in (code, late, "", "x"):
            self.assertEqual(self.assertRaises(Problem, self.sessions.useCode, bad).status, 401)
        codes = [self.sessions.newCode("", "root", Role.ADMIN, inf)[0] for _ in range(CODES + 1)]
        self.assertRaises(Problem, self.sessions.useCode, codes[0])
        self.sessions.useCode(codes[1])


class AttemptTests(SynchronousTestCase):
    """Bounds on attempts that fail."""

    def setUp(self) -> None:
        self.now = 1000.0
        self.attempts = Attempts(lambda: self.now)

    def test_perAddress(self) -> None:
        """Ten in a minute, then no more than one each six seconds; others are not affected."""
        for _ in range(PER_MINUTE):
            self.assertTrue(self.attempts.failed("192.0.2.1"))
        problem = self.assertRaises(Problem, self.attempts.failed, "192.0.2.1")
        self.assertEqual((problem.status, problem.headers["Retry-After"]), (429, "60"))
        self.attempts.failed("192.0.2.2")
        self.now += 12.0
        self.attempts.failed("192.0.2.1")

    def test_network(self) -> None:
        """Who has an address of IPv6 has many of them."""
        for count in range(PER_MINUTE):
            self.attempts.failed(f"2001:db8::{count:x}")
        self.assertRaises(Problem, self.attempts.failed, "2001:db8::ffff%eth0")
        self.attempts.failed("2001:db8:0:1::1")
        self.attempts.failed("")

    def test_bounded(self) -> None:
        """Not more of them are recorded than there may be of all together, and not more addresses are remembered."""
        recorded = sum(self.attempts.failed(f"10.0.{count // 256}.{count % 256}") for count in range(ADDRESSES * 2))
        self.assertEqual(recorded, RECORDED)
        self.assertLessEqual(len(self.attempts._known), ADDRESSES)

    def test_flood(self) -> None:
        """Whoever goes on for days fills no disk with it, and there still is a record now and then."""
        recorded = 0
        for count in range(2 * 1440):
            self.now += 30
            recorded += sum(self.attempts.failed(f"10.{each}.{count // 250}.{count % 250}") for each in range(5))
        self.assertLess(recorded, RECORDED + 1440 + 2)
        self.assertGreater(recorded, 1440)
