"""
What a machine has, and what is left when something of it is taken away: by a filter in a child, as containers do it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.lock import detection, syscalls
from revproxy.isolation.lock.detection import detect
from revproxy.isolation.lock.layers import FLOOR, NAMES, ROOMS, Layers
from revproxy.isolation.lock.syscalls import UnknownMachine
from revproxy.isolation.lock.trial import Trial, attemptInChild
from tests.isolation.lock.faults import takeAway
from tests.isolation.lock.inchildren import UID, machine

NOBODY = 65534
AS_ROOT = skipUnless(os.geteuid() == 0, "only root can become another user: run the tests as root")


def detectedWithout(faults: Iterable[str] = (), user: int | None = None, uid: int | None = None) -> Layers:
    """What is found by a child that has become that user, without those features."""

    def inside(writing: int) -> bytes:
        if user is not None:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        for fault in faults:
            takeAway(fault)
        return json.dumps(detect(uid).asList()).encode()

    trial = attemptInChild(inside)
    assert trial.status == 0, trial
    return Layers.of(json.loads(trial.said))


class DetectTests(SynchronousTestCase):
    """
    Whoever runs the tests.
    """

    def test_here(self) -> None:
        """Every layer is told of, and each that is missing says why."""
        found = machine()
        self.assertEqual([layer.name for layer in found], list(NAMES))
        self.assertIsNotNone(found.level)
        for layer in found.missing:
            self.assertNotIn(layer.reason, ("", "not tried", "not to be used"), layer)

    def test_noNamespaces(self) -> None:
        """As in Docker: no rooms, no level A, and the reason is the kernel's."""
        found = detectedWithout(["namespaces"])
        self.assertEqual(found.enforced & {"user-namespace", *ROOMS}, frozenset())
        self.assertIn("unshare: Operation not permitted", found["network"].reason)
        self.assertEqual(found.level, "B" if "landlock" in machine().usable else "C")

    def test_noLandlock(self) -> None:
        """As in gVisor: C, whatever rooms there are."""
        found = detectedWithout(["Landlock"])
        self.assertEqual(found.level, "C")
        self.assertEqual(found["landlock"].reason, "this kernel has no Landlock")
        self.assertEqual(found.enforced, machine().enforced - {"landlock", "user"})

    def test_landlockRefused(self) -> None:
        """A kernel started without it, and a container that does not know it, say something else."""
        self.assertIn("lsm=", detectedWithout(["Landlock's switch"])["landlock"].reason)
        self.assertIn("container", detectedWithout(["Landlock's permission"])["landlock"].reason)

    def test_nothingOptional(self) -> None:
        """The floor is C."""
        found = detectedWithout(["namespaces", "Landlock"])
        self.assertEqual(found.level, "C")
        self.assertEqual(found.usable - {"no-new-code"}, frozenset())

    def test_noFilters(self) -> None:
        """Without a filter of system calls there is no level at all."""
        found = detectedWithout(["filters"])
        self.assertIsNone(found.level)
        self.assertIn("seccomp", found["seccomp"].reason)

    def test_halfNamespaces(self) -> None:
        """As in Ubuntu 24.04: a namespace of users can be had, but nothing be done in it; what works is used."""
        found = detectedWithout(["mounts"])
        self.assertNotIn("root", found.enforced)
        self.assertNotEqual(found.level, "A")
        self.assertTrue(found.enforced.issuperset(FLOOR))

    def test_unknownMachine(self) -> None:
        """Where the numbers of the calls are not known nothing is tried, and nothing holds."""

        def unknown() -> None:
            raise UnknownMachine("64-bit code on riscv64: no")

        self.patch(detection, "thisMachine", unknown)
        self.patch(detection, "attemptInChild", lambda work: self.fail("something was tried"))
        found = detect()
        self.assertIsNone(found.level)
        self.assertEqual({layer.reason for layer in found}, {"64-bit code on riscv64: no"})
        self.assertIsNotNone(syscalls.thisMachine())

    def test_deadChild(self) -> None:
        """A child that dies while it locks itself is a reason against all layers."""
        self.patch(detection, "attemptInChild", lambda work: Trial(b"", -31))
        found = detect()
        self.assertIsNone(found.level)
        self.assertIn("SIGSYS", found["seccomp"].reason)
        self.patch(detection, "attemptInChild", lambda work: Trial(b"MemoryError", 1))
        self.assertIn("MemoryError", detect()["seccomp"].reason)


@AS_ROOT
class RootTests(SynchronousTestCase):
    """
    What root finds, for itself and as another.
    """

    def test_nobody(self) -> None:
        """Who is not root has no user to give, and the reason says so; a number does not help."""
        found = detectedWithout(user=NOBODY, uid=UID)
        self.assertEqual(found["user"].reason, "only root can give a process a user of its own")

    def test_noUids(self) -> None:
        """Root without users set aside is told where to set them."""
        self.assertIn("trust.uids", detectedWithout()["user"].reason)

    def test_roomsWithoutUsers(self) -> None:
        """Root has rooms where nobody else may have them; who is not root has none."""
        everywhere = machine().enforced
        found = detectedWithout(["user namespaces"], uid=UID)
        self.assertEqual(found.enforced, everywhere - {"user-namespace"})
        self.assertEqual(found.level, machine().level)
        self.assertEqual(detectedWithout(["user namespaces"], NOBODY).enforced & frozenset(ROOMS), frozenset())

    def test_noChangeOfUser(self) -> None:
        """Root that may not change its user keeps all else."""
        found = detectedWithout(["changes of user"], uid=UID)
        self.assertIn("not permitted", found["user"].reason)
        self.assertEqual(found.level, machine().level)
