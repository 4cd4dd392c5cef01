"""
Who else could change the code that the edge runs, or read its keys, by the modes and owners of its files and folders.

The state folder holds the versions that run after a restart and the socket for commands, so it should be its user's
alone. Plugins and revproxy.yaml may belong to somebody else, and to a group that deploys; but nobody wants everybody to
be able to write them. A folder above them matters, too: whoever may write there can put another in its place, unless
the folder is sticky, as /tmp is.

Keys and secrets are to be read by the edge alone. A group may read them, if root has given them to it: that is how many
systems let one user have them.

Findings are warnings and no refusals: there are systems whose modes mean nothing (mounted shares), and containers in
which there is nobody else.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from revproxy.bundles.ignorerules import isPassing
from revproxy.config.settings import Config
from revproxy.regularfile import readFile

MOST = 5
"""Warnings about each path; more would say nothing new."""

_UNKNOWN = 65534
"""The owner that files of users have whom this container does not know."""

_LOOKS = stat.S_IROTH | stat.S_IXOTH

_KEY = b"PRIVATE KEY-----"
"""What a file of keys has in it, of whatever kind they are."""

_KEY_LIMIT = 1 << 20
"""Bytes of one."""

_CODE = "and who can decides what code the edge runs"


def stateWarnings(state: Path, trusted: Collection[int]) -> list[str]:
    """
    Who else may write into the state folder, and what to do about it.

    :param trusted: numbers of the users that may: root, and the one that the edge runs as.
    """
    real = Path(os.path.realpath(state))
    return list(_first(_found(real, trusted)))


def lookWarnings(state: Path) -> list[str]:
    """Whether everybody may look into the state folder, and what to do about it. An edge does that itself."""
    known = _statOf(state)
    if known is None or not known.st_mode & _LOOKS:
        return []
    return [f"{state}: everybody may look into it, and it has what plugins keep; chmod 700 {state}"]


def codeWarnings(paths: Collection[Path]) -> list[str]:
    """Which of these files and folders of plugins everybody may write to, and what to do about it."""
    return [warning for path in paths for warning in _first(_open(Path(os.path.realpath(path))))]


def configWarnings(config: Config, file: Path | None) -> list[str]:
    """
    What others can do to the files that a configuration names: write what decides which code runs, read keys and
    secrets. Blocks.

    :param file: of the configuration itself, if there is one.
    """
    code = (file, config.plugins.directory, config.trust.lock, config.trust.revoked)
    admin = None if config.admin is None else config.admin.tls
    sections = (*(listener.tls for listener in config.listeners), admin)
    keys = [tls.certificates for tls in sections if tls is not None]
    keys += [each.tls.certificate for each in config.upstreams.values() if each.tls.certificate is not None]
    public = {signer.key for signer in config.trust.signers}
    return [
        *codeWarnings([path for path in code if path is not None]),
        *keyWarnings(keys),
        *secretWarnings(Path(path) for path, text in config.referredFiles.items() if text.strip() not in public),
    ]


def keyWarnings(paths: Iterable[Path]) -> list[str]:
    """
    Which of these files others can read, if there is a private key in them, and what to do about it. Blocks.

    :param paths: of files, and of folders, of which the files directly in them count.
    """
    found = (warning for path in _files(paths) for warning in _readable(path, "this private key", isKey=True))
    return list(_first(found))


def secretWarnings(paths: Iterable[Path]) -> list[str]:
    """Which of these files others can read, all of which have secrets in them, and what to do about it. Blocks."""
    return list(_first(warning for path in paths for warning in _readable(path, "this secret", isKey=False)))


def users(*others: int) -> frozenset[int]:
    """The numbers of root, of the user that this process runs as, and others."""
    return frozenset((0, os.geteuid(), *others))


def ownerOf(path: Path) -> int:
    """The number of a path's owner; that of this process's user if there is nothing."""
    known = _statOf(path)
    return os.geteuid() if known is None else known.st_uid


def _first(found: Iterator[str]) -> Iterator[str]:
    for _, warning in zip(range(MOST), found, strict=False):
        yield warning


def _found(state: Path, trusted: Collection[int]) -> Iterator[str]:
    for path in (state, state / "plugins.json", state / "versions"):
        known = _statOf(path)
        if known is None:
            continue
        if known.st_uid not in trusted:
            yield f"{path}: belongs to {_user(known.st_uid)}, {_CODE}; give it to the user that the edge runs as"
        elif (who := _writers(known)) is not None:
            yield f"{path}: {who} may write there, {_CODE}; chmod go-w {path}"
    yield from _replaceable(state, trusted)


def _replaceable(path: Path, trusted: Collection[int]) -> Iterator[str]:
    """Warnings about folders above a path, in which somebody else may put another in its place."""
    for folder in path.parents:
        known = _statOf(folder)
        if known is None:
            continue
        place = f"could put another {path.name} in its place, {_CODE}"
        if known.st_uid not in (*trusted, _UNKNOWN):
            yield f"{folder}: belongs to {_user(known.st_uid)}, who {place}"
        elif not known.st_mode & stat.S_ISVTX and (who := _writers(known)) is not None:
            yield f"{folder}: {who} may write there and {place}; chmod go-w {folder}"


def _open(path: Path) -> Iterator[str]:
    """Warnings about what everybody may write to: a path, what is directly in it, and folders above it."""
    # Not Path.is_dir, which raises where another user may not look.
    within = sorted(_listed(path)) if os.path.isdir(path) else []
    for inner in (path, *within):
        known = _statOf(inner)
        if known is not None and known.st_mode & stat.S_IWOTH:
            yield f"{inner}: everybody may write there, {_CODE}; chmod o-w {inner}"
    for folder in path.parents:
        known = _statOf(folder)
        if known is not None and known.st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
            yield (f"{folder}: everybody may write there and could put another {path.name} in its place, {_CODE}; "
                   f"chmod o-w {folder}")


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in dict.fromkeys(paths):
        yield from sorted(_listed(path)) if os.path.isdir(path) else (path,)


def _readable(path: Path, what: str, isKey: bool) -> Iterator[str]:
    known = _statOf(path)
    if known is None or not stat.S_ISREG(known.st_mode):
        return
    # Most are in order, and need not be read.
    if (who := _readers(known)) is not None and (not isKey or _hasKey(path)):
        yield f"{path}: {who} can read {what}; chmod {'o-r' if known.st_uid == 0 else 'go-r'} {path}"


def _readers(known: os.stat_result) -> str | None:
    """Who can read it besides the owner, and those to whom root has given it; if anybody."""
    if known.st_mode & stat.S_IROTH:
        return "everybody"
    if known.st_mode & stat.S_IRGRP and known.st_uid != 0 and not _isOwn(known):
        return f"group {_group(known.st_gid)}"
    return None


def _hasKey(path: Path) -> bool:
    try:
        return _KEY in readFile(path, _KEY_LIMIT)
    except OSError:
        return False  # whoever needs it reports that


def _writers(known: os.stat_result) -> str | None:
    """Who may write besides the owner, if anybody."""
    if known.st_mode & stat.S_IWOTH:
        return "everybody"
    if known.st_mode & stat.S_IWGRP and not _isOwn(known):
        return f"group {_group(known.st_gid)}"
    return None


def _isOwn(known: os.stat_result) -> bool:
    """Whether the group has no members but the owner: many systems give each user such a group."""
    try:
        owner, group = pwd.getpwuid(known.st_uid), grp.getgrgid(known.st_gid)
    except KeyError:
        return False
    alone = set(group.gr_mem) <= {owner.pw_name}
    return owner.pw_gid == known.st_gid and group.gr_name == owner.pw_name and alone


def _user(number: int) -> str:
    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"user {number}"


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _listed(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not isPassing(path.name)]
    except OSError:
        return []  # whoever reads the folder reports that


def _statOf(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


__all__ = [
    "codeWarnings",
    "configWarnings",
    "keyWarnings",
    "lookWarnings",
    "ownerOf",
    "secretWarnings",
    "stateWarnings",
    "users",
]
