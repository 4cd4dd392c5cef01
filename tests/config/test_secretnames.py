"""Secrets that stand in plain text."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.secretnames import isSecretName, textWithout, withoutSecrets
from revproxy.secrets import MASK


class NameTests(SynchronousTestCase):
    """`isSecretName`."""

    def test_secrets(self) -> None:
        """In any spelling, at the end of a name."""
        for name in (
            "password", "PASSWD", "db_password", "apiKey", "API-KEY", "api_keys", "client_secret", "clientSecret",
            "X-Auth-Token", "Authorization", "Proxy-Authorization", "signing_key", "private-key", "accessToken",
            "secrets", "tokens", "credentials", "passphrase", "slack",
        ):  # fmt: skip
            self.assertTrue(isSecretName(name), name)

    def test_others(self) -> None:
        """What only sounds like one is none."""
        for name in ("token_lifetime", "bypass", "key", "keys", "monkey", "compass", "password_length", "spin"):
            self.assertFalse(isSecretName(name), name)


class ValueTests(SynchronousTestCase):
    """`withoutSecrets`."""

    def test_masked(self) -> None:
        """Texts and numbers, also within lists and objects under such a name."""
        value: dict[str, Any] = {
            "password": "Krikkit-1", "deep": [{"apiKey": "Krikkit-2"}], "secrets": ["Krikkit-3"],
            "tokens": {"ann": "Krikkit-4"}, "pass": 424242, "users": {"ann": "$2b$12$KrikkitKrikkitKrikkit"},
            "url": "https://ann:Krikkit-5@h/x", "hash": "{SHA}KrikkitKrikkitKrikkitKri=",
        }  # fmt: skip
        shown = withoutSecrets(value)
        text = json.dumps(shown)
        self.assertNotIn("Krikkit", text)
        self.assertNotIn("424242", text)
        self.assertEqual(shown["url"], f"https://{MASK}@h/x")
        self.assertEqual(shown["tokens"], {"ann": MASK})
        self.assertEqual(shown["deep"], [{"apiKey": MASK}])

    def test_kept(self) -> None:
        """What says nothing stays, and so do references."""
        value = {
            "password": {"$env": "NAME"}, "token": None, "secret": True, "api_key": "", "url": "https://h/a@b",
            "list": [1, 2.5, "x"], "mail": "ann@example.com", "price": "$5",
        }  # fmt: skip
        self.assertEqual(withoutSecrets(value), value)

    def test_deep(self) -> None:
        """However deep it is."""
        value: Any = "Krikkit"
        for _ in range(5000):
            value = [value]
        self.assertNotIn("Krikkit", repr(withoutSecrets(value))[-500:])

    def test_text(self) -> None:
        """URLs within a text."""
        self.assertEqual(textWithout("to http://a:b@c:1/d and x@y"), f"to http://{MASK}@c:1/d and x@y")
        self.assertEqual(textWithout("http://h/?a=b&api_key=c&x"), f"http://h/?a=b&api_key={MASK}&x")
