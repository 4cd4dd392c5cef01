"""
A folder of PEM files, made into the TLS contexts of a listener.

A certificate with its chain and its key may be one file (``shop.pem``), or two of one name: ``shop.crt``, ``.pem`` or
``.cer`` with the chain and ``shop.key`` with the key. Which hosts it serves is what it says itself (subject
alternative names). Control reads the files, when they change; never because of what a client asks for.

One bad file costs its own hosts only: the others are loaded, and the problem names the file. A file that was good
before and is bad now (half written, its key not there yet, a named pipe in its place) serves on as it was; so does the
file of a client authority.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from OpenSSL import SSL

from revproxy.config.settings import ClientAuthConfig, TLSConfig
from revproxy.dataplane.net.tlscontexts import HostTLS, serverContext
from revproxy.loading.tracebacks import described
from revproxy.plan.pemfiles import PemFiles, authorityFiles
from revproxy.plan.words import CertificateFacts
from revproxy.worker.certificatefacts import factsOf

MAX_TOLD = 20
"""Problems of a folder that are told one by one."""

SELF_SIGNED = "self-signed.pem"
"""The file of a certificate made to begin with: it gives way to any other for the same host."""

_Rule = TLSConfig | ClientAuthConfig
_Authority = tuple[x509.Certificate, ...]
_Authorities = Mapping[Path, _Authority | str]

_Made = tuple[_Authority, str, _Authority]
"""What a context is made from: the chain, the name of the rule, and who signs clients' certificates."""

Contents = Mapping[Path, bytes | str]
"""By path, what is in a file; a text says why it could not be read."""


class CertificateError(Exception):
    """
    The folder gives nothing to serve with.

    :ivar problems: one text per file, beginning with its path.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Certificate:
    """
    One certificate with its key.

    :ivar path: the file it was read from.
    :ivar names: the hosts it serves, lower case, addresses among them.
    """

    path: Path
    chain: tuple[x509.Certificate, ...]
    key: Any
    names: tuple[str, ...]

    @property
    def expires(self) -> datetime:
        """:return: when the first of the chain's certificates ends."""
        return min(certificate.not_valid_after_utc for certificate in self.chain)


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    What a folder gave.

    :ivar place: the folder, or the file.
    :ivar table: by name of the host; ``default``: for all others.
    :ivar certificates: those that can be used.
    :ivar authorities: by file, those that sign clients' certificates, or why they could not be read.
    :ivar contexts: those that hosts have, by what they were made from.
    :ivar facts: what people want to know of the certificates.
    :ivar problems: what could not be used and did not stop the rest, each beginning with its path.
    """

    place: str
    table: Mapping[str, HostTLS]
    default: HostTLS
    certificates: tuple[Certificate, ...]
    authorities: _Authorities
    contexts: Mapping[_Made, HostTLS]
    facts: tuple[CertificateFacts, ...]
    problems: tuple[str, ...] = ()

    @property
    def expired(self) -> tuple[str, ...]:
        """A text for each certificate whose time is over; they are served all the same."""
        return _few(_expired(self.certificates), self.place)

    @property
    def names(self) -> tuple[str, ...]:
        """Every host that is served, in order."""
        return tuple(sorted({name for certificate in self.certificates for name in certificate.names}))

    @property
    def expires(self) -> float:
        """When the first of the certificates ends, in seconds since the epoch."""
        return min(certificate.expires for certificate in self.certificates).timestamp()


class CertificateFolder:
    """
    The certificates of one listener.

    :param settings: the listener's ``tls`` section.
    :param alpn: the protocols that listener speaks.
    """

    def __init__(self, settings: TLSConfig, alpn: tuple[bytes, ...] = (b"http/1.1",)) -> None:
        self.settings = settings
        self.alpn = alpn
        self._authorityFiles = set(authorityFiles(settings))
        self._good: dict[Path, Certificate] = {}
        self._authorities: _Authorities = {}
        self._contexts: Mapping[_Made, HostTLS] = {}

    def load(self, files: PemFiles) -> Loaded:
        """
        Build every context that is not in use already: of a thousand certificates, one is renewed at a time. Changes
        nothing: what was good before is remembered by :meth:`adopt`. For any thread.

        :raises CertificateError: when no certificate can be used, or the file of a client authority never could be.
        """
        if files.problem:
            raise CertificateError((f"{files.place}: {files.problem}",))
        contents: dict[Path, bytes | str] = {Path(path): data for path, data in files.contents.items()}
        contents.update((Path(path), reason) for path, reason in files.unreadable.items())
        authorities, problems = self._readAuthorities(contents)
        certificates, wrong = self._certificates(contents)
        problems += wrong
        if not certificates:
            reason = "no certificate in it" if files.exists else "there is no such folder"
            raise CertificateError(_few(problems, files.place) or (f"{files.place}: {reason}",))
        contexts = _Contexts(self.settings, self.alpn, authorities, self._contexts)
        served = self._served(certificates)
        table = {name: contexts.of(certificate, self._ruleName(name)) for name, certificate in served.items()}
        default = self._default(certificates, table, contexts)
        facts = factsOf(certificates, {name: certificate.path for name, certificate in served.items()})
        few = _few(problems, files.place)
        return Loaded(files.place, table, default, tuple(certificates), authorities, contexts.made, facts, few)

    def adopt(self, loaded: Loaded) -> None:
        """This is served from now on, and stands in for what cannot be read later."""
        self._good = {certificate.path: certificate for certificate in loaded.certificates}
        self._authorities = loaded.authorities
        self._contexts = loaded.contexts

    def _readAuthorities(self, contents: Contents) -> tuple[dict[Path, _Authority | str], list[str]]:
        """What a file held before stands in for what cannot be read now. :return: with those of which that is so."""
        authorities: dict[Path, _Authority | str] = {}
        problems = []
        for path in sorted(self._authorityFiles):
            found = _authorityOf(contents[path])
            before = self._authorities.get(path)
            if isinstance(found, str) and isinstance(before, tuple):
                problems.append(f"{path}: {found}; what it held before is trusted on")
                found = before
            authorities[path] = found
        return authorities, problems

    def _certificates(self, contents: Contents) -> tuple[list[Certificate], list[str]]:
        """In order of preference; what a file held before stands in for what cannot be read now."""
        own = {path: data for path, data in contents.items() if path not in self._authorityFiles}
        certificates, problems = readCertificates(own)
        for path in own.keys() & problems.keys() & self._good.keys():
            certificates.append(self._good[path])
            problems[path] += "; what it held before is served on"
        certificates.sort(key=_preference)
        return certificates, [f"{path}: {problem}" for path, problem in sorted(problems.items())]

    def _served(self, certificates: list[Certificate]) -> dict[str, Certificate]:
        """
        Names to certificates; a host with a rule of its own will have a context of its own even on a shared one.
        """
        served: dict[str, Certificate] = {}
        for certificate in certificates:
            for name in certificate.names:
                served.setdefault(name, certificate)
        for name in self.settings.hosts.keys() - served.keys():
            served[name] = _certificateFor(name, certificates)
        return served

    def _ruleName(self, host: str) -> str:
        """The rule a host falls under: its own, that of its wildcard, or (an empty name) the listener's."""
        hosts = self.settings.hosts
        return next((name for name in (host, _wildcardOf(host)) if name in hosts), "")

    def _default(
        self, certificates: list[Certificate], table: Mapping[str, HostTLS], contexts: _Contexts
    ) -> HostTLS:
        """The first certificate's, under the listener's own rule."""
        for name in certificates[0].names:
            if not self._ruleName(name):
                return table[name]
        return contexts.of(certificates[0], "")


class _Contexts:
    """
    The contexts of one loading: made, or taken over from what is in use.

    :ivar made: all of them, by what they were made from.
    """

    def __init__(
        self,
        settings: TLSConfig,
        alpn: tuple[bytes, ...],
        authorities: _Authorities,
        inUse: Mapping[_Made, HostTLS],
    ) -> None:
        self.made: dict[_Made, HostTLS] = {}
        self._settings = settings
        self._alpn = alpn
        self._authorities = authorities
        self._inUse = inUse

    def of(self, certificate: Certificate, ruleName: str) -> HostTLS:
        """
        :param ruleName: of the rule that holds; empty for the listener's.
        :raises CertificateError: it cannot be made.
        """
        rule: _Rule = self._settings.hosts[ruleName] if ruleName else self._settings
        trusted: _Authority = ()
        if rule.clientAuth not in (None, "none"):
            trusted = self._trusted(rule.clientCA or self._settings.clientCA)
        key = certificate.chain, ruleName, trusted
        host = self.made.get(key) or self._inUse.get(key)
        if host is None:
            host = self._make(certificate, ruleName, rule.clientAuth or "none", trusted)
        self.made[key] = host
        return host

    def _make(self, certificate: Certificate, ruleName: str, clientAuth: str, trusted: _Authority) -> HostTLS:
        mark = hashlib.sha256(certificate.chain[0].fingerprint(hashes.SHA256()) + ruleName.encode())
        try:
            context = serverContext(
                certificate.chain,
                certificate.key,
                minimumVersion=self._settings.minimumVersion,
                clientCA=trusted,
                clientAuth=clientAuth,
                alpn=self._alpn,
                sessionContext=mark.digest(),
            )
        except (SSL.Error, ValueError) as e:
            raise CertificateError((f"{certificate.path}: OpenSSL does not take it: {e}",))
        return HostTLS(context, clientAuth)

    def _trusted(self, path: Path | None) -> _Authority:
        """:raises CertificateError: when the file holds none: clients would all be refused, or none asked."""
        if path is None:
            raise CertificateError(("client_auth without client_ca: nobody to trust",))
        found = self._authorities[path]
        if isinstance(found, str):
            raise CertificateError((f"{path}: no authorities to be read: {found}",))
        return found


def readCertificates(files: Contents) -> tuple[list[Certificate], dict[Path, str]]:
    """
    :param files: PEM files with their contents, or why they have none.
    :return: what could be read, in the order of the paths, and what is wrong with the rest.
    """
    certificates: list[Certificate] = []
    problems: dict[Path, str] = {}
    for path, data in sorted(files.items()):
        if path.suffix == ".key":
            continue
        keyPath = path.with_suffix(".key")
        try:
            certificates.append(_readCertificate(path, data, keyPath, files.get(keyPath)))
        except ValueError as e:
            problems[path] = str(e)
        except Exception as e:  # cryptography has its own for what it finds late, such as an extension given twice
            problems[path] = described(e)
    return certificates, problems


def _readCertificate(path: Path, data: bytes | str, keyPath: Path, keyData: bytes | str | None) -> Certificate:
    """:raises ValueError: with what is wrong."""
    if isinstance(data, str):
        raise ValueError(data)
    if not data:
        raise ValueError("is empty")
    try:
        chain = tuple(x509.load_pem_x509_certificates(data))
    except ValueError:
        raise ValueError("no certificate in it")
    source, name = (data, path.name) if b"PRIVATE KEY-----" in data else (keyData, keyPath.name)
    if isinstance(source, str):
        raise ValueError(f"its key in {name} {source}")
    if not source:
        raise ValueError(f"no private key, neither in it nor in {keyPath.name}")
    try:
        key: Any = load_pem_private_key(source, None)
    except TypeError:
        raise ValueError(f"the key in {name} is encrypted; nobody is there to type its pass phrase")
    except Exception as e:  # cryptography has an exception of its own for unsupported kinds of keys.
        raise ValueError(f"the key in {name} cannot be read: {e}")
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != chain[0].public_key().public_bytes(*form):
        raise ValueError(f"the key in {name} is not that of the first certificate")
    names = tuple(_namesOf(chain[0]))
    if not names:
        raise ValueError("the certificate names no host (no subject alternative name)")
    return Certificate(path, chain, key, names)


def _namesOf(certificate: x509.Certificate) -> Iterator[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for name in names:
        if isinstance(name, x509.DNSName):
            yield name.value.lower()
        elif isinstance(name, x509.IPAddress):
            yield str(name.value)


def _preference(certificate: Certificate) -> tuple[bool, bool, Path]:
    """Of two for one host the one that has not expired serves; the self-made one only where there is no other."""
    return certificate.expires < datetime.now(UTC), certificate.path.name == SELF_SIGNED, certificate.path


def _expired(certificates: Iterable[Certificate]) -> list[str]:
    now = datetime.now(UTC)
    return [
        f"{certificate.path}: expired on {certificate.expires:%Y-%m-%d}, served all the same"
        for certificate in certificates
        if certificate.expires < now
    ]


def _few(problems: list[str], place: str) -> tuple[str, ...]:
    """There may be a thousand of a kind, and each would be a line of the log."""
    if len(problems) <= MAX_TOLD:
        return tuple(problems)
    return (*problems[:MAX_TOLD], f"{place}: {len(problems) - MAX_TOLD} more problems like these")


def _wildcardOf(host: str) -> str:
    return "*." + host.partition(".")[2]


def _certificateFor(host: str, certificates: list[Certificate]) -> Certificate:
    """The one that names the host, by itself or by wildcard; else the first."""
    for name in (host, _wildcardOf(host)):
        for certificate in certificates:
            if name in certificate.names:
                return certificate
    return certificates[0]


def _authorityOf(content: bytes | str) -> _Authority | str:
    """A text says what is wrong."""
    if isinstance(content, str):
        return content
    try:
        return tuple(x509.load_pem_x509_certificates(content))
    except Exception as e:  # as above
        return str(e)


__all__ = ["Certificate", "CertificateError", "CertificateFolder", "Loaded", "readCertificates"]
