"""Tests for :mod:`revproxy.dataplane.http.errorpage`."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from revproxy import errors
from revproxy.context import Response
from revproxy.dataplane.http.errorpage import errorResponse
from revproxy.errors import BodyTooLarge, EdgeError, PluginMissing, PluginQuarantined, UpstreamError
from revproxy.testing import makeContext


def page(error: EdgeError, accept: str | None = None, id: str = "id-1") -> tuple[Response, str]:
    headers = {} if accept is None else {"Accept": accept}
    response = errorResponse(error, makeContext(headers=headers).request, id)
    return response, response.body.take().decode()


class ErrorPageTests(SynchronousTestCase):
    """What clients are told."""

    def test_plain(self) -> None:
        """Who asks for nothing special gets plain text: status, sentence, id."""
        for accept in (None, "*/*", "image/png", ""):
            response, text = page(UpstreamError("10.0.0.7 refused"), accept)
            self.assertEqual(response.status, 502)
            self.assertEqual(response.headers.get("content-type"), "text/plain; charset=utf-8")
            self.assertEqual(text, f"502 Bad Gateway\n{UpstreamError.text}\nrequest id-1\n")

    def test_html(self) -> None:
        """Browsers get a page, in which nothing foreign is markup."""
        response, text = page(UpstreamError("x"), "text/html,application/xhtml+xml,*/*;q=0.8", "<b>id</b>")
        self.assertEqual(response.headers.get("content-type"), "text/html; charset=utf-8")
        self.assertIn("<h1>502 Bad Gateway</h1>", text)
        self.assertIn("&lt;b&gt;id&lt;/b&gt;", text)
        self.assertNotIn("<b>id", text)

    def test_problem(self) -> None:
        """Programs get problem+json (RFC 9457)."""
        for accept in ("application/json", "application/problem+json", "Application/JSON, text/plain"):
            response, text = page(BodyTooLarge("x"), accept)
            self.assertEqual(response.headers.get("content-type"), "application/problem+json")
            self.assertEqual(
                json.loads(text),
                {
                    "type": "about:blank",
                    "title": "Content Too Large",
                    "status": 413,
                    "detail": BodyTooLarge.text,
                    "instance": "id-1",
                },
            )

    def test_causeStaysInside(self) -> None:
        """The cause is not in any of them."""
        for accept in (None, "text/html", "application/json"):
            response, text = page(EdgeError("secret"), accept)
            self.assertNotIn("secret", text + repr(list(response.headers)))

    def test_notStored(self) -> None:
        """Nobody keeps an error page, and the id is also a field."""
        response, _ = page(EdgeError("x"))
        self.assertEqual(response.headers.get("cache-control"), "no-store")
        self.assertEqual(response.headers.get("x-request-id"), "id-1")

    def test_retryAfter(self) -> None:
        """Where a plugin is out of order, clients are told when to try again."""
        for error, seconds in ((PluginMissing("x"), "10"), (PluginQuarantined("x"), "10"), (EdgeError("x"), None)):
            self.assertEqual(page(error)[0].headers.get("Retry-After"), seconds)

    def test_everyError(self) -> None:
        """Every error has a status of its own kind, a reason or number, and a sentence that ends."""
        kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EdgeError)]
        kinds.remove(errors.Refused)
        self.assertGreater(len(kinds), 15)
        for kind in kinds:
            response, text = page(kind("cause"))
            self.assertEqual(response.status, kind.status)
            self.assertTrue(400 <= kind.status <= 599 and kind.text.endswith("."), kind)
            self.assertTrue(text.startswith(str(kind.status)))
