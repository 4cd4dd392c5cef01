"""Tests for :mod:`revproxy.cookies`."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.cookies import Cookies, setCookie
from revproxy.headers import Headers


def read(*lines: str) -> Cookies:
    return Cookies.of(Headers.of([("Cookie", line) for line in lines]))


class CookiesTests(SynchronousTestCase):
    """Cookies of a request."""

    def test_read(self) -> None:
        """Whatever a client sends is read as browsers and servers do, in its order."""
        for lines, pairs in (
            (["a=1; b=2"], [("a", "1"), ("b", "2")]),
            (["a=1", "b=2"], [("a", "1"), ("b", "2")]),
            (["a=1;b=2;"], [("a", "1"), ("b", "2")]),
            (["a=1; a=2"], [("a", "1"), ("a", "2")]),
            (['a="x y"'], [("a", '"x y"')]),
            (["a=b=c"], [("a", "b=c")]),
            (["lonely; =x; a="], [("", "lonely"), ("", "x"), ("a", "")]),
            (["; ;\t; "], []),
            ([], []),
        ):
            self.assertEqual(read(*lines).pairs, pairs, lines)

    def test_lookUp(self) -> None:
        """By exact name: the first, or all."""
        cookies = read("a=1; A=2; a=3")
        self.assertEqual((cookies.get("a"), cookies.getAll("a"), cookies.get("A")), ("1", ["1", "3"], "2"))
        self.assertEqual((cookies.get("b"), cookies.get("b", "x"), cookies.getAll("b")), (None, "x", []))
        self.assertEqual(("a" in cookies, "b" in cookies, len(cookies)), (True, False, 3))

    def test_split(self) -> None:
        """A plugin takes some out, and the origin gets the rest in one field."""
        headers = Headers.of([("Cookie", "a=1; track=x"), ("Cookie", "b=2; track=y"), ("X", "y")])
        cookies = Cookies.of(headers)
        cookies.remove("track")
        cookies.writeTo(headers)
        self.assertEqual(list(headers), [("X", "y"), ("Cookie", "a=1; b=2")])
        cookies.keep("b", "c")
        cookies.writeTo(headers)
        self.assertEqual(headers.getAll("Cookie"), ["b=2"])
        cookies.keep()
        cookies.writeTo(headers)
        self.assertNotIn("Cookie", headers)

    def test_set(self) -> None:
        """One of the name is left, where the first was."""
        cookies = read("a=1; b=2; a=3")
        cookies.set("a", "x")
        cookies.set("c", '"y"')
        self.assertEqual(cookies.pairs, [("a", "x"), ("b", "2"), ("c", '"y"')])
        for name, value in (("a b", "1"), ("", "1"), ("a;", "1"), ("a", "x y"), ("a", "x;y"), ("a", "é"), ("a", '"')):
            self.assertRaises(ValueError, cookies.set, name, value)

    def test_nameless(self) -> None:
        """What has no name stays as it was."""
        headers = Headers.of([("Cookie", "x; a=1")])
        Cookies.of(headers).writeTo(headers)
        self.assertEqual(headers.get("Cookie"), "x; a=1")


class SetCookieTests(SynchronousTestCase):
    """``Set-Cookie``."""

    def test_default(self) -> None:
        """It is as safe as may be, unless one asks for less."""
        self.assertEqual(setCookie("a", "1"), "a=1; Path=/; Secure; HttpOnly; SameSite=Lax")
        bare = setCookie("a", "1", path=None, secure=False, httpOnly=False, sameSite=None)
        self.assertEqual(bare, "a=1")

    def test_all(self) -> None:
        """Every attribute, as the standard library reads it."""
        text = setCookie("a", "1", maxAge=60, path="/x", domain="example.com", sameSite="None")
        self.assertEqual(setCookie("a", "1", sameSite="None", partitioned=True).split("; ")[-1], "Partitioned")
        morsel = SimpleCookie(text)["a"]
        self.assertEqual(
            (morsel["max-age"], morsel["path"], morsel["domain"], morsel["secure"], morsel["samesite"]),
            ("60", "/x", "example.com", True, "None"),
        )

    def test_refused(self) -> None:
        """What browsers would drop, or what would split the header, is refused here, by name."""
        refused: list[dict[str, Any]] = [
            {"name": "a b"}, {"value": "x;y"}, {"value": 5}, {"path": "/;x"}, {"path": "/\r\nX: y"},
            {"domain": "é"}, {"maxAge": 1.5}, {"maxAge": True}, {"sameSite": "lax"},
            {"sameSite": "None", "secure": False}, {"partitioned": True, "secure": False},
            {"name": "__Secure-a", "secure": False}, {"name": "__Host-a", "path": "/x"},
            {"name": "__host-a", "domain": "example.com"},
        ]  # fmt: skip
        for change in refused:
            self.assertRaises(ValueError, setCookie, **{"name": "a", "value": "1", **change})
        self.assertIn("__Host-a=1; Path=/; Secure", setCookie("__Host-a", "1"))
