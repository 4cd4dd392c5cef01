"""The file of what is revoked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.revokedfile import parseRevoked

DIGEST = "6f" * 32
KEY = f"SHA256:{'AbC/+' * 8}xyz"


class RevokedFileTests(SynchronousTestCase):
    """Lines, and what is wrong with some of them."""

    def test_entries(self) -> None:
        """Keys and versions, with comments and empty lines; in the case that they have elsewhere."""
        text = f"# stolen\n\nkey:{KEY}=  # a laptop\n  sha256:{DIGEST.upper()} a hole\nkey:0123456789abcdef\r\n"
        found = parseRevoked(text.encode(), "revoked")
        self.assertEqual(found.entries, {f"key:{KEY}", f"sha256:{DIGEST}", "key:0123456789ABCDEF"})
        self.assertEqual(found.problems, ())

    def test_problems(self) -> None:
        """What cannot be understood is told with its place; the rest counts."""
        found = parseRevoked(f"sha256:6f\n  SHA256:x\nsha256:{DIGEST}\n".encode(), "revoked")
        self.assertEqual(found.entries, {f"sha256:{DIGEST}"})
        self.assertEqual([str(problem)[:13] for problem in found.problems], ["revoked:1:1: ", "revoked:2:3: "])

    def test_noKey(self) -> None:
        """What cannot be the id of a key revokes none, and that is said: at night nobody looks twice."""
        for said in ("alice", KEY[:-1], KEY.lower(), f"{KEY}A", KEY.removeprefix("SHA256:"), "0123456789abcde", DIGEST):
            found = parseRevoked(f"key:{said}\n".encode(), "revoked")
            self.assertEqual((len(found.entries), len(found.problems)), (0, 1), said)
            self.assertIn("as `revproxy trust` shows it", str(found.problems[0]))

    @given(st.binary(max_size=300), st.booleans())
    def test_any(self, data: bytes, isFirst: bool) -> None:
        """Whatever else is in it, a line that revokes something does."""
        line = f"sha256:{DIGEST}".encode()
        text = line + b"\n" + data if isFirst else data + b"\n" + line
        self.assertIn(f"sha256:{DIGEST}", parseRevoked(text, "revoked").entries)
