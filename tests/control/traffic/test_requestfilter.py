"""
Which requests fit.
"""

from __future__ import annotations

import re
from time import perf_counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.traffic.requestfilter import FilterError, RequestFilter
from revproxy.requestrecord import ArmMet
from tests.control.traffic.records import batch, record

PARTS = ("status", "client", "arm", "path", "slower", "since", "host", "method", "id")

NOW = 1_700_000_000.0


def fits(values: dict[str, Any], **more: Any) -> bool:
    """
    Whether a request fits; what is said of its bytes must agree.
    """
    wanted = RequestFilter.of(values, NOW)
    one = record(**more)
    result = wanted.fits(one)
    if result:
        assert wanted.mayBeIn(batch(one)), values
    return result


class PartTests(SynchronousTestCase):
    """
    Each part of a filter.
    """

    def assertFits(self, values: dict[str, Any], *those: dict[str, Any]) -> None:
        """
        All of those fit.
        """
        for more in those:
            self.assertTrue(fits(values, **more), (values, more))

    def assertNot(self, values: dict[str, Any], *those: dict[str, Any]) -> None:
        """
        None of those fits.
        """
        for more in those:
            self.assertFalse(fits(values, **more), (values, more))

    def test_arm(self) -> None:
        """
        Which of two versions it met, of any plugin or of one.
        """
        met = {"arms": (ArmMet("auth", "2.0", True), ArmMet("tag", "1.0", False))}
        for text in ("candidate", "running", "auth:candidate", "tag:running"):
            self.assertFits({"arm": text}, met)
        for text in ("auth:running", "tag:candidate", "other:candidate"):
            self.assertNot({"arm": text}, met)
        self.assertNot({"arm": "running"}, {})
        for text in ("canary", "auth", "auth:", ":new"):
            error = self.assertRaises(FilterError, RequestFilter.of, {"arm": text}, NOW)
            self.assertIn("write candidate or running", str(error))

    def test_nothing(self) -> None:
        """
        Without any part every request fits; so it does where parts are empty.
        """
        self.assertFits({}, {})
        self.assertFits({"route": None, "status": "", "plugin": None}, {})

    def test_status(self) -> None:
        """
        A class, a status, a range, or several of these.
        """
        self.assertFits({"status": "5xx"}, {"status": 500}, {"status": 599})
        self.assertNot({"status": "5xx"}, {"status": 499}, {"status": 200})
        self.assertFits({"status": "404, 500-502"}, {"status": 404}, {"status": 502})
        self.assertNot({"status": "404,500-502"}, {"status": 403}, {"status": 503})

    def test_plugin(self) -> None:
        """
        It has answered, failed, or was passed over after a failure; that it ran is not enough.
        """
        self.assertFits(
            {"plugin": "auth"},
            {"interruptedBy": "auth"},
            {"pluginErrors": ("other", "auth")},
            {"pluginsSkipped": ("auth",)},
        )
        self.assertNot({"plugin": "auth"}, {}, {"interruptedBy": "auth2"}, {"pluginErrors": ("oauth",)})

    def test_client(self) -> None:
        """
        An address or a network, of both families.
        """
        self.assertFits({"client": "192.0.2.7"}, {"peer": "192.0.2.7"}, {"peer": "::ffff:192.0.2.7"})
        self.assertFits({"client": "192.0.2.0/24,2001:db8::/32"}, {"peer": "192.0.2.255"}, {"peer": "2001:db8::1"})
        self.assertNot({"client": "192.0.2.0/24"}, {"peer": "192.0.3.1"}, {"peer": "2001:db8::1"}, {"peer": "unix"})
        self.assertNot({"client": "2001:db8::/32"}, {"peer": "192.0.3.1"}, {"peer": "-"})

    def test_method(self) -> None:
        """
        In any case: whoever searches does not shout.
        """
        self.assertFits({"method": "get"}, {"method": b"GET"}, {"method": b"get"})
        self.assertNot({"method": "GET"}, {"method": b"HEAD"})

    def test_path(self) -> None:
        """
        What the path begins with; the query is no part of it.
        """
        self.assertFits({"path": "/api"}, {"target": b"/api"}, {"target": b"/api/x?y"}, {"target": b"/apis"})
        self.assertNot({"path": "/api"}, {"target": b"/"}, {"target": b"/x?/api"}, {"target": b"*"})

    def test_glob(self) -> None:
        """
        With a star it is all of the path, and pieces do not overlap.
        """
        self.assertFits({"path": "/api/*/orders"}, {"target": b"/api/7/orders"}, {"target": b"/api/a/b/orders?x=1"})
        self.assertNot({"path": "/api/*/orders"}, {"target": b"/api/orders"}, {"target": b"/api/7/orders/1"})
        self.assertFits({"path": "*.php"}, {"target": b"/x/y.php"})
        self.assertNot({"path": "/ab*ba"}, {"target": b"/aba"})
        self.assertFits({"path": "/ab*ba"}, {"target": b"/abba"})

    def test_host(self) -> None:
        """
        In any case and without port; with a star for a part of it.
        """
        self.assertFits({"host": "SHOP"}, {"host": b"shop:8080"}, {"host": b"Shop"})
        self.assertFits({"host": "*.example.com"}, {"host": b"a.example.com"})
        self.assertNot({"host": "*.example.com"}, {"host": b"example.com"}, {"host": b"a.example.com.evil"})
        self.assertFits({"host": "[::1]"}, {"host": b"[::1]:80"}, {"host": b"[::1]"})

    def test_slower(self) -> None:
        """
        A duration; a number is seconds.
        """
        self.assertFits({"slower": "500ms"}, {"duration": 0.5})
        self.assertFits({"slower": "2"}, {"duration": 2.5})
        self.assertNot({"slower": "500ms"}, {"duration": 0.49})

    def test_since(self) -> None:
        """
        So long ago, or a time; without a zone it is UTC, as what the edge shows.
        """
        utc = "2023-11-14T22:03:20"
        for text in ("10m", "600", str(NOW - 600), f"{utc}Z", utc, "2023-11-14 23:03:20+01:00"):
            self.assertFits({"since": text}, {"startedAt": NOW - 600})
            self.assertNot({"since": text}, {"startedAt": NOW - 601})

    def test_together(self) -> None:
        """
        All parts must fit.
        """
        values = {"status": "5xx", "route": "shop", "plugin": "auth"}
        self.assertFits(values, {"status": 503, "interruptedBy": "auth"})
        self.assertNot(values, {"status": 403, "interruptedBy": "auth"}, {"status": 503})


class RefusalTests(SynchronousTestCase):
    """
    What is no filter says which part, and how to write it.
    """

    def assertRefused(self, name: str, *texts: str) -> None:
        """
        None of the texts will do.
        """
        for text in texts:
            error = self.assertRaises(FilterError, RequestFilter.of, {name: text}, NOW)
            self.assertEqual(error.name, name)
            self.assertLess(len(str(error)), 200)

    def test_refused(self) -> None:
        """
        Texts that are nothing of the kind, and those of somebody who tries.
        """
        self.assertRefused("status", "5x", "5xxx", "0xx", "404;500", "500-404", "4 4", ",", "-", "99999", "٤٠٤")
        self.assertRefused("client", "10.0.0", "10.0.0.1/8", "shop", "::g", ",")
        self.assertRefused("path", "api", "/api?x=1", "[a-z]*")
        self.assertRefused("slower", "-1", "fast", "1 s", "nan", "1e9", "inf")
        self.assertRefused("since", "yesterday", "-1h", "2026-13-01", "nan", "T" * 256)

    def test_words(self) -> None:
        """
        What to write stands in the message.
        """
        error = self.assertRaises(FilterError, RequestFilter.of, {"status": "5x"}, NOW)
        self.assertEqual(str(error), "status: '5x' is none; write 5xx, 404 or 400-499, or several with commas")


class HostileTests(SynchronousTestCase):
    """
    Whoever searches cannot hold the loop with what is searched for.
    """

    def test_stars(self) -> None:
        """
        Many stars take the time of one look through the text: a regular expression would take minutes.
        """
        wanted = RequestFilter.of({"path": "/" + "*a" * 120 + "b"}, NOW)
        one = record(target=b"/" + b"a" * 8000)
        began = perf_counter()
        self.assertFalse(wanted.fits(one))
        self.assertLess(perf_counter() - began, 0.05)

    @settings(deadline=None, max_examples=200)
    @given(st.text(alphabet="ab*", max_size=8), st.text(alphabet="ab", max_size=10))
    def test_globs(self, pattern: str, text: str) -> None:
        """
        Globs fit what the same regular expression fits.
        """
        wanted = RequestFilter.of({"path": "/*" + pattern}, NOW)
        expression = re.compile("/.*" + pattern.replace("*", ".*"))
        target = "/" + text
        self.assertEqual(wanted.fits(record(target=target.encode())), expression.fullmatch(target) is not None)

    @settings(deadline=None, max_examples=200)
    @given(st.sampled_from(PARTS), st.text(max_size=30))
    def test_anything(self, name: str, text: str) -> None:
        """
        Any text is a filter, or refused as one.
        """
        try:
            wanted = RequestFilter.of({name: text}, NOW)
        except FilterError:
            return
        wanted.fits(record())
        wanted.mayBeIn(batch(record()))
