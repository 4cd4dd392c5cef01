"""
The kernel's machine for filters of system calls, as far as such a filter uses it: to ask one what it would say.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from revproxy.isolation.lock.seccomp import Instruction


def run(lines: Sequence[Instruction], number: int, audit: int, arguments: Sequence[int] = ()) -> int:
    """
    What a filter says to a call.

    :raises AssertionError: for an instruction that the kernel would not take, or that jumps backwards or out.
    """
    words = [*(value & 0xFFFFFFFFFFFFFFFF for value in arguments), *([0] * 6)][:6]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, audit, 0, *words)
    accumulator = at = 0
    while True:
        code, yes, no, value = lines[at]
        at += 1
        if code == 0x20:
            assert value % 4 == 0 and value < len(data), value
            accumulator = struct.unpack_from("<I", data, value)[0]
            continue
        if code == 0x06:
            return value
        tests = {0x15: accumulator == value, 0x25: accumulator > value, 0x35: accumulator >= value}
        holds = bool(accumulator & value) if code == 0x45 else tests[code]
        assert 0 <= yes < 256 and 0 <= no < 256, "a jump is a byte"
        at += yes if holds else no
