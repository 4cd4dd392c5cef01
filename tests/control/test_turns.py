"""
Who changes something, and when.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.turns import Turns


class TurnsTests(SynchronousTestCase):
    """
    One after the other.
    """

    def setUp(self) -> None:
        self.turns = Turns()
        self.done: list[str] = []
        self.first: Deferred[None] = Deferred()

    async def work(self, name: str, until: Deferred[None] | None = None) -> str:
        """
        Something that takes until then.
        """
        if until is not None:
            await until
        self.done.append(name)
        return name

    async def quiet(self, name: str) -> None:
        """
        Something that gives nothing.
        """
        self.done.append(name)

    def test_order(self) -> None:
        """
        In the order in which they were asked for; each gives what its work gives.
        """
        first = Deferred.fromCoroutine(self.turns.take(self.work("first", self.first)))
        second = Deferred.fromCoroutine(self.turns.take(self.work("second")))
        self.assertEqual(self.done, [])
        self.first.callback(None)
        self.assertEqual(self.done, ["first", "second"])
        self.assertEqual([self.successResultOf(first), self.successResultOf(second)], self.done)

    def test_failure(self) -> None:
        """
        Work that fails is over.
        """
        first = Deferred.fromCoroutine(self.turns.take(self.work("first", self.first)))
        second = Deferred.fromCoroutine(self.turns.take(self.work("second")))
        self.first.errback(ValueError())
        self.failureResultOf(first, ValueError)
        self.assertEqual(self.successResultOf(second), "second")

    def test_end(self) -> None:
        """
        After the end only what is to be done even then is done.
        """
        first = Deferred.fromCoroutine(self.turns.take(self.work("first", self.first)))
        waiting = Deferred.fromCoroutine(self.turns.takeUnlessEnded(self.quiet("waiting")))
        self.turns.hasEnded = True
        self.first.callback(None)
        self.successResultOf(first)
        self.successResultOf(waiting)
        self.successResultOf(Deferred.fromCoroutine(self.turns.takeUnlessEnded(self.quiet("late"))))
        self.successResultOf(Deferred.fromCoroutine(self.turns.take(self.work("last"))))
        self.assertEqual(self.done, ["first", "last"])

    def test_cancelled(self) -> None:
        """
        What is cancelled while it waits is not done, and what comes after it is. No coroutine is left unawaited.
        """
        Deferred.fromCoroutine(self.turns.take(self.work("first", self.first)))
        given = [
            Deferred.fromCoroutine(self.turns.take(self.work("second"))),
            Deferred.fromCoroutine(self.turns.takeUnlessEnded(self.quiet("third"))),
        ]
        last = Deferred.fromCoroutine(self.turns.take(self.work("last")))
        for waiting in given:
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)
        self.first.callback(None)
        self.successResultOf(last)
        self.assertEqual(self.done, ["first", "last"])
        self.assertEqual(self.flushWarnings(), [])

    def test_first(self) -> None:
        """
        Whoever goes before others goes before those who wait, in the order of their kind; each who waits is told of.
        """
        told: list[bool] = []
        self.turns.onWait = told.append
        Deferred.fromCoroutine(self.turns.take(self.work("running", self.first)))
        for name, first in (("a", False), ("b", True), ("c", True), ("d", False)):
            Deferred.fromCoroutine(self.turns.take(self.work(name), first))
        self.assertTrue(self.turns.isWaitedFor)
        self.first.callback(None)
        self.assertEqual(self.done, ["running", "b", "c", "a", "d"])
        self.assertEqual((told, self.turns.isWaitedFor), ([False, True, True, False], False))

    def lends(self, toAll: bool) -> Deferred[str]:
        """
        Somebody lends the turn while others wait.
        """

        async def work() -> str:
            await self.first
            await self.turns.lend(toAll)
            return await self.work("lender")

        lending = Deferred.fromCoroutine(self.turns.take(work()))
        for name, first in (("a", False), ("b", True)):
            Deferred.fromCoroutine(self.turns.take(self.work(name), first))
        return lending

    def test_lent(self) -> None:
        """
        To those who go before others, or to all who wait by then.
        """
        for toAll, order in ((False, ["b", "lender", "a"]), (True, ["b", "a", "lender"])):
            self.done.clear()
            self.first = Deferred()
            lending = self.lends(toAll)
            self.first.callback(None)
            self.assertEqual((self.done, self.successResultOf(lending)), (order, "lender"))

    def test_lentToNobody(self) -> None:
        """
        Where nobody waits, it goes on.
        """
        self.successResultOf(Deferred.fromCoroutine(self.turns.take(self.turns.lend(True))))
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(self.turns.take(self.work("a")))), "a")

    def test_lentAndCancelled(self) -> None:
        """
        Whoever is cancelled while others have the turn goes when they are done; nobody has it at the same time.
        """
        borrowed: Deferred[None] = Deferred()

        async def lends() -> None:
            await self.first
            await self.turns.lend(False)

        lending = Deferred.fromCoroutine(self.turns.take(lends()))
        Deferred.fromCoroutine(self.turns.take(self.work("borrower", borrowed), True))
        self.first.callback(None)
        lending.cancel()
        Deferred.fromCoroutine(self.turns.take(self.work("last")))
        self.assertEqual(self.done, [])
        borrowed.callback(None)
        self.failureResultOf(lending, CancelledError)
        self.assertEqual(self.done, ["borrower", "last"])
