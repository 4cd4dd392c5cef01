"""
Which files a listener's certificates are read from.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.settings import ClientAuthConfig, TLSConfig
from revproxy.plan.pemfiles import PemFiles, authorityFiles, pemKey

FOLDER, ONE, TWO = Path("/certificates"), Path("/1.pem"), Path("/2.pem")


class KeyTests(SynchronousTestCase):
    """
    `pemKey`.
    """

    def test_same(self) -> None:
        """
        Listeners with the same files share them, whatever else is different.
        """
        host = {"a.example": ClientAuthConfig(TWO, "required")}
        first = TLSConfig(FOLDER, "TLSv1.2", ONE, "optional", host)
        second = TLSConfig(FOLDER, "TLSv1.3", TWO, "required", {"b.example": ClientAuthConfig(ONE, "optional")})
        self.assertEqual(pemKey(first), pemKey(second))

    def test_different(self) -> None:
        """
        Another folder, or another authority, is another key.
        """
        settings = (TLSConfig(FOLDER), TLSConfig(ONE), TLSConfig(FOLDER, clientCA=ONE), TLSConfig(FOLDER, clientCA=TWO))
        self.assertEqual(len({pemKey(each) for each in settings}), 4)

    def test_authorities(self) -> None:
        """
        Each file is named once, in the order of paths, and hosts without their own name none.
        """
        hosts = {"a": ClientAuthConfig(ONE, "required"), "b": ClientAuthConfig(None, "required")}
        self.assertEqual(authorityFiles(TLSConfig(FOLDER, "TLSv1.2", TWO, "optional", hosts)), [ONE, TWO])
        self.assertEqual(authorityFiles(TLSConfig(FOLDER)), [])


class PemFilesTests(SynchronousTestCase):
    """
    The files as they were.
    """

    def test_equal(self) -> None:
        """
        They are equal by their digest; whether one could be read is part of that.
        """
        files = PemFiles("/c", "1", {"a": b"x"})
        self.assertEqual(files, PemFiles("/c", "1", {"a": b"x"}, {"b": "no"}))
        self.assertNotEqual(files, PemFiles("/c", "2", {"a": b"x"}))

    def test_neverShown(self) -> None:
        """
        What is in them is not shown.
        """
        self.assertNotIn("x-key", repr(PemFiles("/c", "1", {"a": b"x-key"}, {"x-key": "no"})))
