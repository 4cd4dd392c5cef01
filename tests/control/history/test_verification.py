"""What somebody does to audit records afterwards is seen; what cannot be seen is said, too."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.history.auditfiles import HEAD, KEY, AuditFiles, recordFiles
from revproxy.control.history.chain import NOTHING, Head, canonical, opened, sealed
from revproxy.control.history.verification import MOST_PROBLEMS, verify


def record(number: int, **more: Any) -> dict[str, Any]:
    """One, without what makes it one of a chain."""
    return {
        "time": 1.5 + number, "actor": {"name": "ä"}, "action": "files", "target": str(number), "before_hash": None,
        "after_hash": None, "diff": "", "reason": "", "result": "done", "text": "", **more,
    }  # fmt: skip


class ChainTests(SynchronousTestCase):
    """`sealed` and `opened`."""

    def test_opened(self) -> None:
        """What was sealed is opened, and is as it was."""
        line, head = sealed(b"k" * 32, record(1), NOTHING)
        found, wrong = opened(b"k" * 32, line.rstrip(b"\n"))
        self.assertEqual((found["actor"], wrong, found["hash"], head.seq), ({"name": "ä"}, "", head.hash, 1))

    def test_everyByte(self) -> None:
        """Whatever byte of a record is another one, it is seen."""
        line = sealed(b"k" * 32, record(1), NOTHING)[0].rstrip(b"\n")
        for index in range(len(line)):
            for byte in (b" ", b"0", b'"', bytes([line[index] ^ 1])):
                if byte[0] != line[index]:
                    changed = line[:index] + byte + line[index + 1 :]
                    self.assertNotEqual(opened(b"k" * 32, changed)[1], "", changed)

    def test_hostile(self) -> None:
        """What is no record is none."""
        for line in (b"", b"null", b"[]", b"1", b"{}", b'{"seq": "1"}', b"[" * 100_000, b"\xff", b'{"seq": 1e999}',
                     b'{"seq": NaN}', b'{"seq": 1}'):  # fmt: skip
            self.assertNotEqual(opened(b"k" * 32, line)[1], "")

    def test_head(self) -> None:
        """A head is written as a number and a hash."""
        head = Head(7, "a" * 64)
        self.assertEqual(Head.parse(str(head)), head)
        digits = "a" * 64
        wrong = ("", "7", "7:", f"7:{digits[1:]}", f"7:{'A' * 64}", f"-1:{digits}", f"{head}\n", f"{'9' * 16}:{digits}")
        for text in wrong:
            with self.assertRaises(ValueError):
                Head.parse(text)


class VerifyCase(SynchronousTestCase):
    """With records in three files."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute() / "audit"
        self.files = AuditFiles(self.folder, fileBytes=1200)
        for number in range(1, 13):
            self.files.append([record(number)])
        self.paths = recordFiles(self.folder)
        self.assertEqual(len(self.paths), 3)
        self.head = self.files.head

    def lines(self, index: int = 0) -> list[bytes]:
        """Of a file."""
        return self.paths[index].read_bytes().splitlines(keepends=True)

    def put(self, lines: list[bytes], index: int = 0) -> None:
        """Into a file."""
        self.paths[index].write_bytes(b"".join(lines))

    def problems(self, head: Head | None = None) -> str:
        """All that is found; there is something."""
        verdict = verify(self.folder, head)
        self.assertFalse(verdict.isWhole)
        return "\n".join(verdict.problems)


class VerifyTests(VerifyCase):
    """`verify`."""

    def test_whole(self) -> None:
        """All there; also compared with a head, of now or of before."""
        first = json.loads(self.lines()[1])
        for head in (None, self.head, Head(first["seq"], first["hash"])):
            verdict = verify(self.folder, head)
            self.assertEqual((verdict.problems, verdict.count, verdict.first, verdict.last), ((), 12, 1, self.head))

    def test_edited(self) -> None:
        """A record that says something else is named."""
        lines = self.lines()
        self.put([lines[0], lines[1].replace(b'"target":"2"', b'"target":"3"'), *lines[2:]])
        self.assertEqual(self.problems(), f"{self.paths[0].name}:2: record 2 was changed, or written with another key")

    def test_swapped(self) -> None:
        """Two that have changed places."""
        lines = self.lines()
        self.put([lines[0], lines[2], lines[1], *lines[3:]])
        self.assertIn("record 2 stands behind record 3: their order was changed", self.problems())

    def test_takenOut(self) -> None:
        """One from between others, and one that stands there twice."""
        lines = self.lines()
        self.put([lines[0], *lines[2:]])
        self.assertIn("record 2 should stand before this one", self.problems())
        self.put([lines[0], lines[0], *lines[1:]])
        self.assertIn("record 1 stands here a second time", self.problems())

    def test_cutTail(self) -> None:
        """Records from the end; the head file, and a head from elsewhere, know of them."""
        self.put(self.lines(2)[:-1], 2)
        self.assertEqual(self.problems().count("the end was cut off"), 1)
        self.assertEqual(self.problems(self.head).count("the end was cut off"), 2)

    def test_oldCopy(self) -> None:
        """All of it as it was before: by itself that is whole; a head from elsewhere knows better."""
        copy = self.folder.with_name("copy")
        shutil.copytree(self.folder, copy)
        self.files.append([record(13)])
        self.assertTrue(verify(copy).isWhole)
        self.assertIn("the end was cut off", "\n".join(verify(copy, self.files.head).problems))

    def test_writtenAnew(self) -> None:
        """By somebody who has the key: by itself it is whole; a head from elsewhere knows better."""
        key = bytes.fromhex((self.folder / KEY).read_text())
        head, lines = NOTHING, []
        for number in range(1, 13):
            line, head = sealed(key, record(number, reason="nothing happened"), head)
            lines.append(line)
        for path in self.paths[1:]:
            path.unlink()
        self.put(lines)
        (self.folder / HEAD).unlink()
        self.assertIn("head.json is gone", self.problems())
        self.assertIn("the records were written anew", self.problems(self.head))

    def test_missingFile(self) -> None:
        """A file of the beginning, of the middle, of the end."""
        texts = ("are missing at the beginning", "should stand before", "the end was cut off")
        for index, said in enumerate(texts):
            aside = self.paths[index].with_name("aside")
            self.paths[index].rename(aside)
            self.assertIn(said, self.problems())
            aside.rename(self.paths[index])
        self.assertTrue(verify(self.folder).isWhole)

    def test_head(self) -> None:
        """A head file that is gone, or says something else."""
        data = (self.folder / HEAD).read_bytes()
        (self.folder / HEAD).write_bytes(data.replace(b'"seq":12', b'"seq":11'))
        self.assertIn("head.json is gone or was changed", self.problems())
        for hostile in (b"", b"[]", b"{", b"null", b'{"mac": 1}', b'{"mac": "\xc3\xa4"}'):
            (self.folder / HEAD).write_bytes(hostile)
            self.assertIn("head.json is gone or was changed", self.problems())

    def test_behind(self) -> None:
        """A crash after a record was written, and before the head: the head is behind, and nothing is wrong."""
        data = (self.folder / HEAD).read_bytes()
        self.files.append([record(13)])
        (self.folder / HEAD).write_bytes(data)
        self.assertTrue(verify(self.folder).isWhole)

    def test_otherEdge(self) -> None:
        """Records of another edge, or another key."""
        other = AuditFiles(self.folder.with_name("other"), fileBytes=1200)
        for number in range(1, 13):
            other.append([record(number)])
        shutil.copy(recordFiles(other.folder)[1], self.paths[1])
        self.assertIn("written with another key", self.problems())
        shutil.copy(other.folder / KEY, self.folder / KEY)
        self.assertIn("head.json is gone or was changed", self.problems())
        (self.folder / KEY).unlink()
        self.assertIn("there is no key", self.problems())

    def test_torn(self) -> None:
        """Half a record: at the end it is about to be written; elsewhere it is not whole."""
        with self.paths[2].open("ab") as file:
            file.write(b'{"action":')
        self.assertTrue(verify(self.folder).isWhole)
        with self.paths[0].open("ab") as file:
            file.write(b'{"action":')
        self.assertIn("its last record is not whole", self.problems())

    def test_many(self) -> None:
        """Of many problems the first are told, and how many more."""
        self.put([b"nonsense\n"] * 100, 1)
        verdict = verify(self.folder)
        self.assertEqual((len(verdict.problems), verdict.problems[-1][:4]), (MOST_PROBLEMS + 1, "and "))

    def test_nothing(self) -> None:
        """Where nothing was ever recorded nothing is missing, unless somebody knows of a record."""
        empty = self.folder.with_name("empty")
        self.assertTrue(verify(empty).isWhole)
        self.assertFalse(verify(empty, self.head).isWhole)
        self.paths[0].unlink()
        self.paths[0].mkdir()
        with self.assertRaises(OSError):
            verify(self.folder)


class FilesTests(VerifyCase):
    """`AuditFiles`."""

    def again(self) -> AuditFiles:
        """After a restart."""
        files = AuditFiles(self.folder, fileBytes=1200, files=3)
        files.open()
        return files

    def test_modes(self) -> None:
        """Nobody else may read any of it."""
        for path in (self.folder, *self.folder.iterdir()):
            self.assertEqual(path.stat().st_mode & 0o077, 0, str(path))

    def test_restart(self) -> None:
        """The chain goes on."""
        files = self.again()
        files.append([record(13)])
        self.assertEqual((files.damaged, files.head.seq, verify(self.folder).problems), ([], 13, ()))

    def test_pruned(self) -> None:
        """The oldest files go, and the head says where the chain begins; a head from before cannot be compared."""
        files = self.again()
        for number in range(13, 40):
            files.append([record(number)])
        self.assertLessEqual(len(recordFiles(self.folder)), 4)
        verdict = verify(self.folder, files.head)
        self.assertEqual((verdict.problems, verdict.last.seq), ((), 39))
        self.assertGreater(verdict.first, 1)
        self.assertIn("is not kept any more", self.problems(Head(1, "a" * 64)))
        recordFiles(self.folder)[0].unlink()
        self.assertIn("are missing at the beginning", self.problems())

    def test_crashes(self) -> None:
        """Killed after any number of bytes of a record: what was written before is whole, and the chain goes on."""
        line = sealed(bytes.fromhex((self.folder / KEY).read_text()), record(13), self.head)[0]
        for end in (0, 1, len(line) // 2, len(line) - 1, len(line)):
            copy = self.folder.with_name(f"killed-{end}")
            shutil.copytree(self.folder, copy)
            with recordFiles(copy)[-1].open("ab") as file:
                file.write(line[:end])
            files = AuditFiles(copy, fileBytes=1200)
            files.append([record(14)])
            self.assertEqual((files.damaged, verify(copy).problems), ([], ()), str(end))
            self.assertEqual(files.head.seq, 14 if end == len(line) else 13)

    def test_diskFull(self) -> None:
        """A record that fits only in part is not there, and the next is whole; so for the head."""
        real, room = os.write, 700

        def write(descriptor: int, data: Any) -> int:
            nonlocal room
            if room <= 0:
                raise OSError(28, "No space left on device")
            done = real(descriptor, bytes(data)[: min(len(data), room)])
            room -= done
            return done

        self.patch(os, "write", write)
        failed = 0
        for number in range(13, 40):
            try:
                self.files.append([record(number)])
            except OSError:
                failed += 1
                room = 150 * (number % 5)
        self.patch(os, "write", real)
        self.files.append([record(40)])
        self.assertGreater(failed, 3)
        verdict = verify(self.folder, self.files.head)
        self.assertEqual((verdict.problems, verdict.count), ((), 13 + 27 - failed))

    def test_keyGone(self) -> None:
        """Without its key nobody can say whether the records are true: they are put aside, and a chain is begun."""
        (self.folder / KEY).unlink()
        files = self.again()
        files.append([record(1)])
        self.assertIn("its key is gone", files.damaged[0])
        self.assertTrue(self.folder.with_name("audit.damaged-1").is_dir())
        self.assertTrue(verify(self.folder).isWhole)

    def test_deletedMeanwhile(self) -> None:
        """While the edge runs, somebody deletes all of it: it goes on, and what is gone is missed."""
        shutil.rmtree(self.folder)
        self.files.append([record(13)])
        self.assertIn("records 1 to 12 are missing at the beginning", self.problems())
        self.files.append([record(14)])
        self.assertEqual(self.files.head.seq, 14)

    def test_page(self) -> None:
        """The last ones, page by page, the newest first."""
        first = self.files.page(None, 5)
        second = self.files.page(first[-1]["seq"], 100)
        self.assertEqual([found["seq"] for found in first + second], list(range(12, 0, -1)))
        self.assertEqual(canonical(first[0]), self.lines(2)[-1].rstrip(b"\n"))
