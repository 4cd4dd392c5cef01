"""What is remembered of plugins, in memory and on disk."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.state.records import (
    MAX_REASON,
    MAX_VERSIONS,
    Pin,
    PluginRecord,
    PluginRecords,
    VersionRecord,
    readRecords,
    writeRecords,
)


def ranInOrder(*digests: str) -> PluginRecords:
    """A plugin ``p`` of which these ran, at the times 0, 1, …"""
    ledger = PluginRecords()
    for time, digest in enumerate(digests):
        ledger = ledger.ran("p", digest, f"{time}.0", float(time))
    return ledger


class LedgerTests(SynchronousTestCase):
    """`PluginRecords`: values and what follows from them."""

    def digests(self, ledger: PluginRecords) -> list[str]:
        """Of all versions of ``p``."""
        return [one.digest for one in ledger.get("p").versions]

    def test_unknown(self) -> None:
        """Nothing is known of a plugin that nobody wrote about, and asking changes nothing."""
        ledger = PluginRecords()
        self.assertEqual(ledger.get("p"), PluginRecord((), None, None, None))
        self.assertIsNone(ledger.previousGood("p", "a"))
        self.assertEqual(ledger.toKeep("p", 5), set())
        self.assertEqual(ledger.plugins, {})

    def test_immutable(self) -> None:
        """Each method leaves the ledger it was called on as it was."""
        before = ranInOrder("a", "b")
        for after in (before.ran("p", "c", "1", 9.0), before.stopped("p", 9.0), before.pinned("p", Pin("a", "user")),
                      before.switched("p", False), before.quarantined("p", "a", "bad"), before.forgotten("p", ["a"])):
            self.assertNotEqual(after, before)
            self.assertEqual(before, ranInOrder("a", "b"))

    def test_ran(self) -> None:
        """What began to run last is the last, and runs; no version stands there twice."""
        ledger = ranInOrder("a", "b", "a")
        self.assertEqual(ledger.get("p").versions, (VersionRecord("b", "1.0", 1.0), VersionRecord("a", "2.0", 2.0)))
        self.assertEqual(ledger.get("p").running, "a")

    def test_stopped(self) -> None:
        """Nothing runs; what ran is remembered."""
        ledger = ranInOrder("a").stopped("p", 5.0)
        self.assertIsNone(ledger.get("p").running)
        self.assertEqual(self.digests(ledger), ["a"])

    def test_pin(self) -> None:
        """A pin replaces a pin and can be taken away."""
        ledger = PluginRecords().pinned("p", Pin("a", "user")).pinned("p", Pin("b", "rollback", "c"))
        self.assertEqual(ledger.get("p").pin, Pin("b", "rollback", "c"))
        self.assertEqual(ledger.unpinned("p"), PluginRecords())

    def test_switched(self) -> None:
        """On, off, and neither; that there is nothing to remember is not remembered."""
        ledger = PluginRecords().switched("p", False)
        self.assertIs(ledger.get("p").enabled, False)
        self.assertIs(ledger.switched("p", True).get("p").enabled, True)
        self.assertEqual(ledger.switched("p", None), PluginRecords())

    def test_housed(self) -> None:
        """The folder goes along with what else is remembered, and is nothing to remember by itself."""
        ledger = ranInOrder("a").housed("p", "10-p").ran("p", "b", "2.0", 2.0).stopped("p", 3.0)
        self.assertEqual(ledger.get("p").folder, "10-p")
        self.assertEqual(PluginRecords().housed("p", "10-p"), PluginRecords())

    def test_quarantine(self) -> None:
        """The reason stays with the version, also when it runs again as a probe, until it is cleared."""
        ledger = ranInOrder("a", "b").quarantined("p", "b", "raised")
        ledger = ledger.ran("p", "b", "1.0", 5.0)
        self.assertEqual([one.quarantined for one in ledger.get("p").versions], [None, "raised"])
        cleared = ledger.cleared("p", "b")
        self.assertEqual([one.quarantined for one in cleared.get("p").versions], [None, None])
        self.assertEqual(ledger.quarantined("p", "never ran", "x"), ledger)

    def test_longReason(self) -> None:
        """A reason is bounded, and is text that can be written."""
        ledger = ranInOrder("a").quarantined("p", "a", "\udcff" + "x" * 2 * MAX_REASON)
        reason = ledger.get("p").versions[0].quarantined
        assert reason is not None
        self.assertEqual(len(reason), MAX_REASON)
        self.assertEqual(reason[:3], "?xx")

    def test_forgotten(self) -> None:
        """Versions go; what runs and what is pinned stays."""
        ledger = ranInOrder("a", "b", "c").pinned("p", Pin("a", "user")).forgotten("p", ["a", "c", "x"])
        self.assertEqual(self.digests(ledger), ["b"])
        self.assertEqual((ledger.get("p").running, ledger.get("p").pin), ("c", Pin("a", "user")))

    def test_longGone(self) -> None:
        """Those that nobody has or wants, but for the last ones to go; the first to go comes first."""
        ledger = PluginRecords()
        for time, name in enumerate(("here", "pinned", "off", "running", "z", "y", "x", "w", "old")):
            ledger = ledger.ran(name, f"digest of {name}", "1.0", float(time))
        for time, name in enumerate(("here", "pinned", "off", "z", "y", "x", "w")):
            ledger = ledger.stopped(name, 100.0 + time)
        ledger = ledger.pinned("pinned", Pin("digest of pinned", "user")).switched("off", False)
        self.assertEqual(ledger.longGone({"here", "old"}, 2), ["z", "y"])
        self.assertEqual(ledger.longGone({"here", "old"}, 4), [])
        again = ledger.ran("z", "digest of z", "1.0", 200.0).stopped("z", 201.0)
        self.assertEqual(again.longGone({"here", "old"}, 2), ["y", "x"])
        self.assertNotIn("z", ledger.without("z").plugins)

    def test_previousGood(self) -> None:
        """What ran last before it and is not quarantined."""
        ledger = ranInOrder("a", "b", "c", "d").quarantined("p", "c", "bad")

        def previous(digest: str) -> str | None:
            found = ledger.previousGood("p", digest)
            return found and found.digest

        self.assertEqual({digest: previous(digest) for digest in "abcdx"},
                         {"a": None, "b": "a", "c": "b", "d": "b", "x": "d"})

    def test_toKeep(self) -> None:
        """What runs, what is pinned, and the last of the others."""
        ledger = ranInOrder("a", "b", "c", "d", "e").pinned("p", Pin("a", "user"))
        self.assertEqual(ledger.toKeep("p", 0), {"a", "e"})
        self.assertEqual(ledger.toKeep("p", 2), {"a", "e", "c", "d"})
        self.assertEqual(ledger.toKeep("p", 99), set("abcde"))
        self.assertEqual(PluginRecords().pinned("p", Pin("z", "user")).toKeep("p", 1), {"z"})

    def test_bounded(self) -> None:
        """The oldest versions are forgotten, but for the pinned one."""
        ledger = ranInOrder("pinned", "old").pinned("p", Pin("pinned", "user"))
        for number in range(2 * MAX_VERSIONS):
            ledger = ledger.ran("p", str(number), "1.0", 9.0)
        digests = self.digests(ledger)
        self.assertEqual((len(digests), digests[:2]), (MAX_VERSIONS, ["pinned", str(MAX_VERSIONS + 1)]))


TEXTS = st.text(max_size=20)
RECORDS = st.builds(
    PluginRecord,
    versions=st.lists(
        st.builds(VersionRecord, TEXTS, TEXTS, st.floats(allow_nan=False, allow_infinity=False), st.none() | TEXTS),
        unique_by=lambda one: one.digest, max_size=4).map(tuple),
    running=st.none() | TEXTS,
    pin=st.none() | st.builds(Pin, TEXTS, st.sampled_from(("user", "rollback", "quarantine")), st.none() | TEXTS),
    enabled=st.sampled_from((None, True, False)),
)


class FileTests(SynchronousTestCase):
    """`readRecords` and `writeRecords`."""

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.path = folder / "plugins.json"
        self.ledger = ranInOrder("a", "b").quarantined("p", "a", "bad").pinned("p", Pin("b", "rollback", "a"))
        self.ledger = self.ledger.housed("p", "10-p")

    def damaged(self, data: bytes) -> str:
        """The text about a file with this content, which must be put aside unchanged."""
        before = set(self.path.parent.iterdir())
        self.path.write_bytes(data)
        ledger, text = readRecords(self.path)
        self.assertEqual(ledger, PluginRecords())
        assert text is not None
        (aside,) = set(self.path.parent.iterdir()) - before
        self.assertEqual(aside.read_bytes(), data)
        self.assertIn(f"the file is now {aside.name}", text)
        return text

    def test_absent(self) -> None:
        """There was nothing to remember."""
        self.assertEqual(readRecords(self.path), (PluginRecords(), None))
        self.assertEqual(list(self.path.parent.iterdir()), [])

    def test_written(self) -> None:
        """For its owner only, legible, and with the number of its format."""
        writeRecords(self.path, self.ledger)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(json.loads(self.path.read_bytes()), {"format": 1, "plugins": {"p": {
            "versions": [
                {"digest": "a", "version": "0.0", "ran_at": 0.0, "quarantined": "bad"},
                {"digest": "b", "version": "1.0", "ran_at": 1.0, "quarantined": None},
            ],
            "running": "b",
            "pin": {"digest": "b", "by": "rollback", "against": "a"},
            "enabled": None,
            "folder": "10-p",
            "ended_at": None,
        }}})
        self.assertGreater(len(self.path.read_text().splitlines()), 10)
        self.assertEqual(readRecords(self.path), (self.ledger, None))

    @given(st.dictionaries(TEXTS, RECORDS, max_size=4))
    def test_roundTrip(self, plugins: dict[str, PluginRecord]) -> None:
        """What is written is read."""
        writeRecords(self.path, PluginRecords(plugins))
        self.assertEqual(readRecords(self.path), (PluginRecords(plugins), None))

    @given(st.binary(max_size=60) | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(("format", "plugins", "versions", "digest", "pin", "running", "p")), inner, max_size=4),
    ).map(lambda value: json.dumps(value).encode()))
    def test_anything(self, data: bytes) -> None:
        """Whatever is in the file, there is a ledger, and a text unless it is sound."""
        self.path.write_bytes(data)
        ledger, text = readRecords(self.path)
        self.assertEqual(text is None, self.path.exists())
        if text is None:
            writeRecords(self.path, ledger)
            self.assertEqual(readRecords(self.path), (ledger, None))
        for left in self.path.parent.iterdir():
            left.unlink()

    def test_damaged(self) -> None:
        """It is said what is wrong, and the file is kept."""
        version = {"digest": "a", "version": "1", "ran_at": 1.0}

        def plugin(**values: Any) -> bytes:
            return json.dumps({"format": 1, "plugins": {"p": values}}).encode()

        for data, reason in (
            (b"", "Input data was truncated"),
            (b'{"format": 1, "plu', "truncated"),
            (b"\xff\xfe", "is damaged: "),
            (b"[" * 100_000, "is damaged: "),
            (b"[]", "Expected `object`, got `array`"),
            (b"{}", "missing required field `format`"),
            (b'{"format": 1}', "missing required field `plugins`"),
            (b'{"format": 0, "plugins": {}}', "there is no format 0"),
            (b'{"format": "1", "plugins": {}}', "Expected `int`, got `str` - at `$.format`"),
            (b'{"format": 1, "plugins": {}, "more": 1}', "unknown field `more`"),
            (plugin(color="red"), "unknown field `color` - at `$.plugins[...]`"),
            (plugin(enabled="yes"), "Expected `bool | null`, got `str` - at `$.plugins[...].enabled`"),
            (plugin(versions=[{**version, "x": 1}]), "unknown field `x` - at `$.plugins[...].versions[0]`"),
            (plugin(versions=[{**version, "ran_at": "1"}]), "Expected `float`, got `str`"),
            (plugin(versions=[version, version]), "a version of p stands in it twice"),
            (plugin(pin={"digest": "a", "by": "nobody"}), "Invalid enum value 'nobody'"),
        ):
            self.assertIn(reason, self.damaged(data))

    def test_newerFormat(self) -> None:
        """A file of a newer revproxy is not guessed at, whatever else is in it."""
        self.assertIn("has format 2, this revproxy knows 1", self.damaged(b'{"format": 2, "plugins": [], "x": 1}'))

    def test_asideNumbers(self) -> None:
        """No file that was put aside earlier is overwritten."""
        for number in (1, 2, 3):
            self.assertIn(f"plugins.json.damaged-{number}", self.damaged(b"%d" % number))
        self.assertEqual((self.path.parent / "plugins.json.damaged-1").read_bytes(), b"1")

    def test_unreadable(self) -> None:
        """What cannot be read is put aside too; what cannot be put aside is told."""
        self.path.mkdir()
        ledger, text = readRecords(self.path)
        self.assertEqual(ledger, PluginRecords())
        self.assertIn(f"{self.path}: it is a folder and no file; put a plain file there; nothing is remembered of "
                      "plugins; the file is now", str(text))
        self.path.write_text("x")

        def refusing(*args: object, **options: object) -> None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        self.patch(os, "rename", refusing)
        ledger, text = readRecords(self.path)
        self.assertEqual(ledger, PluginRecords())
        self.assertIn("could not be put aside (Read-only file system)", str(text))

    def test_writeFails(self) -> None:
        """Whichever step fails, what was there stays, nothing else is left, and it is told."""
        writeRecords(self.path, self.ledger)

        def refusing(*args: object, **options: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        for step in ("open", "fsync", "replace"):
            patched = self.patch(os, step, refusing)
            self.assertRaises(OSError, writeRecords, self.path, PluginRecords())
            patched.restore()
            self.assertEqual(list(self.path.parent.iterdir()), [self.path])
            self.assertEqual(readRecords(self.path), (self.ledger, None))

    def test_crashLeftOver(self) -> None:
        """What a crash left in the middle of a write hinders nobody."""
        writeRecords(self.path, self.ledger)
        (self.path.parent / ".plugins.json.new").write_text('{"for')
        self.assertEqual(readRecords(self.path), (self.ledger, None))
        writeRecords(self.path, PluginRecords())
        self.assertEqual(list(self.path.parent.iterdir()), [self.path])

    def test_order(self) -> None:
        """The content is on the disk before the name is, and the name before it is said to be done."""
        steps: list[str] = []
        for name in ("fsync", "replace"):
            real = getattr(os, name)
            self.patch(os, name, lambda *args, name=name, real=real: (steps.append(name), real(*args))[1])
        writeRecords(self.path, self.ledger)
        self.assertEqual(steps, ["fsync", "replace", "fsync"])
