"""Asking for plugins, and having something done with them."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.operations.outcome import outcome
from revproxy.admin.problem import Problem
from tests.admin.apis import ApiCase


class OutcomeTests(SynchronousTestCase):
    """What a change is answered with."""

    def test_statuses(self) -> None:
        """What goes on is accepted, and not done yet; what is done in part is done."""
        late = {"plugin": "a", "stage": "late", "message": "it goes on"}
        other = {"plugin": "", "stage": "import", "message": "no"}
        for text, refused, status in (
            (["done"], [], 200), ([], [], 200), (["done"], [other], 200), ([], [late], 202), (["done"], [late], 202),
        ):  # fmt: skip
            self.assertEqual(outcome({"text": text, "refused": refused}).status, status)
        problem = self.assertRaises(Problem, outcome, {"text": [], "refused": [other, late]})
        self.assertEqual((problem.status, problem.detail), (409, "no; a: it goes on"))


class PluginTests(ApiCase):
    """Two plugins, one of which cannot be loaded."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.start()
        self.bench.write("b", "1 / 0")
        self.bench.apply()

    def test_all(self) -> None:
        """All of them, and what is wrong with one, and with the configuration."""
        answer = self.ask("GET", "plugins")
        self.assertEqual({one["name"]: one["state"] for one in answer["items"]}, {"a": "running", "b": "failed"})
        self.assertIn("ZeroDivisionError", answer["items"][1]["failure"]["message"])
        self.assertIsNone(answer["configuration"]["failure"])
        self.assertEqual(self.ask("GET", "plugins?removed=true"), answer)

    def test_one(self) -> None:
        """All about one; or that there is none, and which is meant."""
        self.assertEqual(self.ask("GET", "plugins/a")["versions"][0]["version"], "1.0.0")
        self.assertIn('did you mean "a"', self.problem(404, "GET", "plugins/aa").detail)
        self.assertTrue(self.problem(404, "GET", "plugins/%C3%A9%7F").detail.isprintable())

    def test_changes(self) -> None:
        """Each does what its name says, and says so."""
        for command, state in (("disable", "off"), ("enable", "running"), ("pin", "running"), ("unpin", "running")):
            answer = self.ask("POST", f"plugins/a/{command}", {"reason": "why not"})
            self.assertEqual((answer["refused"], len(answer["text"]) > 0), ([], True), command)
            self.assertEqual(self.ask("GET", "plugins/a")["state"], state, command)
        self.assertEqual(self.ask("POST", "plugins/a/pin", {"version": "1.0.0"})["text"][0], "a: pinned")

    def test_refused(self) -> None:
        """Where nothing is done it is a problem; where something is, not."""
        self.assertIn("b: ", self.problem(409, "POST", "plugins/b/enable").detail)
        problem = self.problem(409, "POST", "reload")
        self.assertEqual(problem.extra["refused"][0]["plugin"], "b")
        self.bench.write("c")
        answer = self.ask("POST", "reload")
        self.assertEqual((len(answer["text"]), [one["plugin"] for one in answer["refused"]]), (1, ["b"]))
        self.problem(409, "POST", "plugins/a/unpin")
        self.problem(404, "POST", "plugins/nobody/disable")
        self.problem(409, "POST", "plugins/a/rollback", {"version": "9\n9"})

    def test_wrong(self) -> None:
        """What is asked wrongly is refused, with where and why, and nothing is logged."""
        cases: tuple[tuple[str, str, Any, str], ...] = (
            ("GET", "plugins?nam=a", None, "query parameter nam: there is no such parameter"),
            ("GET", f"plugins?{'x' * 6000}=a", None, "query parameter xxx"),
            ("GET", "plugins?removed=1", None, '"1" is neither true nor false'),
            ("GET", "plugins?removed=true&removed=true", None, "it is there more than once"),
            ("GET", "plugins?removed=%FF", None, "query: it is no UTF-8"),
            ("GET", f"plugins/{'a' * 6000}", None, "path parameter name"),
            ("GET", "plugins", {}, "body: listPlugins takes none"),
            ("POST", "plugins/a/pin", {"version": 5}, "body.version"),
            ("POST", "plugins/a/pin", {"version": "v" * 300}, "body.version"),
            ("POST", "plugins/a/pin", ["version"], "expected a mapping"),
            ("POST", "plugins/a/pin", {"\u001b": 1}, "unknown key"),
            ("POST", "plugins/a/pin", {str(number): number for number in range(5000)}, "unknown key"),
            ("POST", "reload", {"without_state": "yes"}, "body.without_state: expected true or false"),
            ("GET", "events?limit=x", None, "is no whole number"),
            ("GET", "events?limit=1.5", None, "is no whole number"),
            ("GET", "events?limit=0", None, "less than the least allowed"),
            ("GET", f"events?limit={'9' * 4000}", None, "is no whole number"),
        )
        for method, path, body, reason in cases:
            problem = self.problem(400, method, path, body)
            self.assertIn(reason, problem.detail)
            self.assertLess(len(problem.detail), 3000)
            self.assertTrue(problem.detail.isprintable(), problem.detail)
            self.assertTrue(problem.extra["problems"][0]["where"])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_notJSON(self) -> None:
        """Nor is what is no JSON, however it is none."""
        for raw in (b"{", b"[" * 30_000, b"\xff", b'{"version": NaN}', b'{"version": "\\ud800"}', b"{} {}", b"'a'"):
            self.assertIn("body", self.problem(400, "POST", "plugins/a/pin", raw=raw).detail)

    def test_kinds(self) -> None:
        """A body of another kind, and one that nobody wants."""
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", ""):
            self.problem(415, "POST", "reload", {}, fields={"content-type": kind})
        self.problem(415, "POST", "reload", {}, fields={"content-type": "application/json", "content-encoding": "gzip"})
        for kind in ("text/html", "application/json;q=0", "image/*"):
            self.problem(406, "GET", "plugins", fields={"accept": kind})
        for kind in ("*/*", "text/html, application/*;q=0.1", "application/json; charset=utf-8"):
            self.ask("GET", "plugins", fields={"accept": kind})

    def test_places(self) -> None:
        """What there is not, and what a place does not have; nothing leads elsewhere in disguise."""
        for path in ("", "plugin", "plugins/", "plugins//a", "plugins/a/b/c", "plugins/..", "plugins/%2e%2e/events",
                     "plugins%2Fa", "plugins/a%2Fpin", "plugins/a%00", "./plugins", "plugins/%FF"):
            self.problem(404, "GET", path)
        for method, path, allowed in (
            ("DELETE", "plugins", "GET, HEAD"), ("GET", "reload", "POST"), ("OPTIONS", "plugins/a", "GET, HEAD"),
            ("TRACE", "events", "GET, HEAD"), ("get", "plugins", "GET, HEAD"),
        ):  # fmt: skip
            self.assertEqual(self.problem(405, method, path).headers, {"Allow": allowed})
