"""Tokens as people have them."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.token import ID, digestOf, idOf, newCode, newToken


class TokenTests(SynchronousTestCase):
    """What is made, and what is recognised."""

    def test_made(self) -> None:
        """Each is another, and says its id."""
        made = [newToken() for _ in range(100)]
        self.assertEqual(len({token for _, token in made}), 100)
        for number, token in made:
            self.assertRegex(token, r"^rvp_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$")
            self.assertEqual(idOf(token), number)
            self.assertTrue(re.search(ID, number))
            self.assertRegex(digestOf(token), r"^[0-9a-f]{64}$")
        self.assertEqual(len({newCode() for _ in range(100)}), 100)

    def test_broken(self) -> None:
        """What was cut off, mistyped or is another thing is none."""
        _, token = newToken()
        other = "B" if token[20] == "A" else "A"
        for broken in ("", "rvp", token[:-1], token + "0", token[:20] + other + token[21:], token.upper() + "x",
                       token.replace("rvp", "rvq"), token[:-1] + "é", f" {token}", f"{token}\n"):
            self.assertIsNone(idOf(broken), broken)
