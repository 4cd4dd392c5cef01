"""``revproxy verify``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from revproxy.bundles.bundle import readBundle
from revproxy.bundles.signature import publicKey
from revproxy.bundles.signaturefiles import SSHSIG
from tests.cli.test_edgecommands import CommandCase
from tests.cli.test_signcommands import SignCase


class FolderTests(SignCase):
    """A folder, without an edge."""

    def setUp(self) -> None:
        super().setUp()
        for name in ("alice", "bob"):
            self.done("keygen", name, "--no-passphrase")
        self.done("sign", "plugins/hello", "--key", "alice")

    def config(self, trust: str) -> None:
        """A revproxy.yaml here."""
        Path("revproxy.yaml").write_text(
            f"listeners: [{{endpoint: 'tcp:0'}}]\nroutes: [{{respond: {{}}}}]\ntrust: {trust}\n")

    def test_config(self) -> None:
        """With whom revproxy.yaml trusts, for what it does, and until when."""
        key = Path("alice.pub").read_text().strip()
        self.config(f"{{signers: {{her: {{key: '{key}', plugins: ['hel*']}}}}}}")
        self.assertIn("signed by her (SHA256:", self.done("verify", "plugins/hello").stdout)
        self.config(f"{{signers: {{her: {{key: '{key}', plugins: ['other']}}}}}}")
        self.assertEqual(self.refused("verify", "plugins/hello"),
                         f"plugins/hello/{SSHSIG}: scope: her does not sign for hello, but for other "
                         "(trust.signers.her.plugins)")
        self.config(f"{{signers: {{her: {{key: '{key}', not_after: '2001-01-01'}}}}}}")
        self.assertIn(f"plugins/hello/{SSHSIG}: expired: what her has signed is taken until 2001-01-01",
                      self.refused("verify", "plugins/hello"))
        self.config("{signers: {her: {key: 'ssh-ed25519 AAAA'}}}")
        self.assertIn("trust.signers.her.key is no line of an OpenSSH public key",
                      self.refused("verify", "plugins/hello"))
        self.config("{mode: 'off'}")
        self.assertIn("names nobody under trust.signers", self.refused("verify", "plugins/hello"))
        self.config("{mode: x}")
        self.assertIn("revproxy.yaml:3:", self.refused("verify", "plugins/hello"))

    def test_references(self) -> None:
        """A key may be in its own file, of both kinds."""
        self.done("keygen", "mini", "--minisign", "--no-passphrase")
        self.done("sign", "plugins/hello", "--key", "mini")
        for name in ("alice", "mini"):
            self.config(f"{{signers: {{her: {{key: {{$file: ./{name}.pub}}}}}}}}")
            self.assertIn("signed by her", self.done("verify", "plugins/hello").stdout)

    def test_revoked(self) -> None:
        """Keys and versions that revproxy.yaml has revoked; where the file cannot be read, nothing is trusted."""
        key = Path("alice.pub").read_text().strip()
        self.config(f"{{signers: {{her: {{key: '{key}'}}}}, revoked: ./revoked}}")
        for entry in (f"key:{publicKey(key).keyId}", f"sha256:{readBundle(self.folder).digest}"):
            Path("revoked").write_text("# none\n")
            self.done("verify", "plugins/hello")
            Path("revoked").write_text(f"# a laptop was stolen\n{entry}\n")
            self.assertIn(": revoked: ", self.refused("verify", "plugins/hello"))
        Path("revoked").write_text("key\n")
        self.assertIn("revoked:1:1: ", self.refused("verify", "plugins/hello"))
        Path("revoked").unlink()
        self.assertIn("until it can, nothing is trusted", self.refused("verify", "plugins/hello"))

    def test_keys(self) -> None:
        """With a file of public keys, of both kinds; the comments are their names."""
        self.done("keygen", "mini", "--minisign", "--no-passphrase")
        lines = [Path(f"{name}.pub").read_text() for name in ("bob", "mini", "alice")]
        Path("keys").write_text("# ours\n\n" + "".join(lines))
        self.assertIn("signed by alice", self.done("verify", "plugins/hello", "--signers", "keys").stdout)
        self.assertIn("which is nobody's", self.refused("verify", "plugins/hello", "--signers", "bob.pub"))
        Path("keys").write_text(f"{lines[0]}ssh-ed25519 AAAA\n")
        self.assertIn("keys:2: is no line of an OpenSSH", self.refused("verify", "plugins/hello", "--signers", "keys"))
        Path("keys").write_text("# none\n")
        self.assertIn("there is no key in it", self.refused("verify", "plugins/hello", "--signers", "keys"))
        self.assertIn("cannot be read", self.refused("verify", "plugins/hello", "--signers", "none"))

    def test_nobody(self) -> None:
        """Nobody is named who could be trusted."""
        self.assertIn("there is no revproxy.yaml whose trust.signers could count",
                      self.refused("verify", "plugins/hello"))

    def test_refused(self) -> None:
        """Each refusal in one line, on its own; all folders are looked at."""
        other = self.root / "plugins" / "other"
        other.mkdir()
        (self.folder / "plugin.py").write_text("x")
        said = self.refused("verify", "plugins/other", "plugins/hello", "--signers", "alice.pub").splitlines()
        self.assertEqual(len(said), 2)
        self.assertTrue(said[0].startswith("plugins/other/plugin.json: folder: there is no plugin.json"))
        self.assertTrue(said[1].startswith("plugins/hello/plugin.py: size: it has 1 bytes, and 28 were signed"))

    def test_json(self) -> None:
        """As JSON, both."""
        result = json.loads(self.done("verify", "plugins/hello", "--signers", "alice.pub", "--json").stdout)
        wanted = {"folder": "plugins/hello", "trusted": True, "name": "hello", "version": "1.2.0", "revision": 3,
                  "files": 2, "signer": "alice", "envelope": "sshsig", "permissions": None}
        self.assertEqual({key: result[0][key] for key in wanted}, wanted)
        self.assertEqual(result[0]["digest"], readBundle(self.folder).digest)
        (self.folder / "x.py").write_text("")
        failed = self.run_("verify", "plugins/hello", "--signers", "alice.pub", "--json")
        self.assertEqual(failed.exit_code, 1)
        wanted = {"folder": "plugins/hello", "trusted": False, "file": "plugins/hello/x.py", "rule": "unlisted"}
        found = json.loads(failed.stdout)[0]
        self.assertEqual({key: found[key] for key in wanted}, wanted)


def found(name: str, state: str = "trusted", **more: Any) -> dict[str, Any]:
    """What an edge says of a plugin."""
    return {"name": name, "state": state, "signer": None, "key": None, "revision": None, "file": None, "rule": None,
            "message": None, "waiting": None, **more}


def waits(stage: str) -> dict[str, Any]:
    """What is in a plugin's folder, and does not run."""
    return {"version": "2.0", "digest": "0" * 64, "stage": stage, "message": "it was changed"}


class EdgeTests(CommandCase):
    """What an edge has found."""

    def setUp(self) -> None:
        super().setUp()
        alice = {"signer": "alice", "key": "SHA256:x", "revision": 3}
        self.asked = self.edge({"mode": "signed", "plugins": [
            found("a", **alice), found("b"), found("c", "unchecked"),
            found("d", "untrusted", file="plugins/d/plugin.py", rule="sha256", message="it was changed"),
            found("e", waiting=waits("trust"), **alice), found("f", waiting=waits("grant"), **alice),
        ]})  # fmt: skip

    def test_trusted(self) -> None:
        """By whom, or that nobody was needed; what waits for a grant is no reason against it."""
        self.assertEqual(self.run_("verify", "b", "a").stdout, "b: trusted; no signature was needed\n"
                                                              "a: revision 3: signed by alice (SHA256:x)\n")
        self.assertEqual(self.asked.requests, [("GET", "trust", None)])
        self.assertEqual(self.run_("verify", "f").output, "f: revision 3: signed by alice (SHA256:x)\n")

    def test_not(self) -> None:
        """What is not trusted is told by file and rule; what nobody vouches for is not trusted, either."""
        self.assertEqual(self.run_("verify", "d", status=1).stderr, "plugins/d/plugin.py: sha256: it was changed\n")
        self.assertEqual(self.run_("verify", "c", status=1).stderr, "c: unchecked: nobody has to vouch for it\n")

    def test_inItsFolder(self) -> None:
        """What runs is trusted, and what its folder has by now is not."""
        said = self.run_("verify", "e", status=1).stderr.splitlines()
        self.assertEqual(said, ["e: revision 3: signed by alice (SHA256:x)",
                                "e: 2.0 in its folder does not run: it was changed"])

    def test_all(self) -> None:
        """Where none is named, all of them that somebody has to vouch for."""
        self.assertEqual(len(self.run_("verify", status=1).output.splitlines()), 6)
        result = json.loads(self.run_("verify", "--json", status=1).stdout)
        self.assertEqual([(each["plugin"], each["trusted"]) for each in result],
                         [("a", True), ("b", True), ("d", False), ("e", False), ("f", True)])

    def test_unknown(self) -> None:
        """Neither a folder nor a plugin."""
        self.assertIn("the edge has no plugin x, and there is no folder of that name",
                      self.run_("verify", "x", status=1).stderr)

    def test_folder(self) -> None:
        """A folder of the same name is meant first; what looks like a path is one."""
        Path("a").mkdir()
        Path("keys").write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFjJmSnZ2TvEq7YjTSRi4CeDIvbkFDDq8qyStwuEyuGb me\n")
        self.assertIn("a/plugin.json: folder: there is no",
                      self.run_("verify", "a", "--signers", "keys", status=1).stderr)
        self.assertIn("x/y: folder: cannot be read",
                      self.run_("verify", "x/y", "--signers", "keys", status=1).stderr)
        self.assertEqual(self.asked.requests, [])


class OffTests(CommandCase):
    """An edge that takes whatever is in its folder."""

    def test_off(self) -> None:
        """That is what it says; nothing is trusted by that."""
        self.edge({"mode": "off", "plugins": [found("a", "unchecked")]})
        self.assertEqual(self.run_("verify", status=1).stderr,
                         "Error: nobody has to vouch for what runs on the edge: trust.mode is off\n")
