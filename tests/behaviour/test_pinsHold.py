"""How long a version that somebody went back to stays: until its folder has something new that runs."""

from __future__ import annotations

import shutil
from typing import Any

from revproxy.bundles.versionstore import StoreError, VersionStore
from revproxy.control.state.recordfile import readRecords
from tests.witnesses import FAILING, WitnessCase


class RollbackTests(WitnessCase):
    """A rollback from 2.0 to 1.0.0."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.start()
        self.bench.write("a", version="2.0")
        self.apply()

    def rollback(self) -> None:
        self.call("rollback", name="a")
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])

    def test_asked(self) -> None:
        """That it was asked for is an event, before what came of it; also where nothing came of it. A save has none."""
        before = len(self.bench.kinds())
        self.rollback()
        self.call("pin", name="a", version="1.0.0")
        self.call("unpin", name="a")
        self.call("disable", name="a")
        self.call("enable", name="a")
        kinds = ["asked", "replaced", "rolled-back", "asked", "asked", "replaced"]
        kinds += ["asked", "removed", "asked", "loaded"]
        self.assertEqual([kind for kind, _ in self.bench.kinds()[before:]], kinds)
        asked = [one.text for one in self.bench.events.latest(100) if one.kind == "asked"]
        self.assertEqual(asked[:3], ["revproxy rollback a", "revproxy pin a 1.0.0", "revproxy unpin a"])

    def test_whatDoesNotCount(self) -> None:
        """Notes, tests and what editors leave are nothing new; a line of code is, and so is other ignoring."""
        self.rollback()
        before = self.bench.kinds()
        for path in ("NOTES.md", "README.md", "test_plugin.py", "conftest.py", "plugin.py~", ".plugin.py.swp", "4913"):
            (self.bench.plugins / "a" / path).write_text("x")
            self.apply()
        self.restart()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.assertIsNotNone(self.bench.coordinator.records.get("a").pin)
        self.assertEqual(self.bench.kinds(), [])
        self.assertEqual(before[-1], ("rolled-back", "a"))
        (self.bench.plugins / "a" / ".pluginignore").write_text("*.csv\n")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 2.0"])
        self.assertIsNone(self.bench.coordinator.records.get("a").pin)

    def test_newIsBroken(self) -> None:
        """Something new that does not load does not end it: with the old files back, it still holds."""
        self.rollback()
        self.bench.write("a", "1 / 0", version="3.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.bench.write("a", version="2.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])

    def test_newIsBrokenOverRestart(self) -> None:
        """The same if the edge is down meanwhile."""
        self.rollback()
        self.bench.write("a", "1 / 0", version="3.0")
        self.restart()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.bench.write("a", version="2.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])

    def test_newBesideAnother(self) -> None:
        """Something new ends it, though another folder claims the plugin's name."""
        self.rollback()
        self.bench.write("zz", says="thief")
        self.manifest("zz", '{"name": "a", "version": "9.0"}')
        self.bench.write("a", version="3.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 3.0"])
        self.assertIsNone(self.bench.coordinator.records.get("a").pin)

    def test_told(self) -> None:
        """That it is over is told: by the command that found it, and by an event."""
        self.rollback()
        label = self.bench.coordinator.plan.entries["a"].version  # type: ignore[union-attr]
        self.assertNotIn(("unpinned", "a"), self.bench.kinds())
        self.bench.write("a", version="3.0")
        told = f"its folder has something new: no longer pinned to {label} by rollback"
        self.assertEqual(self.call("reload")["text"][1], f"a: {told}")
        event = self.bench.events.latest(1)[0]
        self.assertEqual((event.kind, event.plugin, event.text), ("unpinned", "a", told))
        self.call("rollback", name="a")
        self.bench.write("a", version="4.0")
        self.restart()
        self.assertEqual(self.bench.seen(), ["a 4.0"])
        self.assertEqual(self.bench.kinds(), [("unpinned", "a")])

    def test_storeCannotForget(self) -> None:
        """It is written down though old versions cannot be deleted."""

        def fails(*_: Any) -> None:
            raise StoreError("cannot be deleted")

        self.patch(VersionStore, "prune", fails)
        self.bench.write("a", version="3.0")
        self.apply()
        self.call("rollback", name="a", version="1.0.0")
        self.assertIn(("store-failed", "a"), self.bench.kinds())
        written, _ = readRecords(self.bench.state.recordsPath)
        self.assertIsNotNone(written.get("a").pin)

    def test_notThere(self) -> None:
        """A version that cannot be had is refused with what to do instead."""
        shutil.rmtree(self.bench.root / "var" / "versions" / "a")
        for command in ("rollback", "pin"):
            (refused,) = self.call(command, name="a", version="1.0.0")["refused"]
            self.assertRegex(refused["message"], "^the wanted version cannot be had: .*: there is no such version of "
                             "a; none is kept; choose another: revproxy rollback a VERSION, or revproxy unpin a$")


class QuarantineTests(WitnessCase):
    """2.0 runs and fails, and its folder has something else by then."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.start()
        self.bench.write("a", FAILING, version="2.0")
        self.apply()

    def assertGoesBack(self) -> None:
        """After all errors 1.0.0 serves."""
        self.assertEqual(self.requests(30), "a 1.0.0")

    def test_pinned(self) -> None:
        """A version that was pinned is not left for another one, and the event says so and what to do."""
        self.call("pin", name="a")
        self.assertEqual(self.requests(30), "PluginQuarantined")
        (event,) = (one for one in self.bench.events.latest(10) if one.kind == "quarantined")
        self.assertRegex(
            event.text,
            r"; it is pinned, so no other version takes its place \(`revproxy rollback a` does that\): "
            r"requests it would see are answered 503, until probes succeed$",
        )
        self.call("rollback", name="a")
        self.assertEqual(self.requests(5), "a 1.0.0")

    def test_newFailed(self) -> None:
        """A newer version that failed before is not what it goes over to."""
        self.bench.write("a", "1 / 0", version="3.0")
        self.apply()
        self.assertGoesBack()

    def test_manifestBroken(self) -> None:
        """Neither is a folder that cannot be read."""
        self.manifest("a", "{")
        self.apply()
        self.assertGoesBack()

    def test_newWaits(self) -> None:
        """A newer version that waits for another plugin does not keep it from going back, and runs once it can."""
        self.bench.write("a", version="3.0", requires={"q": ""})
        self.apply()
        self.assertGoesBack()
        self.bench.write("other")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "other 1.0.0"])
        self.assertIn("requires q, which is absent", self.bench.failure("a"))
        self.bench.write("q")
        self.apply()
        self.assertEqual(sorted(self.bench.seen()), ["a 3.0", "other 1.0.0", "q 1.0.0"])
        self.assertIsNone(self.bench.coordinator.records.get("a").pin)
        (event,) = (one for one in self.bench.events.latest(10) if one.kind == "unpinned")
        self.assertRegex(event.text, r"no longer pinned to 1\.0\.0 \(.*\) by quarantine$")

    def test_newWaitsAndIsUndone(self) -> None:
        """If the failing version's files come back instead, it stays out."""
        self.bench.write("a", version="3.0", requires={"q": ""})
        self.apply()
        self.assertGoesBack()
        self.bench.write("a", FAILING, version="2.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
