"""``revproxy lock``."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import revproxy.plugins
from revproxy.cli.lockcommand import advanced
from revproxy.config.lockfile import LockedPlugin, LockedVersion, LockFile, parseLock
from tests.cli.test_signcommands import SignCase
from tests.installing import InstallingCase

EDGE = "listeners: [{endpoint: 'tcp:0'}]\nroutes: [{respond: {}}]\nplugins: {directory: plugins}\n"


class LockCase(SignCase):
    """hello is in the folder of plugins."""

    def setUp(self) -> None:
        super().setUp()
        self.config("{mode: lock, lock: ./plugins.lock}")

    def config(self, trust: str) -> None:
        Path("revproxy.yaml").write_text(f"{EDGE}trust: {trust}\n")

    def other(self) -> None:
        """Another plugin."""
        folder = self.root / "plugins" / "other"
        folder.mkdir(exist_ok=True)
        (folder / "plugin.json").write_text(json.dumps({"name": "other", "version": "0.1"}))
        (folder / "plugin.py").write_text("def PluginMain(config): ...\n")

    @property
    def locked(self) -> LockFile:
        return parseLock(Path("plugins.lock").read_text(), "plugins.lock")


class LockTests(LockCase):
    """What is written down."""

    def test_written(self) -> None:
        """Each plugin, with its version and digest; a second time there is nothing to write."""
        result = self.done("lock")
        self.assertRegex(result.stdout, r"^hello: 1\.2\.0 \([0-9a-f]{12}\)\n$")
        self.assertEqual(self.locked.plugins["hello"].now.number, "1.2.0")
        self.assertEqual(stat.S_IMODE(os.stat("plugins.lock").st_mode), 0o644)
        os.chmod("plugins.lock", 0o600)
        self.assertIn("is as it should be", self.done("lock").stderr)
        self.other()
        self.done("lock")
        self.assertEqual(stat.S_IMODE(os.stat("plugins.lock").st_mode), 0o600)

    def test_update(self) -> None:
        """What it had before may be gone back to."""
        self.done("lock")
        first = self.locked.plugins["hello"].now
        self.plugin(version="1.3.0")
        self.assertIn("→ 1.3.0", self.done("lock").stdout)
        self.assertEqual(self.locked.plugins["hello"].earlier, (first,))
        self.plugin()
        self.done("lock")
        self.assertEqual([each.number for each in self.locked.plugins["hello"].earlier], ["1.3.0"])
        self.assertEqual(self.locked.plugins["hello"].now, first)
        self.done("lock", "--earlier", "0")
        self.assertEqual(self.locked.plugins["hello"].earlier, ())

    def test_some(self) -> None:
        """Of one plugin, the others stay as they are; what is gone goes only with all."""
        self.other()
        self.done("lock")
        self.plugin(version="1.3.0")
        self.done("lock", "other")
        self.assertEqual(self.locked.plugins["hello"].now.number, "1.2.0")
        self.done("lock", "hello")
        self.assertEqual(self.locked.plugins["hello"].now.number, "1.3.0")
        for file in (self.root / "plugins" / "other").iterdir():
            file.unlink()
        self.assertIn("other: runs no more", self.done("lock").stdout)
        self.assertIn('no plugin named "hallo"; did you mean "hello"?', self.refused("lock", "hallo"))

    def test_check(self) -> None:
        """With --check nothing is written, and what is different ends with 1."""
        self.assertIn("is not what is there", self.refused("lock", "--check"))
        self.assertFalse(os.path.exists("plugins.lock"))
        self.done("lock")
        self.done("lock", "--check")

    def test_signed(self) -> None:
        """Where plugins are signed, who has signed is written down; what nobody has is not locked."""
        self.done("keygen", "alice", "--no-passphrase")
        key = Path("alice.pub").read_text().strip()
        self.config(f"{{mode: signed+lock, lock: ./plugins.lock, signers: {{alice: {{key: '{key}'}}}}}}")
        self.assertIn("plugin.manifest.json: unsigned", self.refused("lock"))
        self.assertFalse(os.path.exists("plugins.lock"))
        self.done("sign", "plugins/hello", "--key", "alice")
        self.assertIn("signed by alice", self.done("lock").stdout)
        self.assertRegex(self.locked.plugins["hello"].now.key, r"^SHA256:")
        key = self.locked.plugins["hello"].now.key
        Path("revoked").write_text(f"key:{key}\n")
        text = Path("revproxy.yaml").read_text().replace("mode:", "revoked: ./revoked, mode:")
        Path("revproxy.yaml").write_text(text)
        self.assertIn("revoked", self.refused("lock"))

    def test_signerIsOver(self) -> None:
        """A version that it has stays, also when its signer is over; another one of that signer's is refused."""
        self.done("keygen", "alice", "--no-passphrase")
        key = Path("alice.pub").read_text().strip()
        signers = f"signers: {{alice: {{key: '{key}'%s}}}}"
        self.config(f"{{mode: signed+lock, lock: ./plugins.lock, {signers % ''}}}")
        self.done("sign", "plugins/hello", "--key", "alice")
        self.done("lock")
        self.config(f"{{mode: signed+lock, lock: ./plugins.lock, {signers % ', not_after: 2020-01-01'}}}")
        self.assertIn("is as it should be", self.done("lock").stderr)
        self.plugin(version="1.3.0", revision=9)
        self.done("sign", "plugins/hello", "--key", "alice")
        self.assertIn("expired", self.refused("lock"))

    def test_refused(self) -> None:
        """No file is named; the folder, or the file, has mistakes."""
        self.config("{mode: 'off'}")
        self.assertIn("has no trust.lock", self.refused("lock"))
        self.config("{mode: lock, lock: ./plugins.lock}")
        Path("plugins.lock").write_text("plugins: []")
        self.assertIn("plugins.lock:1:1: $.plugins: ", self.refused("lock"))
        Path("plugins.lock").unlink()
        (self.folder / "plugin.json").write_text("{")
        self.assertIn("plugin.json:1:", self.refused("lock"))

    def test_edge(self) -> None:
        """What it has written is what `check` takes; without it, or with other files, it says so."""
        self.assertIn("plugins.lock: is not there", self.refusedCheck())
        (self.folder / "plugin.py").write_text(
            "from zope.interface import implementer\nfrom revproxy.interfaces import IMiddleware\n"
            "@implementer(IMiddleware)\nclass PluginMain:\n    name = 'hello'\n    def __init__(self, config): ...\n"
            "    def handle(self, context): return True\n")
        self.done("lock")
        self.done("check", "revproxy.yaml")
        with (self.folder / "plugin.py").open("a") as file:
            file.write("\n")
        self.assertIn("plugins.lock: lock: it has 1.2.0", self.refusedCheck())

    def refusedCheck(self) -> str:
        result = self.run_("check", "revproxy.yaml")
        self.assertEqual(result.exit_code, 1, result.output)
        return result.stdout


class AdvancedTests(LockCase):
    """Versions from before."""

    def test_bounded(self) -> None:
        """So many of them stay, each once, the latest first."""
        versions = [LockedVersion(str(number), f"{number:064x}") for number in range(4)]
        plugin = LockedPlugin(versions[0])
        for version in versions[1:]:
            plugin = advanced(plugin, version, 2)
        self.assertEqual(plugin, LockedPlugin(versions[3], (versions[2], versions[1])))
        self.assertEqual(advanced(plugin, versions[2], 2), LockedPlugin(versions[2], (versions[3], versions[1])))
        self.assertEqual(advanced(None, versions[0], 2), LockedPlugin(versions[0]))


class DistributionTests(InstallingCase, LockCase):
    """Something is installed with Python."""

    def test_written(self) -> None:
        """Its distribution is written down; it is not imported for that."""
        self.install()
        self.assertIn("acme-revproxy: 2.1.0", self.done("lock").stdout)
        self.assertEqual(self.locked.distributions["acme-revproxy"].version, "2.1.0")
        self.assertNotIn("acme", dir(revproxy.plugins))

    def test_altered(self) -> None:
        """What was changed since it was installed is not written down."""
        self.install()
        (self.site / "acme" / "stamp.py").write_text("evil")
        self.assertIn("acme/stamp.py: was changed since", self.refused("lock"))
