"""
Whether the audit records are all that were written, and as they were written: with an edge that runs, or without.

What it cannot see: whoever may read the key can write all of it anew. Therefore the head is told elsewhere, too, and
can be given here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from revproxy.control.history.auditfiles import linesOf, readHead, readKey, recordFiles
from revproxy.control.history.chain import NOTHING, Head, opened

MOST_PROBLEMS = 20
"""That are told; of more, only the number."""

_TRIES = 3
"""A file may go, for it is the oldest, while it is about to be read."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What was found.

    :ivar count: records that there are.
    :ivar first: number of the first of them; 0: there is none.
    :ivar last: head of the last one that is as it was written.
    :ivar problems: what is wrong; empty: nothing is.
    """

    count: int = 0
    first: int = 0
    last: Head = NOTHING
    problems: tuple[str, ...] = ()

    @property
    def isWhole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def asDict(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {
            "whole": self.isWhole,
            "records": self.count,
            "first": self.first,
            "head": str(self.last),
            "problems": list(self.problems),
        }


def verify(folder: Path, head: Head | None = None, written: Head = NOTHING) -> Verdict:
    """
    Blocks.

    :param folder: ``audit`` in the state folder.
    :param head: that was noted elsewhere.
    :param written: what the edge that runs has written last.
    :raises OSError: something cannot be read.
    """
    for left in reversed(range(_TRIES)):
        try:
            return _verify(folder, head, written)
        except FileNotFoundError:
            if not left:
                raise
    raise AssertionError


def _verify(folder: Path, head: Head | None, written: Head) -> Verdict:
    key = readKey(folder)
    if key is None:
        there = any(recordFiles(folder)) or head is not None or written.seq > 0
        text = f"{folder}: there is no key, so nobody can say whether the records are true"
        return Verdict(problems=(text,) if there else ())
    told = readHead(folder, key)  # first: records may be added meanwhile
    reading = _Reading(key)
    for path in recordFiles(folder):
        reading.read(path)
    if told is None:
        reading.problems.append(f"{folder}: head.json is gone or was changed, so nobody can say where the records end")
    else:
        reading.begin(told[0])
        reading.holds(told[1], "head.json")
    reading.holds(written, "what the edge that runs has written")
    if head is not None:
        reading.holds(head, "the head that was given")
    problems = reading.problems
    if len(problems) > MOST_PROBLEMS:
        problems = [*problems[:MOST_PROBLEMS], f"and {len(problems) - MOST_PROBLEMS} more"]
    return Verdict(reading.count, reading.first, reading.last, tuple(problems))


class _Reading:
    """Of all files, one after the other."""

    def __init__(self, key: bytes) -> None:
        self.problems: list[str] = []
        self.count = 0
        self.first = 0
        self.last = Head()
        self._key = key
        self._hashes: dict[int, str] = {}
        self._before: Head | None = None
        self._started: str | None = None
        self._torn: Path | None = None

    def read(self, path: Path) -> None:
        lines, isTorn = linesOf(path)
        if self._torn is not None:
            self.problems.append(f"{self._torn}: its last record is not whole")
        self._torn = path if isTorn else None
        for number, line in enumerate(lines, 1):
            self._record(line, f"{path.name}:{number}")

    def _record(self, line: bytes, place: str) -> None:
        self.count += 1
        record, wrong = opened(self._key, line)
        if wrong:
            named = f"record {record['seq']}" if record else "what is there"
            self.problems.append(f"{place}: {named} {wrong}")
            if record:  # what follows is compared with what it says of itself
                self._before = Head(record["seq"], str(record.get("hash")))
            return
        seq = record["seq"]
        if seq in self._hashes:
            self.problems.append(f"{place}: record {seq} stands here a second time")
        elif self._before is not None:
            self._follows(record, place)
        self.first = self.first or seq
        self._started = self._started or record["prev"]
        self._hashes[seq] = record["hash"]
        self._before = Head(seq, record["hash"])
        if seq >= self.last.seq:
            self.last = self._before

    def _follows(self, record: dict[str, Any], place: str) -> None:
        assert self._before is not None
        seq, before = record["seq"], self._before.seq
        if seq <= before:
            self.problems.append(f"{place}: record {seq} stands behind record {before}: their order was changed")
        elif seq > before + 1:
            self.problems.append(f"{place}: {_numbers(before + 1, seq - 1)} should stand before this one")
        elif record["prev"] != self._before.hash:
            self.problems.append(f"{place}: record {seq} does not belong to the record {before} before it")

    def begin(self, before: Head) -> None:
        """Nothing is missing at the beginning."""
        if self.first > before.seq + 1:
            self.problems.append(f"{_numbers(before.seq + 1, self.first - 1)} are missing at the beginning")
        elif self.first == before.seq + 1 and self._started != before.hash:
            self.problems.append(f"record {self.first} does not belong to the one before it")

    def holds(self, head: Head, of: str) -> None:
        """Nothing is missing at the end."""
        if head.seq == 0:
            return
        known = self._hashes.get(head.seq)
        if known is None and head.seq > self.last.seq:
            self.problems.append(
                f"the last record is {self.last.seq}, and there were {head.seq} by {of}: the end was cut off"
            )
        elif known is None and head.seq < self.first:
            self.problems.append(f"record {head.seq}, of {of}, is not kept any more; the first one is {self.first}")
        elif known is None:
            self.problems.append(f"record {head.seq}, of {of}, is not there, or was changed")
        elif known != head.hash:
            self.problems.append(f"record {head.seq} is another one than by {of}: the records were written anew")


def _numbers(first: int, last: int) -> str:
    return f"record {first}" if first == last else f"records {first} to {last}"


__all__ = ["Verdict", "verify"]
