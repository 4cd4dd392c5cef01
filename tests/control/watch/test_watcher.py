"""When a watcher calls: clocks and monitors by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.watch.fingerprint import Fingerprint, Root, fingerprintOf
from revproxy.control.watch.watcher import Watcher


class CallingClock(Clock):
    """A clock; calls from threads are made when it is advanced."""

    def __init__(self) -> None:
        super().__init__()
        self.crossings = 0

    def callFromThread(self, call: Callable[..., object], *args: Any) -> None:
        self.crossings += 1
        self.callLater(0, call, *args)


class HandMonitor:
    """Tells what it is told to tell."""

    def __init__(self, callback: Callable[[str], object], /, *, writing: Callable[[str], object]) -> None:
        self.changed = callback
        self.writing = writing
        self.roots: list[Root] = []
        self.calls: list[str] = []

    def add(self, root: Root) -> None:
        self.roots.append(root)
        self.calls.append(f"add {root.path}")

    def check(self) -> Fingerprint:
        self.calls.append("check")
        return fingerprintOf(self.roots)

    def close(self) -> None:
        self.calls.append("close")


class WatcherCase(SynchronousTestCase):
    """A watcher of ``/p`` and ``/r.yaml``; what it calls is counted."""

    def setUp(self) -> None:
        self.clock = CallingClock()
        self.calls: list[float] = []
        self.monitors: list[HandMonitor] = []
        self.base = Path(self.mktemp()).absolute()
        (self.base / "p" / "one").mkdir(parents=True)
        self.file = self.base / "p" / "one" / "plugin.py"
        self.file.write_text("1")
        self.yaml = self.base / "r.yaml"
        self.yaml.write_text("1")
        self.threads: list[tuple[Deferred[Any], Callable[[], Any]]] = []
        self.held = False
        self.watcher = Watcher(
            self.clock,
            [self.base / "p", self.yaml],
            lambda: self.calls.append(self.clock.seconds()),
            settle=0.25,
            monitorFactory=self.make,
            inThread=self.inThread,
        )
        ready = self.watcher.start()
        self.assertIsNone(self.successResultOf(ready))

    def make(self, callback: Callable[[str], object], /, **more: Any) -> HandMonitor:
        self.monitors.append(HandMonitor(callback, **more))
        return self.monitors[-1]

    def inThread(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        if not self.held:
            return maybeDeferred(function, *args)
        waiting: Deferred[Any] = Deferred()
        self.threads.append((waiting, lambda: function(*args)))
        return waiting

    def release(self) -> None:
        """Let the threads get on."""
        self.held = False
        threads, self.threads = self.threads, []
        for waiting, function in threads:
            waiting.callback(function())

    def tell(self, path: object = None, writing: bool = False) -> None:
        monitor = self.monitors[-1]
        (monitor.writing if writing else monitor.changed)(str(path or self.file))

    def advance(self, *seconds: float) -> None:
        for some in seconds:
            self.clock.advance(some)

    def assertCalled(self, *times: float) -> None:
        self.assertEqual([round(time, 3) for time in self.calls], list(times))


class SettlingTests(WatcherCase):
    """From events to one call."""

    def test_once(self) -> None:
        """Many events, one call, so long after the last."""
        for _ in range(5):
            self.tell()
            self.advance(0.125)
        self.assertCalled()
        self.advance(0.25)
        self.assertCalled(0.875)
        self.advance(60)
        self.assertCalled(0.875)

    def test_crossing(self) -> None:
        """A thousand events cross to the reactor together."""
        for i in range(1000):
            self.tell(self.base / "p" / "one" / f"{i}.py")
        self.assertEqual(self.clock.crossings, 1)

    def test_twice(self) -> None:
        """What happens after the call leads to another."""
        self.tell()
        self.advance(0, 0.25)
        self.tell(self.yaml)
        self.advance(0, 0.25)
        self.assertCalled(0.25, 0.5)

    def test_passing(self) -> None:
        """What editors and Python leave behind, at any depth, does not count; nor does anything elsewhere."""
        for name in ("p/.git/index", "p/one/__pycache__/x.pyc", "p/one/plugin.py~", "p/one/4913", "p/one/.s/a", "else"):
            self.tell(self.base / name)
        self.advance(0, 1)
        self.assertCalled()

    def test_hiddenAbove(self) -> None:
        """Names above what is watched do not matter."""
        hidden = self.base / ".hidden" / "x.tmp"
        self.watcher.watch([hidden])
        self.tell(hidden / "one" / "plugin.py")
        self.advance(0, 0.25)
        self.assertCalled(0.25)

    def test_steadyStream(self) -> None:
        """Events without end delay the call for half a minute, and then for another."""
        for _ in range(500):
            self.tell()
            self.advance(0.125)
        first, second = self.calls
        self.assertTrue(30 <= first <= 30.25 and 30 <= second - first <= 30.25, self.calls)

    def test_suspect(self) -> None:
        """Without any event it is called once; with events, after the last."""
        self.watcher.suspect()
        self.advance(0.125)
        self.tell()
        self.advance(0, 0.25)
        self.assertCalled(0.375)
        self.watcher.suspect()
        self.advance(0.25)
        self.assertCalled(0.375, 0.625)

    def test_suspectAfterStop(self) -> None:
        """Nothing is called."""
        self.watcher.stop()
        self.watcher.suspect()
        self.advance(1)
        self.assertCalled()

    def test_otherTime(self) -> None:
        """Another settling time holds from the next event on."""
        self.watcher.settle = 1.0
        self.tell()
        self.advance(0, 0.5)
        self.assertCalled()
        self.advance(0.5)
        self.assertCalled(1.0)

    def test_failingCall(self) -> None:
        """What the call raises is logged; the next is made."""
        self.watcher._changed = lambda: self.calls.append(0) or 1 / 0
        for _ in range(2):
            self.tell()
            self.advance(0, 0.25)
        self.assertEqual(len(self.calls), 2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)


class WritingTests(WatcherCase):
    """Files that are not closed yet."""

    def test_awaited(self) -> None:
        """A slow writer is waited for, and then the usual moment."""
        self.tell(writing=True)
        self.advance(0, 3)
        self.tell(writing=True)
        self.advance(0, 3)
        self.tell()
        self.advance(0, 0.125)
        self.assertCalled()
        self.advance(0.125)
        self.assertCalled(6.25)

    def test_notForEver(self) -> None:
        """One that is never closed is waited for ten seconds."""
        self.tell(writing=True)
        self.advance(0, 0.25, 9.5)
        self.assertCalled()
        self.advance(0.25)
        self.assertCalled(10)

    def test_others(self) -> None:
        """Another file's being complete does not make this one so."""
        self.tell(writing=True)
        self.tell(self.yaml)
        self.advance(0, 5)
        self.assertCalled()

    def test_gone(self) -> None:
        """A file that was being written in a folder that was removed is not waited for."""
        gone = self.base / "p" / "two"
        self.tell(gone / "plugin.py", writing=True)
        self.advance(0)
        self.tell(gone)
        self.advance(0, 0.25)
        self.assertCalled(0.25)

    def test_passing(self) -> None:
        """A file that does not count is not waited for."""
        self.tell(self.base / "p" / "one" / ".plugin.py.Xa3f", writing=True)
        self.tell()
        self.advance(0, 0.25)
        self.assertCalled(0.25)


class RescanTests(WatcherCase):
    """Looks from outside."""

    def test_difference(self) -> None:
        """A change that nobody told of is found, settles, and leads to one call."""
        self.file.write_text("22")
        self.advance(5)
        self.assertCalled()
        self.advance(0.25)
        self.assertCalled(5.25)
        self.advance(5, 5, 5)
        self.assertCalled(5.25)

    def test_replacedByOlder(self) -> None:
        """An older file of the same size in its place is a difference."""
        new = self.base / "new"
        new.write_text("2")
        os.utime(new, (1, 1))
        new.rename(self.file)
        self.advance(5, 0.25)
        self.assertCalled(5.25)

    def test_stillChanging(self) -> None:
        """While two looks differ it has not settled."""
        self.file.write_text("22")
        self.advance(5)
        self.file.write_text("333")
        self.advance(0.25)
        self.assertCalled()
        self.advance(0.25)
        self.assertCalled(5.5)

    def test_passing(self) -> None:
        """Files that do not count make no difference."""
        (self.file.parent / "__pycache__").mkdir()
        (self.file.parent / ".plugin.py.swp").touch()
        self.advance(5, 5)
        self.assertCalled()

    def test_afterEvents(self) -> None:
        """What events led to a call for is no difference any more."""
        self.file.write_text("22")
        self.tell()
        self.advance(0, 0.25)
        self.advance(5, 5)
        self.assertCalled(0.25)

    def test_whileItIsRead(self) -> None:
        """A change in the moment of the call is seen by the next look."""
        self.watcher._changed = lambda: (self.calls.append(0), self.file.write_text("4" * len(self.calls) * 9))
        self.tell()
        self.advance(0, 0.25)
        self.watcher._changed = lambda: self.calls.append(1)
        self.advance(5, 0.25)
        self.assertCalled(0, 1)

    def test_slowLook(self) -> None:
        """A look that began before a call and ends after it leads to no other."""
        self.held = True
        self.advance(5)
        (scan,) = self.threads
        self.threads.clear()
        before = scan[1]()
        self.held = False
        self.file.write_text("22")
        self.tell()
        self.advance(0, 0.25)
        self.assertCalled(5.25)
        scan[0].callback(before)
        self.advance(1)
        self.assertCalled(5.25)
        self.advance(10)
        self.assertCalled(5.25)

    def test_oneAtATime(self) -> None:
        """While a look is under way that is to tell whether all has settled, there is no other; then one for all."""
        self.held = True
        for _ in range(5):
            self.tell()
            self.advance(0, 0.25)
        (look,) = self.threads
        self.threads.clear()
        look[0].callback(look[1]())
        self.assertCalled()
        self.release()
        self.assertCalled(1.25)
        self.advance(1)
        self.assertCalled(1.25)

    def test_otherPathsMeanwhile(self) -> None:
        """Of other paths, a look that has not come back keeps nobody."""
        self.held = True
        self.tell()
        self.advance(0, 0.25)
        self.tell()
        self.advance(0, 0.25)
        old = self.threads.pop()
        self.held = False
        self.watcher.watch([self.file])
        self.advance(0.25)
        self.assertCalled(0.75)
        old[0].callback(old[1]())
        self.tell()
        self.advance(0, 0.25)
        self.assertCalled(0.75, 1.0)

    def test_pace(self) -> None:
        """The longer a look takes, the longer until the next: there may be very much to look at."""
        self.held = True
        self.advance(5)
        self.advance(4)
        self.release()
        self.held = True
        self.advance(35)
        self.assertEqual(len(self.threads), 0)
        self.advance(1)
        self.assertEqual(len(self.threads), 1)

    def test_failingLook(self) -> None:
        """A look that fails is logged; looking goes on, and events lead to calls."""
        self.watcher._inThread = lambda function, *args: fail(OSError("no threads"))
        self.advance(5)
        self.tell()
        self.advance(0, 0.25)
        self.assertCalled(5.25)
        self.watcher._inThread = self.inThread
        self.advance(5)
        self.file.write_text("22")
        self.advance(5, 0.25)
        self.assertEqual(len(self.calls), 2)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 2)


class LifeTests(WatcherCase):
    """Beginning, other paths, the end."""

    def test_begin(self) -> None:
        """The monitor is given the paths, and watches them when `start` fires."""
        expected = [f"add {self.base / 'p'}", f"add {self.yaml}", "check"]
        self.assertEqual(self.monitors[0].calls, expected)

    def test_stop(self) -> None:
        """Nothing is called after the end: no event, no settling, no look."""
        self.tell()
        self.advance(0)
        self.tell()
        self.assertIsNone(self.successResultOf(self.watcher.stop()))
        self.assertEqual(self.monitors[0].calls[-1], "close")
        self.tell()
        self.advance(0, 1, 30)
        self.assertCalled()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopWhileLooking(self) -> None:
        """Nor the result of a look that is under way."""
        self.held = True
        self.tell()
        self.advance(0, 0.25)
        self.watcher.stop()
        self.release()
        self.assertCalled()

    def test_stopHeld(self) -> None:
        """A thread that does not end holds the end for some seconds only."""
        self.held = True
        ended = self.watcher.stop()
        self.assertNoResult(ended)
        self.advance(5)
        self.assertIsNone(self.successResultOf(ended))
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_otherPaths(self) -> None:
        """Other paths have a monitor of their own; the former one is ended and does not count."""
        other = self.base / "q"
        self.assertIsNone(self.successResultOf(self.watcher.watch([other])))
        former, now = self.monitors
        self.assertEqual(former.calls[-1], "close")
        self.assertIn(f"add {other}", now.calls)
        former.changed(str(self.file))
        former.changed(str(other))
        self.advance(0, 1)
        self.assertCalled()
        now.changed(str(other / "one"))
        self.advance(0, 0.25)
        self.assertCalled(1.25)

    def test_samePaths(self) -> None:
        """The same paths again change nothing."""
        self.watcher.watch([str(self.base / "p"), str(self.yaml)])
        self.assertEqual(len(self.monitors), 1)

    def test_roots(self) -> None:
        """A root says itself what counts in it; of a path that is given twice the deeper one holds."""
        flat, both = self.base / "c", self.base / "b"
        roots = [Root(str(flat), depth=0), both, Root(str(both), depth=0), self.base / "p", Root(f"{self.base}/p/../q")]
        self.watcher.watch(roots)
        self.assertEqual([root.path for root in self.monitors[1].roots], [f"{self.base}/{name}" for name in "cbpq"])
        for name, isTold in (("c/..data", True), ("c/x/y", False), ("b/x/y", True), ("b/.x", False), ("q/.x", True)):
            calls = len(self.calls)
            self.tell(self.base / name)
            self.advance(0, 0.25)
            self.assertEqual(len(self.calls) - calls, isTold, name)

    def test_otherPathsMeanwhile(self) -> None:
        """What was about to be told is told."""
        self.held = True
        self.tell()
        self.advance(0, 0.25)
        self.watcher.watch([self.base / "p"])
        self.release()
        self.advance(0.25)
        self.assertCalled(0.5)
