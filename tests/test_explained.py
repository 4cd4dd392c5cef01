"""
Names of fields, and never values.
"""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.explained import NO_CHANGES, Changes, Explained, Step, Try, changesOf, decodeExplained, encodeExplained
from revproxy.headers import Field

NAMES = st.sampled_from([b"a", b"b", b"c", b"content-length", b"date"])
FIELDS = st.lists(st.tuples(NAMES, NAMES, st.sampled_from([b"1", b"2"])), max_size=6)


def field(name: bytes, value: bytes) -> Field:
    """
    A field.
    """
    return name, name.title(), value


class ChangesTests(SynchronousTestCase):
    """
    What has become of fields.
    """

    def test_changes(self) -> None:
        """
        Added, changed and taken out.
        """
        before = [field(b"a", b"1"), field(b"b", b"1"), field(b"c", b"1")]
        after = [field(b"b", b"1"), field(b"c", b"2"), field(b"d", b"1")]
        self.assertEqual(changesOf(before, after), Changes(("d",), ("c",), ("a",)))

    def test_order(self) -> None:
        """
        That fields of one name stand in another order, or are one more, is a change; the order of names is none.
        """
        one, two, other = field(b"a", b"1"), field(b"a", b"2"), field(b"b", b"1")
        self.assertEqual(changesOf([one, two], [two, one]), Changes((), ("a",)))
        self.assertEqual(changesOf([one], [one, one]), Changes((), ("a",)))
        self.assertEqual(changesOf([one, other], [other, one]), NO_CHANGES)

    def test_edgesOwn(self) -> None:
        """
        What the edge itself changes is no plugin's doing.
        """
        self.assertEqual(changesOf([], [field(b"date", b"x"), field(b"content-length", b"1")]), NO_CHANGES)

    @settings(deadline=None)
    @given(FIELDS, FIELDS)
    def test_any(self, before: list[Field], after: list[Field]) -> None:
        """
        A name is in one list at most, and in none only if its values are the same.
        """
        changes = changesOf(before, after)
        for name in (b"a", b"b", b"c"):
            old = [each[2] for each in before if each[0] == name]
            new = [each[2] for each in after if each[0] == name]
            text = name.decode()
            told = (text in changes.added, text in changes.changed, text in changes.removed)
            expected = (bool(new and not old), bool(new and old and new != old), bool(old and not new))
            self.assertEqual(told, expected)


class EncodingTests(SynchronousTestCase):
    """
    As it travels.
    """

    def test_thereAndBack(self) -> None:
        """
        What is read is what was written.
        """
        told = Explained(
            "sample",
            (Step("a", "1.0", "handle", 0.5, None, Changes(("x",))),),
            NO_CHANGES,
            None,
            (Try("http://a", "no"),),
            (("a", "probe"),),
            0.25,
            "api",
            "http://b",
        )
        self.assertEqual(decodeExplained(encodeExplained(told)), told)

    def test_newer(self) -> None:
        """
        What a newer worker says besides is passed over.
        """
        newer = ["slow", [], None, None, [], [], None, "", "", 7]
        self.assertEqual(decodeExplained(msgspec.msgpack.encode(newer)), Explained("slow"))
