"""
Locked processes, real ones: made, given away, kept ready, ended.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any
from unittest import skipUnless

from twisted.internet.defer import CancelledError

from revproxy.isolation.frames import Cancel, Done, Load, Loaded, Over
from revproxy.isolation.process import made, maker
from revproxy.isolation.process.cgroups import BESIDE, Cgroup, Cgroups
from revproxy.isolation.process.descriptors import Descriptors
from revproxy.isolation.process.limit import SECOND_LOOK
from revproxy.isolation.process.orders import Tried
from revproxy.isolation.process.processes import MOST_MEMORY, QUIET, SETTLING, Processes, Unavailable
from revproxy.isolation.process.templateprocess import TemplateProcess
from tests.isolation.process.stage import Owner, ProcessesTestCase, fieldsOf, isThere, openOf

ROOMS = ("user-namespace", "network", "ipc", "hostname", "root", "landlock")

onlyRoot = skipUnless(os.geteuid() == 0, "only root can give a process a user of its own")


class TakenTests(ProcessesTestCase):
    """One that is somebody's."""

    def test_nothingUntilAsked(self) -> None:
        """As long as nobody asks for one, there is no template, no descriptor, no timer."""
        before = openOf()
        processes = self.make(spares=2)
        self.assertEqual((processes.level, processes.layers, processes.taken, processes.spares), (None, {}, 0, 0))
        self.assertEqual(openOf(), before)
        self.assertFalse(self.reactor.readers or self.reactor.getDelayedCalls())

    def test_waitsForLoad(self) -> None:
        """It becomes what it is sent."""
        owner = self.one()
        owner.process.send(Load("quota", "1.0.0", "d", "/plugins/quota", "plugin.py", {}, {}, b"{}", b"{}", 1))
        self.reactor.until(lambda: owner.frames)
        self.assertEqual(owner.frames, [Loaded(("quota",))])

    def test_locked(self) -> None:
        """The kernel says that it is, and all know how well."""
        processes = self.common()
        owner = self.one()
        self.assertIn(owner.process.level, ("A", "B", "C"))
        self.assertEqual(owner.process.level, processes.level)
        self.assertEqual(processes.layers["seccomp"], "enforced")
        status = fieldsOf(owner.process.pid)
        self.assertEqual((status["Seccomp"], status["NoNewPrivs"]), ("2", "1"))

    def test_hasNothing(self) -> None:
        """No environment, no arguments, no site, no descriptors but its own four."""
        self.patch(os, "environ", {**os.environ, "REVPROXY_SECRET": "hunter2"})
        owner = self.one()
        about = owner.do("about")
        self.assertLessEqual(set(about["environment"]), {"LC_CTYPE", "PYTHON_JIT", "PYTHON_DISABLE_REMOTE_DEBUG"})
        self.assertEqual(about["flags"][1], 1)
        self.assertNotIn("hunter2", repr(about["arguments"]))
        if os.geteuid() == 0:  # others may not look
            self.assertEqual(sorted(os.listdir(f"/proc/{owner.process.pid}/fd")), ["0", "1", "2", "3"])
            self.assertNotIn(b"hunter2", Path(f"/proc/{owner.process.pid}/environ").read_bytes())

    def test_eachIsAlone(self) -> None:
        """Two have nothing in common."""
        processes = self.common()
        one, other = self.one(), self.one()
        before = processes.taken
        one.do("take", 1000)
        one.process.kill("it was told to", isFault=False)
        one.end()
        self.assertEqual(other.do("take", 1000), "taken")
        self.assertEqual(processes.taken, before - 1)

    def test_notHeedingSignals(self) -> None:
        """Who ends an edge sends SIGTERM to all of its processes (systemd); requests go on to their end."""
        owner = self.one()
        for pid in (self.templateOf(owner.process.pid), owner.process.pid):
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)
        self.assertEqual(owner.do("take", 1000), "taken")

    def test_whenFramesLeave(self) -> None:
        """What asks one that has nothing to do leaves at once; others wait for the end of the turn, `Over` longer."""
        owner = self.one()
        process = owner.process
        process.send(Over(1))
        self.reactor.turn()
        self.assertGreater(process.unsent, 0)
        first, second = owner.tell("burn", 1), owner.tell("burn", 2)
        self.assertGreater(process.unsent, 0)
        self.reactor.until(lambda: len(owner.frames) == 2)
        self.assertEqual(owner.frames, [Done(first), Done(second)])
        owner.tell("burn", 3)
        self.assertEqual(process.unsent, 0)
        process.send(Cancel(3))
        self.assertGreater(process.unsent, 0)
        self.reactor.turn()
        owner.tell("burn", 4)
        self.assertEqual(process.unsent, 0)

    def test_cpu(self) -> None:
        """What it computes is counted from when it was taken."""
        owner = self.one()
        before = owner.process.cpuSeconds()
        self.assertLess(before, 0.1)
        owner.do("burn", 2_000_000)
        self.assertGreater(owner.process.cpuSeconds(), before + 0.005)

    def test_memory(self) -> None:
        """What it takes is counted, and bounded."""
        owner = self.one(memoryBytes=64 << 20)
        self.assertEqual(owner.do("take", 32 << 20), "taken")
        self.assertGreater(owner.process.memoryBytes(), 32 << 20)
        self.assertEqual(owner.do("take", 128 << 20), "MemoryError")

    def test_moreMemory(self) -> None:
        """Who asks for more gets more; nobody gets more than there is."""
        processes = self.common()
        owner = self.one(memoryBytes=512 << 20)
        self.assertEqual(owner.do("take", 256 << 20), "taken")
        failure = self.failureResultOf(processes.take("quota", MOST_MEMORY + 1), Unavailable)
        self.assertIn("16384 are the most", str(failure.value))

    def test_holds(self) -> None:
        """The call that holds it is seen outside, while it does."""
        owner = self.one()
        self.assertIsNone(owner.process.held())
        owner.do("burn", 1)
        number = owner.tell("spin")
        self.reactor.until(owner.process.held)
        held = owner.process.held()
        assert held is not None
        self.assertEqual(held.number, number)
        owner.process.kill("it spins")
        owner.end()
        self.assertIsNone(owner.process.held())

    def test_output(self) -> None:
        """What it prints is told."""
        owner = self.one()
        owner.do("print", "one\x1b[2J")
        self.reactor.until(lambda: owner.lines)
        self.assertEqual(owner.lines, ["one\\x1b[2J"])

    def test_tooLongForOne(self) -> None:
        """A frame that is longer than it would read is refused here."""
        owner = self.one()
        files = {"a": bytes(65 << 20)}
        with self.assertRaisesRegex(ValueError, "are the most"):
            owner.process.send(Load("quota", "1", "d", "/", "plugin.py", files, {}, b"{}", b"{}", 1))
        self.assertEqual(owner.do("take", 1), "taken")


class EndTests(ProcessesTestCase):
    """How they end, and what is left."""

    def test_killed(self) -> None:
        """By the edge, with its reason, whatever it does."""
        owner = self.one()
        owner.tell("spin")
        self.reactor.until(owner.process.held)
        owner.process.kill("call 1 took 100 ms of CPU time")
        self.assertTrue(owner.process.isGone)
        self.assertEqual(owner.gone, [])
        gone = owner.end()
        self.assertEqual((gone.signal, gone.text, gone.isFault), (9, "call 1 took 100 ms of CPU time", True))
        self.reactor.until(lambda: not isThere(owner.process.pid))
        self.assertEqual((owner.process.cpuSeconds(), owner.process.memoryBytes()), (0, 0))

    def test_goneIsGone(self) -> None:
        """What is sent to one that is gone goes nowhere, and killing it is nothing."""
        owner = self.one()
        owner.process.kill("first")
        owner.process.kill("second")
        owner.tell("burn", 1)
        self.assertEqual(owner.end().text, "first")
        owner.tell("burn", 1)
        self.assertEqual(owner.frames, [])

    def test_exits(self) -> None:
        """By itself, with what it has said last."""
        owner = self.one()
        owner.tell("print", "last words")
        owner.tell("exit", 3)
        gone = owner.end()
        self.assertEqual((gone.signal, gone.exitCode, gone.isFault), (None, 3, True))
        self.assertEqual(owner.lines, ["last words"])
        self.assertEqual([getattr(frame, "number", None) for frame in owner.frames], [1])

    def test_killedByOthers(self) -> None:
        """By whoever runs out of memory, or types kill -9."""
        owner = self.one()
        os.kill(owner.process.pid, signal.SIGKILL)
        gone = owner.end()
        self.assertEqual((gone.signal, gone.why, gone.isFault), (9, "", True))

    def test_forbidden(self) -> None:
        """By the kernel, for what no plugin does by mistake."""
        owner = self.one()
        owner.tell("forbidden")
        self.assertTrue(owner.end().isForbiddenCall)

    def test_closesItsStream(self) -> None:
        """One that does not want to be heard of any more has a tenth of a second to end."""
        owner = self.one()
        owner.tell("close")
        self.reactor.until(lambda: owner.process.isGone)
        self.reactor.advance(0.09)
        self.assertTrue(isThere(owner.process.pid))
        self.reactor.advance(0.02)
        self.assertEqual(owner.end().text, "it has closed its stream")

    def test_toldLate(self) -> None:
        """One that has ended by itself has done so, however long the template takes to say how."""
        owner = self.take(self.make())
        template = self.templateOf(owner.process.pid)
        os.kill(template, signal.SIGSTOP)
        owner.tell("forbidden")
        self.reactor.until(lambda: owner.process.isGone)
        self.reactor.until(lambda: fieldsOf(owner.process.pid)["State"].startswith("Z"))
        self.reactor.advance(5)
        self.assertEqual(owner.gone, [])
        os.kill(template, signal.SIGCONT)
        self.assertTrue(owner.end().isForbiddenCall)

    def test_babbles(self) -> None:
        """One that says what nobody understands is ended for it."""
        for said in ("\x05\x00\x00\x00hello", "\xff\xff\xff\xff", "\x02\x00\x00\x00\x91\xa3"):
            owner = self.take(self.common(), version=repr(said))
            owner.tell("babble", said)
            self.assertIn("it has said what nobody understands", owner.end().text)
            self.assertEqual(owner.frames, [])

    def test_ownerFails(self) -> None:
        """An edge that fails at its end is no reason to leave anything of it."""
        process = self.wait(self.common().take("quota"))
        before = openOf()
        process.attach(lambda frame: None, lambda gone: 1 / 0, lambda line: None)
        process.kill("so")
        self.reactor.until(lambda: not isThere(process.pid))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(openOf(), before - 4)

    def test_nothingIsLeft(self) -> None:
        """After many kill -9: no zombie, and no descriptor more than after the first."""
        killManyTimes(self, 40)


def killManyTimes(test: ProcessesTestCase, times: int) -> None:
    """:raises AssertionError: something is left of one."""
    processes = test.make(spares=2)
    first = test.take(processes)
    template = test.templateOf(first.process.pid)
    pids: list[int] = []

    def settled() -> bool:
        test.reactor.advance(SETTLING)
        return processes.spares == 2 and not any(map(isThere, pids))

    test.reactor.until(settled)
    here, there = openOf(), openOf(template)
    for number in range(times):
        owner = test.take(processes, version=str(number))
        if number % 2:
            owner.tell("spin")
        os.kill(owner.process.pid, signal.SIGKILL)
        owner.end()
        pids.append(owner.process.pid)
    test.reactor.until(settled)
    test.assertEqual((openOf(), openOf(template)), (here, there))
    test.assertEqual(processes.taken, 1)
    test.assertEqual(first.do("take", 1), "taken")


class SpareTests(ProcessesTestCase):
    """Those that are kept ready."""

    def haveSpare(self, processes: Processes) -> None:
        """One is ready, after a moment."""
        self.reactor.advance(SETTLING)
        self.reactor.until(lambda: processes.spares == 1)

    def test_atOnce(self) -> None:
        """One that is ready is given at once, and the next is made."""
        processes = self.make(spares=1)
        self.take(processes)
        self.haveSpare(processes)
        given = Owner(self.reactor, self.successResultOf(processes.take("auth 1")))
        self.assertEqual(given.do("take", 1), "taken")
        self.haveSpare(processes)

    def test_settling(self) -> None:
        """Who is given one has the machine to itself: the next is made a little later, unless somebody waits for it."""
        processes = self.make(spares=1)
        self.take(processes)
        self.haveSpare(processes)
        self.successResultOf(processes.take("auth 1"))
        self.assertEqual((processes.spares, processes._maker.sizesInMaking.total()), (0, 0))
        self.assertEqual(self.take(processes, version="auth").do("take", 1), "taken")
        self.haveSpare(processes)

    def test_spareThatEnds(self) -> None:
        """One that is ended while it waits is replaced; nobody is given what is not there."""
        processes = self.make(spares=1)
        template = self.templateOf(self.take(processes).process.pid)
        self.haveSpare(processes)
        for pid in childrenOf(template):
            os.kill(pid, signal.SIGKILL)
        self.reactor.until(lambda: processes.spares == 0)
        self.haveSpare(processes)

    def test_manyAtOnce(self) -> None:
        """However many ask, each gets its own."""
        processes = self.make(spares=1)
        waiting = [processes.take(str(number)) for number in range(6)]
        self.assertEqual(len({self.wait(each).pid for each in waiting}), 6)

    def test_cannotBeNarrowed(self) -> None:
        """Where not even root may limit another process, each is made with its limit."""

        def refuse(*arguments: Any) -> None:
            raise PermissionError

        self.patch(made.resource, "prlimit", refuse)
        processes = self.make(spares=1)
        owner = self.take(processes, memoryBytes=64 << 20)
        self.assertEqual(owner.do("take", 128 << 20), "MemoryError")
        other = self.take(processes, version="auth", memoryBytes=32 << 20)
        self.assertEqual(other.do("take", 64 << 20), "MemoryError")
        self.assertEqual(self.take(processes, version="plain").do("take", 64 << 20), "taken")

    def test_noLongerNeeded(self) -> None:
        """When nobody has had one for a minute, the spare ones and the template end, until one is needed again."""
        processes = self.make(spares=1)
        owner = self.take(processes)
        template = self.templateOf(owner.process.pid)
        owner.process.kill("its plugin was removed", isFault=False)
        owner.end()
        self.haveSpare(processes)
        self.reactor.advance(59.8)
        self.reactor.turn()
        self.assertEqual(processes.spares, 1)
        self.reactor.advance(0.2)
        self.reactor.until(lambda: not isThere(template))
        self.assertFalse(self.reactor.readers)
        self.assertEqual(self.take(processes).do("take", 1), "taken")

    def test_stillNeeded(self) -> None:
        """Who has one again in the meantime keeps them."""
        processes = self.make(spares=1)
        owner = self.take(processes)
        owner.process.kill("a hot update", isFault=False)
        owner.end()
        other = self.take(processes)
        self.haveSpare(processes)
        self.reactor.advance(61)
        self.assertEqual(other.do("take", 1), "taken")
        self.assertFalse(other.process.isGone)


class CrashTests(ProcessesTestCase):
    """Versions that crash."""

    def crash(self, processes: Processes) -> None:
        """Once, at once."""
        owner = self.take(processes)
        owner.tell("exit", 1)
        owner.end()

    def test_inARow(self) -> None:
        """After the first crash the next comes at once, after the second it waits."""
        processes = self.make()
        self.crash(processes)
        self.crash(processes)
        waiting = processes.take("quota 1.0.0")
        other = self.take(processes, version="auth 1.0.0")
        self.assertEqual(other.do("take", 1), "taken")
        self.assertNoResult(waiting)
        self.reactor.advance(1.0)
        self.assertEqual(Owner(self.reactor, self.wait(waiting)).do("take", 1), "taken")

    def test_knownWhenToldOf(self) -> None:
        """Who is told of a crash, and asks for the next, waits for it as for any other."""
        processes = self.make()
        self.crash(processes)
        owner = self.take(processes)
        waiting: list[Any] = []
        owner.process.attach(lambda frame: None, lambda gone: waiting.append(processes.take("quota 1.0.0")), print)
        owner.tell("exit", 1)
        self.reactor.until(lambda: waiting)
        self.reactor.turn(0.05)
        self.assertNoResult(waiting[0])
        self.reactor.advance(1.0)
        self.wait(waiting[0])

    def test_endedOnPurpose(self) -> None:
        """One that is not needed any more is no crash."""
        processes = self.make()
        for _ in range(3):
            owner = self.take(processes)
            owner.process.kill("a hot update", isFault=False)
            owner.end()
        self.take(processes)

    def test_cancelled(self) -> None:
        """Who does not want to wait any more is given nothing."""
        processes = self.make()
        self.crash(processes)
        self.crash(processes)
        delayed = processes.take("quota 1.0.0")
        delayed.cancel()
        self.failureResultOf(delayed, CancelledError)
        queued = processes.take("auth 1.0.0")
        queued.cancel()
        self.failureResultOf(queued, CancelledError)
        self.reactor.advance(1.0)
        self.assertEqual(processes.taken, 0)


class TemplateTests(ProcessesTestCase):
    """What happens to the template."""

    def test_ends(self) -> None:
        """With it all end that it has forked, which is nobody's fault; the next are another's."""
        processes = self.make(spares=1)
        owners = [self.take(processes, version=str(number)) for number in range(2)]
        template = self.templateOf(owners[0].process.pid)
        os.kill(template, signal.SIGKILL)
        for owner in owners:
            gone = owner.end()
            self.assertEqual(gone.text, "the template of locked processes has ended by SIGKILL")
            self.assertFalse(gone.isFault)
        other = self.take(processes)
        self.assertNotEqual(self.templateOf(other.process.pid), template)
        self.assertEqual(other.do("take", 1), "taken")
        self.reactor.until(lambda: not isThere(template) and not any(isThere(owner.process.pid) for owner in owners))

    def test_endsAfterThem(self) -> None:
        """Nor is it anybody's fault where their end is seen before the template's: the kernel takes its time."""
        processes = self.make()
        owner = self.take(processes)
        template = self.templateOf(owner.process.pid)
        os.kill(template, signal.SIGSTOP)
        os.kill(owner.process.pid, signal.SIGKILL)
        self.reactor.until(lambda: owner.process.isGone)
        self.assertEqual(owner.gone, [])
        os.kill(template, signal.SIGKILL)
        self.assertFalse(owner.end().isFault)

    def test_whoWaits(self) -> None:
        """Whoever has asked for one when the template ends is given one of the next."""
        processes = self.make()
        template = self.templateOf(self.take(processes).process.pid)
        waiting = processes.take("auth")
        os.kill(template, signal.SIGKILL)
        self.assertEqual(Owner(self.reactor, self.wait(waiting)).do("take", 1), "taken")

    def test_hangs(self) -> None:
        """One that forks nothing any more is replaced."""
        processes = self.make()
        template = self.templateOf(self.take(processes).process.pid)
        os.kill(template, signal.SIGSTOP)
        waiting = processes.take("auth")
        self.reactor.pump([maker.MAKING, SECOND_LOOK])
        self.assertEqual(Owner(self.reactor, self.wait(waiting)).do("take", 1), "taken")
        self.assertFalse(isThere(template))

    def test_edgeWasHeldUp(self) -> None:
        """Where it is the edge that has not looked for so long, what has come meanwhile counts."""
        processes = self.make()
        template = self.templateOf(self.take(processes).process.pid)
        waiting = processes.take("auth")
        self.reactor.advance(maker.MAKING)
        self.assertEqual(self.templateOf(self.wait(waiting).pid), template)

    def test_again(self) -> None:
        """One that keeps ending is not begun again and again."""
        processes = self.make()
        owner = self.take(processes)
        for _ in range(2):
            os.kill(self.templateOf(owner.process.pid), signal.SIGKILL)
            owner.end()
            owner = self.take(processes) if _ == 0 else owner
        waiting = processes.take("auth")
        self.reactor.turn(0.05)
        self.assertNoResult(waiting)
        self.reactor.advance(1.0)
        self.wait(waiting)


class UnavailableTests(ProcessesTestCase):
    """Where there are none to be had."""

    def test_belowTheMinimum(self) -> None:
        """A machine that cannot lock them well enough has none, and says what is missing."""
        processes = self.make(minimumLevel="A", without=ROOMS)
        with self.assertRaises(Unavailable) as caught:
            self.wait(processes.take("quota"))
        self.assertIn("at level C, and trust.minimum_level is A. Missing: ", str(caught.exception))
        self.assertIn("landlock (it is switched off)", str(caught.exception))
        self.assertEqual(processes.level, "C")
        self.reactor.until(lambda: not self.reactor.readers)

    def test_refusedWhileNobodyAsks(self) -> None:
        """Such a machine is looked at once more when somebody asks again, and not by itself."""
        processes = self.make(minimumLevel="A", without=ROOMS)
        for _ in range(2):
            with self.assertRaisesRegex(Unavailable, "at level C"):
                self.wait(processes.take("quota"))
            self.failureResultOf(processes.take("quota"), Unavailable)
            self.reactor.until(lambda: not self.reactor.readers)
            self.reactor.advance(QUIET)
            self.assertFalse(self.reactor.readers)

    def test_edgeIsLimited(self) -> None:
        """Where the edge itself is limited (``ulimit -v``) none is made to have more: nobody raises that."""
        most = 2 << 30
        self.patch(resource, "getrlimit", lambda which: (most, most))
        process = self.take(self.make(), memoryBytes=8 << 30).process
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        self.assertRegex(limits, rf"Max address space +{most} +{most} ")

    def test_atTheMinimum(self) -> None:
        """At the floor they are used, if no more is asked for."""
        processes = self.make(minimumLevel="C", without=ROOMS)
        self.assertEqual(self.take(processes).process.level, "C")
        self.assertEqual(processes.layers["landlock"], "it is switched off")

    def test_survivor(self) -> None:
        """Where something survives what must end it, there are none: a filter that is there may still not hold."""
        processes = self.make()
        self.patch(TemplateProcess, "doRead", self.survive(TemplateProcess.doRead))
        with self.assertRaisesRegex(Unavailable, "has survived what must end it: execve did not end a locked process"):
            self.wait(processes.take("quota"))
        self.reactor.until(lambda: not self.reactor.readers)

    def survive(self, doRead: Any) -> Any:
        """As `TemplateProcess.doRead`, on a machine where canaries survive."""

        def read(template: Any) -> None:
            told = template._onOrder

            def onOrder(order: Any, fds: list[int]) -> None:
                if isinstance(order, Tried):
                    order = Tried(("execve did not end a locked process",))
                told(order, fds)

            template._onOrder = onOrder
            doRead(template)
            template._onOrder = told

        return read

    def test_brokenInside(self) -> None:
        """Where the inside cannot be imported, the reason is Python's own."""
        processes = self.make(inside="nothing_here")
        with self.assertRaisesRegex(Unavailable, "ended with 1 .*ModuleNotFoundError: No module named"):
            self.wait(processes.take("quota"))

    def test_insideThatEnds(self) -> None:
        """Where processes end as soon as they begin, that is not tried for ever, but once more in half a minute."""
        processes = self.make(inside="stillborn", spares=1)
        try:
            owner = self.take(processes)  # it has locked itself: it may be given before anybody knows
            # What it wrote before it was somebody's, and after.
            said = " ".join([owner.end().text, *owner.process.firstLines, *owner.lines])
        except Unavailable as error:
            said = str(error)
        self.assertIn("ZeroDivisionError", said)
        self.reactor.until(lambda: any(call.getTime() == QUIET for call in self.reactor.getDelayedCalls()))
        for _ in range(20):
            self.reactor.turn(0.01)
        self.assertEqual(processes.spares, 0)

    def test_noDescriptors(self) -> None:
        """An edge that has no descriptors left says so, leaves none open, and goes on when it has some."""
        processes = self.make()
        self.take(processes)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        before = openOf()
        taken = {int(name) for name in os.listdir("/proc/self/fd")}
        # A limit is above the highest number, and there may be numbers free below that are in use.
        free = [number for number in range(len(taken) + 3) if number not in taken]
        resource.setrlimit(resource.RLIMIT_NOFILE, (free[1] + 1, hard))
        try:
            failure = self.failureResultOf(processes.take("auth"), Unavailable)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertIn("a locked process needs four descriptors: [Errno 24]", str(failure.value))
        self.assertEqual(openOf(), before)
        self.reactor.advance(30)
        self.take(processes)

    def test_noPython(self) -> None:
        """Nor is there one where nobody knows how to start Python."""
        self.patch(sys, "executable", "")
        failure = self.failureResultOf(self.make().take("quota"), Unavailable)
        self.assertIn("sys.executable is empty", str(failure.value))

    def test_closed(self) -> None:
        """All have ended then, those in the making too, and none is to be had."""
        processes = self.make()
        owner = self.take(processes)
        template = self.templateOf(owner.process.pid)
        waiting = processes.take("auth")
        self.wait(processes.close())
        self.failureResultOf(waiting, Unavailable)
        self.assertEqual([gone.text for gone in owner.gone], ["the edge ends"])
        self.assertFalse(isThere(template) or isThere(owner.process.pid))
        self.failureResultOf(processes.take("auth"), Unavailable)
        self.assertFalse(self.reactor.readers or self.reactor.writers or self.reactor.getDelayedCalls())
        self.wait(processes.close())

    def test_closedBeforeAll(self) -> None:
        """Nothing is begun to be ended."""
        processes = self.make()
        self.successResultOf(processes.close())


@onlyRoot
class UsersTests(ProcessesTestCase):
    """Users of their own."""

    def test_oneEach(self) -> None:
        """No two run as the same user, and none as the edge."""
        processes = self.make(uids=(310_000, 310_002))
        owners = [self.take(processes) for _ in range(3)]
        uids = [int(fieldsOf(owner.process.pid)["Uid"].split()[0]) for owner in owners]
        self.assertEqual(sorted(uids), [310_000, 310_001, 310_002])
        self.assertEqual([owner.process.uid for owner in owners], uids)
        self.assertEqual(processes.layers["user"], "enforced")

    def test_endedFromOutside(self) -> None:
        """The edge ends and limits those of other users, too."""
        processes = self.make(uids=(310_000, 310_003), spares=1)
        owner = self.take(processes, memoryBytes=64 << 20)
        self.assertEqual(owner.do("take", 128 << 20), "MemoryError")
        owner.process.kill("it was told to")
        self.assertEqual(owner.end().signal, 9)

    def test_givenBack(self) -> None:
        """When all are taken nobody else gets a process, until one has ended."""
        processes = self.make(uids=(310_000, 310_001))
        one, _ = self.take(processes), self.take(processes)
        failure = self.failureResultOf(processes.take("quota"), Unavailable)
        self.assertIn("all 2 users of trust.uids are taken", str(failure.value))
        one.process.kill("it was told to", isFault=False)
        one.end()
        self.assertEqual(self.take(processes).process.uid, one.process.uid)


def childrenOf(pid: int) -> list[int]:
    """Numbers of processes that one has forked."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class CgroupTests(ProcessesTestCase):
    """Cgroups, on files that stand for the kernel's."""

    def setUp(self) -> None:
        """A folder that stands for a part of the tree that is the edge's."""
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def find(self, descriptors: Descriptors) -> Cgroups:
        """As if it were delegated."""
        return Cgroups(descriptors, self.folder)

    def folders(self) -> list[Path]:
        """Those of processes."""
        return sorted(self.folder.iterdir())

    def test_ownForEach(self) -> None:
        """A process enters its own before it is locked, and is limited when it is taken; it is removed with it."""
        processes = self.make(findCgroups=self.find)
        owner = self.take(processes, memoryBytes=64 << 20)
        # Where files stand for the kernel's, a process can enter only with what it was told to write.
        [folder] = self.folders()
        self.assertEqual((folder / "cgroup.procs").read_text(), "0")
        self.assertIn("could not enter", processes.layers["cgroup"])
        self.assertEqual(owner.do("take", 1), "taken")

    def test_limited(self) -> None:
        """One that is in its own is limited there, too; that it was ended for its memory is said."""
        self.patch(Cgroup, "has", lambda cgroup, pid: True)
        processes = self.make(findCgroups=self.find)
        owner = self.take(processes, memoryBytes=64 << 20)
        [folder] = self.folders()
        self.assertEqual(processes.layers["cgroup"], "enforced")
        self.assertEqual((folder / "memory.max").read_text(), str((64 << 20) + BESIDE))
        (folder / "memory.events").write_text("oom_kill 1\n")
        os.kill(owner.process.pid, signal.SIGKILL)
        self.assertEqual(owner.end().text, "it has taken more memory than it may")
        self.assertEqual((folder / "cgroup.kill").read_text(), "1")
        for file in folder.iterdir():
            file.unlink()
        self.reactor.advance(0.1)
        self.assertEqual(self.folders(), [])

    def test_none(self) -> None:
        """Without, the reason is one of the layers'."""
        processes = self.make()
        self.take(processes)
        self.assertTrue(processes.layers["cgroup"])
