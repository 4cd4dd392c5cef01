"""Events on disk."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.state import eventfile
from revproxy.control.state.eventfile import EventFile
from revproxy.plan.events import Event
from revproxy.plan.versionid import UNKNOWN, VersionId


def event(number: int, text: str = "it runs", traceback: str = "") -> Event:
    """One that happened."""
    return Event(float(number), "loaded", "a", VersionId("1.0", "d" * 64), text, traceback, number)


class EventFileTests(SynchronousTestCase):
    """`EventFile`."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.path = folder / "events.jsonl"
        self.file = EventFile(self.path)

    def test_nothing(self) -> None:
        """There is nothing before the first."""
        self.assertEqual(self.file.read(), ([], []))

    def test_again(self) -> None:
        """What was written is read, by its owner only, also what is of no plugin."""
        plain = Event(3.5, "configured", "", UNKNOWN, 'ä\n"x"\udc80', "", 2)
        self.file.append([event(1)])
        self.file.append([plain])
        first, second = self.file.read()[0]
        self.assertEqual((first, second.text, second.version), (event(1), 'ä\n"x"?', UNKNOWN))
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_about(self) -> None:
        """What it is about is kept; a file of an earlier revproxy, which did not know that, is read."""
        about = Event(3.5, "target-down", "", UNKNOWN, "it is down", "", 2, {"upstream": "api"})
        self.file.append([about])
        self.assertEqual(self.file.read(), ([about], []))
        self.path.write_bytes(b'{"number":1,"at":1.0,"kind":"loaded","plugin":"a","version":"1.0","digest":"'
                              + b"d" * 64 + b'","text":"it runs","traceback":""}\n')
        self.assertEqual(self.file.read(), ([event(1)], []))

    def test_tornEnd(self) -> None:
        """The beginning of a line at the end is cut off, and not told of."""
        self.file.append([event(1), event(2, "x" * 4000, "\x01" * 16000)])
        data = self.path.read_bytes()
        for end in (len(data) - 1, len(data) - 90000, data.index(b"\n") + 2, 3):
            self.path.write_bytes(data[:end])
            whole, damaged = self.file.read()
            self.assertEqual((len(whole), damaged), (1 if end > 3 else 0, []))
            self.file.append([event(3)])
            self.assertEqual(self.file.read(), ([*whole, event(3)], []))

    def test_damaged(self) -> None:
        """A file with something else in it is put aside; what else is in it is read."""
        self.file.append([event(1)])
        with self.path.open("ab") as file:
            file.write(b'\x00\xff\n{"at": "now"}\n')
        self.file.append([event(2)])
        events, (text,) = self.file.read()
        self.assertEqual(events, [event(1), event(2)])
        self.assertIn("line 2 is no event", text)
        self.assertIn("the file is now events.jsonl.damaged-1", text)
        self.assertEqual(self.file.read(), ([], []))

    def test_unreadable(self) -> None:
        """So is what is no file."""
        os.mkfifo(self.path)
        events, (text,) = self.file.read()
        self.assertEqual((events, self.path.exists()), ([], False))
        self.assertIn("damaged-1", text)

    def test_bounded(self) -> None:
        """When it has become long, it is the one before, and another is begun; two are read."""
        self.patch(eventfile, "MAX_BYTES", 2000)
        for number in range(1, 101):
            self.file.append([event(number)])
        numbers = [each.number for each in self.file.read()[0]]
        self.assertEqual(numbers, list(range(numbers[0], 101)))
        self.assertGreater(len(numbers), 10)
        self.assertLess(sum(path.stat().st_size for path in self.path.parent.iterdir()), 4500)

    def test_manyLongAtOnce(self) -> None:
        """Of more than is read again, the last ones are written."""
        self.file.append([event(number, traceback="ä" * 16000) for number in range(1000)])
        found, damaged = self.file.read()
        self.assertEqual((damaged, found[-1].number), ([], 999))
        self.assertGreater(len(found), 20)

    def test_long(self) -> None:
        """Long texts lose their middle."""
        self.file.append([event(1, "a" * 3000 + "b" * 3000, "t" * 20000)])
        ((read,), _) = self.file.read()
        self.assertEqual((len(read.text), read.text[0], read.text[-1]), (4003, "a", "b"))
        self.assertEqual(len(read.traceback), 16003)

    def test_deleted(self) -> None:
        """Into a file that somebody has deleted goes all that is remembered; not into one that was renamed."""
        self.file.append([event(1)], [event(1)])
        self.path.unlink()
        self.file.append([event(2)], [event(1), event(2)])
        self.assertEqual(self.file.read()[0], [event(1), event(2)])
        self.patch(eventfile, "MAX_BYTES", 10)
        for number in (3, 4):
            self.file.append([event(number)], [event(1), event(2), event(3), event(4)])
        self.assertEqual(self.file.read()[0], [event(4)])

    def test_full(self) -> None:
        """A disk that takes no more raises, and harms nothing that was written."""
        self.file.append([event(1)])
        self.path.chmod(0o400)
        if os.getuid():
            self.assertRaises(OSError, self.file.append, [event(2)])
        self.assertRaises(OSError, EventFile(self.path / "x").append, [event(2)])
        self.assertEqual(self.file.read()[0][0], event(1))

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=300))
    def test_anything(self, data: bytes) -> None:
        """Whatever is in the file, it can be read and written to."""
        self.path.write_bytes(data)
        events, damaged = self.file.read()
        self.file.append([event(7)])
        self.assertEqual(self.file.read(), ([*([] if damaged else events), event(7)], []))
        self.path.unlink()
