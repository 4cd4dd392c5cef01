"""
Calls into the kernel that Python has no function for.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any

from revproxy.isolation.lock.syscalls import thisMachine


@cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def attempt(name: str | int, *arguments: Any) -> int:
    """
    Makes a system call.

    :param name: or its number.
    :param arguments: numbers, bytes, None for a null pointer, or what ctypes makes.
    :return: what the kernel says; an error as the negative of its number, as inside the kernel.
    :raises UnknownMachine: on a machine whose numbers are not known.
    """
    number = thisMachine().numbers[name] if isinstance(name, str) else name
    said: int = _libc().syscall(ctypes.c_long(number), *map(_argument, arguments))
    return -ctypes.get_errno() if said == -1 else said


def call(name: str, *arguments: Any) -> int:
    """
    As :func:`attempt`.

    :raises OSError: with the call's name, if the kernel refuses.
    """
    said = attempt(name, *arguments)
    if said < 0:
        raise OSError(-said, f"{name}: {os.strerror(-said)}")
    return said


def prctl(option: int, *arguments: int) -> int:
    """
    What a process says of itself. Arguments that are not given are 0, as the kernel demands.

    :raises OSError: if the kernel refuses, or does not know it.
    """
    return call("prctl", option, *arguments, *([0] * (4 - len(arguments))))


def prepare() -> None:
    """
    Opens the C library, so that nothing is opened later; for whoever forks processes that lock themselves.
    """
    _libc()


def _argument(value: Any) -> Any:
    if value is None:
        return ctypes.c_void_p()
    return ctypes.c_long(value) if isinstance(value, int) else value
