"""
What a path means, for plugins that look at paths themselves.

The origin gets the bytes that the client wrote, and reads them in its own way: ``/pub/..;/admin``, ``/admin%2f`` and
``//admin`` may all be ``/admin`` to it. So a plugin that guards paths does not compare texts. It asks whether any
origin could take the path for one of those it guards::

    guarded = Prefixes(["/admin", "/api/internal"])

    def handle(self, context):
        return not guarded.mayHold(context.request.path) or context.respond(403)

A plugin that is switched on per route needs none of this: the edge does the same for routes.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from revproxy.casefolding import folded
from revproxy.errors import AmbiguousPath
from revproxy.readings import reached

__all__ = ["PLAIN_OCTETS", "Prefixes", "normalised", "targetFault"]

PLAIN_OCTETS = bytes(octet for octet in range(0x21, 0x7F) if octet not in b"#%")
"""What stands for itself in a request target."""


def targetFault(target: bytes) -> str | None:
    """
    What keeps this from being a request target, or None: octets that are in no URL, and NUL in the path, for to some it
    is the end, and to nobody a character. So is ``#``, which some take for the end.

    :param target: a path, and a query if there is one; or an asterisk.
    """
    odd = target.translate(None, PLAIN_OCTETS)
    if odd.strip(b"%"):
        return "a character in the target that does not belong there"
    if odd and b"%00" in target.partition(b"?")[0]:
        return "NUL in the path"
    return None


def normalised(path: bytes) -> bytes:
    """
    The path as routes match it: percent-decoded once, without empty and dot segments (RFC 3986 §5.2.4, §6.2.2).

    Good as a key, for counting or for a log; not for deciding who may come in: see :class:`Prefixes`.

    A trailing slash stays. What climbs above the root stays at the root.

    :param path: from its first slash, without query.
    """
    if b"%" not in path and b"//" not in path and b"/." not in path:
        return path
    kept: list[bytes] = []
    last = b""
    for last in unquote_to_bytes(path).split(b"/"):
        if last == b"..":
            if kept:
                kept.pop()
        elif last and last != b".":
            kept.append(last)
    tail = b"/" if kept and last in (b"", b".", b"..") else b""
    return b"/" + b"/".join(kept) + tail


class _Place:
    """
    A place in the tree of prefixes.

    :ivar children: the places below, by name.
    :ivar holds: whether it is one of the prefixes, or below one.
    """

    __slots__ = ("children", "holds")

    def __init__(self, holds: bool) -> None:
        self.children: dict[bytes, _Place] = {}
        self.holds = holds


class Prefixes:
    """
    Paths, each with all that is below it: ``/api`` is ``/api``, ``/api/`` and ``/api/x``, and not ``/apis``.
    """

    __slots__ = ("_ignoresCase", "_root")

    def __init__(self, paths: Iterable[str], ignoreCase: bool = False) -> None:
        """
        :param paths: as they read when decoded, such as ``"/api"``; a slash at the end makes no difference.
        :param ignoreCase: for origins to whom ``/API`` is the same.
        :raises ValueError: one does not begin with a slash, or is itself none of the paths that everyone reads alike.
        """
        self._ignoresCase = ignoreCase
        self._root = _Place(False)
        for path in paths:
            self._add(path)

    def _add(self, path: str) -> None:
        raw = path.encode("utf-8")
        if not path.startswith("/"):
            raise ValueError(f"a path begins with a slash: {path!r}")
        plain = normalised(raw)
        if plain.rstrip(b"/") != raw.rstrip(b"/") or any(octet in raw for octet in b"%;?#\\\0"):
            raise ValueError(
                f"not everyone reads {path!r} alike: write it decoded, without empty and dot segments, "
                "and without % ; ? # and \\"
            )
        place = self._root
        for name in filter(None, plain.split(b"/")):
            name = folded(name) if self._ignoresCase else name
            place = place.children.setdefault(name, _Place(place.holds))
        _mark(place)

    def mayHold(self, path: str | bytes) -> bool:
        """
        Whether anyone may take a path for one of these, or for one below. What cannot be told is answered True.

        :param path: as the client wrote it: ``context.request.path``. A query is passed over.
        """
        raw = path.encode("latin-1", "replace") if isinstance(path, str) else path
        raw = raw.partition(b"?")[0]
        if self._root.holds:
            return True
        if not raw.startswith(b"/"):
            return False
        try:
            return any(place.holds for place in reached(self._root, raw, self._ignoresCase))
        except AmbiguousPath:
            return True


def _mark(place: _Place) -> None:
    """It is one of the prefixes, and so is all below."""
    place.holds = True
    for below in place.children.values():
        _mark(below)
