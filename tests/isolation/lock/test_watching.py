"""
What it takes to see and to end a locked process, taken away: by a filter in a child, by mounts of a child's own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.lock.detection import detect
from revproxy.isolation.lock.kernel import call
from revproxy.isolation.lock.layers import NAMES
from revproxy.isolation.lock.trial import attemptInChild
from revproxy.isolation.lock.watching import obstacle
from tests.isolation.lock.faults import takeAway

NOBODY = 65534
AS_ROOT = skipUnless(os.geteuid() == 0, "only root can mount another /proc: run the tests as root")


def obstacleAfter(change: Callable[[], None]) -> str:
    """What a child says that has changed something around itself."""

    def inside(writing: int) -> bytes:
        change()
        assert set(detect().reasons) == {obstacle()} or not obstacle()
        return obstacle().encode()

    trial = attemptInChild(inside)
    assert trial.status == 0, trial
    return trial.said.decode()


def procMounted(kind: bytes, options: bytes | None) -> None:
    """This process has another /proc from now on."""
    call("unshare", 0x00020000)
    call("mount", None, b"/", None, 16384 | 1 << 18, None)
    call("mount", kind, b"/proc", kind, 0, options)


class ObstacleTests(SynchronousTestCase):
    """
    `obstacle`, and what `detect` makes of it.
    """

    def test_none(self) -> None:
        """Here there is none."""
        self.assertEqual(obstacle(), "")

    def test_calls(self) -> None:
        """A container's filter that is older than the calls is named, with the call."""
        for fault, name in (("handles", "pidfd_open"), ("shared memory", "memfd_create")):
            said = obstacleAfter(lambda fault=fault: takeAway(fault))  # type: ignore[misc]
            self.assertTrue(said.startswith(f"{name}: Operation not permitted; that takes a kernel"), said)

    @AS_ROOT
    def test_noProc(self) -> None:
        """Where nothing is mounted at /proc, that is what is said of all layers."""
        said = obstacleAfter(lambda: procMounted(b"tmpfs", None))
        self.assertIn("there is no /proc to look at", said)

    @AS_ROOT
    def test_hidden(self) -> None:
        """A /proc that hides what the user may not look into, which is every locked process, is said to do so."""

        def hide(options: bytes) -> None:
            procMounted(b"proc", options)
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)

        for options in (b"hidepid=2", b"hidepid=1"):
            self.assertIn("hidepid=", obstacleAfter(lambda options=options: hide(options)))  # type: ignore[misc]
        self.assertEqual(obstacleAfter(lambda: hide(b"hidepid=2,gid=65534")), "")

    def test_reasons(self) -> None:
        """A reason that all layers have is said once, without their names."""

        def inside(writing: int) -> bytes:
            takeAway("handles")
            found = detect()
            assert len(found.missing) == len(NAMES)
            return "|".join(found.reasons).encode()

        said = attemptInChild(inside).said.decode()
        self.assertTrue(said.startswith("pidfd_open: "), said)
        self.assertNotIn("|", said)
