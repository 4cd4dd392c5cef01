"""Events that outlive a process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.state.eventfile import EventFile
from revproxy.control.state.eventkeeper import DELAY, MOST_WAITING, RETRY_INTERVAL, EventKeeper
from revproxy.loop.jobthread import HURRY
from revproxy.plan.events import EventLog


class Process:
    """One that remembers events."""

    def __init__(
        self, path: Path, clock: Clock, inThread: Callable[..., Deferred[Any]] = maybeDeferred, **more: Any
    ) -> None:
        self.clock = clock
        self.events = EventLog(clock.seconds)
        self.keeper = EventKeeper(self.events, EventFile(path), clock, inThread, **more)

    def end(self) -> Deferred[None]:
        """It ends as it should."""
        return Deferred.fromCoroutine(self.keeper.end())

    def numbers(self) -> list[tuple[int, str]]:
        """What happened, with numbers."""
        return [(event.number, event.text) for event in self.events.latest(10000)]


class EventKeeperTests(SynchronousTestCase):
    """`EventKeeper`."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.path = folder / "events.jsonl"
        self.clock = Clock()
        self.clock.advance(1000)

    def process(self, **more: Any) -> Process:
        """Another one."""
        return Process(self.path, self.clock, **more)

    def test_restart(self) -> None:
        """What happened before is there after it, before all else; numbers and times go on."""
        first = self.process()
        first.events.add("loaded", "early")
        first.keeper.begin()
        first.events.add("loaded", "later")
        self.successResultOf(first.end())
        self.clock.advance(50)
        second = self.process()
        second.events.add("loaded", "again")
        second.keeper.begin()
        second.events.add("loaded", "last")
        self.assertEqual(second.numbers(), [(1, "early"), (2, "later"), (3, "again"), (4, "last")])
        self.assertEqual([event.at for event in second.events.latest(2)], [1050.0, 1050.0])
        self.assertEqual(second.events.latest(3)[0].at, 1000.0)

    def test_killed(self) -> None:
        """A process that does not come to its end has written what happened a moment before."""
        first = self.process()
        first.keeper.begin()
        first.events.add("loaded", "one")
        self.clock.advance(DELAY)
        second = self.process()
        second.keeper.begin()
        self.assertEqual(second.numbers(), [(1, "one")])

    def test_notOurs(self) -> None:
        """Where the state folder is not ours nothing is read or written."""
        first = self.process()
        first.events.add("loaded", "one")
        self.clock.advance(RETRY_INTERVAL)
        self.successResultOf(first.end())
        self.assertEqual((first.numbers(), self.path.exists(), self.clock.getDelayedCalls()), ([(1, "one")], False, []))

    def test_ours(self) -> None:
        """Where it is ours again, what could not be written is written at once."""
        ours = [True]
        process = self.process(isOurs=lambda: ours[0])
        process.keeper.begin()
        process.keeper.tryAgain()
        ours[0] = False
        process.events.add("loaded", "one")
        self.clock.advance(DELAY)
        ours[0] = True
        process.keeper.tryAgain()
        self.clock.advance(0)
        self.assertEqual([each.text for each in EventFile(self.path).read()[0]], ["one"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_together(self) -> None:
        """Many are written at once, in their order, also those that happen during a write."""
        jobs: list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = []

        def inThread(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
            jobs.append((Deferred(), function, arguments))
            return jobs[-1][0]

        def done() -> None:
            waiting, function, arguments = jobs.pop(0)
            waiting.callback(function(*arguments))

        process = self.process(inThread=inThread)
        process.keeper.begin()
        done()
        for text in ("one", "two"):
            process.events.add("loaded", text)
        self.clock.advance(DELAY)
        process.events.add("loaded", "three")
        self.clock.advance(DELAY)
        self.assertEqual(len(jobs), 1)
        done()
        self.assertEqual(len(jobs), 1)
        done()
        self.assertEqual([each.text for each in EventFile(self.path).read()[0]], ["one", "two", "three"])

    def test_damaged(self) -> None:
        """A damaged file is told of."""
        self.path.write_text("no event\n")
        process = self.process()
        process.keeper.begin()
        (told,) = process.events.latest(10)
        self.assertEqual(told.kind, "ledger-damaged")
        self.successResultOf(process.end())
        self.assertEqual(len(self.path.read_text().splitlines()), 1)

    def test_failing(self) -> None:
        """What cannot be written is tried again, and as much waits as is remembered; it is told once, in the log."""
        folder, away = self.path.parent, self.path.parent.with_name("away")
        process = self.process()
        process.keeper.begin()
        folder.rename(away)
        for number in range(MOST_WAITING + 5):
            process.events.add("loaded", str(number))
            self.clock.advance(DELAY)
        self.assertEqual({event.kind for event in process.events.latest(10000)}, {"loaded"})
        away.rename(folder)
        self.clock.advance(RETRY_INTERVAL)
        texts = [each.text for each in EventFile(self.path).read()[0]]
        self.assertEqual((len(texts), texts[-1]), (MOST_WAITING, str(MOST_WAITING + 4)))

    def test_lost(self) -> None:
        """Into a folder that is another edge's nothing is written, until it is ours again."""
        owners = ["us"]
        process = Process(self.path, self.clock, isOurs=lambda: "us" in owners)
        process.keeper.begin()
        owners.clear()
        process.events.add("loaded", "one")
        self.clock.advance(DELAY)
        self.assertFalse(self.path.exists())
        owners.append("us")
        self.clock.advance(RETRY_INTERVAL)
        self.assertEqual([each.text for each in EventFile(self.path).read()[0]], ["one"])

    def test_silentDisk(self) -> None:
        """A disk that does not answer holds up neither events nor the end for long."""
        process = self.process(inThread=lambda *_: Deferred())
        process.keeper.begin()
        process.events.add("loaded", "one")
        ending = process.end()
        self.assertNoResult(ending)
        self.clock.advance(HURRY)
        self.clock.advance(HURRY)
        self.successResultOf(ending)
        first, second = process.events.latest(10)
        self.assertEqual((first.text, second.kind), ("one", "ledger-damaged"))
