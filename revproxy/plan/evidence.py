"""
What workers tell of versions on trial: what a judge decides by. Increments since it was told last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Family = Literal["faults", "interrupts", "slow90", "slow99", "slow999"]
"""
What can happen in a call: it raised, answered nonsense, came too late or held the loop; it stopped the request; its
self time was above that of 90, 99 or 99.9 % of the running version's calls.
"""

NEGLIGIBLE = 20e-6
"""
Seconds that are let pass: each call of a candidate is judged as if it had taken so much less. To a plugin that takes
10 µs, a header more is a tenth, and that is no regression. (To leave out what differs by less would not do: of noise
that is larger, nearly all is on the side of whoever is the slower by next to nothing.)
"""

FAMILIES: tuple[Family, ...] = ("faults", "interrupts", "slow90", "slow99", "slow999")


class First(msgspec.Struct, frozen=True, array_like=True):
    """
    Something has happened to a client's bucket that had not happened to it before in this step. Where other buckets
    become the candidate's, whoever tells forgets what has happened, and tells it again when it happens again.

    :ivar at: seconds since the epoch. Those of one word are in the order in which they happened.
    """

    at: float
    family: Family
    bucket: int
    isCandidate: bool


class BucketTime(msgspec.Struct, frozen=True, array_like=True):
    """
    Calls of a bucket.

    :ivar count: how many; ``logs``: the sum of the natural logarithms of their self times in seconds, each time taken
        as at least 1 µs and at most 10 s; of a candidate, after what is :data:`NEGLIGIBLE`.
    """

    bucket: int
    isCandidate: bool
    count: int
    logs: float


class Fingerprint(msgspec.Struct, frozen=True, array_like=True):
    """
    An exception, told apart by all but its line: lines move with every edit.

    :ivar file: below the plugin's folder, or dotted; ``function``: qualified.
    :ivar sample: how it reads, with its line.
    """

    bucket: int
    isCandidate: bool
    kind: str
    file: str
    function: str
    sample: str = ""


class ArmStall(msgspec.Struct, frozen=True, array_like=True):
    """
    A call held the loop.

    :ivar seconds: for how long; ``cpuSeconds``: for how long of this its thread ran; None: not known.
    """

    isCandidate: bool
    seconds: float
    cpuSeconds: float | None
    function: str
    where: str


class ArmCounts(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What one arm did, testers and probes left out.

    :ivar requests: that were judged; ``warming``: those that were not, because the instance had just begun.
    :ivar testers: who chose this version.
    :ivar times: by the number of a bucket of `revproxy.plan.durations.SELF_TIME`, how many calls.
    """

    requests: int = 0
    warming: int = 0
    testers: int = 0
    faults: int = 0
    interrupts: int = 0
    seconds: float = 0.0
    times: Mapping[int, int] = {}


class TrialEvidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What one trial showed.

    :ivar trial: its id.
    :ivar thresholds: by plugin, what its self time is held against, once that is known.
    :ivar lost: events that were too many to be told. Whoever judges by the others would judge by chance.
    """

    trial: str
    running: ArmCounts = ArmCounts()
    candidate: ArmCounts = ArmCounts()
    firsts: tuple[First, ...] = ()
    times: tuple[BucketTime, ...] = ()
    fingerprints: tuple[Fingerprint, ...] = ()
    stalls: tuple[ArmStall, ...] = ()
    thresholds: Mapping[str, tuple[float, float, float]] = {}
    lost: int = 0


class DifferenceCount(msgspec.Struct, frozen=True, array_like=True):
    """
    Pairs in which the versions differed in the same way; see `revproxy.replay.difference`.

    The real answer was R1, that of the code that serves on a copy R2, that of the other version C: the candidate's,
    or, where the pairs are reversed, the running version's. ``kind`` is that from R1 to what differs; whoever reads
    turns ``added`` and ``removed`` around where the pairs are reversed.

    :ivar candidate: pairs in which only C differs from R1; ``control``: only R2 does; ``both``: both do.
    :ivar examples: a few, redacted: request, R1, and what differs.
    """

    field: str
    kind: str
    candidate: int
    control: int
    both: int
    examples: tuple[tuple[str, str, str], ...] = ()


class TrialPairs(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What a shadow showed.

    :ivar trial: its id.
    :ivar isReversed: whether the candidate served, and the running version was tried.
    :ivar compared: pairs; ``incomparable``: by why, those that could not be; ``dropped``: not tried, for the edge had
        too much to do.
    :ivar differences: by field and kind; ``unnamed``: kinds of differences that were too many to be told.
    :ivar slower: of pairs whose self times differ by more than a tenth, those in which the candidate's was the longer,
        after what it is let off, and without what being the first costs; of all pairs; of those whose longer time is
        above 95 % of those before. ``faster`` so.
    :ivar faults: of the candidate alone; ``controlFaults``: of the running code on a copy alone.
    :ivar timed: pairs whose times were compared; ``logs``: the sum of the natural logarithms of how many times as long
        as the running version the candidate took in each of them.
    """

    trial: str
    isReversed: bool = False
    compared: int = 0
    incomparable: Mapping[str, int] = {}
    dropped: int = 0
    differences: tuple[DifferenceCount, ...] = ()
    unnamed: int = 0
    slower: tuple[int, int, int] = (0, 0, 0)
    faster: tuple[int, int, int] = (0, 0, 0)
    faults: int = 0
    controlFaults: int = 0
    timed: int = 0
    logs: float = 0.0
