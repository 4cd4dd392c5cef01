"""
System calls by name.
"""

from __future__ import annotations

import ctypes
import errno
import os

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.lock.kernel import attempt, call, prctl
from revproxy.isolation.lock.limits import addressSpace
from revproxy.isolation.lock.syscalls import thisMachine


class CallTests(SynchronousTestCase):
    """
    What comes back.
    """

    def test_answer(self) -> None:
        """What the kernel says, by name and by number."""
        self.assertEqual(call("getpid"), os.getpid())
        self.assertEqual(attempt(thisMachine().numbers["getpid"]), os.getpid())

    def test_arguments(self) -> None:
        """Numbers, bytes, null pointers, and room for an answer."""
        fd = call("openat", -100, b"/dev/null", os.O_RDONLY, 0)
        self.addCleanup(os.close, fd)
        room = ctypes.create_string_buffer(4)
        self.assertEqual(call("read", fd, room, 4), 0)
        self.assertEqual(attempt("openat", -100, None, 0, 0), -errno.EFAULT)

    def test_error(self) -> None:
        """As a number with a minus, or as an error that names the call."""
        self.assertEqual(attempt("close", -1), -errno.EBADF)
        error = self.assertRaises(OSError, call, "close", -1)
        self.assertEqual((error.errno, error.strerror), (errno.EBADF, "close: Bad file descriptor"))

    def test_prctl(self) -> None:
        """Arguments that are not given are nothing at all: the kernel refuses others for some options."""
        self.assertIn(prctl(39), (0, 1))
        self.assertRaises(OSError, prctl, 99999)


class AddressSpaceTests(SynchronousTestCase):
    """
    How much there is already.
    """

    def test_grows(self) -> None:
        """It is what the kernel counts against the limit: more after more was taken."""
        before = addressSpace()
        held = bytes(256 << 20)
        self.assertGreaterEqual(addressSpace() - before, 256 << 20)
        self.assertEqual(len(held), 256 << 20)
