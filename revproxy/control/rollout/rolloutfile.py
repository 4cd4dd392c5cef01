"""
Rollouts as they are kept over a restart: a JSON file, in which those that go on are whole, and of those that are over
there is what was told of them.

The files of candidates are in the version store; tokens of testers are nowhere but in the configuration.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from revproxy.config.rolloutpolicy import RolloutPolicy
from revproxy.config.settings import Config
from revproxy.control.planning.ongoing import Newcomer
from revproxy.control.rollout.judge import Judge, SavedJudge
from revproxy.control.rollout.machine import GOING, Passage, Transition
from revproxy.control.rollout.rollout import Note, Rollout
from revproxy.control.state.records import Pin
from revproxy.plan.catalog import CatalogEntry
from revproxy.plan.trial import BUCKETS, Trial

FORMAT = 1
"""Of the file; a higher one was written by a newer revproxy."""

MAX_BYTES = 64 << 20
"""How large the file may be."""

_BUCKETS = struct.Struct(f"<{BUCKETS}H")

Stored = Callable[[str, str], CatalogEntry]
"""A version of a plugin by its digest. :raises StoreError, ConfigErrors: it cannot be had."""


class SavedCandidate(msgspec.Struct, frozen=True):
    """
    :ivar instead: the digest of what ran when the rollout began; ``found``: of what the folder had.
    :ivar pin: what it was pinned to then.
    """

    name: str
    version: str
    digest: str
    instead: str
    found: str | None = None
    pin: Pin | None = None


class SavedFormer(msgspec.Struct, frozen=True):
    """The text of a configuration by which a plugin runs, and the fingerprint of what did not come through."""

    text: str
    rejected: str


class SavedRollout(msgspec.Struct, frozen=True):
    """
    One that goes on. Its members are as those of `Rollout`.

    :ivar settings: the text of the configuration by which what runs is set; empty: it is that in force.
    """

    id: str
    candidates: tuple[SavedCandidate, ...]
    policy: RolloutPolicy
    state: str
    index: int
    began: float
    since: float
    elapsed: float
    held: bool
    permutation: bytes
    salt: bytes
    transitions: tuple[Transition, ...] = ()
    judge: SavedJudge | None = None
    notes: tuple[Note, ...] = ()
    warnings: tuple[str, ...] = ()
    settings: str = ""
    said: dict[str, str] = {}


class SavedRollouts(msgspec.Struct, frozen=True):
    """
    The file.

    :ivar cookieKey: what cookies of the edge's own are signed with.
    :ivar over: what was told at the end of those that are over, the last of each plugin.
    :ivar former: by name, what plugins run by, though the configuration says otherwise.
    :ivar config: the text of that in force, if what is said of plugins takes steps.
    """

    format: int
    cookieKey: bytes
    going: tuple[SavedRollout, ...] = ()
    over: tuple[dict[str, Any], ...] = ()
    former: dict[str, SavedFormer] = {}
    config: str = ""


class _Head(msgspec.Struct):
    format: int


def encoded(saved: SavedRollouts) -> bytes:
    """As it is written."""
    return _encoder.encode(saved)


def parsed(data: bytes) -> SavedRollouts:
    """:raises ValueError: it cannot be understood."""
    try:
        written = msgspec.json.decode(data, type=_Head).format
        if written > FORMAT:
            raise ValueError(f"has format {written}, this revproxy knows {FORMAT}: a newer one wrote it")
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"is damaged: {error}") from None


def saved(rollout: Rollout, textOf: Callable[[Config], str]) -> SavedRollout:
    """As it is kept. :param textOf: the text of a configuration."""
    newcomer = rollout.withoutTesters()
    candidates = tuple(
        SavedCandidate(
            name, entry.version.number, entry.digest or "", rollout.bases[name].digest or "",
            newcomer.found.get(name), newcomer.pins.get(name),
        )
        for name, entry in newcomer.candidates.items()
    )  # fmt: skip
    return SavedRollout(
        rollout.id, candidates, newcomer.policy, rollout.state, rollout.index, rollout.began, rollout.since,
        rollout.elapsed, rollout.isHeld, _BUCKETS.pack(*rollout.permutation), rollout.salt, rollout.transitions,
        None if rollout.judge is None else rollout.judge.saved(), tuple(rollout.notes), rollout.warnings,
        "" if newcomer.settings is None else textOf(newcomer.settings), dict(newcomer.said),
    )  # fmt: skip


def restored(
    kept: SavedRollout, stored: Stored, readConfig: Callable[[str], Config], now: Callable[[], float], cookieKey: bytes
) -> Rollout:
    """
    One that goes on where it was. Reads files, and blocks.

    :param readConfig: makes a configuration of its text; may raise ConfigErrors.
    :raises StoreError: a version cannot be had. :raises ConfigErrors: so.
    :raises ValueError: what was kept cannot be.
    """
    newcomer = Newcomer(
        {each.name: stored(each.name, each.digest) for each in kept.candidates}, kept.policy,
        {each.name: each.found for each in kept.candidates}, {each.name: each.pin for each in kept.candidates},
        readConfig(kept.settings) if kept.settings else None, kept.said,
    )  # fmt: skip
    bases = {each.name: stored(each.name, each.instead) for each in kept.candidates}
    permutation = _permutation(kept.permutation)
    if not -1 <= kept.index < len(kept.policy.steps) or not kept.candidates or kept.state not in GOING:
        raise ValueError(f"rollout {kept.id} is in a step that there is not")
    passage = Passage(now, kept.state, kept.transitions)
    rollout = Rollout(kept.id, newcomer, bases, now, permutation, kept.salt, passage)
    rollout.began, rollout.since, rollout.elapsed = kept.began, kept.since, kept.elapsed
    rollout.index, rollout.isHeld = kept.index, kept.held
    rollout.notes, rollout.warnings = list(kept.notes), kept.warnings
    if kept.judge is not None:
        expect = kept.policy.expect
        rollout.judge = Judge.restored(kept.judge, interrupts=rollout.judgesInterrupts(), expect=expect, now=now())
        rollout.verdict = rollout.judge.verdict(now())
    step = rollout.step
    if step is not None and step.kind != "preflight":
        rollout.trial = _trial(rollout, cookieKey)
    rollout.watchShares()
    return rollout


def _trial(rollout: Rollout, cookieKey: bytes) -> Trial:
    if rollout.judge is None:
        raise ValueError(f"rollout {rollout.id} has no evidence")
    return rollout.trialOf(rollout.index, cookieKey)


def _permutation(data: bytes) -> tuple[int, ...]:
    """:raises ValueError: it is none."""
    buckets = _BUCKETS.unpack(data) if len(data) == _BUCKETS.size else ()
    if sorted(buckets) != list(range(BUCKETS)):
        raise ValueError("which clients are the candidate's is damaged")
    return tuple(buckets)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} is not kept")


def _made(kind: type, value: Any) -> Any:
    if issubclass(kind, Path):
        return Path(value)
    raise NotImplementedError(f"{kind.__name__} is not kept")


_encoder = msgspec.json.Encoder(enc_hook=_plain)
_decoder = msgspec.json.Decoder(SavedRollouts, dec_hook=_made)


__all__ = [
    "FORMAT", "MAX_BYTES", "SavedFormer", "SavedRollout", "SavedRollouts", "encoded", "parsed", "restored", "saved",
]  # fmt: skip
