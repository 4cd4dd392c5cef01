"""Drop-ins are looked at before they are imported."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import revproxy.plugins
from revproxy.bundles.distributions import distributionsOf, dropInModules
from revproxy.config.lockfile import LockedDistribution, LockFile, formatLock
from revproxy.config.trustconfig import TrustConfig
from revproxy.worker.lifecycle.dropins import DropInFactories
from tests.installing import InstallingCase

EVIL = b"import sys\nsys.modules['evil.was.here'] = sys\n"


class InstalledCheckTests(InstallingCase):
    """One is installed besides ours."""

    def setUp(self) -> None:
        super().setUp()
        self.install()
        self.lock = self.site / "plugins.lock"
        self.revoked = self.site / "revoked"
        self.addCleanup(sys.modules.pop, "evil.was.here", None)

    def record(self) -> str:
        found = distributionsOf(dropInModules(revproxy.plugins))["revproxy.plugins.acme"]
        assert found is not None
        return found.record

    def write(self, version: str = "2.1.0", record: str | None = None) -> None:
        """The lock file has it."""
        locked = LockedDistribution(version, record or self.record())
        self.lock.write_text(formatLock(LockFile(distributions={"acme-revproxy": locked})))

    def found(self, mode: str = "signed+lock", revoked: Path | None = None) -> DropInFactories:
        return DropInFactories(None, TrustConfig(mode, lock=self.lock, revoked=revoked))  # type: ignore[arg-type]

    def names(self, found: DropInFactories) -> set[str]:
        return {entry.manifest.name for entry in found.told.entries}

    def test_locked(self) -> None:
        """What the lock file has is imported, and it is told of what it is; ours are there besides."""
        self.write()
        found = self.found()
        self.assertTrue({"acme", "headers"} <= self.names(found))
        told = {entry.manifest.name: entry.distribution for entry in found.told.entries}
        acme, ours = told["acme"], told["headers"]
        assert acme is not None and ours is not None
        self.assertEqual((acme.name, acme.version, acme.record, acme.isOwn),
                         ("acme-revproxy", "2.1.0", self.record(), False))
        self.assertTrue(ours.isOwn)
        self.assertEqual(found.untrusted, ())

    def test_notLocked(self) -> None:
        """What it does not have is not imported, and that is told; ours are there."""
        found = self.found()
        self.assertNotIn("acme", sys.modules)
        self.assertNotIn("revproxy.plugins.acme", sys.modules)
        self.assertEqual("acme" in self.names(found), False)
        self.assertIn("headers", self.names(found))
        self.assertEqual([module.name for module in found.told.modules], ["revproxy.plugins.acme"])
        self.assertIn("there is no acme-revproxy in one", found.untrusted[0])

    def test_other(self) -> None:
        """Nor is another version, nor the same one with other files."""
        for version, record in (("2.0.0", None), ("2.1.0", "5d" * 32)):
            self.write(version, record)
            self.assertIn("it has acme-revproxy", self.found().untrusted[0])
        self.assertNotIn("acme", sys.modules)

    def test_altered(self) -> None:
        """Nor is what was changed since: not a byte of it runs."""
        self.write()
        with (self.site / "acme" / "stamp.py").open("ab") as file:
            file.write(EVIL)
        self.assertIn("acme/stamp.py: was changed since", self.found().untrusted[0])
        self.assertNotIn("evil.was.here", sys.modules)

    def test_nobodys(self) -> None:
        """A file that somebody has put there belongs to nothing, and does not run."""
        (self.site / "revproxy" / "plugins" / "acme2.py").write_bytes(EVIL)
        self.write()
        self.assertIn("if it belongs to none, make a distribution of it", self.found().untrusted[0])
        self.assertNotIn("evil.was.here", sys.modules)

    def unhashed(self, line: str) -> str:
        """RECORD has a module besides. :returns: why it is not imported."""
        self.write()
        (self.site / "revproxy" / "plugins" / "acme2.py").write_bytes(EVIL)
        with (self.site / "Acme_RevProxy-2.1.0.dist-info" / "RECORD").open("a") as record:
            record.write(line)
        importlib.invalidate_caches()
        found = self.found()
        self.assertNotIn("evil.was.here", sys.modules)
        self.assertIn("acme", self.names(found))
        (text,) = found.untrusted
        return text

    def test_unhashed(self) -> None:
        """A line of RECORD without a hash vouches for nothing, and changes nothing of its digest."""
        self.assertIn("acme2.py: RECORD of acme-revproxy 2.1.0 has no SHA-256 of it",
                      self.unhashed("revproxy/plugins/acme2.py,,\n"))

    def test_roundabout(self) -> None:
        """Nor does one that leads out of the folder, and in again."""
        name = self.site.name
        self.assertIn("has no SHA-256 of it", self.unhashed(f"../{name}/revproxy/plugins/acme2.py,sha256=AAAA,3\n"))

    def test_nameless(self) -> None:
        """A distribution that does not say what it is, is none; that keeps nothing else from starting."""
        self.write()
        (self.site / "Acme_RevProxy-2.1.0.dist-info" / "METADATA").write_text("rubbish")
        found = self.found()
        self.assertIn("if it belongs to none, make a distribution of it", found.untrusted[0])
        self.assertNotIn("acme", sys.modules)
        self.assertIn("headers", self.names(found))

    def test_namesake(self) -> None:
        """Whoever calls himself revproxy is not by that."""
        (self.site / "revproxy" / "plugins" / "acme.py").unlink()
        self.install({"revproxy/plugins/acme2.py": EVIL}, "9.9.9", "RevProxy")
        found = self.found()
        self.assertNotIn("evil.was.here", sys.modules)
        self.assertIn("headers", self.names(found))
        self.assertIn("there is no revproxy in one", found.untrusted[0])

    def test_unknown(self) -> None:
        """Where nobody can say what is revoked, nothing is imported but ours."""
        self.write()
        for content in (None, "sha256:12\n"):
            if content is not None:
                self.revoked.write_text(content)
            found = self.found("off", self.revoked)
            self.assertIn("revoked: until it can be read and understood", found.untrusted[0])
            self.assertNotIn("acme", sys.modules)
            self.assertIn("headers", self.names(found))

    def test_revoked(self) -> None:
        """What is revoked is not imported, also where nobody has to vouch for anything."""
        self.revoked.write_text(f"sha256:{self.record()}\n")
        self.assertIn("revoked", self.found("off", self.revoked).untrusted[0])
        self.revoked.write_text("")
        self.assertIn("acme", self.names(self.found("off", self.revoked)))

    def test_signed(self) -> None:
        """Nobody signs what is installed with Python: it has to be in a lock file also where that is no rule."""
        self.assertEqual(len(self.found("signed").untrusted), 1)
        self.write()
        self.assertIn("acme", self.names(self.found("signed")))
