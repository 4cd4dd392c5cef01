"""
The files that a listener's certificates are read from, as they were at one moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from revproxy.config.settings import TLSConfig


@dataclass(frozen=True, slots=True)
class PemFiles:
    """
    One folder of certificates, or one file, with the files of client authorities.

    :ivar place: the folder, or the file.
    :ivar digest: of all of them; the same for the same contents.
    :ivar contents: by path, what is in each file that plays a part. To be left unchanged, and never shown: there are
        keys in it.
    :ivar unreadable: by path, why a file could not be read.
    :ivar problem: why the place as a whole could not be read; empty if it could.
    :ivar exists: whether there is such a place.
    """

    place: str
    digest: str
    contents: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)
    unreadable: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    problem: str = ""
    exists: bool = True


def pemKey(tls: TLSConfig) -> str:
    """
    Under which key of a plan's ``certificates`` the files of a listener are: equal for the same files.
    """
    return "\n".join([str(tls.certificates), *map(str, authorityFiles(tls))])


def authorityFiles(tls: TLSConfig) -> list[Path]:
    """
    The files of client authorities that a listener names, for itself and for single hosts, in order.
    """
    files = (tls.clientCA, *(rule.clientCA for rule in tls.hosts.values()))
    return sorted({path for path in files if path is not None})
