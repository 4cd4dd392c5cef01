"""
All that a path may mean to an origin, and where in a tree of routes it leads by each of these meanings.

A target is forwarded byte for byte, and origins do not agree on what its bytes say. Each of them is a chain of small
steps, some of which it takes and some not, in an order of its own:

- ``%XX`` is decoded: not at all, once, or twice (``%252f``); ``%uXXXX`` and overlong UTF-8 with it, or not;
- ``/`` that was encoded, ``\\`` and ``%5c`` end a segment, or are characters in it;
- ``;`` and what follows it is cut: from the segment, from the rest of the path, before or after decoding, or not;
- ``?``, ``#`` and NUL that come out of decoding end the path, or do not;
- space at the ends of a segment and dots at its end are dropped (Windows), or are not;
- ``.`` and ``..`` are followed, before or after decoding, or are names like others; empty segments count, or do not;
- after ``//`` comes a host (RFC 3986 §4.2), or nothing of the kind.

What origins there are is not known, nor what stands before them. So no list of them is kept here: a path is *read* in
all of these ways at once, each segment by itself and with the steps in any order, which is more than any of them does.
A reading of a segment is a tuple of names, mostly of one; :func:`reached` walks a tree along all of them and says where
they end.

The number of readings of a path is a product; that of the places in a tree where one may be is small. So it is places
that are followed, not paths. There is a bound for hostile ones (:data:`MOST_STEPS`): what cannot be told within it is
as ambiguous as what can.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from revproxy.casefolding import folded
from revproxy.errors import AmbiguousPath

MOST_STEPS = 1024
"""What may be looked at for one path, in all its readings: a hundred plain segments take a hundred."""

MOST_HIDDEN = 128
"""Names that one segment may hide, and malformed escapes in a path; base64 has one slash in 64 characters."""

_STAGE = 4
"""Steps that one more form of a segment counts for, beside one for each name and for each 64 octets in it."""

Names = tuple[bytes, ...]
"""A reading of a segment."""

_HOST = re.compile(rb"/[/\\]+[^/\\]*")
"""A path that begins like ``//host``; browsers' way of reading (WHATWG URL) takes any number of either slash."""

_NEEDLESS = re.compile(rb"%(?:2[14-9a-f]|3[0-9abd]|4[0-9a-f]|5[0-9acf]|6[1-9a-f]|7[0-9ae])(?<!%25)", re.IGNORECASE)
"""An octet that stands for itself in a path (RFC 3986 §3.3), or separates, and yet is encoded: not everyone sees it."""

_INVALID = re.compile(rb"%(?![0-9a-fA-F]{2})")
_WIDE = re.compile(rb"%u([0-9a-f]{4})", re.IGNORECASE)
_OVERLONG = re.compile(rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]{2}")
_MARKS = (b";", b"?", b"#", b"\0")
_MARK = re.compile(rb"[;?#\0]")
# A name that may have something at one of its ends that may be dropped; beyond ASCII this is not looked at closely.
_LOOSE = re.compile(rb"(?:\A|/)[\0-\x20\x7f-\xff]|[\0-\x20.\x7f-\xff](?:\Z|/)")
_WHITE = "".join(chr(code) for code in range(0x3001) if code < 0x21 or code == 0x7F or chr(code).isspace())

# As numbers: Python looks for these in bytes in a sixth of the time.
_PERCENT, _SEMICOLON, _BACKSLASH = b"%;\\"

# What stands for itself in every reading; a dot does unless it is the last.
_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,=:@"


class Node(Protocol):
    """A place in a tree of names."""

    @property
    def children(self) -> Mapping[bytes, Any]:
        """The nodes below, by name."""


class Budget:
    """
    How much may still be looked at.

    :ivar steps: so many steps.
    """

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps = MOST_STEPS

    def take(self, steps: int) -> None:
        """:raises AmbiguousPath: if there are not so many any more."""
        self.steps -= steps
        if self.steps < 0:
            raise AmbiguousPath(f"more than {MOST_STEPS} steps to find all readings of the path")


def reached(root: Node, path: bytes, folds: bool = False) -> set[Any]:
    """
    The nodes at which the readings of a path end: for each, the last on its way that the tree has.

    :param root: no reading leads above it.
    :param path: from its first slash, without query.
    :param folds: whether names are compared in any case; the tree then holds them as :func:`folded` gives them.
    :raises AmbiguousPath: if there are more readings than can be followed, or more malformed escapes.
    """
    if not root.children:
        return {root}
    if path.count(b"%") > MOST_HIDDEN and len(_INVALID.findall(path)) > MOST_HIDDEN:
        raise AmbiguousPath(f"more than {MOST_HIDDEN} malformed escapes")
    budget = Budget()
    nodes: set[Any] = set()
    # A backslash that is not encoded may also be a slash to those to whom an encoded one is none.
    for text in (path, path.replace(b"\\", b"/")) if _BACKSLASH in path else (path,):
        nodes |= _ends(root, text, folds, budget)
        host = _HOST.match(text)
        if host is not None:
            nodes |= _ends(root, b"/" + text[host.end() + 1 :], folds, budget)
    return nodes


# Where one has come to: the nodes from the root on, and how many names, which the tree does not have, below the last.
_Place = tuple[tuple[Any, ...], int]


def _ends(root: Node, path: bytes, folds: bool, budget: Budget) -> set[Any]:
    climbs = False
    places: set[_Place] = {((root,), 0)}
    ended: set[_Place] = set()
    # What stands before the first slash is nothing.
    for segment in path.split(b"/")[1:]:
        if not climbs and all(below or not nodes[-1].children for nodes, below in places):
            climbs = _mayClimb(path)
            if not climbs:
                break
        if not segment.translate(None, _PLAIN) and segment[-1:] != b".":
            places = _walked(places, (segment,), folds, budget)
            continue
        onward, final = segmentReadings(segment, budget)
        places, before = set(), places
        for reading in onward:
            places |= _walked(before, reading, folds, budget)
        for reading in final:
            ended |= _walked(before, reading, folds, budget)
    return {nodes[-1] for nodes, _ in places | ended}


def _mayClimb(path: bytes) -> bool:
    """Whether any reading has a ``..``; where none has, what lies below all routes need not be looked at."""
    if path.find(b"..") >= 0:
        return True
    if _PERCENT not in path:
        return False
    once = twice = unquote_to_bytes(path)
    if _PERCENT in once:
        if _WIDE.search(once):
            return True
        twice = unquote_to_bytes(once)
    return twice.find(b"..") >= 0 or (not twice.isascii() and _OVERLONG.search(twice) is not None)


def _walked(places: set[_Place], names: Names, folds: bool, budget: Budget) -> set[_Place]:
    for name in names:
        budget.take(len(places))
        places = _stepped(places, folded(name) if folds else name)
    return places


def _stepped(places: set[_Place], name: bytes) -> set[_Place]:
    """Where one may be after a name."""
    after: set[_Place] = set()
    for nodes, below in places:
        if not name or name == b".":
            after.add((nodes, below))
        elif name == b"..":
            after.add((nodes, below - 1) if below else (nodes[:-1] or nodes, 0))
        elif not below:
            child = nodes[-1].children.get(name)
            if child is not None:
                after.add(((*nodes, child), 0))
                continue
        after.add((nodes, below + 1))
    return after


def segmentReadings(segment: bytes, budget: Budget) -> tuple[set[Names], set[Names]]:
    """
    What may be meant by what stands between two slashes: what becomes of it by any of the steps, in any order.

    :returns: readings after which the path goes on, and those with which it ends.
    :raises AmbiguousPath: if the budget is exceeded, or the segment hides too many slashes.
    """
    onward: set[Names] = set()
    final: set[Names] = set()
    first: _Stage = (segment,), 0, False
    seen = {first}
    fresh = [first]
    while fresh:
        stage = fresh.pop()
        names, times, ends = stage
        text = b"/".join(names)
        budget.take(_STAGE + len(names) + len(text) // 64)
        if len(names) > MOST_HIDDEN:
            raise AmbiguousPath(f"more than {MOST_HIDDEN} names hidden in a segment")
        _keep(names, times, text, final if ends else onward)
        for later in _later(stage, text):
            if later not in seen:
                seen.add(later)
                fresh.append(later)
    return onward, final


# Names, how often they have been decoded, and whether the path ends with them.
_Stage = tuple[Names, int, bool]


def _later(stage: _Stage, text: bytes) -> Iterator[_Stage]:
    """
    What may become of a segment by one more step.

    :param text: the names as one: they are without slashes, or some of their slashes are none.
    """
    names, times, ends = stage
    if _PERCENT in text and times < 2:
        yield tuple([unquote_to_bytes(name) for name in names]), times + 1, ends
        if _WIDE.search(text):
            yield tuple([_WIDE.sub(_narrowed, name) for name in names]), times, ends
    if not text.isascii() and _OVERLONG.search(text):
        yield tuple([_OVERLONG.sub(_shortest, name) for name in names]), times, ends
    if text.count(b"/") >= len(names):
        yield tuple(text.split(b"/")), times, ends
    if _BACKSLASH in text:
        yield tuple([piece for name in names for piece in name.split(b"\\")]), times, ends
    if _MARK.search(text):
        if _SEMICOLON in text:
            yield tuple([name.partition(b";")[0] for name in names]), times, ends
        for mark in _MARKS:
            if text.find(mark) >= 0:
                yield _cut(names, mark), times, True


def _cut(names: Names, mark: bytes) -> Names:
    """Without the first mark and all that follows."""
    for index, name in enumerate(names):
        head, found, _ = name.partition(mark)
        if found:
            return (*names[:index], head)
    return names


def _keep(names: Names, times: int, text: bytes, readings: set[Names]) -> None:
    """Add a reading, and those in which what stands loosely at the ends of its names is dropped."""
    if not times and _PERCENT in text:
        # What cannot be written but encoded is no other name for not being decoded.
        names = tuple([name if _NEEDLESS.search(name) else unquote_to_bytes(name) for name in names])
        text = b"/".join(names)
    readings.add(names)
    if _LOOSE.search(text):
        bare = tuple([_bare(name) for name in names])
        readings.update((bare, tuple([_undotted(name) for name in names]), tuple([_undotted(name) for name in bare])))


def _narrowed(match: re.Match[bytes]) -> bytes:
    """``%u002f`` as IIS reads it; full-width characters as the ones they look like."""
    code = int(match[1], 16)
    if 0xFF01 <= code <= 0xFF5E:
        code -= 0xFEE0
    return chr(code).encode("utf-8", "surrogatepass")


def _shortest(match: re.Match[bytes]) -> bytes:
    """What lenient decoders of UTF-8 make of more octets than needed (RFC 3629 §3)."""
    code = 0
    for octet in match[0][1:]:
        code = code << 6 | octet & 0x3F
    return chr(code | (match[0][0] & 0x1F) << 6 if len(match[0]) == 2 else code).encode("utf-8", "surrogatepass")


def _bare(name: bytes) -> bytes:
    """Without white space around it, as applications strip what they are given."""
    try:
        return name.decode().strip(_WHITE).encode()
    except UnicodeDecodeError:
        return name.decode("latin-1").strip(_WHITE).encode("latin-1")


def _undotted(name: bytes) -> bytes:
    """Without dots and spaces at its end, as file systems of Windows have it."""
    dots = name.rstrip(b" ")
    return dots if dots in (b".", b"..") else name.rstrip(b". ")
