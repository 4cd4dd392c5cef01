"""By what clients are told apart, and which differences are meant."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.rolloutkeys import clientKey, expectation
from revproxy.config.rolloutpolicy import BY_ADDRESS, ClientKey


class KeyCase(SynchronousTestCase):
    """What is refused says how to write it."""

    def assertRefused(self, read: Any, *pairs: tuple[str, str]) -> None:
        """Each text, and a part of what is said."""
        for text, said in pairs:
            self.assertIn(said, str(self.assertRaises(ValueError, read, text)))


class ClientKeyTests(KeyCase):
    """`clientKey`."""

    def test_all(self) -> None:
        """Each of the four."""
        for text, key in (
            ("address", BY_ADDRESS),
            ("header:X-User", ClientKey("header", "X-User")),
            ("header:Authorization", ClientKey("header", "Authorization")),
            ("cookie:session", ClientKey("cookie", "session")),
            ("cookie", ClientKey("issued")),
        ):
            self.assertEqual(clientKey(text), key)

    def test_refused(self) -> None:
        """What tells no clients apart."""
        self.assertRefused(
            clientKey,
            ("ip", 'write address, header:NAME, cookie:NAME, or cookie for one that the edge issues'),
            ("header", "write address, header:NAME"),
            ("header:", '"" is not the name of a header'),
            ("header:a b", '"a b" is not the name of a header'),
            ("cookie:ä", 'is not the name of a cookie'),
            ("header:Cookie", "write cookie:NAME"),
            ("header:Connection", "belongs to the connection"),
            ("cookie:revproxy_arm", "write by: cookie"),
        )  # fmt: skip


class ExpectationTests(KeyCase):
    """`expectation`."""

    def test_met(self) -> None:
        """A difference is met by its field and kind, or by globs of them; names of headers in any case."""
        for text, field, kind, isMet in (
            ("status", "status", "changed", True), ("status", "target", "changed", False),
            ("header:X-New", "header:x-new", "added", True), ("header:x-new:added", "header:x-new", "added", True),
            ("header:x-new:added", "header:x-new", "removed", False), ("header:x-*", "header:x-a", "changed", True),
            ("values.user:changed", "values.user", "changed", True), ("header:added", "header:added", "removed", True),
            ("*", "raised", "added", True), ("*:removed", "status", "added", False),
            ("values.*", "values.Plan", "added", True), ("request:X-A:*", "request:x-a", "added", True),
            ("others", "others", "changed", True),
        ):  # fmt: skip
            self.assertEqual(expectation(text).isMet(field, kind), isMet, text)

    def test_refused(self) -> None:
        """What calls cannot differ in; an expectation that nothing meets would be silent for ever."""
        self.assertRefused(
            expectation,
            ("statuss", 'did you mean "status"?'),
            ("header", '"header" is nothing that calls can differ in'),
            ("header:", '"header:" is nothing'),
            ("status:new", '"status:new" is nothing'),
            ("x-new", "there are verdict, raised"),
            ("x-*", '"x-*" is nothing'),
            ("header:x-new:addd", '"addd" is no kind of difference; did you mean "added"?'),
            ("request:x-new:new", '"new" is no kind of difference; there are '),
        )
