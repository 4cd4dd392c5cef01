"""
What is never waited for: no statistics, and from the first call.

An exception that the running version never raised, for clients in three buckets, or in more where the candidate serves
so many that the first ones would often be its own by chance; two calls that held the loop, or one
that did so by its own work; something of an instance that remains. A stall without work of its own may be the machine's
fault: two do not count where the running version's requests stall about as often.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, log

import msgspec

from revproxy.plan.evidence import ArmCounts, ArmStall, Fingerprint

CLIENTS, MOST_CLIENTS = 3, 10
"""Buckets in which a new exception decides: at least, and at most."""

CHANCE = 0.001
"""
So seldom may the first buckets with an exception that both versions raise all be the candidate's. With half of the
clients, three are in one of eight cases.
"""

STALLS = 2
"""Calls that held the loop, that decide."""

OWN_WORK = 0.5
"""Of a stall's time: of what its thread ran for more, one decides."""

KINDS = 1000
"""So many exceptions are told apart. Where there are more, one that is not known is not taken to be new."""

_Key = tuple[str, str, str]


class SavedLimits(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What is remembered.

    :ivar known: exceptions of the running version; ``new``: of the candidate alone, with their buckets and how one
        reads.
    :ivar stalls: of the running version, and of the candidate.
    :ivar decided: family and reason, where a limit was passed.
    """

    known: tuple[_Key, ...] = ()
    new: tuple[tuple[_Key, tuple[int, ...], str], ...] = ()
    stalls: tuple[int, int] = (0, 0)
    last: str = ""
    decided: tuple[str, str] | None = None


def clientsNeeded(share: float) -> int:
    """
    Buckets in which a new exception decides.

    :param share: of clients that are the candidate's. If all are, there is nothing to be held against.
    """
    if not 0 < share < 1:
        return CLIENTS
    return min(MOST_CLIENTS, max(CLIENTS, ceil(log(CHANCE) / log(share))))


class HardLimits:
    """
    :ivar decided: the family, and the reason in words, once a limit was passed.
    """

    def __init__(self) -> None:
        self.decided: tuple[str, str] | None = None
        self._known: set[_Key] = set()
        self._new: dict[_Key, tuple[set[int], str]] = {}
        self._stalls = [0, 0]
        self._last = ""

    def raised(self, seen: Fingerprint) -> None:
        """An exception came of a call."""
        key = (seen.kind, seen.file, seen.function)
        isFull = len(self._known) + len(self._new) >= KINDS
        if not seen.isCandidate:
            self._new.pop(key, None)
            if not isFull:
                self._known.add(key)
        elif key not in self._known and (key in self._new or not isFull):
            buckets, _ = self._new.setdefault(key, (set(), seen.sample))
            if len(buckets) < MOST_CLIENTS:
                buckets.add(seen.bucket)

    def stalled(self, stall: ArmStall) -> None:
        """A call held the loop."""
        self._stalls[stall.isCandidate] += 1
        if not stall.isCandidate:
            return
        self._last = f"{stall.function} ({stall.where}) held the event loop for {stall.seconds:.2f} s"
        if stall.cpuSeconds is not None and stall.cpuSeconds > OWN_WORK * stall.seconds:
            self._decide("stall", f"{self._last}, {stall.cpuSeconds:.2f} s of it by its own work")

    def leaked(self, what: str) -> None:
        """Something of an instance of the candidate remains after its end."""
        self._decide("leak", f"something of the candidate remains after its end: {what}")

    def look(self, running: ArmCounts, candidate: ArmCounts, share: float = 0.0, active: int = 0) -> None:
        """
        Decide by what has come.

        :param running: what the arms did since the rollout began.
        :param share: of clients that are the candidate's.
        :param active: from so many of its buckets anything that is judged came: what all of them met is no chance.
        """
        clients = clientsNeeded(share)
        if active >= CLIENTS:
            clients = min(clients, active)
        for (kind, file, function), (buckets, sample) in self._new.items():
            if len(buckets) >= clients:
                told = f": {sample}" if sample else ""
                self._decide(
                    "fingerprint",
                    f"{kind} in {function} ({file}), which the running version never raised, for clients in "
                    f"{clients} groups{told}",
                )
        theirs, ours = self._stalls
        requests = running.requests + running.warming, candidate.requests + candidate.warming
        if ours >= STALLS and ours * requests[0] >= 2 * theirs * requests[1]:
            self._decide("stall", f"{ours} calls held the event loop; the last: {self._last}")

    def _decide(self, family: str, reason: str) -> None:
        if self.decided is None:
            self.decided = (family, reason)

    def saved(self) -> SavedLimits:
        """All that it knows."""
        return SavedLimits(
            tuple(sorted(self._known)), tuple(self._entries()), (self._stalls[0], self._stalls[1]), self._last,
            self.decided,
        )  # fmt: skip

    def _entries(self) -> Iterator[tuple[_Key, tuple[int, ...], str]]:
        for key, (buckets, sample) in self._new.items():
            yield key, tuple(sorted(buckets)), sample

    def restore(self, saved: SavedLimits) -> None:
        """Go on from there."""
        self._known = set(saved.known)
        self._new = {key: (set(buckets), sample) for key, buckets, sample in saved.new}
        self._stalls, self._last, self.decided = list(saved.stalls), saved.last, saved.decided
