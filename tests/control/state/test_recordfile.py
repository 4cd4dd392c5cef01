"""The file that holds what is remembered of plugins."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.state.recordfile import readRecords, writeRecords
from revproxy.control.state.records import Pin, PluginRecord, PluginRecords, VersionRecord
from tests.control.state.test_records import ranInOrder

TEXTS = st.text(max_size=20)
RECORDS = st.builds(
    PluginRecord,
    versions=st.lists(
        st.builds(VersionRecord, TEXTS, TEXTS, st.floats(allow_nan=False, allow_infinity=False), st.none() | TEXTS,
                  st.floats(0, 1e9)),
        unique_by=lambda version: version.digest, max_size=4).map(tuple),
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
        self.records = ranInOrder("a", "b").quarantined("p", "a", "bad").pinned("p", Pin("b", "rollback", "a"))
        self.records = self.records.foundIn("p", "10-p").served("p", "b", 60.0)

    def damaged(self, data: bytes) -> str:
        """The text about a file with this content, which must be put aside unchanged."""
        before = set(self.path.parent.iterdir())
        self.path.write_bytes(data)
        records, text = readRecords(self.path)
        self.assertEqual(records, PluginRecords())
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
        writeRecords(self.path, self.records)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(json.loads(self.path.read_bytes()), {"format": 1, "plugins": {"p": {
            "versions": [
                {"digest": "a", "version": "0.0", "ran_at": 0.0, "quarantined": "bad", "served": 0.0},
                {"digest": "b", "version": "1.0", "ran_at": 1.0, "quarantined": None, "served": 60.0},
            ],
            "running": "b",
            "pin": {"digest": "b", "by": "rollback", "against": "a", "left": []},
            "enabled": None,
            "folder": "10-p",
            "required": False,
            "ended_at": None,
            "ended_because": None,
        }}})
        self.assertGreater(len(self.path.read_text().splitlines()), 10)
        self.assertEqual(readRecords(self.path), (self.records, None))

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
        """Whatever is in the file, there is records, and a text unless it is sound."""
        self.path.write_bytes(data)
        records, text = readRecords(self.path)
        self.assertEqual(text is None, self.path.exists())
        if text is None:
            writeRecords(self.path, records)
            self.assertEqual(readRecords(self.path), (records, None))
        for path in self.path.parent.iterdir():
            path.unlink()

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
        records, text = readRecords(self.path)
        self.assertEqual(records, PluginRecords())
        self.assertIn(f"{self.path}: it is a folder and no file; put a plain file there; nothing is remembered of "
                      "plugins; the file is now", str(text))
        self.path.write_text("x")

        def refusing(*args: object, **options: object) -> None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        self.patch(os, "rename", refusing)
        records, text = readRecords(self.path)
        self.assertEqual(records, PluginRecords())
        self.assertIn("could not be put aside (Read-only file system)", str(text))

    def test_writeFails(self) -> None:
        """Whichever step fails, what was there stays, nothing else is left, and it is told."""
        writeRecords(self.path, self.records)

        def refusing(*args: object, **options: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        for step in ("open", "fsync", "replace"):
            patched = self.patch(os, step, refusing)
            self.assertRaises(OSError, writeRecords, self.path, PluginRecords())
            patched.restore()
            self.assertEqual(list(self.path.parent.iterdir()), [self.path])
            self.assertEqual(readRecords(self.path), (self.records, None))

    def test_crashLeftOver(self) -> None:
        """What a crash left in the middle of a write hinders nobody."""
        writeRecords(self.path, self.records)
        (self.path.parent / ".plugins.json.new").write_text('{"for')
        self.assertEqual(readRecords(self.path), (self.records, None))
        writeRecords(self.path, PluginRecords())
        self.assertEqual(list(self.path.parent.iterdir()), [self.path])

    def test_order(self) -> None:
        """The content is on the disk before the name is, and the name before it is said to be done."""
        steps: list[str] = []
        for name in ("fsync", "replace"):
            real = getattr(os, name)
            self.patch(os, name, lambda *args, name=name, real=real: (steps.append(name), real(*args))[1])
        writeRecords(self.path, self.records)
        self.assertEqual(steps, ["fsync", "replace", "fsync"])
