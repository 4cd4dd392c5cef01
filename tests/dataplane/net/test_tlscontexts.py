"""The table of hosts, and what a context insists on."""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from OpenSSL import SSL
from OpenSSL._util import lib
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.net.tlscontexts import HostTLS, ServerContexts, clientContext, serverContext
from tests.authority import Authority

AUTHORITY = Authority()
ISSUED = AUTHORITY.issue("a.example")


def host(clientAuth: str = "none") -> HostTLS:
    """A host of which only the identity and the rule matter."""
    return HostTLS(SSL.Context(SSL.TLS_SERVER_METHOD), clientAuth)


def agreedCipher(*offered: str) -> str | None:
    """Which cipher a server of ours takes from a TLS 1.2 client that prefers these, in this order."""
    wanted = SSL.Context(SSL.TLS_CLIENT_METHOD)
    wanted.set_max_proto_version(SSL.TLS1_2_VERSION)
    wanted.set_cipher_list(":".join(offered).encode())
    client = SSL.Connection(wanted)
    client.set_connect_state()
    server = SSL.Connection(serverContext([ISSUED.certificate], ISSUED.key))
    server.set_accept_state()
    for _ in range(3):
        for near, far in ((client, server), (server, client)):
            try:
                near.do_handshake()
            except SSL.WantReadError:
                pass
            try:
                far.bio_write(near.bio_read(65536))
            except SSL.WantReadError:
                pass
    return client.get_cipher_name()


class ServerContextsTests(SynchronousTestCase):
    """Which host a name leads to."""

    def setUp(self) -> None:
        self.shop, self.wild, self.admin, self.default = host(), host(), host("required"), host()
        self.table = {"shop.example.com": self.shop, "*.example.com": self.wild, "admin.example.com": self.admin}
        self.contexts = ServerContexts(self.table, self.default)

    def test_forName(self) -> None:
        """An exact name before a wildcard, which stands for one label; all else is the default."""
        for name, expected in {
            "shop.example.com": self.shop,
            "other.example.com": self.wild,
            "a.b.example.com": self.default,
            "example.com": self.default,
            "": self.default,
            None: self.default,
        }.items():
            self.assertIs(self.contexts.forName(name), expected, name)

    def test_protectedHost(self) -> None:
        """A protected host is only answered on a connection made as that host."""
        protected = self.contexts.protectedHost
        for serverName, asked, misdirected in [
            ("admin.example.com", "admin.example.com", False),
            ("admin.example.com", "ADMIN.example.com:8443", False),
            ("admin.example.com", "admin.example.com.", False),
            ("shop.example.com", "admin.example.com", True),
            ("shop.example.com", "Admin.Example.Com.:443", True),
            (None, "admin.example.com", True),
            ("unknown", "admin.example.com", True),
            ("shop.example.com", "other.example.com", False),
            ("admin.example.com", "shop.example.com", False),
            (None, "[::1]:443", False),
        ]:
            self.assertIs(protected(serverName, asked), misdirected, (serverName, asked))

    def test_optionalIsProtected(self) -> None:
        """A host that only may get a certificate is protected too: what it says of the client must be true."""
        contexts = ServerContexts({"a.example": host("optional")}, self.default)
        self.assertTrue(contexts.protectedHost("b.example", "a.example"))

    def test_protectedDefault(self) -> None:
        """Where the default asks for certificates, clients that name no host have been asked."""
        contexts = ServerContexts({"open.example": self.shop}, host("required"))
        self.assertFalse(contexts.protectedHost(None, "192.0.2.1"))
        self.assertTrue(contexts.protectedHost("open.example", "192.0.2.1"))

    def test_swap(self) -> None:
        """A swapped table answers at once, and later changes of the caller's mapping do not matter."""
        table = {"new.example": self.shop}
        self.contexts.swap(table, self.wild)
        table.clear()
        self.assertIs(self.contexts.forName("new.example"), self.shop)
        self.assertIs(self.contexts.forName("shop.example.com"), self.wild)


class ContextTests(SynchronousTestCase):
    """What contexts are made of."""

    def test_ciphers(self) -> None:
        """Only forward-secret AEAD ciphers are offered."""
        for context in (serverContext([ISSUED.certificate], ISSUED.key), clientContext()):
            ciphers = SSL.Connection(context).get_cipher_list()
            self.assertTrue(ciphers)
            for cipher in ciphers:
                self.assertTrue(cipher.startswith(("TLS_", "ECDHE-")), cipher)
                self.assertIn(cipher.split("-")[-1].split("_")[-1], ("SHA256", "SHA384", "POLY1305"), cipher)

    def test_order(self) -> None:
        """Our order of ciphers decides; a client that wants ChaCha20 first gets it."""
        aes128, aes256, chacha = (
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
        )
        self.assertEqual(agreedCipher(aes256, chacha, aes128), aes128)
        self.assertEqual(agreedCipher(aes256, chacha), aes256)
        self.assertEqual(agreedCipher(chacha, aes256, aes128), chacha)

    def test_otherKey(self) -> None:
        """Certificate and key of different owners are refused."""
        self.assertRaises(SSL.Error, serverContext, [ISSUED.certificate], AUTHORITY.issue("b").key)

    def test_clientPEMs(self) -> None:
        """PEMs that hold nothing are refused."""
        self.assertRaises(ValueError, clientContext, caPEM=b"rubbish")
        self.assertRaises(ValueError, clientContext, certificatePEM=b"rubbish")
        self.assertRaises(ValueError, clientContext, certificatePEM=ISSUED.certificatePEM)

    def test_clientKeys(self) -> None:
        """A key of someone else, or one that is encrypted, is refused at once: nobody is asked for a pass phrase."""
        other = AUTHORITY.issue("b.example")
        error = self.assertRaises(ValueError, clientContext, certificatePEM=ISSUED.certificatePEM + other.keyPEM)
        self.assertIn("not that of the first certificate", str(error))
        locked = ISSUED.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        error = self.assertRaises(ValueError, clientContext, certificatePEM=ISSUED.certificatePEM + locked)
        self.assertIn("encrypted", str(error))

    def test_bindingNames(self) -> None:
        """The binding of pyOpenSSL has every name that the transports use past its methods."""
        names = (
            "ERR_clear_error SSL_CTX_set1_curves_list SSL_ERROR_WANT_READ SSL_ERROR_WANT_WRITE SSL_ERROR_ZERO_RETURN "
            "SSL_MODE_AUTO_RETRY SSL_clear_mode SSL_get_error SSL_read SSL_session_reused "
            "SSL_set_info_callback SSL_write X509_verify_cert_error_string"
        )
        for name in names.split(" "):
            self.assertTrue(hasattr(lib, name), name)
        self.assertTrue(hasattr(SSL.Connection(clientContext()), "_ssl"))
