"""
The lock as a whole, put on by children of the test.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import select
import signal
import socket
import threading
import time
import traceback
import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.lock.layers import FLOOR, NAMES, OPTIONAL, Report
from revproxy.isolation.lock.lockdown import lockDown, order
from revproxy.isolation.lock.step import Step
from revproxy.isolation.lock.trial import attemptInChild
from tests.isolation.lock.inchildren import UID, fromOutside, inLocked, lockFor, machine, report


class LockDownTests(SynchronousTestCase):
    """
    What is reached, and what is said of it.
    """

    def setUp(self) -> None:
        """What this machine has."""
        self.machine = machine()
        self.lock = lockFor(self.machine)

    def test_level(self) -> None:
        """The level that was found is reached, by the same layers, and nothing is left open."""
        found = report(self.lock)
        self.assertEqual(found.holes, ())
        self.assertIsNotNone(found.level)
        self.assertEqual(found.level, self.machine.level)
        self.assertEqual(found.layers.enforced, self.machine.enforced)
        self.assertEqual(found.layers.lacking(self.lock), ())

    def test_eachLayerIsToldOf(self) -> None:
        """In one order, whatever the order in which they were put on."""
        self.assertEqual([layer.name for layer in report(self.lock).layers], list(NAMES))
        floor = replace(self.lock, use=frozenset())
        self.assertEqual([layer.name for layer in report(floor).layers], list(NAMES))

    def test_lessIsUsed(self) -> None:
        """Layers that are not to be used are not, and the report says so; the floor cannot be left out."""
        found = report(replace(self.lock, use=frozenset()))
        self.assertEqual(found.level, "C")
        self.assertEqual(found.layers.enforced, frozenset(FLOOR))
        self.assertEqual({found.layers[name].reason for name in OPTIONAL}, {"not to be used"})

    def test_fromOutside(self) -> None:
        """The kernel says the same of it, with all layers and with the floor alone."""
        self.assertEqual(fromOutside(self.lock), ())
        self.assertEqual(fromOutside(replace(self.lock, use=frozenset(), uid=None)), ())

    def test_orderBySituation(self) -> None:
        """Without a namespace of users the rooms come while it is still root; with one, afterwards."""
        without = [step.name for step in order(replace(self.lock, use=frozenset(OPTIONAL) - {"user-namespace"}))]
        having = [step.name for step in order(replace(self.lock, use=frozenset(OPTIONAL)))]
        self.assertLess(without.index("network"), without.index("user"))
        self.assertLess(having.index("user"), having.index("network"))
        for names in (without, having):
            self.assertEqual(names[-1], "seccomp", "the others make calls that it refuses")
        self.assertEqual(sorted(having), sorted(NAMES))
        self.assertEqual(sorted([*without, "user-namespace"]), sorted(NAMES))

    def test_threads(self) -> None:
        """A thread that was there before is not locked, and that is no lock."""

        def inside(writing: int) -> bytes:
            go = threading.Event()
            threading.Thread(target=go.wait, daemon=True).start()
            return json.dumps(lockDown(replace(self.lock, keepFds=(writing,))).asDict()).encode()

        found = Report.of(json.loads(attemptInChild(inside).said))
        self.assertIn("it has 2 threads, and one is locked", found.holes)
        self.assertIsNone(found.level)

    def test_brokenLayer(self) -> None:
        """A layer that fails is a reason in the report; those after it are put on all the same."""

        class Broken(Step):
            name = "hostname"

            def apply(self) -> None:
                raise OSError(28, "No space left on device", "/proc/sys/user")

        steps = tuple(Broken if step.name == "hostname" else step for step in order(self.lock))
        found = report(replace(self.lock, use=self.lock.use | {"hostname"}), steps)
        self.assertEqual(found.layers["hostname"].reason, "No space left on device: /proc/sys/user")
        self.assertTrue(found.layers["seccomp"].isEnforced)
        self.assertNotEqual(found.level, "A")


class ParentTests(SynchronousTestCase):
    """
    A locked process ends with the one that forked it.
    """

    def test_goneBefore(self) -> None:
        """If that is another than was said, it ends itself: the one it knew is gone."""
        lock = replace(lockFor(machine()), parent=1 if os.getpid() != 1 else 2)

        def inside(writing: int) -> bytes:
            lockDown(replace(lock, keepFds=(writing,)))
            return b"it goes on"

        trial = attemptInChild(inside)
        self.assertEqual((trial.said, trial.status), (b"", 1))

    def test_goneAfterwards(self) -> None:
        """The kernel kills it."""
        lock = lockFor(machine())
        reading, writing = os.pipe()

        def inside(said: int) -> bytes:
            os.close(reading)
            ready, telling = os.pipe()
            me = os.getpid()
            if os.fork() == 0:
                lockDown(replace(lock, parent=me, keepFds=(writing, telling)))
                os.write(telling, b"x")
                # Not for ever: if nothing kills it, it says so.
                time.sleep(20)
                os.write(writing, b"it has outlived its parent")
                os._exit(0)
            os.read(ready, 1)
            return b"locked"

        self.assertEqual(attemptInChild(inside).said, b"locked")
        os.close(writing)
        self.assertEqual(os.read(reading, 100), b"")
        os.close(reading)


class OrdinaryWorkTests(SynchronousTestCase):
    """
    What a middleware does all day goes on under the lock.
    """

    def does(self, work: Any) -> str:
        """What it returns there."""
        trial = inLocked(lockFor(machine()), work)
        self.assertEqual(trial.status, 0, trial)
        return trial.said.decode()

    def test_pure(self) -> None:
        """Numbers, text, time, chance and digests."""

        def work() -> object:
            random.seed()
            deep = [Decimal(number) / 7 for number in range(1000)]
            said = json.dumps({"id": str(uuid.uuid4()), "at": time.time(), "sum": str(sum(deep))})
            assert re.search(r'"id": "[0-9a-f-]{36}"', said), said
            return hashlib.sha256(b"x" * 100_000).hexdigest()[:8], time.strftime("%Y") >= "2024"

        self.assertEqual(self.does(work), repr((hashlib.sha256(b"x" * 100_000).hexdigest()[:8], True)))

    def test_memory(self) -> None:
        """It comes and goes; too much is an exception, and the process lives on."""

        def work() -> object:
            for _ in range(5):
                assert len(bytes(16 << 20)) == 16 << 20
            try:
                bytes(1 << 40)
            except MemoryError:
                return "MemoryError"
            return "more than there is"

        self.assertEqual(self.does(work), "'MemoryError'")

    def test_stream(self) -> None:
        """A socket and a poller from before the lock work as ever, and so does one made afterwards."""
        mine, its = socket.socketpair()
        self.addCleanup(mine.close)
        self.addCleanup(its.close)
        lock = lockFor(machine())

        def inside(writing: int) -> bytes:
            found = lockDown(replace(lock, keepFds=(writing, its.fileno())))
            assert found.level is not None
            again = socket.socket(fileno=its.detach())
            again.setblocking(False)
            poller = select.epoll()
            poller.register(again, select.EPOLLIN)
            again.send(b"ready")
            while not poller.poll(10):
                pass
            return again.recv(100)

        mine.send(b"hello")
        trial = attemptInChild(inside)
        self.assertEqual(trial.said, b"hello")
        self.assertEqual(mine.recv(100), b"ready")

    def test_errors(self) -> None:
        """What is refused is an ordinary error with a traceback, though no source can be read for it."""

        def work() -> object:
            try:
                os.open("/etc/passwd", os.O_RDONLY)
            except OSError:
                return "PermissionError" in traceback.format_exc()
            return "it was opened"

        self.assertEqual(self.does(work), "True")

    def test_threads(self) -> None:
        """There are none, and Python says so."""

        def work() -> object:
            try:
                threading.Thread(target=int).start()
            except RuntimeError as error:
                return str(error)
            return "it was started"

        self.assertEqual(self.does(work), repr("can't start new thread"))

    def test_timers(self) -> None:
        """Timers that raise in the middle of a call work."""

        def work() -> object:
            def ring(number: int, frame: object) -> None:
                raise TimeoutError

            signal.signal(signal.SIGALRM, ring)
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            try:
                while True:
                    pass
            except TimeoutError:
                return "rung"

        self.assertEqual(self.does(work), "'rung'")


@skipUnless(os.geteuid() == 0, "only root can give a process a user of its own: run the tests as root")
class RootTests(SynchronousTestCase):
    """
    What only root has.
    """

    def test_user(self) -> None:
        """It is another user, without groups, by whatever way."""
        lock = lockFor(machine())
        self.assertEqual(lock.uid, UID)
        for use in (lock.use, lock.use - {"user-namespace"}, frozenset({"user"})):
            trial = inLocked(replace(lock, use=use), lambda: (os.getresuid(), os.getresgid()))
            self.assertEqual(trial.said.decode(), repr(((UID,) * 3, (UID,) * 3)))
            self.assertEqual(fromOutside(replace(lock, use=use)), ())
