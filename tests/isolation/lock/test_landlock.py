"""
Landlock's rules, for kernels that have more or less of it; that they hold is tried by the attacks.
"""

from __future__ import annotations

import errno
import struct

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.lock import landlock
from revproxy.isolation.lock.landlock import Landlock
from revproxy.isolation.lock.layers import Lock


class AttributeTests(SynchronousTestCase):
    """
    What is demanded of which kernel.
    """

    def words(self, abi: int) -> tuple[int, ...]:
        """The rights that are handled: files, network, scopes; as many as that kernel takes."""
        data, size = landlock._attributes(abi)
        self.assertEqual(len(data), size)
        return struct.unpack(f"={size // 8}Q", data)

    def test_eachKernel(self) -> None:
        """All that it knows and nothing that it does not, which it would refuse as a whole."""
        self.assertEqual(self.words(1), (0x1FFF,))
        self.assertEqual(self.words(2), (0x3FFF,))
        self.assertEqual(self.words(3), (0x7FFF,))
        self.assertEqual(self.words(4), (0x7FFF, 3))
        self.assertEqual(self.words(5), (0xFFFF, 3))
        self.assertEqual(self.words(6), (0xFFFF, 3, 3))
        self.assertEqual(self.words(8), (0xFFFF, 3, 3))
        self.assertEqual(self.words(9), (0x1FFFF, 3, 3))
        self.assertEqual(self.words(10), (0x1FFFF, 15, 3))

    def test_newerKernel(self) -> None:
        """A kernel with more than we know is asked for what we know."""
        self.assertEqual(self.words(99), self.words(10))


class ReasonTests(SynchronousTestCase):
    """
    Why there is none.
    """

    def test_words(self) -> None:
        """Each error of the kernel says something else to the operator."""
        reasons = {}
        for error in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL):
            self.patch(landlock, "attempt", lambda *call, error=error: -error)
            reasons[error] = Landlock(Lock(1, 1, ())).run().reason
        self.assertEqual(reasons[errno.ENOSYS], "this kernel has no Landlock")
        self.assertIn("lsm=", reasons[errno.EOPNOTSUPP])
        self.assertIn("container", reasons[errno.EPERM])
        self.assertEqual(reasons[errno.EINVAL], "Landlock answers Invalid argument")
