"""Tests for :mod:`revproxy.readings`."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch
from urllib.parse import quote, unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy import readings
from revproxy.errors import AmbiguousPath
from revproxy.readings import MOST_HIDDEN, MOST_STEPS, Budget, Names, reached, segmentReadings


class NodeDouble:
    """A node that knows its path."""

    def __init__(self, path: str = "") -> None:
        self.path = path or "/"
        self.children: dict[bytes, NodeDouble] = {}


def tree(*paths: str) -> NodeDouble:
    """A tree that has these places."""
    root = NodeDouble()
    for path in paths:
        node, so = root, ""
        for name in path[1:].split("/"):
            so += f"/{name}"
            node = node.children.setdefault(name.encode(), NodeDouble(so))
    return root


Alternatives = list[bytes | tuple[bytes, ...]]

SEGMENTS: list[tuple[bytes, Alternatives, Alternatives]] = [
    # What everybody reads alike.
    (b"a", [b"a"], []),
    (b"", [b""], []),
    (b"a.b", [b"a.b"], []),
    (b".", [b"."], []),
    (b"..", [b".."], []),
    (b"caf%C3%A9", [b"caf\xc3\xa9"], []),
    (b"voil%c3%a0", [b"voil\xc3\xa0"], []),
    (b"a%20b", [b"a b"], []),
    (b"100%25", [b"100%"], []),
    (b"100%", [b"100%"], []),
    (b"%zz", [b"%zz"], []),
    # Decoded, or not.
    (b"%61", [b"%61", b"a"], []),
    (b"%2561", [b"%61", b"a"], []),
    (b"%252561", [b"%2561", b"%61"], []),
    (b"%2e%2E", [b"%2e%2E", b".."], []),
    (b"%252e.", [b"%2e.", b"%2e", b".."], []),
    (b"%u0061", [b"%u0061", b"a"], []),
    (b"%u0061%2562", [b"%u0061%62", b"%u0061b", b"a%62", b"ab"], []),
    (b"%uff0e.", [b"%uff0e.", b"%uff0e", b".."], []),
    (b"%c0%ae%c0%ae", [b"\xc0\xae\xc0\xae", b".."], []),
    (b"%f0%80%80%ae", [b"\xf0\x80\x80\xae", b"."], []),
    # A slash, or not.
    (b"a%2Fb", [b"a%2Fb", b"a/b", (b"a", b"b")], []),
    (b"a%252fb", [b"a%2fb", b"a/b", (b"a", b"b")], []),
    (b"a%%32fb", [b"a%%32fb", b"a%2fb", b"a/b", (b"a", b"b")], []),
    (b"a\\b", [b"a\\b", (b"a", b"b")], []),
    (b"a%5cb", [b"a%5cb", b"a\\b", (b"a", b"b")], []),
    (
        b"a%2fb%5cc",
        [b"a%2fb%5cc", b"a/b\\c", (b"a", b"b\\c"), (b"a/b", b"c"), (b"a", b"b", b"c")],
        [],
    ),
    (b"%e0%80%af", [b"\xe0\x80\xaf", b"/", (b"", b"")], []),
    # Cut, or not.
    (b"a;b", [b"a;b", b"a"], [b"a"]),
    (b";", [b";", b""], [b""]),
    (b"..;a", [b"..;a", b".."], [b".."]),
    (b"a%3Bb", [b"a%3Bb", b"a;b", b"a"], [b"a"]),
    (b"a%3bb;c", [b"a%3bb;c", b"a%3bb", b"a;b;c", b"a;b", b"a"], [b"a%3bb", b"a;b", b"a"]),
    (b"a;b%2fc", [b"a;b%2fc", b"a;b/c", b"a", (b"a;b", b"c"), (b"a", b"c")], [b"a"]),
    (
        b"a%2fb;c%2fd",
        [b"a%2fb;c%2fd", b"a/b;c/d", b"a%2fb", b"a/b", (b"a", b"b;c", b"d"), (b"a", b"b", b"d"), (b"a", b"b")],
        [b"a%2fb", b"a/b", (b"a", b"b")],
    ),
    (b"a%3Fb", [b"a?b"], [b"a"]),
    (b"a%23b", [b"a#b"], [b"a"]),
    (b"a%2500", [b"a%00", b"a\0", b"a"], [b"a"]),
    (b"a.", [b"a.", b"a"], []),
    (b"...", [b"...", b""], []),
    (b"..%20", [b".. ", b".."], []),
    (b"a.%0a", [b"a.\n", b"a.", b"a"], []),
    (b"a.%2f%0ab", [b"a.%2f%0ab", b"a./\nb", (b"a.", b"\nb"), (b"a", b"\nb"), (b"a.", b"b"), (b"a", b"b")], []),
    (b"%20a", [b" a", b"a"], []),
    (b"a%0a", [b"a\n", b"a"], []),
    (b"a%c2%a0", [b"a\xc2\xa0", b"a"], []),
    (b"a%a0", [b"a\xa0", b"a"], []),
]


def names(alternatives: Alternatives) -> set[tuple[bytes, ...]]:
    """As the function has them."""
    return {one if isinstance(one, tuple) else (one,) for one in alternatives}


class SegmentTests(SynchronousTestCase):
    """What stands between two slashes."""

    def test_table(self) -> None:
        """Each with all its readings, those after which the path goes on and those that end it."""
        for segment, onward, final in SEGMENTS:
            self.assertEqual(segmentReadings(segment, Budget()), (names(onward), names(final)), segment)

    @given(st.text(st.characters(codec="utf-8", exclude_characters=";?#\\/%\0"), min_size=1))
    def test_plain(self, text: str) -> None:
        """A name without any of these has one reading, however much of it has to be encoded."""
        name = f"a{text}z".encode()
        self.assertEqual(segmentReadings(quote(name, safe="~!$&'()*+,=:@").encode(), Budget()), ({(name,)}, set()))

    @given(st.binary())
    def test_anything(self, segment: bytes) -> None:
        """There is at least one, decoded as everybody does it."""
        try:
            onward, _ = segmentReadings(segment[:100], Budget())
        except AmbiguousPath:
            return
        self.assertIn((unquote_to_bytes(segment[:100]),), onward)


class WalkTests(SynchronousTestCase):
    """Through a tree, along all readings."""

    def reach(self, path: str, *places: str) -> set[str]:
        return {node.path for node in reached(tree(*places), path.encode())}

    def test_table(self) -> None:
        """Where the readings of a path end."""
        for path, expected in (
            ("/", "/"),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("/b/a", "/"),
            ("/a/b/c/d", "/a/b"),
            ("//a", "/ /a"),
            ("/a//b", "/a /a/b"),
            ("/a/./b", "/a /a/b"),
            ("/a/b/..", "/a/b /a"),
            ("/a/x/../b", "/a /a/b"),
            ("/a/x/y/../../b", "/a /a/b"),
            ("/a/x/y/../b", "/a"),
            ("/../a", "/ /a"),
            ("/a/%2e%2e/c", "/a /c"),
            ("/a%2fb", "/ /a/b"),
            ("/a%2fb%2f..", "/ /a /a/b"),
            ("/c\\..\\a", "/ /a /c"),
            ("/a;x/b", "/ /a /a/b"),
            ("/;/a", "/ /a"),
            ("/a%3fx/b", "/ /a"),
            ("//c/a/b", "/ /c /a/b"),
            ("///c/a", "/ /c /a"),
            ("/\\c/a", "/ /c /a"),
            ("/\\c\\a", "/ /c /a"),
            ("/x%2fy/c/a", "/"),
            ("/a%5cx\\%2e%2e/a/b", "/ /a /a/b"),
        ):
            self.assertEqual(self.reach(path, "/a/b", "/c"), set(expected.split()), path)

    def test_anyCase(self) -> None:
        """Names are compared as they are folded."""
        root = tree("/a/b", "/\xe4")
        for path, expected in (("/A/B", "/a/b"), ("/%C3%84", "/\xe4"), ("/x", "/"), ("/A%2fB", "/ /a/b")):
            self.assertEqual({node.path for node in reached(root, path.encode(), folds=True)}, set(expected.split()))

    def test_nothingThere(self) -> None:
        """Where there is nothing to choose from, nothing is looked at."""
        root = tree()
        with patch.object(readings, "segmentReadings", None):
            self.assertEqual(reached(root, b"/" + b"..;%2f" * 1000), {root})

    def test_deadEnd(self) -> None:
        """Nor below the last route, where no way leads up again."""
        calls: list[bytes] = []

        def called(segment: bytes, budget: Budget) -> tuple[set[Names], set[Names]]:
            calls.append(segment)
            return {(segment,)}, set()

        with patch.object(readings, "segmentReadings", called):
            self.assertEqual(self.reach("/a/b/x%2fy/z;1/%E3", "/a/b"), {"/a/b"})
            self.assertEqual(calls, [])
            self.reach("/a/b/x%2fy/z;1/%2e%2e", "/a/b")
            self.assertEqual(calls, [b"x%2fy", b"z;1", b"%2e%2e"])

    def test_hostile(self) -> None:
        """However long and twisted, no path costs more than the bound; what cannot be told within it is refused."""
        units = (
            "..;/", "a/../", "a/..;/", "%2f", "..%2f", "%252f", "%5c..", "\\..", ";/", "a;b/", "//", "%", "%/", "%zz",
            "%c0%ae", "%u002e%u002e/", "%3b", "%3f/", "%2500/", "%253f/", "./", "a%20/", "%2561/", "..%20/", "\\a;%2f/",
        )  # fmt: skip
        refused = 0
        for unit in units:
            path = ("/" + unit * 8192)[:8192].encode()
            steps = self.steps(path)
            self.assertLessEqual(steps, MOST_STEPS, unit)
            refused += steps < 0
        self.assertGreater(refused, len(units) // 2)

    def test_manyForms(self) -> None:
        """What can be taken in thousands of ways is given up, in one segment or in many."""
        knot = b"%25c0%25af%2f%61%u0025\\;%u0025%c0%bb%252f%3f%u0025%2f%u003ba%2500%25u002f%u005c"
        loop = b"a;%2f%3b%5cb/"
        for path in (b"/" + knot, b"/" + loop * 600 + b"..", b"/" + knot * 100, b"/" + (loop + b"..;/") * 400):
            keep, kept = readings._keep, []

            def counted(names: Names, times: int, text: bytes, into: Any, keep: Any = keep, kept: Any = kept) -> None:
                kept.append(len(names) + len(text) // 64)
                keep(names, times, text, into)

            with patch.object(readings, "_keep", counted):
                self.assertRaises(AmbiguousPath, reached, tree("/a/b", "/c"), path)
            self.assertLessEqual(sum(kept) + 4 * len(kept), MOST_STEPS)

    def steps(self, path: bytes) -> int:
        """How often a name is looked at, from any place; -1 if it was too often."""
        count = 0
        stepped = readings._stepped

        def counted(places: set[Any], name: bytes) -> set[Any]:
            nonlocal count
            count += len(places)
            return stepped(places, name)

        with patch.object(readings, "_stepped", counted):
            try:
                reached(tree("/a/b", "/c"), path)
            except AmbiguousPath:
                self.assertLessEqual(count, MOST_STEPS)
                return -1
        return count

    def test_longAndHarmless(self) -> None:
        """What people do write stays within it: long names, many of them, base64."""
        token = "%2F".join(["QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJz"] * MOST_HIDDEN)
        for path in (f"/x/{token}", "/x/" + "%E3%81%82" * 900, "/c/" + "a%20b/" * 1300, "/x/" + "a/" * 1000 + ".."):
            self.assertEqual(len(self.reach(path, "/a/b", "/c")), 1, path[:30])
