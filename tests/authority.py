"""A certificate authority for tests: issues what is asked for, in a millisecond, with no files."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def certificatePEM(self) -> bytes:
        """:return: the certificate alone."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def keyPEM(self) -> bytes:
        """:return: the key alone."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def pem(self) -> bytes:
        """:return: both, as one file."""
        return self.certificatePEM + self.keyPEM


class Authority:
    """Self-signed; issues P-256 certificates."""

    def __init__(self, name: str = "test authority") -> None:
        self.own = self._issue(_subject(name), (), None, timedelta(days=2), True)

    def issue(self, *names: str, subject: str | None = None, lifetime: timedelta = timedelta(days=1)) -> Issued:
        """
        :param names: hosts and addresses for the subject alternative names.
        :param subject: the common name; left out, the subject is empty.
        :param lifetime: from now; negative for one that has expired.
        """
        return self._issue(_subject(subject), names, self.own, lifetime, False)

    @staticmethod
    def _issue(
        subject: x509.Name, names: tuple[str, ...], issuer: Issued | None, lifetime: timedelta, authority: bool
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=3))
            .not_valid_after(now + lifetime)
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
        )
        if names:
            general = [_generalName(name) for name in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
        return Issued(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def _subject(name: str | None) -> x509.Name:
    return x509.Name([] if name is None else [x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _generalName(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
