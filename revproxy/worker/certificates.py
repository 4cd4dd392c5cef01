"""
A folder of PEM files, made into the TLS contexts of a listener.

A certificate with its chain and its key may be one file (``shop.pem``), or two of one name: ``shop.crt``, ``.pem`` or
``.cer`` with the chain and ``shop.key`` with the key. Which hosts it serves is what it says itself (subject
alternative names). The folder is read when it is loaded and when its contents change: never because of what a
client asks for.

One bad file costs its own hosts only: the others are loaded, and the problem names the file. A file that was good
before and is bad now (half written, its key not there yet, a named pipe in its place) serves on as it was; so does the
file of a client authority.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from revproxy.config.settings import ClientAuthConfig, TLSConfig
from revproxy.control.certificatefiles import CertificateFiles, Contents
from revproxy.dataplane.net.tlscontexts import HostTLS, ServerContexts, serverContext

WATCH_INTERVAL = 5.0
"""Seconds between looks at a folder."""

MAX_TOLD = 20
"""Problems of a folder that are told one by one."""

SELF_SIGNED = "self-signed.pem"
"""The file of a certificate made to begin with: it gives way to any other for the same host."""

_log = Logger()

_Rule = TLSConfig | ClientAuthConfig
_Authority = tuple[x509.Certificate, ...]


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

    :ivar warnings: problems that did not stop the rest, each beginning with its path.
    """

    table: Mapping[str, HostTLS]
    default: HostTLS
    warnings: tuple[str, ...] = ()


class CertificateFolder:
    """
    The certificates of one listener.

    :param settings: the listener's ``tls`` section.
    :param alpn: the protocols that listener speaks.
    """

    def __init__(self, settings: TLSConfig, alpn: tuple[bytes, ...] = (b"http/1.1",)) -> None:
        self.settings = settings
        self.alpn = alpn
        rules: list[_Rule] = [settings, *settings.hosts.values()]
        self._authorityFiles = {rule.clientCA for rule in rules if rule.clientCA is not None}
        self._files = CertificateFiles(settings.certificates, self._authorityFiles)
        self._unreadable = ""
        self._good: dict[Path, Certificate] = {}
        self._authorities: dict[Path, _Authority | str] = {}

    def read(self) -> Loaded:
        """
        Read everything, build every context.

        :raises CertificateError: when no certificate can be used, or the file of a client authority never could be.
        :raises OSError: the folder cannot be listed, or has too much in it.
        """
        return self._loaded(self._files.read())

    def _loaded(self, files: Contents) -> Loaded:
        problems = self._readAuthorities(files)
        certificates, wrong = self._certificates(files)
        problems += wrong
        if not certificates:
            folder = self.settings.certificates
            reason = "no certificate in it" if folder.exists() else "there is no such folder"
            raise CertificateError(self._few(problems) or (f"{folder}: {reason}",))
        problems += _expired(certificates)
        table = self._table(certificates)
        default = self._default(certificates, table)
        self._good = {certificate.path: certificate for certificate in certificates}
        return Loaded(table, default, self._few(problems))

    def _few(self, problems: list[str]) -> tuple[str, ...]:
        """There may be a thousand of a kind, and each would be a line of the log."""
        if len(problems) <= MAX_TOLD:
            return tuple(problems)
        more = f"{self.settings.certificates}: {len(problems) - MAX_TOLD} more problems like these"
        return (*problems[:MAX_TOLD], more)

    def _readAuthorities(self, files: Contents) -> list[str]:
        """What a file held before stands in for what cannot be read now. :return: those of which that is so."""
        problems = []
        for path in sorted(self._authorityFiles):
            found = _authorityOf(files[path])
            before = self._authorities.get(path)
            if isinstance(found, str) and isinstance(before, tuple):
                problems.append(f"{path}: {found}; what it held before is trusted on")
            else:
                self._authorities[path] = found
        return problems

    def _certificates(self, files: Contents) -> tuple[list[Certificate], list[str]]:
        """In order of preference; what a file held before stands in for what cannot be read now."""
        own = {path: data for path, data in files.items() if path not in self._authorityFiles}
        certificates, problems = readCertificates(own)
        for path in own.keys() & problems.keys() & self._good.keys():
            certificates.append(self._good[path])
            problems[path] += "; what it held before is served on"
        certificates.sort(key=_preference)
        return certificates, [f"{path}: {problem}" for path, problem in sorted(problems.items())]

    def load(self) -> tuple[Mapping[str, HostTLS], HostTLS]:
        """
        As :meth:`read`, with the warnings logged.

        :return: the arguments of :class:`ServerContexts`.
        :raises CertificateError: as :meth:`read`.
        """
        loaded = self.read()
        for warning in loaded.warnings:
            _log.warn("{problem}", problem=warning)
        return loaded.table, loaded.default

    def contexts(self) -> ServerContexts:
        """:return: the hosts of a listener, to be kept up to date by :meth:`watch`."""
        return ServerContexts(*self.load())

    def look(self) -> Loaded | None:
        """
        Read everything again if any file differs from what was read last, by content. For any thread, one at a time.

        :return: None if nothing does.
        :raises CertificateError: as :meth:`read`.
        :raises OSError: as :meth:`read`.
        """
        files = self._files.readIfChanged()
        return None if files is None else self._loaded(files)

    def watch(
        self, reactor: Any, contexts: ServerContexts, interval: float = WATCH_INTERVAL
    ) -> Callable[[], None]:
        """
        Look for changes, in a thread: a disk may take its time, and hundreds of certificates take theirs. What cannot
        be used is logged, and what there is is kept.

        :param interval: seconds.
        :return: call it to stop; nothing is swapped in after that.
        """
        loop: LoopingCall = LoopingCall(self._lookAgain, reactor, contexts, lambda: loop.running)
        loop.clock = reactor
        running: Deferred[Any] = loop.start(interval, now=False)
        running.addErrback(lambda reason: _log.failure("watching certificates ended", reason))
        return loop.stop

    async def _lookAgain(self, reactor: Any, contexts: ServerContexts, isWatching: Callable[[], bool]) -> None:
        try:
            found = await deferToThreadPool(reactor, reactor.getThreadPool(), self.look)
            self._unreadable = ""
            if found is not None and isWatching():
                for warning in found.warnings:
                    _log.warn("{problem}", problem=warning)
                contexts.swap(found.table, found.default)
                _log.info("certificates of {folder} read again", folder=str(self.settings.certificates))
        except CertificateError as e:
            self._unreadable = ""
            for problem in e.problems:
                _log.error("certificates kept as they were: {problem}", problem=problem)
        except OSError as e:
            if str(e) != self._unreadable:  # said once, not with every look
                self._unreadable = str(e)
                _log.error("certificates kept as they were: {error}", error=str(e))
        except Exception:
            # A loop that has died would go unnoticed until a certificate expires.
            _log.failure("certificates kept as they were")

    # -- contexts

    def _table(self, certificates: list[Certificate]) -> dict[str, HostTLS]:
        """Names to contexts; a host with a rule of its own has a context of its own even on a shared certificate."""
        table: dict[str, HostTLS] = {}
        for certificate in certificates:
            contexts: dict[str, HostTLS] = {}
            for name in certificate.names:
                if name not in table:
                    table[name] = self._hostOf(certificate, self._ruleName(name), contexts)
        for name in self.settings.hosts.keys() - table.keys():
            table[name] = self._hostOf(_certificateFor(name, certificates), name, {})
        return table

    def _ruleName(self, host: str) -> str:
        """The rule a host falls under: its own, that of its wildcard, or (an empty name) the listener's."""
        hosts = self.settings.hosts
        return next((name for name in (host, _wildcardOf(host)) if name in hosts), "")

    def _default(self, certificates: list[Certificate], table: Mapping[str, HostTLS]) -> HostTLS:
        """The first certificate's, under the listener's own rule."""
        for name in certificates[0].names:
            if not self._ruleName(name):
                return table[name]
        return self._hostOf(certificates[0], "", {})

    def _hostOf(self, certificate: Certificate, ruleName: str, contexts: dict[str, HostTLS]) -> HostTLS:
        """:param contexts: those made for this certificate, by rule; added to."""
        if ruleName not in contexts:
            contexts[ruleName] = self._host(certificate, ruleName)
        return contexts[ruleName]

    def _host(self, certificate: Certificate, ruleName: str) -> HostTLS:
        rule: _Rule = self.settings.hosts[ruleName] if ruleName else self.settings
        clientAuth = rule.clientAuth or "none"
        authorities = self._trusted(rule.clientCA or self.settings.clientCA) if clientAuth != "none" else ()
        mark = hashlib.sha256(certificate.chain[0].fingerprint(hashes.SHA256()) + ruleName.encode())
        try:
            context = serverContext(
                certificate.chain,
                certificate.key,
                minimumVersion=self.settings.minimumVersion,
                clientCA=authorities,
                clientAuth=clientAuth,
                alpn=self.alpn,
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


def _expired(certificates: list[Certificate]) -> list[str]:
    now = datetime.now(UTC)
    return [
        f"{certificate.path}: expired on {certificate.expires:%Y-%m-%d}, served all the same"
        for certificate in certificates
        if certificate.expires < now
    ]


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
    except ValueError as e:
        return str(e)


__all__ = ["Certificate", "CertificateError", "CertificateFolder", "Loaded", "readCertificates"]
