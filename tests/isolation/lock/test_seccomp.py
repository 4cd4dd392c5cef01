"""
The filter of system calls, asked call by call; what the kernel makes of it is tried by the attacks.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.lock.seccomp import ALLOW, ALLOWED, DEADLY, KILL, REFUSE, UNKNOWN, checked, program
from revproxy.isolation.lock.syscalls import MACHINES, Machine
from tests.isolation.lock.bpf import run

PID = 4711
MAX = 2**64 - 1

ONLY_X86 = {"epoll_wait", "poll", "select", "time", "iopl", "ioperm", "modify_ldt"}
"""What aarch64 does not have."""


class FilterTests(SynchronousTestCase):
    """
    What it says, on both kinds of machines.
    """

    def says(self, machine: Machine, call: str | int, *arguments: int) -> int:
        """The answer to one call."""
        number = machine.numbers[call] if isinstance(call, str) else call
        return run(program(machine, PID), number, machine.audit, arguments)

    def test_everyNumber(self) -> None:
        """Every number there is has the answer of its list, and those that no list has are refused or unknown."""
        for machine in MACHINES.values():
            names = {number: name for name, number in machine.numbers.items()}
            for number in range(1024):
                name = names.get(number)
                if name in checked(PID):
                    continue
                if name is None or name == "clone3":
                    wanted = UNKNOWN
                else:
                    wanted = ALLOW if name in ALLOWED else KILL if name in DEADLY else REFUSE
                self.assertEqual(self.says(machine, number, *[1] * 6), wanted, f"{machine.name} {number} {name}")

    def test_listsHaveNoTypo(self) -> None:
        """Every name in a list is a call of some machine; only a few are not on aarch64."""
        named = {*ALLOWED, *DEADLY, *checked(PID)}
        self.assertEqual(named - MACHINES["x86_64"].numbers.keys(), set())
        self.assertEqual(named - MACHINES["aarch64"].numbers.keys(), ONLY_X86)
        self.assertEqual(set(ALLOWED) & set(DEADLY), set())

    def test_nothingOpens(self) -> None:
        """No call that makes a descriptor of a name or an address, or a process, is allowed."""
        opens = """open openat openat2 creat socket socketpair connect accept accept4 bind listen sendmsg
        sendmmsg recvmsg recvmmsg dup dup2 dup3 pipe pipe2 memfd_create memfd_secret clone fork vfork stat
        lstat newfstatat statx access faccessat faccessat2 readlink readlinkat getdents getdents64 chdir kill
        tkill rt_sigqueueinfo rt_tgsigqueueinfo prlimit64 setrlimit prctl seccomp shmat shmget
        remap_file_pages pkey_mprotect personality setuid setresuid sched_setaffinity setpriority splice tee
        vmsplice sendfile landlock_restrict_self"""
        for machine in MACHINES.values():
            for name in opens.split():
                if name in machine.numbers:
                    self.assertEqual(self.says(machine, name), REFUSE, f"{machine.name} {name}")

    def test_otherMachine(self) -> None:
        """A call by another machine's convention is the end, whatever its number."""
        for machine in MACHINES.values():
            for audit in (0x40000003, 0x40000028, 0xC00000B7 ^ machine.audit, 0):
                self.assertEqual(run(program(machine, PID), machine.numbers["read"], audit), KILL)

    def test_x32(self) -> None:
        """On x86-64, the calls of x32 are the end: they are the same calls under other numbers."""
        machine = MACHINES["x86_64"]
        for number in (0x40000000, 0x40000000 + machine.numbers["read"], 0xFFFFFFFF):
            self.assertEqual(self.says(machine, number), KILL)

    def test_newerCalls(self) -> None:
        """What came after our table is answered as a kernel does that does not have it: the C library falls back."""
        for machine in MACHINES.values():
            self.assertEqual(self.says(machine, machine.highest), REFUSE)
            self.assertEqual(self.says(machine, machine.highest + 1), UNKNOWN)
            self.assertEqual(self.says(machine, 0x3FFFFFFF), UNKNOWN)

    def test_noCode(self) -> None:
        """Memory may be had and changed, but not executed."""
        for machine in MACHINES.values():
            for name in ("mmap", "mprotect"):
                self.assertEqual(self.says(machine, name, 0, 4096, 3), ALLOW)
                for protection in (4, 5, 7, MAX):
                    self.assertEqual(self.says(machine, name, 0, 4096, protection), REFUSE)

    def test_noAddress(self) -> None:
        """What is sent goes where the socket is connected to: an address is refused, in either half of the pointer."""
        for machine in MACHINES.values():
            self.assertEqual(self.says(machine, "sendto", 3, 1, 1, 0, 0, 0), ALLOW)
            for pointer in (1, 1 << 31, 1 << 32, 1 << 63):
                self.assertEqual(self.says(machine, "sendto", 3, 1, 1, 0, pointer, 16), REFUSE)

    def test_noSignals(self) -> None:
        """A process may abort itself, and signal neither others nor itself in another way: it might stop."""
        for machine in MACHINES.values():
            self.assertEqual(self.says(machine, "tgkill", PID, PID, 6), ALLOW)
            for pid, signal in ((PID, 19), (PID, 0), (1, 6), (PID + 1, 6)):
                self.assertEqual(self.says(machine, "tgkill", pid, pid, signal), REFUSE)

    def test_fewControls(self) -> None:
        """Of ioctl, fcntl and futex, what a socket and a lock take."""
        for machine in MACHINES.values():
            for name, good, bad in (
                ("ioctl", (0x5421, 0x541B), (0x5412, 0x5401, 0)),
                ("fcntl", (1, 2, 3, 4), (0, 8, 10, 1030)),
                ("futex", (0, 1, 128, 129, 393), (3, 4, 6, 11, 12, 13, 134)),
            ):
                for value in good:
                    self.assertEqual(self.says(machine, name, 3, value), ALLOW, f"{name} {value}")
                for value in bad:
                    self.assertEqual(self.says(machine, name, 3, value), REFUSE, f"{name} {value}")

    def test_sockets(self) -> None:
        """Of a socket it may be asked what kind it is and what went wrong; not who is at the other end."""
        for machine in MACHINES.values():
            for level, name, wanted in ((1, 3, ALLOW), (1, 4, ALLOW), (1, 17, REFUSE), (1, 77, REFUSE), (6, 3, REFUSE)):
                self.assertEqual(self.says(machine, "getsockopt", 3, level, name), wanted, f"{level} {name}")

    def test_length(self) -> None:
        """The kernel takes 4,096 instructions."""
        for machine in MACHINES.values():
            self.assertLess(len(program(machine, PID)), 512)
