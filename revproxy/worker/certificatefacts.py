"""
What people want to know of certificates that are served.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from revproxy.errors import printable
from revproxy.plan.words import CertificateFacts

_LONGEST = 300
"""Characters of a subject."""


class ServedCertificate(Protocol):
    """As much of a certificate as is told of."""

    @property
    def path(self) -> Path:
        """The file it was read from."""

    @property
    def chain(self) -> Sequence[x509.Certificate]:
        """Itself, and those that lead to its issuer."""

    @property
    def names(self) -> tuple[str, ...]:
        """The hosts that it is for."""


def factsOf(certificates: Iterable[ServedCertificate], served: Mapping[str, Path]) -> tuple[CertificateFacts, ...]:
    """
    :param certificates: the first is shown to clients that ask for no host, or for one that none is for.
    :param served: by host, the file of the certificate that it has.
    """
    hosts: dict[Path, list[str]] = {}
    for name, path in sorted(served.items()):
        hosts.setdefault(path, []).append(name)
    return tuple(
        _facts(certificate, tuple(hosts.get(certificate.path, ())), isDefault=at == 0)
        for at, certificate in enumerate(certificates)
    )


def _facts(certificate: ServedCertificate, serves: tuple[str, ...], isDefault: bool) -> CertificateFacts:
    own, chain = certificate.chain[0], certificate.chain
    return CertificateFacts(
        path=str(certificate.path),
        fingerprint=own.fingerprint(hashes.SHA256()).hex(),
        names=certificate.names,
        serves=serves,
        isDefault=isDefault,
        subject=_named(own.subject),
        issuer=_named(own.issuer),
        chain=tuple(_named(each.subject) for each in chain[1:]),
        serial=f"{own.serial_number:x}",
        begins=max(each.not_valid_before_utc for each in chain).timestamp(),
        expires=min(each.not_valid_after_utc for each in chain).timestamp(),
    )


def _named(name: x509.Name) -> str:
    try:
        return printable(name.rfc4514_string(), _LONGEST)
    except ValueError:
        return "unreadable"
