"""
The machine, as the files of its kernel say it.
"""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.doctor import machine
from revproxy.admin.doctor.check import Check, worst
from revproxy.admin.doctor.machine import clock, descriptors, interpreter, kernel, machineChecks, memory


class MachineTests(SynchronousTestCase):
    """
    A machine that is written down.
    """

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        self.root.mkdir()

    def write(self, path: str, text: str) -> None:
        """A file of the kernel's."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def texts(self, checks: Any) -> list[str]:
        """Of those that are not well."""
        return [check.text for check in checks if check.state != "ok"]

    def test_notToBeHad(self) -> None:
        """What cannot be looked at is told, and the rest all the same: Python's own files may be out of reach."""
        def gone(*arguments: object) -> None:
            raise ModuleNotFoundError("No module named '_sysconfigdata__linux_x86_64-linux-gnu'")

        self.patch(machine.sysconfig, "get_config_var", gone)
        self.assertEqual(interpreter().state, "ok")
        self.patch(machine, "clock", gone)
        [check] = [check for check in machineChecks(10, self.root) if check.name == "clock"]
        self.assertIn("_sysconfigdata", check.text)

    def limit(self, soft: int, used: int) -> Check | None:
        """Descriptors, with so many open."""
        self.patch(resource, "getrlimit", lambda which: (soft, soft))
        for number in range(used + 1):
            self.write(f"self/fd/{number}", "")
        return descriptors(1000, self.root)

    def test_descriptors(self) -> None:
        """
        Enough; fewer than connections may come; nearly none left.
        """
        well = self.limit(1024, 20)
        assert well is not None
        self.assertEqual((well.state, well.text), ("ok", "20 files are open, and 1024 may be"))
        few = self.limit(500, 20)
        assert few is not None
        self.assertEqual(few.state, "warning")
        self.assertIn("limits.max_connections, which is 1000", few.advice)
        full = self.limit(100, 95)
        assert full is not None
        self.assertEqual(full.state, "failing")
        unlimited = self.limit(resource.RLIM_INFINITY, 95)
        assert unlimited is not None
        self.assertEqual(unlimited.state, "ok")

    def test_notLinux(self) -> None:
        """
        Where the kernel has no such files, nothing is said of what is in them.
        """
        self.assertIsNone(descriptors(1000, self.root))
        self.assertEqual(list(memory(self.root, self.root)), [])
        self.assertEqual(self.texts(kernel(self.root)), [])

    def test_memory(self) -> None:
        """
        What the group of the process has, of what it may.
        """
        self.write("self/status", "Name:\tx\nVmRSS:\t  51200 kB\n")
        self.assertEqual([check.text for check in memory(self.root, self.root)], ["50 MB are resident"])
        self.write("memory.max", "104857600\n")
        self.write("memory.current", "62914560\n")
        [check] = memory(self.root, self.root)
        self.assertEqual((check.state, check.text), ("ok", "50 MB are resident; its group has 60 MB of 100 MB"))
        self.write("memory.current", "99614720\n")
        self.assertEqual([check.state for check in memory(self.root, self.root)], ["warning"])
        self.write("memory.max", "max\n")
        self.assertEqual([check.text for check in memory(self.root, self.root)], ["50 MB are resident"])

    def test_kernel(self) -> None:
        """
        Settings that are too small for an edge.
        """
        for path, text in (
            ("net/core/somaxconn", "128"),
            ("net/ipv4/tcp_syncookies", "0"),
            ("net/ipv4/ip_local_port_range", "60000\t60999"),
            ("fs/inotify/max_user_watches", "100"),
            ("net/netfilter/nf_conntrack_count", "900"),
            ("net/netfilter/nf_conntrack_max", "1000"),
        ):
            self.write(f"sys/{path}", text + "\n")
        found = self.texts(kernel(self.root))
        self.assertEqual(len(found), 5)
        self.assertIn("1000 ports are there for connections to one target (net.ipv4.ip_local_port_range)", found)

    def test_kernelIsWell(self) -> None:
        """
        Settings as they usually are.
        """
        for path, text in (
            ("net/core/somaxconn", "4096"),
            ("net/ipv4/tcp_syncookies", "1"),
            ("net/ipv4/ip_local_port_range", "32768\t60999"),
            ("fs/inotify/max_user_watches", "65536"),
        ):
            self.write(f"sys/{path}", text + "\n")
        self.assertEqual(self.texts(kernel(self.root)), [])

    def test_clock(self) -> None:
        """
        Whether somebody sets it; nothing where that cannot be told.
        """

        class Library:
            def __init__(self, state: int, status: int) -> None:
                self.said = state, status

            def adjtimex(self, buffer: Any) -> int:
                buffer[40:44] = self.said[1].to_bytes(4, "little")
                return self.said[0]

        for state, status, expected in ((0, 0x2001, "ok"), (5, 0, "warning"), (0, 0x40, "warning"), (-1, 0, None)):
            library: Any = Library(state, status)
            check = clock(library)
            self.assertEqual(None if check is None else check.state, expected)

    def test_interpreter(self) -> None:
        """
        One that was built without optimizations is slower.
        """
        self.assertEqual(interpreter("'--enable-optimizations' '--with-lto'").state, "ok")
        self.assertEqual(interpreter("'--enable-shared'").state, "warning")
        self.assertEqual(interpreter("").state, "ok")

    def test_thisOne(self) -> None:
        """
        This machine can be looked at.
        """
        names = {check.name for check in machineChecks(100)}
        self.assertLessEqual({"interpreter", "kernel"}, names)
        self.assertTrue(all(check.advice for check in machineChecks(100) if check.state != "ok"))
        self.assertIn("descriptors", names | ({"descriptors"} if not machine.PROC.exists() else set()))


class WorstTests(SynchronousTestCase):
    """
    How several checks are together.
    """

    def test_worst(self) -> None:
        """
        As the illest of them.
        """
        well, bad, ill = Check("a", "ok", ""), Check("b", "failing", ""), Check("c", "warning", "")
        self.assertEqual([worst([]), worst([well]), worst([well, ill]), worst([ill, bad, well])],
                         ["ok", "ok", "warning", "failing"])  # fmt: skip
