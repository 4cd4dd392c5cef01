"""
The audit records of a running edge: whoever changes anything calls `Audit.record`, and nobody waits for it.

Records are written in their order by a thread, each on disk before the next is begun or together with it. Where that
cannot be done (a full disk), changes go on; the records wait, an event says so, and if there were too many of them, a
record of its own will say how many are missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.control.actor import EDGE, Actor, Deed
from revproxy.control.history.auditfiles import AuditFiles
from revproxy.control.history.chain import MOST_BYTES, Head, canonical, hashOf
from revproxy.control.history.difference import valueDifference
from revproxy.control.history.verification import Verdict, verify
from revproxy.loop.jobthread import JobThread
from revproxy.plan.events import EventLog
from revproxy.secrets import masked

_Result = TypeVar("_Result")

MOST_WAITING = 1000
"""Records that wait for the disk at most; of more, only their number is recorded."""

TOGETHER = 50
"""Records that are written with one wait for the disk, at most."""

RETRY_INTERVAL = 60.0
"""Seconds between two tries to write what could not be written."""

HEAD_INTERVAL = 3600.0
"""Seconds after which the head is told again where nothing has changed."""

MOST_TEXT = 2000
"""Characters of a target, of a reason, and of what came of a change."""


@dataclass(slots=True)
class _Batch:
    """
    Records that are written together.

    :ivar missing: how many before them are lost.
    :ivar isWritten: assigned by the thread.
    """

    records: list[dict[str, Any]]
    missing: int
    isWritten: bool = False


class Audit:
    """
    That of one edge.

    :ivar files: what is on disk.
    """

    _log = Logger()

    def __init__(
        self,
        files: AuditFiles,
        events: EventLog,
        clock: Any,
        inThread: Callable[..., Deferred[Any]],
        isOurs: Callable[[], bool] = lambda: True,
        guarded: Callable[..., Any] = lambda function, *arguments: function(*arguments),
    ) -> None:
        """
        :param clock: provides `IReactorTime`, in seconds since the epoch.
        :param inThread: runs a function, with arguments, in a thread.
        :param isOurs: whether the state folder still is, as far as is known.
        :param guarded: calls what writes there, or raises `OSError` because it is not. Blocks.
        """
        self.files = files
        self._events = events
        self._clock = clock
        self._jobs = JobThread(clock, inThread)
        self._isOurs = isOurs
        self._guarded = guarded
        self._waiting: deque[dict[str, Any]] = deque()
        self._missing = 0
        self._batch: _Batch | None = None
        self._unsigned = ""
        self._writing: Deferred[None] | None = None
        self._isWriting = False
        self._isFailing = False
        self._hasEnded = False
        self._retry: IDelayedCall | None = None
        self._hourly: IDelayedCall | None = None

    # What happens

    def record(
        self,
        actor: Actor,
        action: str,
        target: str = "",
        *,
        before: Any = None,
        after: Any = None,
        diff: Any = None,
        reason: str = "",
        result: str = "done",
        text: str = "",
    ) -> None:
        """
        Somebody has changed something, or was refused to. Secrets in it are masked.

        :param action: one word, such as ``disable``.
        :param target: what it was done to, such as the name of a plugin.
        :param before: what JSON can say; of it the hash is recorded, and what is different afterwards.
        :param diff: what is different, or what finds it out, in a thread; None: it is found out by us.
        :param result: ``done``, ``refused`` or ``failed``.
        :param text: what came of it, in a sentence.
        """
        if actor.deed is not None:
            actor.deed.isTaken = True
        diff = partial(valueDifference, before, after) if diff is None else diff
        hashes = hashOf(before), hashOf(after)
        now = self._clock.seconds()
        self._waiting.append(_record(now, actor, action, target, hashes, diff, reason, result, text))
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self._missing += 1
        if not self._isFailing:
            self._soon()

    async def around(
        self, actor: Actor, action: str, target: str, reason: str, do: Callable[[Actor], Awaitable[_Result]]
    ) -> _Result:
        """
        Do something that may change something. There will be one record of it, whether or not a part that knows more
        of it makes one.

        :param do: is given the actor, to pass it on. What it raises is raised.
        """
        deed, outer = Deed(), actor.deed
        told = replace(actor, deed=deed)
        if outer is not None:
            outer.isTaken = True
        try:
            result = await do(told)
        except Exception as error:
            if not deed.isTaken:
                text = str(error) or type(error).__name__
                self.record(told, action, target, reason=reason, result="refused", text=text)
            raise
        if not deed.isTaken:
            self.record(told, action, target, reason=reason)
        return result

    # Beginning and end

    def begin(self) -> None:
        """The state folder is ours: write down what happens from now on, and what has happened already."""
        self._hourly = self._clock.callLater(HEAD_INTERVAL, self._tellHourly)
        self._writing = Deferred.fromCoroutine(self._begin())
        self._writing.addErrback(lambda failure: self._log.failure("opening the audit records", failure))

    def tryAgain(self) -> None:
        """What has kept records from being written may be over."""
        if self._retry is not None:
            self._retry.reset(0)

    async def end(self) -> None:
        """Write what is left to be written."""
        if self._writing is None:
            return
        self._hasEnded = True
        self._jobs.hurry()
        for later in (self._retry, self._hourly):
            if later is not None and later.active():
                later.cancel()
        self._retry = self._hourly = None
        await self._writing
        await self._write()

    async def _begin(self) -> None:
        self._isWriting = True
        try:
            await self._jobs.do(self._guarded, self.files.open)
        except OSError as error:
            self._failed(error)
            return
        finally:
            self._isWriting = False
        self._tellDamage()
        await self._write()

    # Writing

    def _soon(self) -> None:
        if self._writing is not None and not self._isWriting and not self._hasEnded:
            self._writing = Deferred.fromCoroutine(self._write())
            self._writing.addErrback(lambda failure: self._log.failure("writing audit records", failure))

    async def _write(self) -> None:
        """What happens meanwhile is written next."""
        self._isWriting = True
        try:
            while self._batch is not None or self._waiting:
                batch = self._batch = self._batch or self._taken()
                try:
                    if not self._isOurs():
                        raise OSError("the state folder is not ours any more")
                    await self._jobs.do(self._append, batch)
                except OSError as error:
                    self._failed(error)
                    return
                except Exception:
                    self._batch = None  # it would fail for ever
                    raise
                self._batch = None
                self._written(batch)
        finally:
            self._isWriting = False

    def _taken(self) -> _Batch:
        """What is to be written together."""
        taken = [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]
        missing, self._missing = self._missing, 0
        return _Batch([_gap(missing, taken[0]["time"]), *taken] if missing and taken else taken, missing)

    def _append(self, batch: _Batch) -> None:
        """In the thread. A disk that has taken long may have written it after all."""
        if batch.isWritten:
            return
        for record in batch.records:
            if callable(record["diff"]):
                record["diff"] = record["diff"]()
                _bound(record)
        self._guarded(self.files.append, batch.records)
        batch.isWritten = True

    def _written(self, batch: _Batch) -> None:
        if self._isFailing:
            self._isFailing = False
            missing = batch.missing + self._missing
            text = f"{missing} of them are missing" if missing else "none is missing"
            self._events.add("audit-restored", f"audit records are written again; {text}")
        self._tellUnsigned()
        self._tellDamage()
        if batch.records:
            last = batch.records[-1]
            self._tellHead(f"{last['action']} {last['target']}".strip() + f" by {last['actor']['name']}")

    def _tellUnsigned(self) -> None:
        """Told once, and once that it is over; tried again later."""
        before, self._unsigned = self._unsigned, self.files.unsigned
        if self._unsigned:
            self._retryLater()
            if not before:
                text = f"the head of the audit records cannot be written: {self._unsigned}"
                self._events.add("audit-failed", text)
        elif before:
            self._events.add("audit-restored", "the head of the audit records is written again")

    def _tellDamage(self) -> None:
        damaged, self.files.damaged = self.files.damaged, []
        for text in damaged:
            self._events.add("audit-damaged", text)
            self.record(EDGE, "audit", result="failed", text=text)

    def _tellHead(self, text: str) -> None:
        """The head is in the events, too: so a tail that is cut off is missed."""
        head = self.files.head
        about = {"seq": str(head.seq), "hash": head.hash}
        self._events.add("audited", f"record {head.seq}: {text}; head {head}", about=about)

    def _tellHourly(self) -> None:
        self._hourly = self._clock.callLater(HEAD_INTERVAL, self._tellHourly)
        if self.files.head.seq:
            self._tellHead("nothing since")

    def _failed(self, error: OSError) -> None:
        """Tried again later; told once."""
        if not self._isFailing:
            self._isFailing = True
            text = (
                f"{self.files.folder}: {error.strerror or error}; changes go on, and the last {MOST_WAITING} are "
                "recorded once that can be done"
            )
            self._events.add("audit-failed", text)
        self._retryLater()

    def _retryLater(self) -> None:
        if self._retry is None and not self._hasEnded:
            self._retry = self._clock.callLater(RETRY_INTERVAL, self._tryAgain)

    def _tryAgain(self) -> None:
        """Also where nothing waits: only so it is found out that records can be written again."""
        self._retry = None
        if not self._isWriting:
            self._batch = self._batch or self._taken()
            self._soon()

    # Reading

    async def page(self, before: int | None, count: int) -> list[dict[str, Any]]:
        """
        The last records, the newest first.

        :param before: only those with lower numbers.
        :raises OSError: they cannot be read.
        """
        found: list[dict[str, Any]] = await self._jobs.do(self.files.page, before, count)
        return found

    async def verify(self, head: Head | None = None) -> Verdict:
        """
        :param head: that was noted elsewhere.
        :raises OSError: the records cannot be read.
        """
        verdict: Verdict = await self._jobs.do(lambda: verify(self.files.folder, head, self.files.head))
        return verdict

    @property
    def head(self) -> Head:
        """Of what was written."""
        return self.files.head


def actorAsDict(actor: Actor) -> dict[str, str]:
    """As JSON says who it was."""
    return {
        "via": actor.via,
        "name": actor.name,
        "token": actor.token,
        "role": actor.role,
        "address": actor.address,
    }


def shortened(text: str) -> str:
    """As it is kept: without secrets, and not too long. Halves of surrogate pairs cannot be written."""
    text = masked(text).encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…"


def _record(
    time: float,
    actor: Actor,
    action: str,
    target: str,
    hashes: tuple[str | None, str | None],
    diff: Any,
    reason: str,
    result: str,
    text: str,
) -> dict[str, Any]:
    return {
        "time": time,
        "actor": actorAsDict(actor),
        "action": action,
        "target": shortened(target),
        "before_hash": hashes[0],
        "after_hash": hashes[1],
        "diff": diff,
        "reason": shortened(reason),
        "result": result,
        "text": shortened(text),
    }


def _gap(count: int, time: float) -> dict[str, Any]:
    text = f"{count} records before this one are missing: they could not be written"
    return _record(time, EDGE, "gap", "", (None, None), "", "", "failed", text)


def _bound(record: dict[str, Any]) -> None:
    """What is too long for a line loses what is different."""
    size = len(canonical(record))
    if size > MOST_BYTES - 4096:
        record["diff"] = f"too long to be recorded: {size} bytes"


__all__ = ["Audit", "actorAsDict", "shortened"]
