"""What is remembered when the disk does not take it."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from revproxy.bundles.versionstore import StoreError, VersionStore
from revproxy.config.problems import ConfigErrors
from revproxy.control.changes import ChangeRefused
from revproxy.control.commands import CommandError
from revproxy.control.state import keeper as memory
from revproxy.control.state.recordfile import readRecords
from revproxy.control.state.records import PluginRecords
from revproxy.loop.jobthread import HURRY, SILENCE
from tests.control.test_coordinator import LifecycleCase


def full(path: Path, *_: Any) -> None:
    """As `writeRecords` on a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


def unstored(*_: Any) -> None:
    """As the store on a full disk."""
    raise StoreError("versions: cannot be written: No space left on device")


class FullDiskTests(LifecycleCase):
    """What is in force, and not on the disk."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.start()
        self.bench.write("a", version="2.0")
        self.apply()

    def written(self) -> PluginRecords:
        return readRecords(self.bench.state.recordsPath)[0]

    def stored(self) -> int:
        return len(self.bench.state.store.digests("a"))

    def assertNothingWaits(self) -> None:
        """Nothing is to be written later."""
        keeper = self.bench.control.keeper
        calls = self.bench.clock.getDelayedCalls()
        self.assertEqual([call for call in calls if getattr(call.func, "__self__", None) is keeper], [])

    def storeFailures(self) -> int:
        return self.bench.kinds().count(("store-failed", ""))

    def test_told(self) -> None:
        """A command says that it is in force until a restart only."""
        self.patch(memory, "writeRecords", full)
        answer = self.call("pin", name="a", version="1.0.0")
        self.assertEqual(answer["text"][0], "a: pinned")
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        path = self.bench.state.recordsPath
        self.assertEqual(answer["refused"], [{
            "plugin": "",
            "stage": "state",
            "message": f"in force, but not written down: {path}: cannot be written: No space left on device; "
            "lost with a restart until it can be",
        }])  # fmt: skip

    def test_writtenLater(self) -> None:
        """Each look at the files tries again, also one that finds nothing; one event tells of all that fail alike."""
        broken = self.patch(memory, "writeRecords", full)
        self.call("disable", name="a")
        self.assertNotEqual(self.apply().unwritten, "")
        self.assertEqual(self.storeFailures(), 1)
        self.assertIsNone(self.written().get("a").enabled)
        broken.restore()
        self.assertEqual(self.apply().unwritten, "")
        self.assertIs(self.written().get("a").enabled, False)
        self.assertEqual(self.call("reload")["refused"], [])

    def test_againFull(self) -> None:
        """What fails again after it was well is another event."""
        for _ in range(2):
            broken = self.patch(memory, "writeRecords", full)
            self.call("pin", name="a")
            broken.restore()
            self.call("unpin", name="a")
        self.assertEqual(self.storeFailures(), 2)

    def test_bundle(self) -> None:
        """A version that could not be stored is tried again by each look, too, and told of until it is."""
        broken = self.patch(VersionStore, "keep", unstored)
        self.bench.write("a", version="3.0")
        self.assertIn("versions: cannot be written", self.apply().unwritten)
        self.assertIn("versions: cannot be written", self.apply().unwritten)
        self.assertEqual((self.stored(), self.bench.kinds().count(("store-failed", "a"))), (2, 1))
        broken.restore()
        self.assertEqual(self.apply().unwritten, "")
        self.assertEqual(self.stored(), 3)

    def test_restoredFromWhatCannotBeRead(self) -> None:
        """Versions that cannot be looked at when the state folder is made anew are not known to be gone."""
        keeper = self.bench.control.keeper
        known = [version.digest for version in keeper.records.get("a").versions]
        self.assertEqual(len(known), 2)
        self.patch(VersionStore, "digests", unstored)
        self.bench.result(keeper.restore())
        self.assertEqual([version.digest for version in keeper.records.get("a").versions], known)

    def test_bundleReplaced(self) -> None:
        """One that runs no more is not waited for."""
        broken = self.patch(VersionStore, "keep", unstored)
        self.bench.write("a", version="3.0")
        self.apply()
        broken.restore()
        self.bench.write("a", version="4.0")
        self.assertEqual(self.apply().unwritten, "")

    def test_whatTheDiskNames(self) -> None:
        """What the disk says is running stays in the store, however many run after it."""
        self.bench.configure(extra="plugins: {directory: plugins, keep_versions: 1}\n")
        self.apply()
        self.patch(memory, "writeRecords", full)
        for number in range(3, 8):
            self.bench.write("a", version=f"{number}.0")
            self.apply()
        self.assertIn(self.written().get("a").running, self.bench.state.store.digests("a"))

    def fillUp(self) -> Any:
        """The disk is full, and two things are not written: a switch and a version."""
        broken = [self.patch(memory, "writeRecords", full), self.patch(VersionStore, "keep", unstored)]
        self.bench.write("a", version="3.0")
        self.apply()
        self.call("enable", name="a")
        return broken

    def makeRoom(self, broken: Any) -> None:
        for one in broken:
            one.restore()

    def assertWritten(self) -> None:
        self.assertIs(self.written().get("a").enabled, True)
        self.assertIn(self.written().get("a").running, self.bench.state.store.digests("a"))

    def test_timer(self) -> None:
        """It is tried again every minute, without a change; an event tells when it has succeeded, and only then."""
        broken = self.fillUp()
        for _ in range(3):
            self.bench.clock.advance(60)
        self.assertEqual(self.bench.kinds().count(("written", "")), 0)
        self.assertEqual((self.storeFailures(), self.bench.kinds().count(("store-failed", "a"))), (1, 1))
        self.assertRaises(self.failureException, self.assertNothingWaits)
        self.makeRoom(broken)
        self.bench.clock.advance(60)
        self.assertWritten()
        self.assertEqual(self.bench.kinds()[-1], ("written", ""))
        self.bench.clock.advance(60)
        self.apply()
        self.assertEqual(self.bench.kinds().count(("written", "")), 1)
        self.assertNothingWaits()

    def test_withAChange(self) -> None:
        """So does the next change, and nothing is left to wait for."""
        self.makeRoom(self.fillUp())
        self.apply()
        self.assertWritten()
        self.assertEqual(self.bench.kinds()[-1], ("written", ""))
        self.bench.clock.advance(60)
        self.assertEqual(self.bench.kinds().count(("written", "")), 1)
        self.assertNothingWaits()

    def test_atTheEnd(self) -> None:
        """The end of the edge is the last try."""
        self.makeRoom(self.fillUp())
        self.bench.result(self.bench.coordinator.end())
        self.assertWritten()
        self.assertEqual(self.bench.kinds()[-1], ("written", ""))
        self.assertNothingWaits()

    def test_stillFullAtTheEnd(self) -> None:
        """If that fails, too, it ends all the same, and nothing is tried after it."""
        self.fillUp()
        self.bench.result(self.bench.coordinator.end())
        self.assertIsNone(self.written().get("a").enabled)
        self.assertNothingWaits()

    def test_noStateFolder(self) -> None:
        """Without a state folder nothing is written down, and that is said."""
        self.bench.control.keeper.isWritable = False
        answer = self.call("disable", name="a")
        self.assertIn("the state folder cannot be written", answer["refused"][0]["message"])
        self.assertEqual(self.storeFailures(), 0)  # the log said so at the start


class GoneTests(LifecycleCase):
    """Plugins that come and go, each under another name: a deployment that names folders by release."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(memory, "MAX_GONE", 3)
        self.bench.write("stays")
        self.bench.start()
        for number in range(8):
            self.release(number)

    def release(self, number: int) -> None:
        """One comes, and the one before goes; time passes."""
        shutil.rmtree(self.bench.plugins / f"r{number - 1}", ignore_errors=True)
        self.bench.write(f"r{number}")
        self.bench.clock.advance(1)
        self.apply()

    def remembered(self) -> list[str]:
        """In memory, on disk, and with bundles."""
        names = sorted(self.bench.coordinator.records.plugins)
        self.assertEqual(sorted(readRecords(self.bench.state.recordsPath)[0].plugins), names)
        self.assertEqual(sorted(self.bench.state.store.names()), names)
        return names

    def test_lastOnes(self) -> None:
        """The last that went are remembered with their versions, and can be brought back; others are forgotten."""
        self.assertEqual(self.remembered(), ["r4", "r5", "r6", "r7", "stays"])
        self.assertRaises(CommandError, self.call, "rollback", name="r3")
        self.call("rollback", name="r4")
        self.assertEqual(sorted(self.bench.seen()), ["r4 1.0.0", "r7 1.0.0", "stays 1.0.0"])

    def test_stores(self) -> None:
        """What a plugin has kept goes when it is forgotten, and not before; nobody else's goes."""
        folder = self.bench.state.path / "store"
        folder.mkdir()
        for name in ("r5.sqlite", "r5.sqlite-wal", "r6.sqlite", "stays.sqlite", "r51.sqlite", "r5-a.sqlite"):
            (folder / name).touch()
        self.release(8)
        self.assertEqual(len(list(folder.iterdir())), 6)
        self.release(9)
        names = sorted(path.name for path in folder.iterdir())
        self.assertEqual(names, ["r5-a.sqlite", "r51.sqlite", "r6.sqlite", "stays.sqlite"])

    def test_wanted(self) -> None:
        """What is pinned or was switched stays, however long it is gone."""
        self.call("pin", name="r7")
        for number in range(8, 14):
            self.release(number)
        self.call("disable", name="r13")
        for number in range(14, 20):
            self.release(number)
        self.assertEqual(self.remembered(), ["r13", "r16", "r17", "r18", "r19", "r7", "stays"])
        self.assertIn("r7 1.0.0", self.bench.seen())

    def test_folderUnreadable(self) -> None:
        """While the folder of plugins cannot be read nobody is gone."""
        self.call("disable", name="stays")
        before = self.remembered()
        shutil.move(self.bench.plugins, self.bench.root / "away")
        self.apply()
        self.call("enable", name="stays")
        self.assertEqual(self.remembered(), before)

    def test_broken(self) -> None:
        """What has a folder that cannot be read is not gone."""
        self.bench.write("stays", version="2.0")
        self.call("disable", name="stays")
        self.apply()
        (self.bench.plugins / "stays" / "plugin.json").write_text("{")
        self.call("enable", name="stays")
        for number in range(8, 14):
            self.release(number)
        self.assertIn("stays", self.remembered())

    def test_storeCannotForget(self) -> None:
        """What cannot be deleted is not forgotten; it is tried again with the next change."""
        broken = self.patch(VersionStore, "prune", unstored)
        self.release(8)
        self.assertIn("r4", self.remembered())
        broken.restore()
        self.release(9)
        self.assertEqual(self.remembered(), ["r6", "r7", "r8", "r9", "stays"])

    def test_whatTheDiskNames(self) -> None:
        """What the disk says is running is not forgotten before the disk says that it is gone."""
        broken = self.patch(memory, "writeRecords", full)
        for number in range(8, 14):
            self.release(number)
        self.assertIn("r7", self.bench.state.store.names())
        broken.restore()
        self.release(14)
        self.release(15)
        self.assertEqual(self.remembered(), ["r12", "r13", "r14", "r15", "stays"])


class SilentDiskTests(LifecycleCase):
    """A disk that does not answer: a network folder whose server is gone, or a device that fails."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.start()
        self.disk = self.bench.control.keeper.disk
        self.answers = self.disk.inThread
        self.jobs: list[tuple[Deferred[Any], Any]] = []
        self.disk.inThread = self.hang
        self.bench.write("a", version="2.0")
        self.done = self.bench.later(self.bench.coordinator.apply())
        self.bench.clock.advance(0)

    def hang(self, *job: Any) -> Deferred[Any]:
        self.jobs.append((Deferred(), job))
        return self.jobs[-1][0]

    def come(self) -> None:
        """The disk answers again, also to what it was asked before."""
        self.disk.inThread = self.answers
        for waiting, (function, *arguments) in self.jobs:
            waiting.callback(function(*arguments))

    def test_change(self) -> None:
        """A change waits half a minute for it, is made, and says that it is not written down."""
        self.bench.clock.advance(SILENCE - 1)
        self.assertNoResult(self.done)
        self.bench.clock.advance(1)
        report = self.successResultOf(self.done)
        self.assertEqual(self.bench.seen(), ["a 2.0"])
        self.assertIn(f"has not answered for {SILENCE:g} s", report.unwritten)

    def test_nextChange(self) -> None:
        """The next one waits for nothing, and asks it for nothing while it is silent."""
        self.bench.clock.advance(SILENCE)
        self.bench.write("a", version="3.0")
        done = self.bench.later(self.bench.coordinator.apply())
        self.bench.clock.advance(0)
        self.successResultOf(done)
        self.assertEqual((self.bench.seen(), len(self.jobs)), (["a 3.0"], 1))

    def test_back(self) -> None:
        """Once it answers all is written."""
        self.bench.clock.advance(SILENCE)
        self.come()
        self.bench.clock.advance(60)
        self.assertEqual(self.bench.control.keeper.unwritten, "")
        written, _ = readRecords(self.bench.state.recordsPath)
        self.assertIn(written.get("a").running, self.bench.state.store.digests("a"))
        self.assertEqual(self.bench.kinds()[-1], ("written", ""))

    def test_end(self) -> None:
        """The end of the edge does not wait for it for long, whether a change does at that time or not."""
        ended = self.bench.later(self.bench.coordinator.end())
        self.bench.clock.advance(HURRY - 1)
        self.assertNoResult(ended)
        self.bench.clock.advance(1)
        self.successResultOf(ended)
        self.failureResultOf(self.done, ChangeRefused)

    def test_endLater(self) -> None:
        """Nor if it answers nothing at the end only."""
        self.bench.clock.advance(SILENCE)
        self.disk.inThread = self.answers
        broken = self.patch(memory, "writeRecords", full)
        self.come()
        self.bench.write("a", version="3.0")
        self.apply()
        broken.restore()
        self.disk.inThread = self.hang
        ended = self.bench.later(self.bench.coordinator.end())
        self.bench.clock.advance(HURRY)
        self.successResultOf(ended)


class RanBeforeTests(LifecycleCase):
    """What ran before a restart, and is damaged since."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.write("b")
        self.bench.start()
        self.bench.stop()
        del self.bench.state
        for stored in (self.bench.root / "var" / "versions").glob("*/*/plugin.py"):
            stored.write_text("damaged")

    def test_toldBesideTheFolder(self) -> None:
        """When its folder is broken, too, the refusal says what of the store could not be had; of others nothing."""
        self.bench.write("a", "1 / 0")
        error = str(self.assertRaises(ConfigErrors, self.bench.prepare))
        self.assertIn("ZeroDivisionError", error)
        self.assertIn("what ran before cannot stand in: ", error)
        self.assertIn('this version is damaged: "plugin.py" was changed', error)
        self.assertNotIn("versions/b/", error)

    def test_manifest(self) -> None:
        """So it does when the manifest is what is broken."""
        (self.bench.plugins / "a" / "plugin.json").write_text("{")
        error = str(self.assertRaises(ConfigErrors, self.bench.prepare))
        self.assertIn("plugin.json:1", error)
        self.assertIn("what ran before cannot stand in: ", error)

    def test_order(self) -> None:
        """So it does when the version in the folder does not go with the rest."""
        self.bench.write("a", requires={"nobody": ""})
        error = str(self.assertRaises(ConfigErrors, self.bench.prepare))
        self.assertIn("nobody", error)
        self.assertIn("a: what ran before cannot stand in: ", error)
        self.assertNotIn("versions/b/", error)

    def test_mended(self) -> None:
        """What is damaged in the store and runs again is stored again."""
        self.bench.start()
        self.bench.write("a", "1 / 0")
        self.restart()
        self.assertEqual(sorted(self.bench.seen()), ["a 1.0.0", "b 1.0.0"])

    def test_neverBegun(self) -> None:
        """An edge that does not start, and ends, writes nothing down: what was going to run did not."""
        before = (self.bench.root / "var" / "plugins.json").read_bytes()
        self.bench.write("a", version="2.0")
        self.bench.prepare()
        self.bench.stop()
        self.assertEqual((self.bench.root / "var" / "plugins.json").read_bytes(), before)
        del self.bench.state

    def test_gone(self) -> None:
        """A plugin that is there and well needs none; nor does one that is gone."""
        shutil.rmtree(self.bench.plugins / "b")
        self.bench.start()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])


class PluginTestsTests(LifecycleCase):
    """Tests that a plugin ships are beside its version in the store: the last that were seen with it."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.bench.write("a")
        (self.folder / "test_a.py").write_text("1")
        self.bench.start()

    def kept(self) -> dict[str, bytes]:
        digest = self.bench.coordinator.records.get("a").running
        assert digest is not None
        return dict(self.bench.state.store.read("a", digest).tests)

    def test_newest(self) -> None:
        """Other tests are no change, and are stored all the same; also those that came while the edge was down."""
        self.assertEqual(self.kept(), {"test_a.py": b"1"})
        before = self.bench.kinds()
        (self.folder / "test_a.py").write_text("22")
        self.assertEqual(self.apply().text, ())
        self.assertEqual((self.kept(), self.bench.kinds()), ({"test_a.py": b"22"}, before))
        (self.folder / "conftest.py").write_text("")
        self.restart()
        self.assertEqual(set(self.kept()), {"test_a.py", "conftest.py"})
        (self.folder / "conftest.py").unlink()
        (self.folder / "test_a.py").unlink()
        self.apply()
        self.assertEqual(self.kept(), {})

    def test_otherVersion(self) -> None:
        """While another version runs than the folder has, its tests are not those of what runs."""
        self.bench.write("a", version="2.0")
        (self.folder / "test_a.py").write_text("of 2.0")
        self.apply()
        self.call("rollback", name="a")
        self.assertEqual(self.kept(), {"test_a.py": b"1"})

    def test_storeFails(self) -> None:
        """If they cannot be stored, all else is as ever; and they are tried again."""
        broken = self.patch(VersionStore, "keepTests", unstored)
        (self.folder / "test_a.py").write_text("22")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        broken.restore()
        self.apply()
        self.assertEqual(self.kept(), {"test_a.py": b"22"})

    def test_notStoredAgain(self) -> None:
        """Where nothing has changed, the disk is left alone."""
        self.apply()
        self.patch(VersionStore, "keepTests", unstored)
        self.patch(VersionStore, "keep", unstored)
        self.apply()
        self.assertNotIn("store-failed", [kind for kind, _ in self.bench.kinds()])
