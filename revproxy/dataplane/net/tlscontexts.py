"""
Contexts: who a listener is, by server name, and whom a client trusts.

Pure values; files are read elsewhere. A context cannot be changed once used (pyOpenSSL ≥ 26.2): a new certificate is
a new context and a new table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto
from OpenSSL._util import ffi, lib

from revproxy.hostport import splitPort, withoutBrackets

GROUPS = b"X25519MLKEM768:X25519:P-256:P-384"
CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    b"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
"""TLS 1.2: Mozilla's "intermediate" without the DHE suites. TLS 1.3 has its three by default."""

SESSION_LIFETIME = 7200
"""Seconds a session can be resumed; a client's certificate is looked at again each time."""

VERSIONS = {"TLSv1.2": SSL.TLS1_2_VERSION, "TLSv1.3": SSL.TLS1_3_VERSION}

CLIENT_AUTH = {
    "none": SSL.VERIFY_NONE,
    "optional": SSL.VERIFY_PEER,
    "required": SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT,
}
"""``optional``: a client may come without a certificate; one that does not verify is refused all the same."""

_OP_PRIORITIZE_CHACHA = 1 << 21
"""OpenSSL's name; the binding has none for it."""

# Our order decides, save for clients that want ChaCha20 first, because they have no AES in hardware.
_OPTIONS = (
    SSL.OP_NO_COMPRESSION
    | SSL.OP_NO_RENEGOTIATION
    | SSL.OP_SINGLE_ECDH_USE
    | SSL.OP_CIPHER_SERVER_PREFERENCE
    | _OP_PRIORITIZE_CHACHA
)


@dataclass(frozen=True, slots=True, eq=False)
class HostTLS:
    """
    How one host (or all hosts of one certificate) speaks TLS. Two are the same only if they are one object.

    :ivar context: has certificate, versions, ALPN, verify mode; sessions are never shared between contexts.
    :ivar clientAuth: ``none``, ``optional`` or ``required``.
    """

    context: SSL.Context
    clientAuth: str = "none"


class ServerContexts:
    """
    The hosts of a listener, by server name. Knows no files.

    :param table: lower-case host names, or ``*.`` and the rest for any one label, to their :class:`HostTLS`.
    :param default: for clients that name no host, or one that is not in the table.
    """

    def __init__(self, table: Mapping[str, HostTLS], default: HostTLS) -> None:
        self._current = (dict(table), default)

    def swap(self, table: Mapping[str, HostTLS], default: HostTLS) -> None:
        """Replace everything by one assignment; connections keep what they have."""
        self._current = (dict(table), default)

    def forName(self, serverName: str | None) -> HostTLS:
        """:param serverName: lower case, as in :class:`TLSInfo`."""
        table, default = self._current
        if serverName is None:
            return default
        found = table.get(serverName)
        if found is None:
            found = table.get("*." + serverName.partition(".")[2], default)
        return found

    def protectedHost(self, serverName: str | None, host: str) -> bool:
        """
        Whether a request must be answered with 421 (RFC 9110 §15.5.20).

        True when ``host`` asks for client certificates (optional ones too) and the handshake was made as another
        host, or with no name where that leads elsewhere: then nobody has checked this client for this host.

        :param serverName: of the connection's :class:`TLSInfo`.
        :param host: the request's Host, with or without a port.
        """
        wanted = self.forName(_withoutPort(host))
        return wanted.clientAuth != "none" and self.forName(serverName) is not wanted


def _withoutPort(host: str) -> str:
    name, _ = splitPort(host.lower())
    return withoutBrackets(name).removesuffix(".")


def serverContext(
    chain: Sequence[x509.Certificate],
    key: Any,
    *,
    minimumVersion: str = "TLSv1.2",
    clientCA: Sequence[x509.Certificate] = (),
    clientAuth: str = "none",
    alpn: Sequence[bytes] = (b"http/1.1",),
    sessionContext: bytes = b"revproxy",
) -> SSL.Context:
    """
    :param chain: the certificate, then those that lead to its issuer.
    :param key: a private key of ``cryptography``.
    :param clientCA: who may have issued client certificates.
    :param alpn: what we speak, best first.
    :param sessionContext: up to 32 bytes that sessions of this context are marked with.
    :raises SSL.Error: when certificate and key do not belong together.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    _harden(context, minimumVersion)
    context.use_certificate(chain[0])
    for issuer in chain[1:]:
        context.add_extra_chain_cert(issuer)
    context.use_privatekey(key)
    context.check_privatekey()
    context.set_session_id(sessionContext[:32])
    context.set_session_cache_mode(SSL.SESS_CACHE_SERVER)
    context.set_timeout(SESSION_LIFETIME)
    if alpn:
        context.set_alpn_select_callback(partial(_selectProtocol, tuple(alpn)))
    if clientAuth != "none":
        _trust(context, clientCA)
        for authority in clientCA:
            context.add_client_ca(authority)
    context.set_verify(CLIENT_AUTH[clientAuth])
    return context


def clientContext(
    verify: bool = True,
    caPEM: bytes | None = None,
    certificatePEM: bytes | None = None,
    alpn: Sequence[bytes] = (b"http/1.1",),
) -> SSL.Context:
    """
    For connections to origins.

    :param verify: :obj:`False` trusts whoever answers.
    :param caPEM: the only authorities to trust, instead of the system's.
    :param certificatePEM: our own certificate, its chain and its key, for origins that ask.
    :raises ValueError: when a PEM cannot be read, or certificate and key do not belong together.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    _harden(context, "TLSv1.2")
    if verify:
        if caPEM is None:
            context.set_default_verify_paths()
        else:
            _trust(context, x509.load_pem_x509_certificates(caPEM))
    context.set_verify(SSL.VERIFY_PEER if verify else SSL.VERIFY_NONE, _noteVerifyError)
    if certificatePEM is not None:
        _showCertificate(context, certificatePEM)
    if alpn:
        context.set_alpn_protos(list(alpn))
    return context


def _showCertificate(context: SSL.Context, pem: bytes) -> None:
    """:raises ValueError: with what is wrong."""
    chain = x509.load_pem_x509_certificates(pem)
    try:
        # Not OpenSSL's own reader: it would ask the terminal for a pass phrase.
        key: Any = load_pem_private_key(pem, None)
    except TypeError:
        raise ValueError("the key is encrypted; nobody is there to type its pass phrase")
    context.use_certificate(chain[0])
    for issuer in chain[1:]:
        context.add_extra_chain_cert(issuer)
    try:
        context.use_privatekey(key)
        context.check_privatekey()
    except SSL.Error:
        raise ValueError("the key is not that of the first certificate")


def _harden(context: SSL.Context, minimumVersion: str) -> None:
    context.set_min_proto_version(VERSIONS[minimumVersion])
    context.set_options(_OPTIONS)
    # An idle connection would keep 34 KB of record buffers.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_cipher_list(CIPHERS)
    # pyOpenSSL can only set a single curve.
    if lib.SSL_CTX_set1_curves_list(context._context, GROUPS) != 1:
        raise ValueError("OpenSSL does not know the groups " + GROUPS.decode())


def _trust(context: SSL.Context, authorities: Sequence[x509.Certificate]) -> None:
    store = context.get_cert_store()
    assert store is not None
    for authority in authorities:
        store.add_cert(crypto.X509.from_cryptography(authority))


def _selectProtocol(ours: tuple[bytes, ...], _: SSL.Connection, offered: list[bytes]) -> Any:
    """RFC 7301: our order decides; no overlap goes on without (HTTP/1.1 is what is spoken then)."""
    return next((protocol for protocol in ours if protocol in offered), SSL.NO_OVERLAPPING_PROTOCOLS)


def _noteVerifyError(connection: SSL.Connection, _: Any, code: int, depth: int, ok: int) -> bool:
    """OpenSSL's own error says only "certificate verify failed"; keep the reason on the connection."""
    if not ok:
        connection.set_app_data(ffi.string(lib.X509_verify_cert_error_string(code)).decode("ascii", "replace"))
    return bool(ok)


__all__ = ["CLIENT_AUTH", "VERSIONS", "HostTLS", "ServerContexts", "clientContext", "serverContext"]
