"""
The inside of a locked process for tests: it does what it is told in steps, and says what became of it.

A `Step` of ``updateConfig`` names what is to be done: ``["spin"]``, ``["exit", 3]``, ``["print", "text"]`` …
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from revproxy.isolation.frames import MOST_DOWN, Done, FrameReader, Load, Loaded, Step, Up, decodeDown, encode
from revproxy.isolation.holdpage import HoldPage

_held: list[Any] = []


def serve(fd: int, holdPage: HoldPage) -> None:
    """Until the stream ends."""
    reader = FrameReader(MOST_DOWN)
    while data := os.read(fd, 1 << 16):
        for piece in reader.feed(data):
            frame = decodeDown(piece)
            if isinstance(frame, Load):
                _say(fd, Loaded((frame.name,)))
            elif isinstance(frame, Step):
                what, *arguments = json.loads(frame.argument)
                holdPage.enter(frame.number)
                value = _DEEDS[what](fd, *arguments)
                holdPage.leave()
                _say(fd, Done(frame.number, json.dumps(value).encode()))


def _say(fd: int, frame: Up) -> None:
    os.write(fd, encode(frame))


def _spin(fd: int) -> None:
    while True:
        pass


def _print(fd: int, text: str, times: int = 1) -> None:
    for _ in range(times):
        print(text)


def _take(fd: int, size: int) -> str:
    try:
        _held.append(bytearray(size))
    except MemoryError:
        return "MemoryError"
    return "taken"


def _babble(fd: int, text: str) -> None:
    os.write(fd, text.encode("latin-1"))


def _close(fd: int) -> None:
    os.close(fd)
    _spin(fd)


def _burn(fd: int, loops: int) -> None:
    for _ in range(loops):
        pass


def _about(fd: int) -> dict[str, Any]:
    return {
        "environment": dict(os.environ),
        "arguments": sys.argv,
        "flags": [sys.flags.isolated, sys.flags.no_site],
        "uid": os.getuid(),
    }


_DEEDS: dict[str, Callable[..., Any]] = {
    "about": _about,
    "babble": _babble,
    "burn": _burn,
    "close": _close,
    "exit": lambda fd, code: os._exit(code),
    "forbidden": lambda fd: os.execv("/bin/true", ["true"]),
    "print": _print,
    "spin": _spin,
    "take": _take,
}
