"""
The filter of system calls: a list of those that are allowed, in the kernel's own little language (BPF).

Everything is answered by number and, for a few, by argument::

    another machine's call (x32, 32 bits)      the process ends
    above the highest number that we know      ENOSYS: the C library takes the older call
    that no honest code ever makes             the process ends of SIGSYS, and the edge knows it
    allowed                                    allowed, some with certain arguments only
    clone3                                     ENOSYS
    all else                                   EPERM: an exception in Python

Nothing in the list opens anything: no file, no socket, no process. What is open stays, and that is one stream.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from revproxy.isolation.lock.kernel import attempt, call
from revproxy.isolation.lock.step import Step, demand
from revproxy.isolation.lock.syscalls import Machine, thisMachine

KILL: Final = 0x80000000
ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
REFUSE: Final = _ERRNO | errno.EPERM
UNKNOWN: Final = _ERRNO | errno.ENOSYS

_SECCOMP_SET_MODE_FILTER: Final = 1
_PR_GET_SECCOMP: Final = 21

_LOAD, _RETURN = 0x20, 0x06
_EQUAL, _GREATER, _AT_LEAST, _ANY_BIT = 0x15, 0x25, 0x35, 0x45
_NUMBER, _AUDIT, _ARGUMENTS = 0, 4, 16

Instruction = tuple[int, int, int, int]
"""Code, how many to skip if so, how many if not, and the value."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """The lower 32 bits of an argument are one of these: for arguments that the kernel takes as `int`."""

    argument: int
    values: tuple[int, ...]

    def program(self) -> list[Instruction]:
        """Refuses, or goes on behind its end."""
        last = len(self.values)
        tests = [(_EQUAL, last - at, 0, value & 0xFFFFFFFF) for at, value in enumerate(self.values)]
        return [_load(self.argument), *tests, _answer(REFUSE)]


@dataclass(frozen=True, slots=True)
class Without:
    """An argument has none of these bits."""

    argument: int
    bits: int

    def program(self) -> list[Instruction]:
        """Refuses, or goes on behind its end."""
        return [_load(self.argument), (_ANY_BIT, 0, 1, self.bits), _answer(REFUSE)]


@dataclass(frozen=True, slots=True)
class Null:
    """An argument is a null pointer, all 64 bits of it."""

    argument: int

    def program(self) -> list[Instruction]:
        """Refuses, or goes on behind its end."""
        halves = (_load(self.argument), _load(self.argument, 4))
        return [line for half in halves for line in (half, (_EQUAL, 1, 0, 0), _answer(REFUSE))]


Check = OneOf | Without | Null

_PROT_EXEC: Final = 4
_FIONBIO, _FIONREAD, _FIOCLEX, _FIONCLEX = 0x5421, 0x541B, 0x5451, 0x5450
_ASKED_OF_SOCKETS: Final = (socket.SO_TYPE, socket.SO_ERROR, socket.SO_PROTOCOL, socket.SO_DOMAIN)
"""Not who the peer is (SO_PEERCRED), and no descriptor of it (SO_PEERPIDFD)."""
_FUTEX_OPERATIONS: Final = (0, 1, 9, 10)
"""To wait and to wake, with and without a mask: what locks of one thread take. The others have had more faults."""
_FUTEX_FLAGS: Final = (0, 128, 256, 128 | 256)
_F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL = 1, 2, 3, 4


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ALLOWED: Final = _words(
    """
read write readv writev recvfrom close lseek shutdown fstat
epoll_wait epoll_pwait epoll_ctl epoll_create1 poll ppoll select pselect6
munmap mremap brk madvise rt_sigreturn rt_sigaction rt_sigprocmask sigaltstack restart_syscall
clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time getitimer setitimer times getrusage
getrandom getpid gettid getppid getuid geteuid getgid getegid getresuid getresgid uname sysinfo
sched_yield sched_getaffinity getcpu getsockname getpeername exit exit_group
"""
)
"""With any arguments; the most frequent first, for kernels that go through the list at each call (before 5.11)."""

DEADLY: Final = _words(
    """
execve execveat ptrace process_vm_readv process_vm_writev process_madvise unshare setns chroot pivot_root
mount umount2 move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick mount_setattr
io_uring_setup io_uring_enter io_uring_register bpf perf_event_open userfaultfd keyctl add_key request_key
pidfd_open pidfd_getfd pidfd_send_signal kcmp open_by_handle_at name_to_handle_at fanotify_init
init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff iopl ioperm modify_ldt
"""
)
"""What no honest middleware makes: whoever tries one is ended, and the signal says so to the edge."""


def checked(pid: int) -> dict[str, tuple[Check, ...]]:
    """
    Calls that are allowed with certain arguments only.

    :param pid: of the process itself, which may abort itself and signal nobody else.
    """
    return {
        "sendto": (Null(4),),
        "mmap": (Without(2, _PROT_EXEC),),
        "mprotect": (Without(2, _PROT_EXEC),),
        "futex": (OneOf(1, tuple(op | flags for op in _FUTEX_OPERATIONS for flags in _FUTEX_FLAGS)),),
        "ioctl": (OneOf(1, (_FIONBIO, _FIONREAD, _FIOCLEX, _FIONCLEX)),),
        "fcntl": (OneOf(1, (_F_GETFL, _F_SETFL, _F_GETFD, _F_SETFD)),),
        "getsockopt": (OneOf(1, (socket.SOL_SOCKET,)), OneOf(2, _ASKED_OF_SOCKETS)),
        "tgkill": (OneOf(0, (pid,)), OneOf(2, (signal.SIGABRT,))),
    }


def program(machine: Machine, pid: int) -> list[Instruction]:
    """
    The whole filter, for a process of that machine.
    """
    numbers = machine.numbers
    lines: list[Instruction] = [
        (_LOAD, 0, 0, _AUDIT),
        (_EQUAL, 1, 0, machine.audit),
        _answer(KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine.otherCalls is not None:
        lines += [(_AT_LEAST, 0, 1, machine.otherCalls), _answer(KILL)]
    for number in _numbers(numbers, ALLOWED):
        lines += [(_EQUAL, 0, 1, number), _answer(ALLOW)]
    for name, checks in checked(pid).items():
        body = [*(line for check in checks for line in check.program()), _answer(ALLOW)]
        lines += [(_EQUAL, 0, len(body), numbers[name]), *body]
    for number in _numbers(numbers, DEADLY):
        lines += [(_EQUAL, 0, 1, number), _answer(KILL)]
    lines += [(_GREATER, 0, 1, machine.highest), _answer(UNKNOWN)]
    for first, last in machine.gaps:
        lines += [(_AT_LEAST, 0, 2, first), (_GREATER, 1, 0, last), _answer(UNKNOWN)]
    return [*lines, (_EQUAL, 0, 1, numbers["clone3"]), _answer(UNKNOWN), _answer(REFUSE)]


class Filter(Step):
    """
    Puts the filter on. Always the last: the other layers make calls that it refuses.
    """

    name = "seccomp"

    def apply(self) -> None:
        """For this thread and all that it makes, for good."""
        lines = program(thisMachine(), os.getpid())
        code = b"".join(struct.pack("=HBBI", *line) for line in lines)
        buffer = ctypes.create_string_buffer(code, len(code))
        # struct sock_fprog: the number of instructions, and a pointer, aligned.
        head = struct.pack("@HP", len(lines), ctypes.addressof(buffer))
        call("seccomp", _SECCOMP_SET_MODE_FILTER, 0, head)

    def prove(self) -> str:
        """Asks the kernel whether there is one; what it refuses is tried by the probes."""
        # With the filter on, the question itself is refused.
        demand(attempt("prctl", _PR_GET_SECCOMP, 0, 0, 0, 0) == -errno.EPERM, "there is no filter of system calls")
        return f"{len(ALLOWED) + len(checked(0))} calls allowed, {len(DEADLY)} are the end"


def _numbers(numbers: dict[str, int], names: Iterable[str]) -> Iterator[int]:
    """Of those that the machine has: some calls exist on x86-64 only."""
    return (numbers[name] for name in names if name in numbers)


def _load(argument: int, half: int = 0) -> Instruction:
    """The lower or (4) the upper half of an argument, little-endian."""
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * argument + half)


def _answer(what: int) -> Instruction:
    return (_RETURN, 0, 0, what)
