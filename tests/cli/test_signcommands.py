"""``revproxy keygen`` and ``sign``."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import readBundle
from revproxy.bundles.signature import publicKey
from revproxy.bundles.signaturefiles import MANIFEST, MINISIG, SSHSIG
from revproxy.cli.main import main
from revproxy.config.configfile import parseConfig
from tests.bundles.signing import Key
from tests.cli.sshagent import Agent
from tests.tools import needs

PLUGIN = {"name": "hello", "version": "1.2.0", "revision": 3}


class SignCase(SynchronousTestCase):
    """In a folder with a plugin that is not signed."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        self.folder = self.root / "plugins" / "hello"
        self.folder.mkdir(parents=True)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.root)
        self.plugin()
        (self.folder / "plugin.py").write_text("def PluginMain(config): ...\n")

    def plugin(self, **more: object) -> None:
        """Its plugin.json."""
        (self.folder / "plugin.json").write_text(json.dumps({**PLUGIN, **more}))

    def run_(self, *arguments: str, given: str | None = None) -> Result:
        """Run a command."""
        return CliRunner().invoke(main, list(arguments), input=given)

    def done(self, *arguments: str, given: str | None = None) -> Result:
        """Run a command that comes to its end."""
        result = self.run_(*arguments, given=given)
        self.assertEqual(result.exit_code, 0, result.output)
        return result

    def refused(self, *arguments: str, status: int = 1) -> str:
        """What a command says that is refused."""
        result = self.run_(*arguments)
        self.assertEqual(result.exit_code, status, result.output)
        return str(result.stderr.replace("Error: ", "", 1).rstrip("\n"))

    def files(self) -> list[str]:
        """What is in the plugin's folder beside its own files."""
        return sorted({*os.listdir(self.folder)} - {"plugin.json", "plugin.py"})


class KeygenTests(SignCase):
    """``revproxy keygen``."""

    def test_files(self) -> None:
        """Two files, the private one for nobody else, whatever the umask; and what goes into revproxy.yaml."""
        self.addCleanup(os.umask, os.umask(0))
        for name, options in (("alice", ()), ("bob.key", ("--minisign",))):
            said = self.done("keygen", name, "--no-passphrase", *options)
            self.assertEqual(stat.S_IMODE(Path(name).stat().st_mode), 0o600)
            self.assertEqual(stat.S_IMODE(Path(f"{name}.pub").stat().st_mode), 0o644)
            keyId = publicKey(Path(f"{name}.pub").read_text().splitlines()[-1]).keyId
            self.assertEqual(said.stderr,
                             f"wrote {name}, which is for nobody else, and {name}.pub; its id is {keyId}\n")
            config = parseConfig(f"listeners: [{{endpoint: 'tcp:0'}}]\nroutes: [{{respond: {{}}}}]\n{said.stdout}", "x",
                                 self.root)
            signer = config.trust.signers[0]
            self.assertEqual((signer.name, publicKey(signer.key).keyId), (Path(name).stem, keyId))

    def test_names(self) -> None:
        """Whatever the file is called, what is printed can be put into revproxy.yaml."""
        for name, known in (("null", "key-null"), ("7", "key-7"), ('a"b\\c: {', "a-b-c-"), ("ä.key", "key--"),
                            ("two\nlines", "two-lines"), ("x.y.z", "x-y")):
            said = self.done("keygen", name, "--no-passphrase")
            config = parseConfig(f"listeners: [{{endpoint: 'tcp:0'}}]\nroutes: [{{respond: {{}}}}]\n{said.stdout}", "x",
                                 self.root)
            self.assertEqual([signer.name for signer in config.trust.signers], [known])
            self.assertEqual(publicKey(config.trust.signers[0].key), publicKey(Path(f"{name}.pub").read_text()))

    def test_nothingOverwritten(self) -> None:
        """What is there stays, also a link that leads nowhere."""
        Path("alice.pub").write_text("x")
        self.assertEqual(self.refused("keygen", "alice", "--no-passphrase"),
                         "alice.pub exists already; it was left as it is")
        Path("bob").symlink_to("nowhere")
        self.assertEqual(self.refused("keygen", "bob", "--no-passphrase"), "bob exists already; it was left as it is")
        self.assertEqual(sorted(os.listdir()), ["alice.pub", "bob", "plugins"])
        self.assertIn("No such file or directory", self.refused("keygen", "none/alice", "--no-passphrase"))

    def test_passphrase(self) -> None:
        """From a file; where nobody can be asked, it has to be said that there is none."""
        self.assertIn("give --passphrase-file, or --no-passphrase", self.refused("keygen", "alice"))
        self.assertFalse(Path("alice").exists())
        Path("secret").write_text("open sesame\nmore")
        self.done("keygen", "alice", "--passphrase-file", "secret")
        self.done("sign", "plugins/hello", "--key", "alice", "--passphrase-file", "secret")
        Path("secret").write_text("open barley\n")
        self.assertEqual(self.refused("sign", "plugins/hello", "--key", "alice", "--passphrase-file", "secret"),
                         "alice: cannot be read with this passphrase")
        Path("secret").write_text("\n")
        self.assertEqual(self.refused("keygen", "bob", "--passphrase-file", "secret"),
                         "secret: its first line is empty")
        self.assertIn("cannot be read", self.refused("keygen", "bob", "--passphrase-file", "none"))
        self.refused("keygen", "bob", "--passphrase-file", "secret", "--no-passphrase", status=2)

    def test_asked(self) -> None:
        """To sign, it is asked for."""
        Path("secret").write_text("open sesame")
        self.done("keygen", "alice", "--passphrase-file", "secret")
        said = self.done("sign", "plugins/hello", "--key", "alice", given="open sesame\n")
        self.assertIn("Passphrase of alice", said.stderr)


class SignTests(SignCase):
    """``revproxy sign``."""

    def setUp(self) -> None:
        super().setUp()
        for name, options in (("alice", ()), ("mini", ("--minisign",))):
            self.done("keygen", name, "--no-passphrase", *options)

    def test_sign(self) -> None:
        """Two files more, and the version stays what it is; verify says who it was."""
        before = readBundle(self.folder).digest
        keyId = publicKey(Path("alice.pub").read_text()).keyId
        self.assertEqual(self.done("sign", "plugins/hello", "--key", "alice").stdout,
                         f"plugins/hello: hello 1.2.0, revision 3: 2 files signed by {keyId}\n")
        self.assertEqual(self.files(), [MANIFEST, SSHSIG])
        self.assertEqual(readBundle(self.folder).digest, before)
        self.assertEqual(self.done("verify", "plugins/hello", "--signers", "alice.pub").stdout,
                         f"plugins/hello: hello 1.2.0, revision 3: signed by alice ({keyId})\n")

    def test_again(self) -> None:
        """The same files give the same bytes; another kind of key adds to them; other files begin anew."""
        self.done("sign", "plugins/hello", "--key", "alice")
        first = readBundle(self.folder).signature
        self.done("sign", "plugins/hello", "--key", "alice")
        self.assertEqual(readBundle(self.folder).signature, first)
        self.done("sign", "plugins/hello", "--key", "mini")
        self.assertEqual(self.files(), [MANIFEST, MINISIG, SSHSIG])
        self.done("verify", "plugins/hello", "--signers", "mini.pub")
        self.plugin(revision=4)
        self.done("sign", "plugins/hello", "--key", "mini")
        self.assertEqual(self.files(), [MANIFEST, MINISIG])

    def test_many(self) -> None:
        """Several folders; the first that cannot be signed ends it, by name."""
        other = self.root / "plugins" / "other"
        other.mkdir()
        (other / "plugin.json").write_text('{"name": "other", "version": "1"}')
        (other / "plugin.py").write_text("")
        said = self.refused("sign", "plugins/hello", "plugins/other", "--key", "alice")
        self.assertIn('plugins/other/plugin.json: revision: ', said)
        self.assertIn('put "revision": 1 into plugin.json', said)
        self.assertEqual(self.files(), [MANIFEST, SSHSIG])
        self.assertEqual(sorted(os.listdir(other)), ["plugin.json", "plugin.py"])

    def test_countUp(self) -> None:
        """Other files under the same revision are signed, with a warning."""
        self.done("sign", "plugins/hello", "--key", "alice")
        (self.folder / "plugin.py").write_text("x = 1\n")
        said = self.done("sign", "plugins/hello", "--key", "alice")
        self.assertIn("warning: plugins/hello: revision 3 was signed before with other files; count it up", said.stderr)
        self.plugin(revision=4)
        self.assertNotIn("warning", self.done("sign", "plugins/hello", "--key", "alice").stderr)

    def test_refused(self) -> None:
        """What the edge would not take is not signed: nothing is written."""
        (self.folder / "link.py").symlink_to("plugin.py")
        self.assertIn("link.py: is a symbolic link", self.refused("sign", "plugins/hello", "--key", "alice"))
        (self.folder / "link.py").unlink()
        (self.folder / "PLUGIN.py").write_text("")
        self.assertIn("differs from", self.refused("sign", "plugins/hello", "--key", "alice"))
        (self.folder / "PLUGIN.py").unlink()
        self.plugin(more=1)
        self.assertIn("plugin.json:1:", self.refused("sign", "plugins/hello", "--key", "alice"))
        self.assertIn("is a public key", self.refused("sign", "plugins/hello", "--key", "mini.pub"))
        self.assertEqual(self.files(), [])

    def test_leftBehind(self) -> None:
        """What an interrupted one has left behind is no obstacle, nor where a link of that name leads."""
        target = self.root / "target"
        target.write_text("precious")
        (self.folder / f".{MANIFEST}.new").symlink_to(target)
        self.done("sign", "plugins/hello", "--key", "alice")
        self.assertEqual((self.files(), target.read_text()), ([MANIFEST, SSHSIG], "precious"))

    def test_manifestOnly(self) -> None:
        """The list alone, for whoever signs elsewhere; what has signed the same before stays."""
        said = self.done("sign", "plugins/hello", "--manifest-only").stdout
        self.assertEqual(said, "plugins/hello: hello 1.2.0, revision 3: 2 files to be signed for revproxy-plugin@v1 in "
                               f"plugins/hello/{MANIFEST}\n")
        self.assertEqual(self.files(), [MANIFEST])
        self.done("sign", "plugins/hello", "--key", "alice")
        self.done("sign", "plugins/hello", "--manifest-only")
        self.assertEqual(self.files(), [MANIFEST, SSHSIG])
        self.plugin(revision=4)
        self.done("sign", "plugins/hello", "--manifest-only")
        self.assertEqual(self.files(), [MANIFEST])
        self.refused("sign", "plugins/hello", "--manifest-only", "--key", "alice", status=2)
        self.refused("sign", "plugins/hello", status=2)

    @needs("ssh-keygen")
    def test_securityKey(self) -> None:
        """By ssh-keygen, with a security key that an agent has."""
        key = Key("sk-ssh-ed25519@openssh.com")
        agent = Agent(key)
        self.addCleanup(agent.close)
        before = os.environ.get("SSH_AUTH_SOCK")
        os.environ["SSH_AUTH_SOCK"] = agent.path
        self.addCleanup(os.environ.pop if before is None else os.environ.__setitem__, "SSH_AUTH_SOCK", before)
        Path("sk.pub").write_text(f"{key.line} token\n")
        self.done("sign", "plugins/hello", "--key", "sk.pub")
        said = self.done("verify", "plugins/hello", "--signers", "sk.pub").stdout
        self.assertIn(f"signed by token ({publicKey(key.line).keyId})", said)

    @needs("ssh-keygen", "minisign")
    def test_tools(self) -> None:
        """Others verify it without us; and what they have signed is taken."""
        self.done("sign", "plugins/hello", "--manifest-only")
        subprocess.run(["ssh-keygen", "-Y", "sign", "-n", "revproxy-plugin@v1", "-f", "alice", self.folder / MANIFEST],
                       check=True, capture_output=True)
        (self.folder / f"{MANIFEST}.sig").rename(self.folder / SSHSIG)
        self.done("verify", "plugins/hello", "--signers", "alice.pub")
        Path("allowed").write_text(f"me {Path('alice.pub').read_text()}")
        manifest = (self.folder / MANIFEST).read_bytes()
        subprocess.run(["ssh-keygen", "-Y", "verify", "-n", "revproxy-plugin@v1", "-f", "allowed", "-I", "me",
                        "-s", self.folder / SSHSIG], input=manifest, check=True, capture_output=True)
        (self.folder / SSHSIG).unlink()
        self.assertIn("unsigned", self.refused("verify", "plugins/hello", "--signers", "mini.pub"))
        subprocess.run(["minisign", "-S", "-s", "mini", "-m", self.folder / MANIFEST, "-t", "revproxy-plugin@v1"],
                       check=True, capture_output=True)
        self.done("verify", "plugins/hello", "--signers", "mini.pub")
