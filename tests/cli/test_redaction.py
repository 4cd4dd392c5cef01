"""What whoever is sent something of an edge must not have."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.cli.redaction import CLIENT, Redaction
from revproxy.secrets import MASK


class RedactionTests(SynchronousTestCase):
    """Values, as an edge tells them."""

    def test_byName(self) -> None:
        """What stands under the name of a secret is masked, however short; other names are other things."""
        others = {"token_lifetime": "5m", "keys": ["a"], "password": None}
        value = {"api_key": "x", "deep": [{"Client-Secret": "y"}], "tokens": ["z", {"a": 7}], **others}
        self.assertEqual(Redaction().of(value), {
            "api_key": MASK, "deep": [{"Client-Secret": MASK}], "tokens": [MASK, {"a": MASK}], **others,
        })  # fmt: skip

    def test_elsewhere(self) -> None:
        """What was found under such a name is masked wherever else it is said, also as JSON or a URL writes it."""
        redaction = Redaction()
        redaction.learn({"plugins": [{"config": {"password": 'Zaphod "B" Beeblebrox/1'}}]})
        for text in (
            'no: Zaphod "B" Beeblebrox/1!',
            r"no: Zaphod \"B\" Beeblebrox/1",
            "?p=Zaphod%20%22B%22%20Beeblebrox/1",
        ):
            self.assertNotIn("Beeblebrox", redaction.of({"text": [text]})["text"][0])
            self.assertNotIn("Beeblebrox", redaction.text(text))

    def test_queries(self) -> None:
        """Of a target its path is left."""
        self.assertEqual(Redaction().of({"target": "/a/b?token=c"}), {"target": f"/a/b?{MASK}"})
        self.assertEqual(Redaction().of({"target": "/a/b"}), {"target": "/a/b"})

    def test_clients(self) -> None:
        """Addresses of clients are none, wherever they are said; those of targets, and loopback, stay."""
        redaction = Redaction()
        addresses = ["203.0.113.7", "10.0.0.5", "127.0.0.1", "2001:db8::7", "nobody"]
        redaction.learnClients(addresses, "http://10.0.0.5:80")
        text = "203.0.113.7, 2001:db8::7 via 10.0.0.5, 127.0.0.1"
        value = {"peer": "203.0.113.7", "fields": {"user": "ann"}, "text": text}
        self.assertEqual(redaction.of(value), {
            "peer": CLIENT, "fields": None, "text": f"{CLIENT}, {CLIENT} via 10.0.0.5, 127.0.0.1",
        })  # fmt: skip

    def test_kept(self) -> None:
        """They stay where that was asked for; secrets do not."""
        redaction = Redaction(True)
        redaction.learnClients(["203.0.113.7"], "")
        value = {"peer": "203.0.113.7", "text": "203.0.113.7", "secret": "x", "target": "/?a"}
        self.assertEqual(redaction.of(value), {**value, "secret": MASK, "target": f"/?{MASK}"})

    @settings(max_examples=200, deadline=None)
    @given(st.text(st.characters(codec="utf-8"), min_size=9, max_size=30), st.text(max_size=10), st.text(max_size=10))
    def test_any(self, secret: str, before: str, after: str) -> None:
        """Whatever a secret is, it is nowhere in what is written."""
        secret = f"Marvin{secret}"
        redaction = Redaction()
        value: Any = {"token": secret, "said": f"{before}{secret}{after}", secret: [secret]}
        redaction.learn(value)
        written = json.dumps(redaction.of(value))
        self.assertNotIn("Marvin", written)
