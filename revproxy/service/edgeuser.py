"""
The user that an edge becomes, which root has started, once the ports are bound.
"""

from __future__ import annotations

import grp
import os
import pwd
import sys
from dataclasses import dataclass

__all__ = ["EdgeUser", "UserError", "userNamed"]


class UserError(Exception):
    """There is no such user or group, or we may not become it; the text says so, and what to do."""


@dataclass(frozen=True, slots=True)
class EdgeUser:
    """
    Whom to become.

    :ivar uid: of the user.
    :ivar gid: of its group.
    :ivar groups: of all the groups it has.
    """

    uid: int
    gid: int
    groups: tuple[int, ...]

    def become(self) -> list[str]:
        """
        Be this user from now on, with no way back.

        :returns: folders that Python imports from and this user cannot read, such as those of a Python in root's home.
        :raises UserError: the system does not let us.
        """
        places = [path for path in sys.path if os.path.isdir(path)]
        try:
            os.setgroups(self.groups)
            os.setgid(self.gid)
            os.setuid(self.uid)
        except OSError as error:
            raise UserError(f"cannot become user {self.uid}, group {self.gid}: {error.strerror}; "
                            "start as root, or without --uid and --gid") from None
        return [path for path in places if not os.access(path, os.R_OK | os.X_OK)]


def userNamed(user: str | None, group: str | None) -> EdgeUser | None:
    """
    The user of these names or numbers.

    :param user: None: whoever we are.
    :param group: None: the user's own group, and all others it has.
    :returns: None, if that is who we are already.
    :raises UserError: there is none, or only root could become it.
    """
    if user is None and group is None:
        return None
    known = _user(user if user is not None else str(os.getuid()), isGroupGiven=group is not None)
    gid = known.gid if group is None else _group(group)
    # With a group of its own choice the user has that one alone: less is asked for, less is given.
    groups = known.groups if group is None or gid in known.groups else (gid,)
    wanted = EdgeUser(known.uid, gid, groups)
    if os.geteuid() != 0:
        if (wanted.uid, wanted.gid) == (os.getuid(), os.getgid()):
            return None
        raise UserError(f"only root may become user {wanted.uid}, group {wanted.gid}; "
                        "start as root, or without --uid and --gid")
    return wanted


def _user(name: str, isGroupGiven: bool) -> EdgeUser:
    try:
        found = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        if name.isdecimal() and isGroupGiven and int(name) < 1 << 32:
            return EdgeUser(int(name), 0, ())
        more = "; a number that has no name needs --gid as well" if name.isdecimal() else ""
        raise UserError(f"--uid: there is no user {name!r} on this machine{more}") from None
    groups = os.getgrouplist(found.pw_name, found.pw_gid)
    return EdgeUser(found.pw_uid, found.pw_gid, tuple(groups))


def _group(name: str) -> int:
    if name.isdecimal() and int(name) < 1 << 32:
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise UserError(f"--gid: there is no group {name!r} on this machine") from None
