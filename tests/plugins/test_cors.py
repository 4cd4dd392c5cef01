"""Tests for :mod:`revproxy.plugins.cors`."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.plugins.basic_auth import BasicAuth
from revproxy.plugins.cors import CORS, AllowedOrigins
from revproxy.testing import Answer, EdgeDouble
from tests.plugins.test_manifests import BCRYPT

PAGE = "https://shop.example.com"


def preflight(config: dict[str, Any], origin: str = PAGE, method: str = "PUT", headers: str | None = None) -> Answer:
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers is not None:
        asked["Access-Control-Request-Headers"] = headers
    return EdgeDouble(CORS(config)).request("OPTIONS", "/", asked)


def allowed(answer: Answer) -> dict[str, str]:
    prefix = "access-control-"
    return {name.lower().removeprefix(prefix): value for name, value in answer.headers if prefix in name.lower()}


class AllowedOriginsTests(SynchronousTestCase):
    """Which pages are meant."""

    def test_exact(self) -> None:
        """An origin is allowed octet by octet: another scheme, port, or host is another origin."""
        origins = AllowedOrigins([PAGE, "http://localhost:3000", "http://[::1]:8080"])
        for origin in (PAGE, "http://localhost:3000", "http://[::1]:8080"):
            self.assertTrue(origins.allows(origin.encode()))
        for origin in (
            "http://shop.example.com",
            PAGE + ":8443",
            PAGE + ".evil.example",
            "https://evil-shop.example.com",
            "https://example.com",
            "http://localhost",
            "null",
            "",
        ):
            self.assertFalse(origins.allows(origin.encode()), origin)

    def test_usualPort(self) -> None:
        """A port that browsers leave out is left out, and capitals are made small."""
        self.assertTrue(AllowedOrigins(["HTTPS://Shop.Example.com:443"]).allows(PAGE.encode()))

    def test_wildcard(self) -> None:
        """A star stands for names in front, one or more, and not for none nor for anything else."""
        origins = AllowedOrigins(["https://*.example.com"])
        for origin in (PAGE, "https://a.b.example.com"):
            self.assertTrue(origins.allows(origin.encode()), origin)
        for origin in (
            "https://example.com",
            "https://.example.com",
            "http://shop.example.com",
            "https://evilexample.com",
            "https://evil.com/.example.com",
            "https://evil.com:1.example.com",
            "https://a@b.example.com",
            "https://shop.example.com.evil.com",
            "https://shop.example.com:8443",
        ):
            self.assertFalse(origins.allows(origin.encode()), origin)

    def test_null(self) -> None:
        """Pages without an origin of their own are allowed only by name."""
        self.assertFalse(AllowedOrigins(["https://*.example.com"]).allows(b"null"))
        self.assertTrue(AllowedOrigins(["null"]).allows(b"null"))

    def test_refused(self) -> None:
        """What is no origin is refused with what to write."""
        for text in ("shop.example.com", PAGE + "/", PAGE + "/x", "https://*", "*.example.com", "https://a.*.com", ""):
            self.assertIn("https://shop.example.com", str(self.assertRaises(ValueError, AllowedOrigins, [text])), text)


class PreflightTests(SynchronousTestCase):
    """What browsers ask first."""

    def test_allowed(self) -> None:
        """A preflight of an allowed page is answered with 204 and the policy; the origin server hears nothing."""
        config = {"origins": [PAGE], "methods": ["GET", "PUT"], "headers": ["X-A", "X-B"], "max_age": "1m"}
        answer = preflight(config)
        self.assertEqual((answer.status, answer.body, answer.forwarded), (204, b"", None))
        self.assertEqual(
            allowed(answer),
            {"allow-origin": PAGE, "allow-methods": "GET, PUT", "allow-headers": "X-A, X-B", "max-age": "60"},
        )

    def test_varies(self) -> None:
        """The answer says what it depends on."""
        vary = preflight({"origins": [PAGE]}).headers.get("Vary")
        self.assertEqual(vary, "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")

    def test_notAllowed(self) -> None:
        """A preflight of another page is answered without any permission, and stays here all the same."""
        answer = preflight({"origins": [PAGE], "credentials": True}, "https://evil.example")
        self.assertEqual((answer.status, answer.forwarded, allowed(answer)), (204, None, {}))
        self.assertIn("Origin", answer.headers.get("Vary", "") or "")

    def test_credentials(self) -> None:
        """With credentials the page is named, never a star."""
        answer = allowed(preflight({"origins": ["https://*.example.com"], "credentials": True}))
        self.assertEqual((answer["allow-origin"], answer["allow-credentials"]), (PAGE, "true"))

    def test_everyHeader(self) -> None:
        """A star for headers allows those that were asked for by name: browsers take no star with credentials."""
        config = {"origins": [PAGE], "headers": ["*"], "credentials": True}
        self.assertEqual(allowed(preflight(config, headers="x-a,authorization"))["allow-headers"], "x-a, authorization")
        self.assertNotIn("allow-headers", allowed(preflight(config)))
        for hostile in ("x-a, b c", "x-a,,", "<script>", "x\ty"):
            self.assertNotIn("allow-headers", allowed(preflight(config, headers=hostile)))

    def test_otherOptions(self) -> None:
        """An OPTIONS request that is no preflight goes to the origin server."""
        edge = EdgeDouble(CORS({"origins": [PAGE]}))
        for headers in ({}, {"Origin": PAGE}, {"Access-Control-Request-Method": "PUT"}):
            self.assertIsNotNone(edge.request("OPTIONS", "/", headers).forwarded)
        asked = {"Origin": PAGE, "Access-Control-Request-Method": "PUT"}
        self.assertIsNotNone(edge.get("/", asked).forwarded)

    def test_beforeAuthentication(self) -> None:
        """A preflight carries no password and is answered before one is asked for; the 401 can be read by the page."""
        edge = EdgeDouble(CORS({"origins": [PAGE]}), BasicAuth({"users": {"alice": BCRYPT}}))
        asked = {"Origin": PAGE, "Access-Control-Request-Method": "PUT"}
        self.assertEqual(edge.request("OPTIONS", "/", asked).status, 204)
        refused = edge.get("/", {"Origin": PAGE})
        self.assertEqual((refused.status, allowed(refused)), (401, {"allow-origin": PAGE}))


class ResponseTests(SynchronousTestCase):
    """Responses proper."""

    def get(self, config: dict[str, Any], headers: Any = None, origin: Any = ()) -> Answer:
        edge = EdgeDouble(CORS(config))
        edge.originAnswers(200, origin)
        return edge.get("/", {"Origin": PAGE} if headers is None else headers)

    def test_allowed(self) -> None:
        """An allowed page may read the response and the headers that are exposed."""
        answer = self.get({"origins": [PAGE], "expose": ["X-Total", "ETag"]})
        self.assertEqual(allowed(answer), {"allow-origin": PAGE, "expose-headers": "X-Total, ETag"})
        self.assertEqual(answer.headers.getAll("Vary"), ["Origin"])

    def test_notAllowed(self) -> None:
        """Another page, or none, gets the response without permissions; Vary is there for caches."""
        for headers in ({"Origin": "https://evil.example"}, {}):
            answer = self.get({"origins": [PAGE]}, headers)
            self.assertEqual((answer.status, allowed(answer), answer.headers.getAll("Vary")), (200, {}, ["Origin"]))

    def test_everyone(self) -> None:
        """For everyone the answer is a star and depends on nothing."""
        answer = self.get({"origins": ["*"]})
        self.assertEqual(allowed(answer), {"allow-origin": "*"})
        self.assertNotIn("Vary", answer.headers)

    def test_replacesTheOrigins(self) -> None:
        """The edge's policy takes the place of the origin server's: two would forbid what both allow."""
        origin = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "true", "X-A": "1"}
        answer = self.get({"origins": [PAGE]}, None, origin)
        self.assertEqual(allowed(answer), {"allow-origin": PAGE})
        self.assertEqual(answer.headers.get("X-A"), "1")
        self.assertEqual(allowed(self.get({"origins": [PAGE]}, {"Origin": "https://evil.example"}, origin)), {})

    def test_varyIsJoined(self) -> None:
        """A Vary that is there is kept; Origin is not said twice, nor beside a star."""
        for given, wanted in (
            ("Accept-Encoding", ["Accept-Encoding", "Origin"]),
            ("accept, ORIGIN", ["accept, ORIGIN"]),
            ("*", ["*"]),
        ):
            self.assertEqual(self.get({"origins": [PAGE]}, None, {"Vary": given}).headers.getAll("Vary"), wanted)


class ConfigurationTests(SynchronousTestCase):
    """What is refused."""

    def test_starWithCredentials(self) -> None:
        """Everyone together with credentials is refused: any page could act as the user."""
        error = self.assertRaises(ValueError, CORS, {"origins": [PAGE, "*"], "credentials": True})
        self.assertIn("credentials", str(error))

    def test_names(self) -> None:
        """Methods and headers are names."""
        for key in ("methods", "headers", "expose"):
            self.assertIn(key, str(self.assertRaises(ValueError, CORS, {"origins": [PAGE], key: ["a b"]})))
