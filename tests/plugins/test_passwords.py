"""Tests for :mod:`revproxy.plugins._passwords`."""

from base64 import b64encode
from hashlib import sha1

import bcrypt
from twisted.trial.unittest import SynchronousTestCase

from revproxy.plugins._passwords import PasswordHash, UserTable, parseHash, parseUsers
from tests.plugins.test_basic_auth import ALICE, BOB


class PasswordHashTests(SynchronousTestCase):
    """Hashes by themselves."""

    def test_formats(self) -> None:
        """bcrypt under each of its names, and argon2, are checked."""
        for prefix in ("$2a$", "$2b$", "$2y$"):
            hash = parseHash(prefix + ALICE[4:])
            self.assertEqual((hash.verify(b"wonder"), hash.verify(b"other")), (True, False))
        hash = parseHash(BOB)
        self.assertEqual((hash.verify(b"builder"), hash.verify(b"other")), (True, False))

    def test_longPasswords(self) -> None:
        """bcrypt sees 72 bytes of a password, as in the programs that made the hash; longer ones do not raise."""
        long = b"x" * 100
        hash = parseHash(bcrypt.hashpw(long[:72], bcrypt.gensalt(4)).decode())
        self.assertEqual((hash.verify(long), hash.verify(b"x" * 71)), (True, False))

    def test_sha1(self) -> None:
        """{SHA} is checked only where it was asked for."""
        text = "{SHA}" + b64encode(sha1(b"wonder").digest()).decode()
        self.assertIn("allow_sha1", str(self.assertRaises(ValueError, parseHash, text)))
        hash = parseHash(text, True)
        self.assertEqual((hash.verify(b"wonder"), hash.verify(b"other")), (True, False))
        self.assertRaises(ValueError, parseHash, "{SHA}abc", True)

    def test_refused(self) -> None:
        """What is not supported is named, with what to do instead, and is not repeated."""
        for text, kind in (
            ("$apr1$salt$0123456789abcdefghijkl", "MD5"),
            ("$5$salt$hash", "SHA-256"),
            ("$6$salt$hash", "SHA-512"),
            ("$y$j9T$salt$hash", "yescrypt"),
            ("correct horse", "plain password"),
            ("", "plain password"),
            ("$2b$04$cut", "damaged"),
            ("$argon2id$v=19$m=8,t=1,p=1$cut", "damaged"),
            ("pässword", "plain password"),
        ):
            message = str(self.assertRaises(ValueError, parseHash, text))
            self.assertIn(kind, message)
            self.assertIn("htpasswd -nB", message)
            if text:
                self.assertNotIn(text, message)

    def test_lines(self) -> None:
        """Lines that are no user, and users that are there twice, are refused with their numbers."""
        for text in (f"a:{ALICE}\nnonsense", f"a:{ALICE}\na:{BOB}", f"\n:{ALICE}"):
            self.assertIn("people:2", str(self.assertRaises(ValueError, parseUsers, text, "people")))


class UserTableTests(SynchronousTestCase):
    """Users, and those who are none."""

    def test_unknownCosts(self) -> None:
        """An unknown name gets some user's hash to check, the same one each time, and is still nobody."""
        hashes = {b"a": PasswordHash(lambda _: True), b"b": PasswordHash(lambda _: True)}
        table = UserTable(hashes)
        for user in (b"x", b"y", b"\xff"):
            hash, name = table.find(user)
            self.assertIn(hash, hashes.values())
            self.assertIs(table.find(user)[0], hash)
            self.assertIsNone(name)
        self.assertEqual(len({id(table.find(b"%d" % number)[0]) for number in range(50)}), 2)

    def test_known(self) -> None:
        """A known name gets its own."""
        hash = PasswordHash(lambda _: True)
        self.assertEqual(UserTable({"zoë".encode(): hash}).find("zoë".encode()), (hash, "zoë"))
