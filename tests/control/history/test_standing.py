"""How things stand, and what makes one standing of another."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.history.standing import NOTHING, Standing, applied, differenceOf, linesOf

_names = st.sampled_from("abc")
_hashes = st.sampled_from(["1" * 64, "2" * 64])
_versions = st.builds(lambda digest: {"version": digest[0], "digest": digest}, _hashes)
_pins = st.builds(lambda digest, by: {"digest": digest, "by": by}, _hashes, st.sampled_from(["user", "rollback"]))
_standings = st.builds(
    Standing, st.sampled_from(["", "3" * 64, "4" * 64]), st.dictionaries(_names, _versions),
    st.dictionaries(_names, _pins), st.dictionaries(_names, st.booleans()),
    st.dictionaries(_names, st.just(True)),
)  # fmt: skip


class StandingTests(SynchronousTestCase):
    """`Standing`."""

    @given(_standings, _standings)
    @settings(max_examples=200, deadline=None)
    def test_applied(self, before: Standing, after: Standing) -> None:
        """What is different makes the one of the other, and is nothing where they are equal."""
        difference = differenceOf(before, after)
        self.assertEqual(applied(before, difference), after)
        self.assertEqual(difference == {}, before == after)
        self.assertEqual(before.hash == after.hash, before == after)

    @given(_standings)
    @settings(max_examples=50, deadline=None)
    def test_decoded(self, standing: Standing) -> None:
        """It is what it was after it was written and read."""
        self.assertEqual(Standing.decoded(standing.encoded()), standing)

    def test_hostile(self) -> None:
        """What is none is refused."""
        for data in (b"", b"[]", b"{", b'{"config": 1}', b'{"plugins": []}', b'{"other": {}}', b"null"):
            with self.assertRaises((ValueError, TypeError)):
                Standing.decoded(data)

    def test_lines(self) -> None:
        """People read what has changed."""
        first, second = "1" * 64, "2" * 64
        before = Standing("", {"a": {"version": "1.0", "digest": first}}, {}, {"b": False})
        after = Standing("", {"a": {"version": "2.0", "digest": second}, "d": {"version": "3", "digest": None}},
                         {"a": {"digest": second, "by": "user"}}, {}, {"d": True})  # fmt: skip
        self.assertEqual(linesOf(differenceOf(before, after)), [
            "a: 1.0 (111111111111) → 2.0 (222222222222)", "d: 3 runs", "a: pinned to 222222222222 by user",
            "b: switched as the configuration says", "d: in quarantine, with nothing in its place",
        ])
        self.assertEqual(linesOf(differenceOf(after, NOTHING))[:3], [
            "a: 2.0 (222222222222) runs no more", "d: 3 runs no more", "a: not pinned any more",
        ])
