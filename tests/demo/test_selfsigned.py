"""Tests for `revproxy.demo.selfsigned`: the certificate to begin with."""

from __future__ import annotations

import stat
from pathlib import Path

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.settings import TLSConfig
from revproxy.control.certificatefiles import CertificateFiles
from revproxy.demo.selfsigned import selfSigned
from revproxy.worker.certificates import CertificateFolder


class SelfSignedTests(SynchronousTestCase):
    """The certificate to begin with."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def test_madeOnce(self) -> None:
        """It is made with a private mode, names the machine itself, can be served, and stays."""
        path = selfSigned(self.folder / "new")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        table = CertificateFolder(TLSConfig(path.parent)).load(CertificateFiles(path.parent).read()).table
        self.assertEqual(set(table), {"localhost", "127.0.0.1", "::1"})
        written = path.read_bytes()
        self.assertEqual(selfSigned(path.parent), path)
        self.assertEqual(path.read_bytes(), written)

    def test_kind(self) -> None:
        """It is a P-256 certificate for servers, and no authority."""
        certificate = x509.load_pem_x509_certificate(selfSigned(self.folder).read_bytes())
        self.assertEqual(certificate.public_key().curve.name, "secp256r1")  # type: ignore[union-attr]
        self.assertFalse(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
