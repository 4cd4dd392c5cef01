"""Tests for `revproxy.dataplane.memorymeter`: what calls have taken of the process's memory."""

from __future__ import annotations

from collections.abc import Callable
from mmap import mmap
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.memorymeter import MemoryMeter, ResidentMemory, meterFor
from revproxy.errors import LimitExceeded

MB = 1 << 20


class MeterCase(SynchronousTestCase):
    """
    A meter of 10 MB.

    :ivar now: bytes that the process has.
    """

    def setUp(self) -> None:
        self.now = 100 * MB
        self.meter = MemoryMeter(10 * MB, lambda: self.now)

    def takes(self, megabytes: int, answer: Any = True) -> Callable[[Any], Any]:
        """A call that takes so much."""

        def call(context: Any) -> Any:
            self.now += megabytes * MB
            return answer

        return call


class MemoryMeterTests(MeterCase):
    """`MemoryMeter`."""

    def test_taken(self) -> None:
        """What calls take is booked, whatever they answer or raise, and what others take is not."""
        self.assertIs(self.meter.measured(self.takes(3))(None), True)
        self.now += 50 * MB

        def fails(context: Any) -> None:
            self.now += MB
            raise ValueError

        self.assertRaises(ValueError, self.meter.measured(fails), None)
        self.assertEqual(self.meter.taken, 4 * MB)

    def test_tooMuch(self) -> None:
        """A call is made that takes too much, and no further one; the error says how much."""
        call = self.meter.checked(self.takes(11))
        call(None)
        error = self.assertRaises(LimitExceeded, call, None)
        self.assertEqual(error.limit, "memory")
        self.assertEqual(str(error), "its calls have taken 11 MB, and limits.memory_mb is 10")
        self.assertEqual(self.now, 111 * MB)

    def test_givenBack(self) -> None:
        """What the process has given back does not count, whenever that was; then calls are made again."""
        call = self.meter.checked(self.takes(11))
        call(None)
        self.now -= 8 * MB
        call(None)
        self.assertEqual(self.meter.taken, 14 * MB)
        self.assertRaises(LimitExceeded, self.meter.check)

    def test_givenBackAtOnce(self) -> None:
        """A call that frees what it took before has taken nothing; none takes less than that."""
        self.meter.measured(self.takes(8))(None)
        self.meter.measured(self.takes(-20))(None)
        self.assertEqual(self.meter.taken, 0)

    def test_churn(self) -> None:
        """Who takes and has given back, again and again, is never over: only what the process has counts."""
        call = self.meter.checked(self.takes(6))
        for _ in range(20):
            call(None)
            self.now -= 6 * MB

    def test_shrunk(self) -> None:
        """Where the process has become smaller than it was, it is measured from there."""
        self.now -= 50 * MB
        self.meter.taken = 11 * MB
        self.meter.check()
        self.now += 9 * MB
        self.meter.taken = 11 * MB
        self.meter.check()
        self.now += 9 * MB
        self.meter.taken = 11 * MB
        self.assertRaises(LimitExceeded, self.meter.check)

    def test_steps(self) -> None:
        """Each step of a coroutine is measured, and what passes while it waits is not."""
        waiting: Deferred[int] = Deferred()

        async def work() -> int:
            self.now += MB
            result = await waiting
            self.now += MB
            return result

        done = Deferred.fromCoroutine(_driven(self.meter.steps(work())))
        self.now += 50 * MB
        waiting.callback(7)
        self.assertEqual((self.successResultOf(done), self.meter.taken), (7, 2 * MB))

    def test_stepsFail(self) -> None:
        """What it waits for may fail, and it may be closed."""
        waiting: Deferred[int] = Deferred()
        ended: list[str] = []

        async def work() -> int:
            try:
                return await waiting
            finally:
                self.now += MB
                ended.append("ended")

        done = Deferred.fromCoroutine(_driven(self.meter.steps(work())))
        waiting.errback(ValueError())
        self.failureResultOf(done, ValueError)
        self.assertEqual((ended, self.meter.taken), (["ended"], MB))
        closed = self.meter.steps(work())
        closed.close()

    def test_noCoroutine(self) -> None:
        """Other answers are what they are."""
        answer: Deferred[Any] = Deferred()
        self.assertIs(self.meter.steps(answer), answer)


def _driven(steps: Any) -> Any:
    """As the link drives a coroutine."""
    resume, value = steps.send, None
    while True:
        try:
            wait = resume(value)
        except StopIteration as done:
            return done.value
        try:
            value = yield wait
        except Exception as error:
            resume, value = steps.throw, error
        else:
            resume = steps.send


class ResidentMemoryTests(SynchronousTestCase):
    """`ResidentMemory`."""

    def test_grows(self) -> None:
        """What is written to is in memory."""
        resident = ResidentMemory()
        self.addCleanup(resident._file.close)
        before = resident()
        data = mmap(-1, 32 * MB)  # of the kernel: what Python has freed before may lie about in this process
        self.addCleanup(data.close)
        for start in range(0, len(data), 4096):
            data[start] = 1
        self.assertGreater(resident() - before, 24 * MB)

    def test_meterFor(self) -> None:
        """Where nothing is bounded there is none; and all have the file in common."""
        self.assertIsNone(meterFor(None))
        first, second = meterFor(1), meterFor(2)
        assert first is not None and second is not None
        self.assertIs(first._resident, second._resident)
