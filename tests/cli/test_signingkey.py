"""Keys that sign plugins."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.minisignenvelope import minisignKey, readMinisignEnvelope
from revproxy.bundles.signature import publicKey
from revproxy.bundles.sshenvelope import readSSHEnvelope
from revproxy.bundles.sshkey import sshKey
from revproxy.cli.signingkey import KeyProblem, NewKey, SigningKey, newMinisignKey, newSSHKey, readSigningKey
from tests.bundles import signing
from tests.bundles.plainverifier import verifyMinisign, verifySSH
from tests.cli.sshagent import Agent
from tests.tools import needs

MESSAGE = b'{"a":1}'
NAMESPACE = "revproxy-plugin@v1"


class KeyCase(SynchronousTestCase):
    """In an empty folder."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.asked: list[str] = []

    def file(self, content: bytes, mode: int = 0o600, name: str = "key") -> Path:
        """A file with a key."""
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(mode)
        return path

    def passphrase(self, what: str) -> str:
        """Knows it."""
        self.asked.append(what)
        return "open sesame"

    def read(self, content: bytes, mode: int = 0o600) -> SigningKey:
        """The key in a file of this content."""
        return readSigningKey(self.file(content, mode), self.passphrase)

    def refused(self, content: bytes, mode: int = 0o600) -> str:
        """Why not."""
        return str(self.assertRaises(KeyProblem, self.read, content, mode)).removeprefix(f"{self.folder}/")


def private(kind: str) -> bytes:
    """The file of a private key, as ``ssh-keygen`` makes it."""
    key = signing.sshKey(kind).private
    made: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH,
                                    serialization.NoEncryption())
    return made


class PlainTests(KeyCase):
    """Keys that are read here."""

    KINDS = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")

    def test_kinds(self) -> None:
        """What each signs is taken, also by the plain verifier; nobody is asked for a passphrase."""
        for kind in self.KINDS:
            key = self.read(private(kind))
            envelope = key.sign(MESSAGE)
            self.assertEqual((key.envelope, key.public), ("plugin.manifest.json.sshsig", signing.sshKey(kind).line))
            readSSHEnvelope(envelope).check(sshKey(key.public), MESSAGE)
            self.assertTrue(verifySSH(key.public, envelope, MESSAGE), kind)
        self.assertEqual(self.asked, [])

    @needs("ssh-keygen")
    def test_sameAsTool(self) -> None:
        """The very bytes that ``ssh-keygen -Y sign`` makes, where the kind of key knows no chance."""
        for kind in ("ssh-ed25519", "ssh-rsa"):
            path = self.file(private(kind))
            said = subprocess.run(["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", path], input=MESSAGE,
                                  capture_output=True, check=True).stdout
            self.assertEqual(readSigningKey(path, self.passphrase).sign(MESSAGE), said)

    @needs("ssh-keygen")
    def test_toolTakesIt(self) -> None:
        """``ssh-keygen -Y verify`` takes what is signed here, and we what it signs, of each kind."""
        for kind in self.KINDS:
            path = self.file(private(kind))
            allowed = self.file(f"me {signing.sshKey(kind).line}\n".encode(), name="allowed")
            envelope = self.file(readSigningKey(path, self.passphrase).sign(MESSAGE), name="sshsig")
            subprocess.run(["ssh-keygen", "-Y", "verify", "-n", NAMESPACE, "-f", allowed, "-I", "me", "-s", envelope],
                           input=MESSAGE, capture_output=True, check=True)
            said = subprocess.run(["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", path], input=MESSAGE,
                                  capture_output=True, check=True).stdout
            readSSHEnvelope(said).check(sshKey(signing.sshKey(kind).line), MESSAGE)

    @needs("ssh-keygen")
    def test_fromTool(self) -> None:
        """A file that ``ssh-keygen`` made, with a passphrase: it is asked for once; a wrong one is told."""
        path = self.folder / "made"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", path], check=True)
        key = readSigningKey(path, self.passphrase)
        self.assertEqual(self.asked, [str(path)])
        self.assertTrue(verifySSH(key.public, key.sign(MESSAGE), MESSAGE))
        error = self.assertRaises(KeyProblem, readSigningKey, path, lambda what: "wrong")
        self.assertEqual(str(error), f"{path}: cannot be read with this passphrase")

    def test_forOthers(self) -> None:
        """A private key that others may read is refused, and it is said what to do."""
        for content in (private("ssh-ed25519"), bytes(signing.minisignKey().secret_key),
                        b"-----BEGIN RSA PRIVATE KEY-----\n"):
            for mode in (0o640, 0o604, 0o602, 0o644):
                said = self.refused(content, mode)
                self.assertIn(f"key: others may read it ({mode:04o})", said)
                self.assertIn(f"chmod 600 {self.folder / 'key'}", said)

    def test_none(self) -> None:
        """It is no key, or not there, or too large."""
        self.assertIn("is no key: it is no line of an OpenSSH public key", self.refused(b"hello"))
        self.assertIn("is no key", self.refused(b"\xff\0"))
        self.assertIn("is no key of minisign", self.refused(b"untrusted comment: x\nAAAA\n"))
        self.assertIn("at most", self.refused(b"x" * (65 << 10)).replace("the most it may have", "at most"))
        error = self.assertRaises(KeyProblem, readSigningKey, self.folder / "none", self.passphrase)
        self.assertEqual(str(error), f"{self.folder / 'none'}: cannot be read: No such file or directory")


class MinisignTests(KeyCase):
    """Keys of minisign."""

    def test_sign(self) -> None:
        """Twice the same bytes, for this purpose; the plain verifier takes them."""
        key = self.read(bytes(signing.minisignKey().secret_key))
        envelope = key.sign(MESSAGE)
        self.assertEqual(envelope, key.sign(MESSAGE))
        self.assertEqual((key.envelope, key.public), ("plugin.manifest.json.minisig", signing.minisignLine()))
        readMinisignEnvelope(envelope).check(minisignKey(key.public), MESSAGE)
        self.assertTrue(verifyMinisign(key.public, envelope, MESSAGE))

    @needs("minisign")
    def test_tool(self) -> None:
        """``minisign`` takes what is signed here; we take what it signs, with its key."""
        message = self.file(MESSAGE, name="m")
        self.file(self.read(bytes(signing.minisignKey().secret_key)).sign(MESSAGE), name="m.minisig")
        subprocess.run(["minisign", "-V", "-m", message, "-P", signing.minisignLine()], check=True, capture_output=True)
        own, public = self.folder / "own.key", self.folder / "own.pub"
        subprocess.run(["minisign", "-G", "-W", "-s", own, "-p", public], check=True, capture_output=True)
        subprocess.run(["minisign", "-S", "-s", own, "-m", message, "-t", NAMESPACE], check=True, capture_output=True)
        line = public.read_text().splitlines()[1]
        envelope = (self.folder / "m.minisig").read_bytes()
        readMinisignEnvelope(envelope).check(minisignKey(line), MESSAGE)
        self.assertTrue(verifyMinisign(line, envelope, MESSAGE))
        own.chmod(0o600)
        self.assertEqual(readSigningKey(own, self.passphrase).public, line)

    def test_public(self) -> None:
        """The public one does not sign."""
        self.assertEqual(self.refused(newMinisignKey("").public),
                         "key: is a public key; name the file with the secret one")

    def test_passphrase(self) -> None:
        """It is asked for; a wrong one is told."""
        made = newMinisignKey("open sesame")
        self.assertEqual(self.read(made.private).public, made.line)
        self.assertEqual(len(self.asked), 1)
        error = self.assertRaises(KeyProblem, readSigningKey, self.file(made.private), lambda what: "wrong")
        self.assertIn("cannot be read with this passphrase", str(error))


@needs("ssh-keygen")
class ToolTests(KeyCase):
    """What is left to ``ssh-keygen``."""

    def agent(self, key: signing.Key) -> None:
        """There is one that has this key, and no other."""
        agent = Agent(key)
        self.addCleanup(agent.close)
        before = os.environ.get("SSH_AUTH_SOCK")
        os.environ["SSH_AUTH_SOCK"] = agent.path  # by this, and not by a patch, children have it
        self.addCleanup(os.environ.pop if before is None else os.environ.__setitem__, "SSH_AUTH_SOCK", before)

    def refusedByTool(self, key: SigningKey) -> str:
        """Why it does not sign; what the tool says to the terminal is not shown."""
        kept = os.dup(2)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 2)
        try:
            return str(self.assertRaises(KeyProblem, key.sign, MESSAGE))
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(silent)

    def test_securityKeys(self) -> None:
        """The ``.pub`` file of a security key that an agent has signs, and anybody may read that file."""
        for kind in ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"):
            own = signing.sshKey(kind)
            self.agent(own)
            key = self.read(f"{own.line} test\n".encode(), 0o644)
            envelope = key.sign(MESSAGE)
            self.assertEqual(key.public, own.line)
            readSSHEnvelope(envelope).check(sshKey(own.line), MESSAGE)
            self.assertTrue(verifySSH(own.line, envelope, MESSAGE))

    def test_toolSaysTheSame(self) -> None:
        """What our security keys of the tests sign, ``ssh-keygen -Y verify`` takes."""
        for kind in ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"):
            own = signing.sshKey(kind)
            allowed = self.file(f"me {own.line}\n".encode(), name="allowed")
            envelope = self.file(own.envelope(MESSAGE), name="sshsig")
            subprocess.run(["ssh-keygen", "-Y", "verify", "-n", NAMESPACE, "-f", allowed, "-I", "me", "-s", envelope],
                           input=MESSAGE, capture_output=True, check=True)

    def test_noAgent(self) -> None:
        """Nobody has the key."""
        self.agent(signing.sshKey(number=7))
        key = self.read(f"{signing.sshKey().line}\n".encode())
        self.assertIn("ssh-keygen has not signed with it", self.refusedByTool(key))

    def test_noTool(self) -> None:
        """It is not installed."""
        self.patch(os, "environ", {"PATH": str(self.folder)})
        key = self.read(f"{signing.sshKey().line}\n".encode())
        self.assertIn("install openssh-client", str(self.assertRaises(KeyProblem, key.sign, MESSAGE)))

    def test_pem(self) -> None:
        """Keys of older forms are the tool's."""
        path = self.folder / "pem"
        subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", path], check=True)
        self.assertIn(b"BEGIN RSA PRIVATE KEY", path.read_bytes())
        envelope = readSigningKey(path, self.passphrase).sign(MESSAGE)
        self.assertTrue(verifySSH((self.folder / "pem.pub").read_text(), envelope, MESSAGE))


class NewKeyTests(KeyCase):
    """`newSSHKey` and `newMinisignKey`."""

    def test_readBack(self) -> None:
        """What is made is read again, with and without a passphrase; two are never the same."""
        for secret in ("", "open sesame"):
            for made in (newSSHKey("me", secret), newMinisignKey(secret)):
                self.asked.clear()
                key = self.read(made.private)
                self.assertEqual(len(self.asked), 1 if secret else 0)
                self.assertIn(key.public, made.line)
                self.assertTrue(key.sign(MESSAGE))
        self.assertNotEqual(newSSHKey("me", "").line, newSSHKey("me", "").line)
        self.assertNotEqual(newMinisignKey("").line, newMinisignKey("").line)

    @needs("ssh-keygen", "minisign")
    def test_tools(self) -> None:
        """The tools take them."""
        made: NewKey = newSSHKey("me@here", "")
        path = self.file(made.private)
        said = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, check=True).stdout.decode()
        self.assertEqual(said.split()[:2], made.line.split()[:2])
        self.file(made.public, name="key.pub")
        said = subprocess.run(["ssh-keygen", "-lf", path], capture_output=True, check=True).stdout.decode()
        self.assertEqual(said.split()[1:3], [publicKey(made.line).keyId, "me@here"])
        other = newMinisignKey("")
        secret, public = self.file(other.private, name="m.key"), self.file(other.public, name="m.pub")
        message = self.file(MESSAGE, name="m")
        subprocess.run(["minisign", "-S", "-s", secret, "-m", message], check=True, capture_output=True)
        said = subprocess.run(["minisign", "-V", "-p", public, "-m", message], check=True, capture_output=True).stdout
        self.assertIn(b"verified", said)
        again = subprocess.run(["minisign", "-R", "-s", secret, "-p", self.folder / "again.pub"], check=True,
                               capture_output=True)
        self.assertEqual(again.returncode, 0)
        self.assertEqual((self.folder / "again.pub").read_bytes(), other.public)
