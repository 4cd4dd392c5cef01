"""
The proof can fail: each layer is switched off, one by one, and each part of it; and it shows.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from revproxy.isolation.lock import landlock, limits, seccomp
from revproxy.isolation.lock.canaries import canaries
from revproxy.isolation.lock.landlock import RIGHTS, abi
from revproxy.isolation.lock.layers import FLOOR, NAMES, ROOMS, Layers, Lock, Report
from revproxy.isolation.lock.lockdown import order
from tests.isolation.lock.inchildren import fromOutside, lockFor, machine, orderWithout, report


class Proof(SynchronousTestCase):
    """
    One lock, as good as this machine has it.
    """

    def setUp(self) -> None:
        """Made for whoever runs the tests."""
        self.machine: Layers = machine()
        self.lock: Lock = lockFor(self.machine)

    def complaints(self, found: Report) -> list[str]:
        """What a process that is asked for this lock has to be refused for."""
        lacking = [f"{layer.name}: {layer.reason}" for layer in found.layers.lacking(self.lock)]
        return [*lacking, *found.holes]

    @property
    def alreadySo(self) -> set[str]:
        """Layers that make no difference here: who runs the tests has nothing for them to take away."""
        changes = self.lock.uid is not None
        found = {"no-new-privileges"} if "NoNewPrivs:\t1" in Path("/proc/self/status").read_text() else set()
        if "user-namespace" in self.lock.use:
            return found
        # Who stops being root loses capabilities by that, and cannot be dumped any more.
        return found | ({"capabilities"} if changes or os.geteuid() else set()) | ({"undumpable"} if changes else set())

    def needs(self, *names: str) -> None:
        """Skips, where this machine does not have a layer anyway."""
        for name in names:
            if not self.machine[name].isEnforced:
                raise SkipTest(f"{name} cannot be had here: {self.machine[name].reason}")


class WholeTests(Proof):
    """
    With nothing switched off.
    """

    def test_green(self) -> None:
        """There is nothing to complain of, inside, outside, and by the canaries."""
        self.assertEqual(self.complaints(report(self.lock)), [])
        self.assertEqual(fromOutside(self.lock), ())
        self.assertEqual(canaries(self.lock), ())


class LayerTests(Proof):
    """
    Each layer switched off, all others on.
    """

    def off(self, name: str) -> Report:
        """What the process says of itself then."""
        self.needs(name)
        return report(self.lock, orderWithout(self.lock, name))

    def test_floor(self) -> None:
        """Without any one of the floor there is no level."""
        for name in sorted({*FLOOR} - self.alreadySo):
            found = self.off(name)
            self.assertIsNone(found.level, name)
            self.assertIn(name, "".join(self.complaints(found)))

    def test_descriptors(self) -> None:
        """A descriptor that stays is named."""
        fd = os.dup(0)
        self.addCleanup(os.close, fd)
        self.assertRegex(self.off("descriptors").layers["descriptors"].reason, rf"open that should not be: .*\b{fd}\b")

    def test_landlock(self) -> None:
        """Without Landlock it is C."""
        found = self.off("landlock")
        self.assertEqual(found.level, "C")
        self.assertEqual(found.layers["landlock"].reason, "the root folder can be opened")

    def test_userNamespace(self) -> None:
        """Without a namespace of users it is missing, whatever comes after it."""
        found = self.off("user-namespace")
        self.assertEqual(found.layers["user-namespace"].reason, "it is in the same namespace as before")
        self.assertIn("user-namespace", "".join(self.complaints(found)))

    def test_user(self) -> None:
        """Without its own user it says whom it is."""
        found = self.off("user")
        self.assertEqual(found.layers["user"].reason, "its user is 0")
        self.assertIn("user", "".join(self.complaints(found)))

    def test_noNewCode(self) -> None:
        """Memory can be made code."""
        found = self.off("no-new-code")
        self.assertEqual(found.layers["no-new-code"].reason, "memory can be had that is written and executed")
        self.assertIn("no-new-code", "".join(self.complaints(found)))

    def test_each(self) -> None:
        """Any of them at all: there is a complaint, and it is of that layer first."""
        for name in NAMES:
            if self.machine[name].isEnforced and name not in self.alreadySo:
                first = self.complaints(report(self.lock, orderWithout(self.lock, name)))[:1]
                self.assertEqual([told.partition(":")[0] for told in first], [name])

    def test_outside(self) -> None:
        """What can be seen from outside is seen from there too, though the process may lie."""
        seen = {"limits", "seccomp", "user"} | ({"capabilities"} if os.geteuid() == 0 else set())
        for name in (seen & self.machine.enforced) - self.alreadySo:
            self.assertNotEqual(fromOutside(self.lock, orderWithout(self.lock, name)), (), name)

    def test_privileges(self) -> None:
        """That no program can give it more is seen from outside, where the filter does not need it."""
        if os.geteuid() != 0 or "no-new-privileges" in self.alreadySo:
            raise SkipTest("only root may have a filter without it: run the tests as root, and not with it already")
        lock = replace(self.lock, use=frozenset(), uid=None)
        steps = [step for step in order(lock) if step.name not in ("no-new-privileges", "capabilities")]
        self.assertIn("a program could give it more rights", fromOutside(lock, steps))


class RoomTests(Proof):
    """
    Each room.
    """

    def test_each(self) -> None:
        """Without any one of them it is not A."""
        self.needs(*ROOMS)
        for name in ROOMS:
            found = report(self.lock, orderWithout(self.lock, name))
            self.assertNotEqual(found.level, "A", name)
            same = "there are files in /" if name == "root" else "it is in the same namespace as before"
            self.assertEqual(found.layers[name].reason, same)

    def test_notEnteredButEmptied(self) -> None:
        """A namespace alone is not enough: in it there has to be nothing."""
        self.needs("network", "root", "hostname")
        for name, told in (
            ("root", "there are files in /"),
            ("hostname", "it sees the machine's name"),
        ):
            step = next(step for step in order(self.lock) if step.name == name)
            entered = type(step.__name__, (step,), {"apply": step.__mro__[1].apply})
            steps = tuple(entered if each is step else each for each in order(self.lock))
            self.assertEqual(report(self.lock, steps).layers[name].reason, told)


class FilterTests(Proof):
    """
    Each part of the filter of system calls.
    """

    def test_eachCheck(self) -> None:
        """A call that is let through with whatever arguments is a hole."""
        whole = seccomp.checked
        for name in sorted({*whole(1)} - {"futex", "getsockopt"}):
            self.patch(seccomp, "checked", lambda pid, name=name: {**whole(pid), name: ()})
            found = report(self.lock)
            self.assertIsNone(found.level, name)
            self.assertIn(f"{name} ", "".join(found.holes))

    def test_allowed(self) -> None:
        """A call too many is a hole."""
        for name in TOO_MANY:
            self.patch(seccomp, "ALLOWED", (*ALLOWED, name))
            found = report(self.lock)
            self.assertIsNone(found.level, name)
            self.assertIn(f"{name} ", "".join(found.holes))

    def test_deadly(self) -> None:
        """One that is refused only, and should be the end, is told by the canaries."""
        for name in ("execve", "ptrace", "unshare", "io_uring_setup", "bpf"):
            self.patch(seccomp, "DEADLY", tuple(each for each in DEADLY if each != name))
            (told,) = canaries(self.lock)
            self.assertIn(f"{name} did not end a locked process: -1", told)

    def test_newCalls(self) -> None:
        """Calls that nobody knows yet have to look as if they were not there."""
        self.patch(seccomp, "UNKNOWN", seccomp.REFUSE)
        self.assertIn("newer than the list", "".join(report(self.lock).holes))


ALLOWED, DEADLY = seccomp.ALLOWED, seccomp.DEADLY

TOO_MANY = (
    *("openat", "newfstatat", "readlinkat", "getcwd", "mkdirat", "memfd_create", "inotify_init1"),
    *("socket", "sendmsg", "clone", "clone3", "kill", "prlimit64", "setresuid", "prctl", "shmget", "munlock"),
)
"""None of them may be allowed."""


class PartTests(Proof):
    """
    Parts of other layers.
    """

    def test_limits(self) -> None:
        """Each limit that is not set is seen from outside; inside, the same table is asked."""
        for name in limits.NOTHING_OF:
            number = limits.NOTHING_OF[name]
            if limits.resource.getrlimit(number)[1] == 0:
                continue  # Whoever runs the tests has none of it: there is nothing to take away.
            self.patch(limits, "NOTHING_OF", {other: value for other, value in NOTHING_OF.items() if other != name})
            self.assertEqual(len(fromOutside(self.lock)), 1, name)

    def test_rights(self) -> None:
        """Each of Landlock's rights that can be tried shows when it is not demanded."""
        self.needs("landlock")
        # With an own user or without an own network the others would be refused anyway.
        lock = replace(self.lock, use=frozenset({"landlock"}), uid=None)
        for right in RIGHTS:
            if right.name in ("files", "TCP", "abstract sockets", "signals", "UDP") and right.abi <= abi():
                self.patch(landlock, "RIGHTS", tuple(other for other in RIGHTS if other is not right))
                found = report(lock)
                self.assertEqual(found.level, "C", right.name)


NOTHING_OF = limits.NOTHING_OF
