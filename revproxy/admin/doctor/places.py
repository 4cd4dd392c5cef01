"""
Folders that something is written in. Everything here may block.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

from revproxy.admin.doctor.check import Check
from revproxy.config.settings import Config
from revproxy.control.custody import configWarnings, lookWarnings, ownerOf, stateWarnings, users

LEAST = 16 << 20
"""Bytes; with fewer, it is a matter of minutes."""

FEW = 256 << 20


def placeChecks(config: Config, file: Path | None = None) -> list[Check]:
    """
    The state folder, that of the access log, and who else may write what the edge runs.

    :param file: of the configuration.
    """
    checks = [folder("state", config.state)]
    if config.logging.access not in (None, "-"):
        checks.append(folder("log", Path(str(config.logging.access)).parent))
    return [*checks, *_custody(config, file)]


def folder(name: str, path: Path) -> Check:
    """
    Whether something can be written there, and how much.

    :param name: of the check.
    """
    try:
        with TemporaryFile(dir=path, prefix=".doctor"):
            pass
        room = os.statvfs(path)
    except OSError as error:
        advice = f"See that {path} is there, and that the edge's user may write in it."
        return Check(name, "failing", f"{path}: nothing can be written: {error.strerror}", advice)
    free = room.f_bavail * room.f_frsize
    text = f"{path}: {free / 2**20:,.0f} MB are free"
    if free < LEAST:
        return Check(name, "failing", text, "Make room: what cannot be written is lost.")
    if room.f_files and room.f_favail < 1000:
        text = f"{path}: {room.f_favail} further files fit on the disk"
        return Check(name, "failing", text, "Delete files: inodes are used up.")
    if free < FEW:
        return Check(name, "warning", text, "Make room.")
    return Check(name, "ok", text)


def _custody(config: Config, file: Path | None) -> Iterator[Check]:
    trusted = users(ownerOf(config.state)) if os.geteuid() == 0 else users()
    found = [*stateWarnings(config.state, trusted), *lookWarnings(config.state), *configWarnings(config, file)]
    for warning in found:
        text, _, advice = warning.rpartition("; ")
        yield Check("custody", "warning", text or advice, f"{advice}." if text else "Take that right away from others.")
    if not found:
        text = "nobody else may write what decides which code runs, or read keys and secrets, as far as can be seen"
        yield Check("custody", "ok", text)
