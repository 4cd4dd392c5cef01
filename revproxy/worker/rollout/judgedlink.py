"""
The link of a plugin of which a version is on trial: what it does is written down for whoever judges that.

Each call is timed, not one in some: what is rare has to be found. A call's self time is its own: of a coroutine that of
its steps. What runs in a locked process is timed from without, so waiting for others there is in it; that is the same
for both versions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from revproxy.context import Context
from revproxy.dataplane.counters import BODY, HANDLE, RESPONSE
from revproxy.dataplane.link import Link
from revproxy.worker.lifecycle.instance import Instance
from revproxy.worker.rollout.fingerprints import fingerprintOf
from revproxy.worker.rollout.trialbook import TrialBook

Method = Callable[[Context], Any]


class JudgedLink(Link):
    """
    Of the running version, or of that on trial.
    """

    __slots__ = ("_book", "_id", "_isCandidate", "_made", "_response")

    def __init__(self, middleware: Any, *, book: TrialBook, isCandidate: bool, made: Instance, **options: Any) -> None:
        """
        :param book: of the trial.
        :param made: the instance that the middleware is of.
        """
        super().__init__(middleware, **options)
        self._book = book
        self._id = book.trial.id
        self._isCandidate = isCandidate
        self._made = made
        self._response = f"{self.name} {RESPONSE}"
        self.handle = self._judged(self.handle, self.name, HANDLE)
        if self.handleResponse is not None:
            self.handleResponse = self._judged(self.handleResponse, self._response, RESPONSE)

    def bucketOf(self, context: Context, evenCold: bool = False) -> int | None:
        """
        That of a request's client, if what happens in the request now is judged. It is not where a tester has chosen,
        nor where the request did not meet what its client would.

        :param evenCold: also as long as one of the arms is cold.
        """
        standings = context._standings
        standing = None if standings is None else standings.get(self._id)
        if standing is None or standing.isTester or standing.isCandidate is not self._isCandidate:
            return None
        bucket: int = standing.bucket
        return None if self._book.isCold and not evenCold else bucket

    def interrupted(self, context: Context, phase: str) -> None:
        """As `Link.interrupted`."""
        super().interrupted(context, phase)
        bucket = self.bucketOf(context)
        if bucket is not None:
            self._book.interrupted(self._isCandidate, bucket)

    def blame(self, failure: Failure, message: str, phase: str = BODY, context: Context | None = None) -> None:
        """As `Link.blame`."""
        super().blame(failure, message, phase, context)
        bucket = None if context is None else self.bucketOf(context, evenCold=True)
        if bucket is not None:
            self._book.failed(self._isCandidate, bucket)
            try:
                known, sample = fingerprintOf(failure, self._made)
            except Exception:  # foreign code: an exception may refuse to be looked at
                self.log.failure("an exception of {name} {version}", name=self.name, version=self.version)
                return
            self._book.raised(self._isCandidate, bucket, known, sample)

    def lasted(self, seconds: float, phase: str, context: Context | None) -> None:
        """As `Link.lasted`."""
        super().lasted(seconds, phase, context)
        if context is not None and phase != BODY:
            self._took(context, self.name if phase == HANDLE else self._response, seconds)

    def _judged(self, call: Method, name: str, phase: str) -> Method:
        """
        The same call, counted and timed. All of it is in one function, and what is judged is looked up once: each
        request pays for it.
        """
        book, id, isCandidate = self._book, self._id, self._isCandidate
        now, counters, isFirst = self.deadlines.now, self.counters, phase == HANDLE

        def judged(context: Context) -> Any:
            standings = context._standings
            standing = None if standings is None else standings.get(id)
            if standing is None or standing.isCandidate is not isCandidate:
                return call(context)
            if isFirst:
                book.asked(isCandidate, standing.isTester)
            passed = counters.passed
            began = now()
            answer = call(context)
            seconds = now() - began
            if answer is True or answer is False or answer is None:
                isOwn = passed == counters.passed and not standing.isTester
                if isOwn and book.isTimed(standings.isTaken):
                    book.took(name, isCandidate, standing.bucket, seconds)
            elif getattr(answer.__class__, "isBounded", False):
                return answer.addCallback(self._arrived, context, name, began)
            elif isinstance(answer, Deferred):
                self._took(context, name, seconds)
            return answer  # a coroutine has not begun yet

        return judged

    def _arrived(self, answer: Any, context: Context, name: str, began: float) -> Any:
        self._took(context, name, self.deadlines.now() - began)
        return answer

    def _took(self, context: Context, name: str, seconds: float) -> None:
        bucket = self.bucketOf(context, evenCold=True)
        if bucket is not None and self._book.isTimed(context._standings.isTaken):
            self._book.took(name, self._isCandidate, bucket, seconds)
