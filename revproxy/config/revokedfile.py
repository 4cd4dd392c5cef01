"""
The file of what does not count any more: a line for each key and version.

    # 2027-03-14: a laptop was stolen
    key:SHA256:pRCuBzuIyPdRVJdQwBYcO9v0XFLM5bTbcWBcVTmTVx0
    sha256:6f1d0a9b77c2…   (64 digits: a version's digest; of a drop-in, its distribution's)

A line that cannot be understood is a problem, and takes nothing from the others: whoever revokes a key at night must
not be kept from it by a slip of the pen in another line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from revproxy.config.problems import Problem, quoted

MAX_BYTES = 4 << 20
"""Bytes that the file may have."""

_ENTRY = re.compile(r"key:SHA256:[A-Za-z0-9+/]{43}=?|key:[0-9a-fA-F]{16}|sha256:[0-9a-fA-F]{64}")
_MINISIGN = re.compile(r"key:[0-9a-fA-F]{16}")


@dataclass(frozen=True, slots=True)
class RevokedFile:
    """
    :ivar entries: ``key:ID`` and ``sha256:DIGEST``.
    :ivar problems: lines that cannot be understood.
    """

    entries: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()


def parseRevoked(data: bytes, source: str) -> RevokedFile:
    """
    Reads what can be read. What follows a ``#``, or a key or version and a space, is for people.

    :param source: what messages call the file.
    """
    entries, problems = set(), []
    for number, line in enumerate(data.decode("utf-8-sig", "replace").splitlines(), 1):
        said = line.partition("#")[0].split()
        if not said:
            continue
        if _ENTRY.fullmatch(said[0]):
            entries.add(_plain(said[0]))
        else:
            column = len(line) - len(line.lstrip()) + 1
            text = (
                f"{quoted(said[0])} revokes nothing; write key:ID, as `revproxy trust` shows it (SHA256: and 43 "
                "letters, or 16 digits), or sha256:DIGEST, with all 64 digits"
            )
            problems.append(Problem(source, number, column, "", text))
    return RevokedFile(frozenset(entries), tuple(problems))


def _plain(entry: str) -> str:
    """Digests are in lower case, and the numbers of minisign's keys in upper case, as everywhere else."""
    if entry.startswith("sha256:"):
        return entry.lower()
    return f"key:{entry[4:].upper()}" if _MINISIGN.fullmatch(entry) else entry.rstrip("=")


__all__ = ["MAX_BYTES", "RevokedFile", "parseRevoked"]
