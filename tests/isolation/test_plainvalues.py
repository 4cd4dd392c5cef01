"""Values of a request between the edge and a locked process."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.plainvalues import (
    MOST,
    MOST_NAMES,
    NotPlain,
    Told,
    changedSince,
    decodedValues,
    isPlain,
    takeOver,
)

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


class ValuesTests(SynchronousTestCase):
    """What is told, and what is heard."""

    def test_changes(self) -> None:
        """Only what has changed is told, None for what is gone; what is not plain stays here."""
        told: Told = {}
        values: dict[str, Any] = {"a": 1, "list": [1], "object": object(), "huge": 2**70, "half": "\ud800"}
        self.assertEqual(msgspec.msgpack.decode(changedSince(told, values)), {"a": 1, "list": [1]})
        self.assertEqual(changedSince(told, values), b"")
        values["list"].append(2)
        del values["a"]
        self.assertEqual(msgspec.msgpack.decode(changedSince(told, values)), {"a": None, "list": [1, 2]})

    def test_takenOver(self) -> None:
        """What a process has said is there, is not told to it again, and what is gone is gone."""
        told: Told = {}
        values: dict[str, Any] = {"a": 1, "b": 2}
        changedSince(told, values)
        takeOver(told, values, {"a": None, "c": [3]})
        self.assertEqual(values, {"b": 2, "c": [3]})
        self.assertEqual(changedSince(told, values), b"")

    def test_tooMany(self) -> None:
        """What would be too many bytes is not told."""
        self.assertEqual(changedSince({}, {"a": b"x" * MOST}), b"")

    def test_plain(self) -> None:
        """Deep things, other classes and other keys are not."""
        deep: Any = 1
        for _ in range(100):
            deep = [deep]
        for value in (deep, {1: 2}, {2}, type("T", (str,), {})("a"), object()):
            self.assertFalse(isPlain(value))

    def test_hostile(self) -> None:
        """Nothing else than plain values is taken from a process."""
        many = msgspec.msgpack.encode({str(n): n for n in range(MOST_NAMES + 1)})
        deep = b"\x81\xa1a" + b"\x91" * 100_000 + b"\x01"
        extension = msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(5, b"x")})
        for data in (b"x", b"\xc1", b"\x91\x01", many, deep, extension, b"\x00" * (MOST + 1)):
            self.assertRaises(NotPlain, decodedValues, data)

    @given(st.dictionaries(st.text(), PLAIN, max_size=4))
    def test_anything(self, values: dict[str, Any]) -> None:
        """What is told is heard as it was, but for None, which is nothing."""
        data = changedSince({}, values)
        self.assertEqual(decodedValues(data), values)

    @given(st.binary(max_size=200))
    def test_anyBytes(self, data: bytes) -> None:
        """Whatever comes is plain, or refused."""
        try:
            values = decodedValues(data)
        except NotPlain:
            return
        self.assertTrue(isPlain(values))
