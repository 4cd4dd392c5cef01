"""What can be gone back to: a version that has proved itself stays, and what is not stored is not chosen."""

from __future__ import annotations

import shutil

from revproxy.control.commands import CommandError
from revproxy.control.state.records import PROVEN
from tests.witnesses import FAILING, WitnessCase


class VersionsCase(WitnessCase):
    """A plugin ``a``, of which versions come and go."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.configure(extra="plugins: {directory: plugins, keep_versions: 2}\n")
        self.bench.write("a")
        self.bench.start()
        self.good = self.digest()

    def digest(self) -> str:
        """Of what runs."""
        found = self.bench.coordinator.records.get("a").running
        assert found is not None
        return found

    def save(self, version: str, code: str | None = None) -> None:
        self.bench.write("a", code, version=version)
        self.apply()

    def serve(self, minutes: int) -> None:
        """One request each minute."""
        for _ in range(minutes):
            self.request()
            self.bench.clock.advance(1)
            self.bench.clock.advance(59)

    def served(self, digest: str) -> float:
        known = self.bench.coordinator.records.get("a").find(digest)
        return 0.0 if known is None else known.served

    def stored(self) -> tuple[str, ...]:
        return self.bench.state.store.digests("a")

    def lose(self, digest: str) -> None:
        shutil.rmtree(self.bench.root / "var" / "versions" / "a" / digest)


class EvictionTests(VersionsCase):
    """Two versions are kept besides the one that runs."""

    def test_proven(self) -> None:
        """One that served for an hour stays, whatever is saved after it; also over a restart. One that was only saved
        does not."""
        self.serve(61)
        self.save("2.0")
        hasty = self.digest()
        for number in range(3, 9):
            self.save(f"{number}.0")
        self.assertIn(self.good, self.stored())
        self.assertNotIn(hasty, self.stored())
        self.assertEqual(len(self.stored()), 4)
        self.restart()
        self.save("9.0")
        self.assertIn(self.good, self.stored())
        self.call("rollback", name="a", version="1.0.0")
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])

    def test_nextOne(self) -> None:
        """Once another has proved itself and was replaced, the first may go."""
        self.serve(61)
        self.save("2.0")
        second = self.digest()
        self.serve(61)
        for number in range(3, 9):
            self.save(f"{number}.0")
        self.assertIn(second, self.stored())
        self.assertNotIn(self.good, self.stored())

    def test_overRestarts(self) -> None:
        """Times before and after a restart add up."""
        self.serve(40)
        before = self.served(self.good)
        self.restart()
        self.assertEqual(self.served(self.good), before)
        self.serve(40)
        self.assertGreaterEqual(self.served(self.good), PROVEN)

    def test_crash(self) -> None:
        """That one has proved itself is written down when it does; if the edge is killed afterwards, it is known."""
        self.serve(61)
        self.bench.state.release()
        self.bench.start()
        self.assertGreaterEqual(self.served(self.good), PROVEN)

    def test_idle(self) -> None:
        """Nobody calls it: it has proved nothing."""
        for _ in range(120):
            self.bench.clock.advance(60)
        self.assertEqual(self.served(self.good), 0)

    def test_gated(self) -> None:
        """In quarantine it has not served, and what it had served before is forgotten."""
        self.serve(10)
        self.save("2.0", FAILING)
        bad = self.digest()
        self.requests(20)
        self.elapse(2)
        self.assertNotEqual(self.digest(), bad)
        self.assertEqual(self.served(bad), 0)
        self.assertGreater(self.served(self.good), 0)


class StoredTests(VersionsCase):
    """Versions that somebody has deleted, or damaged, in the store."""

    def setUp(self) -> None:
        super().setUp()
        self.save("2.0")
        self.second = self.digest()
        self.save("3.0")

    def test_rollback(self) -> None:
        """It goes further back; if there is nothing, it says so."""
        self.lose(self.second)
        self.call("rollback", name="a")
        self.assertEqual(self.digest(), self.good)

    def test_rollbackDamaged(self) -> None:
        """The same for one that is damaged."""
        (self.bench.root / "var" / "versions" / "a" / self.second / "plugin.py").write_text("1 / 0")
        self.call("rollback", name="a")
        self.assertEqual(self.digest(), self.good)

    def test_nothing(self) -> None:
        """What ran before is named, and nothing is changed."""
        self.lose(self.second)
        self.lose(self.good)
        error = self.assertRaises(CommandError, self.call, "rollback", name="a")
        self.assertRegex(str(error), r"^a has no earlier version to go back to, for what ran before is not stored, "
                         r"or may not run: 2\.0 \([0-9a-f]{12}\), 1\.0\.0 \([0-9a-f]{12}\); name one")
        self.assertEqual(self.bench.seen(), ["a 3.0"])

    def test_named(self) -> None:
        """Whoever names one that is not stored is told which are."""
        self.lose(self.second)
        refused = self.call("rollback", name="a", version="2.0")["refused"]
        self.assertIn("the wanted version cannot be had", refused[0]["message"])
        for digest in (self.good, self.digest()):
            self.assertIn(digest[:12], refused[0]["message"])
        self.assertEqual(self.bench.seen(), ["a 3.0"])

    def test_listed(self) -> None:
        """With the next change, what is not stored is not among the versions any more."""
        self.lose(self.second)
        self.save("4.0")
        told = [version["digest"] for version in self.call("plugins", name="a")[0]["versions"]]
        self.assertNotIn(self.second, told)
        self.assertIn(self.good, told)

    def test_quarantine(self) -> None:
        """A version that is taken out is replaced by the last good one that is stored."""
        self.save("4.0", FAILING)
        self.lose(self.bench.coordinator.records.get("a").versions[-2].digest)
        self.requests(20)
        self.elapse(2)
        self.assertEqual(self.digest(), self.second)

    def test_quarantineWithoutAny(self) -> None:
        """Where none is, there is a gate."""
        self.save("4.0", FAILING)
        for version in self.bench.coordinator.records.get("a").versions[:-1]:
            if version.digest in self.stored():
                self.lose(version.digest)
        self.requests(20)
        self.elapse(2)
        self.assertEqual(self.call("plugins", name="a")[0]["state"], "quarantined")
        texts = [event.text for event in self.bench.events.latest(100) if event.kind == "quarantined"]
        self.assertIn("no other version can be had from the store", texts[0])


class UnreadableTests(VersionsCase):
    """A rollback while the plugin's folder cannot be read."""

    def test_sameAgain(self) -> None:
        """When the folder is there again, with what it had, that is nothing new; a change is."""
        self.save("2.0")
        folder, away = self.bench.plugins / "a", self.bench.root / "away"
        folder.rename(away)
        folder.symlink_to("nowhere")
        self.apply()
        self.call("rollback", name="a")
        folder.unlink()
        away.rename(folder)
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.save("3.0")
        self.assertEqual(self.bench.seen(), ["a 3.0"])
