"""
What is seen of a locked process from outside, with a /proc of the test's own; a real one is in the other tests.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.lock.layers import Lock
from revproxy.isolation.lock.outside import checkOutside

STATUS = """Name:	python3
Uid:	300000	300000	300000	300000
Gid:	300000	300000	300000	300000
Groups:\t
CapInh:	0000000000000000
CapPrm:	0000000000000000
CapEff:	0000000000000000
CapBnd:	0000000000000000
CapAmb:	0000000000000000
NoNewPrivs:	1
Seccomp:	2
Seccomp_filters:	2
Threads:	1
"""

LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max file size             0                    0                    bytes
Max core file size        0                    0                    bytes
Max processes             0                    0                    processes
Max open files            32                   32                   files
Max locked memory         0                    0                    bytes
Max address space         100000               100000               bytes
Max msgqueue size         0                    0                    bytes
Max nice priority         0                    0
Max realtime priority     0                    0
"""


OWN = "Seccomp:	2\nSeccomp_filters:	1\n"
"""Of the one who looks, in a container that has a filter itself."""


class OutsideTests(SynchronousTestCase):
    """
    Each line that counts.
    """

    def check(
        self, status: str = STATUS, limits: str = LIMITS, lock: Lock | None = None, own: str = OWN
    ) -> tuple[str, ...]:
        """What is said of such a process."""
        folder = Path(self.mktemp()) / "77"
        folder.mkdir(parents=True)
        (folder / "status").write_text(status)
        (folder / "limits").write_text(limits)
        (folder.parent / "self").mkdir()
        (folder.parent / "self" / "status").write_text(own)
        return checkOutside(77, lock or Lock(100_000, 1, (), 300_000), folder.parent)

    def test_good(self) -> None:
        """Nothing is said of one that is as it should be."""
        self.assertEqual(self.check(), ())

    def test_each(self) -> None:
        """Each thing that is not as it should be is said."""
        for old, new, told in (
            ("Seccomp:	2", "Seccomp:	0", "there is no filter of system calls"),
            ("Seccomp:	2\n", "", "there is no filter of system calls"),
            ("NoNewPrivs:	1", "NoNewPrivs:	0", "a program could give it more rights"),
            ("Threads:	1", "Threads:	2", "it has 2 threads"),
            ("CapEff:	0", "CapEff:	1", "it has capabilities: CapEff"),
            ("CapAmb:	0000000000000000\n", "", "it has capabilities: CapAmb"),
            ("Uid:	300000	300000", "Uid:	300000	0", "Uid is 300000	0	300000	300000, not 300000"),
            ("Groups:	", "Groups:	6 27", "it is in groups: 6 27"),
        ):
            self.assertIn(old, STATUS)
            self.assertEqual(self.check(STATUS.replace(old, new)), (told,))

    def test_containersFilter(self) -> None:
        """A container's filter, which everybody in it has, is not that of the process; older kernels do not count."""
        same = STATUS.replace("Seccomp_filters:	2", "Seccomp_filters:	1")
        self.assertEqual(self.check(same), ("there is no filter of system calls",))
        self.assertEqual(self.check(same, own=OWN.replace("filters:	1", "filters:	0")), ())
        self.assertEqual(self.check(STATUS.replace("Seccomp_filters:	2\n", "")), ())

    def test_eachLimit(self) -> None:
        """And each limit, soft or hard."""
        for line in LIMITS.splitlines()[1:]:
            name, _, number = line.partition("  ")
            soft, hard = number.split()[:2]
            for other in (f"{soft} 99", f"99 {hard}", "unlimited unlimited"):
                self.assertEqual(
                    self.check(limits=LIMITS.replace(line, f"{name}  {other}")), (f"{name} is not {soft}",)
                )

    def test_bounding(self) -> None:
        """What could be gained counts for root only: another has nothing to drop it with."""
        some = STATUS.replace("CapBnd:	0", "CapBnd:	1")
        self.assertEqual(self.check(some), ())
        lock = Lock(100_000, 1, ())
        self.assertEqual(self.check(some.replace("300000", "0"), lock=lock), ("it has capabilities: CapBnd",))

    def test_user(self) -> None:
        """Who it is counts if it was to become somebody."""
        other = STATUS.replace("300000", "1000")
        self.assertEqual(self.check(other, lock=Lock(100_000, 1, ())), ())
        self.assertEqual(self.check(other, lock=Lock(100_000, 1, (), 300_000, frozenset())), ())

    def test_gone(self) -> None:
        """A process that is not there is not well."""
        (told,) = checkOutside(77, Lock(1, 1, ()), Path(self.mktemp()))
        self.assertIn("it cannot be looked at", told)
