"""Tests for :mod:`revproxy.hostport`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.hostport import splitPort, withoutBrackets


class SplitTests(SynchronousTestCase):
    """`splitPort`."""

    def test_forms(self) -> None:
        """Names and addresses, with a port and without; the last colon counts, and none within brackets."""
        for authority, expected in (
            ("a.example", ("a.example", "")),
            ("a.example:80", ("a.example", "80")),
            ("a.example:", ("a.example", "")),
            ("192.0.2.1:80", ("192.0.2.1", "80")),
            ("[::1]", ("[::1]", "")),
            ("[::1]:80", ("[::1]", "80")),
            ("a:b:c", ("a:b", "c")),
            (":80", ("", "80")),
            ("", ("", "")),
        ):
            self.assertEqual(splitPort(authority), expected, authority)
            self.assertEqual(splitPort(authority.encode()), tuple(part.encode() for part in expected), authority)

    @given(st.from_regex(r"[a-z.]+|\[[0-9a-f:]+\]", fullmatch=True), st.integers(0, 65535))
    def test_whole(self, host: str, port: int) -> None:
        """What was put together comes apart again."""
        self.assertEqual(splitPort(f"{host}:{port}"), (host, str(port)))
        self.assertEqual(splitPort(host), (host, ""))


class BracketsTests(SynchronousTestCase):
    """`withoutBrackets`."""

    def test_both(self) -> None:
        """Only a pair is taken off, and only one."""
        for host, expected in (("[::1]", "::1"), ("a", "a"), ("[::1", "[::1"), ("::1]", "::1]"), ("[[a]]", "[a]")):
            self.assertEqual(withoutBrackets(host), expected)
        self.assertEqual(withoutBrackets(""), "")
