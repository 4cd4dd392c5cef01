"""The commands about requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cli.test_edgecommands import CommandCase, Status


def request(id: str, **changes: Any) -> dict[str, Any]:
    """As the edge tells of one."""
    return {
        "number": 1, "time": "2026-11-28T01:30:00.000Z", "at": 1.0, "id": id, "peer": "192.0.2.7", "method": "GET",
        "scheme": "http", "host": "shop", "target": "/a", "version": "1.1", "status": 200, "bytes_in": 0,
        "bytes_out": 9, "duration_us": 1234, "route": "shop", "plan": 1, "explained": False, **changes,
    }  # fmt: skip


class RequestsTests(CommandCase):
    """``revproxy requests``."""

    def test_table(self) -> None:
        """A line for each, the latest last, with what there is to say."""
        failed = request("b", status=500, plugin_errors=["auth"], error="PluginFailed: auth 1.0: no", attempts=2)
        self.edge([failed, request("a", interrupted_by="cors")])
        head, first, second = self.run_("requests").stdout.splitlines()
        self.assertEqual(head.split()[:4], ["time", "status", "ms", "client"])
        self.assertIn("200     1.23  192.0.2.7  GET shop/a  shop   a   answered by cors", first)
        self.assertIn("failed in auth; 2 targets tried; PluginFailed: auth 1.0: no", second)

    def test_arms(self) -> None:
        """Which of two versions it met is in the note, and can be searched for."""
        met = [{"plugin": "quota", "version": "1.3.0", "arm": "candidate"}]
        edge = self.edge([request("a", arms=met)])
        self.assertIn("met quota 1.3.0 (candidate)", self.run_("requests", "--arm", "quota:candidate").stdout)
        self.assertEqual(edge.requests[0][1], "requests?arm=quota%3Acandidate&limit=20")

    def test_filters(self) -> None:
        """Options become the query."""
        edge = self.edge([])
        output = self.run_("requests", "--status", "5xx", "--plugin", "auth", "--since", "10m", "-n", "5").stdout
        edge.close()
        self.assertEqual(output, "no request matches\n")
        self.assertEqual(edge.requests[0][1], "requests?status=5xx&plugin=auth&since=10m&limit=5")

    def test_none(self) -> None:
        """An edge that nobody has asked anything."""
        self.edge([])
        self.assertEqual(self.run_("requests").stdout, "no requests\n")

    def test_json(self) -> None:
        """A line of JSON for each."""
        self.edge([request("b"), request("a")])
        lines = self.run_("requests", "--json").stdout.splitlines()
        self.assertEqual([json.loads(line)["id"] for line in lines], ["a", "b"])

    def test_hostile(self) -> None:
        """What clients send does nothing to the terminal."""
        self.edge([request("a", target="/\x1b[2J\x9b", host="shop\r\n")])
        output = self.run_("requests").stdout
        self.assertNotIn("\x1b", output)
        self.assertNotIn("\x9b", output)
        self.assertNotIn("\r", output)

    def test_refused(self) -> None:
        """What the edge says of a filter that is none."""
        self.edge(Status(400, {"title": "Bad Request", "status": 400, "detail": "status: 'x' is none; write 5xx"}))
        self.assertIn("Error: status: 'x' is none; write 5xx", self.run_("requests", "--status", "x", status=1).stderr)

    def test_follow(self) -> None:
        """What ends from now on, line by line, until the edge ends it."""
        events = f"retry: 2000\n\ndata: {json.dumps(request('a'))}\n\nevent: missed\ndata: {{\"missed\": 7}}\n\n"
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        edge = self.edge((head + events).encode())
        result = self.run_("requests", "-f", "-n", "0", "--status", "2xx", status=1)
        edge.close()
        first, second = result.stdout.splitlines()
        self.assertIn("GET shop/a  shop  a", first)
        self.assertEqual(second, "… 7 more")
        self.assertIn("the edge has ended it", result.stderr)
        self.assertEqual(edge.requests[-1][1], "requests/live?status=2xx")

    def test_followId(self) -> None:
        """Nobody waits for what is over."""
        said = self.run_("requests", "-f", "--id", "x", "-n", "0", status=2).stderr
        self.assertIn("--id is of requests that are over", said)


def plugin(name: str, decision: str, **changes: Any) -> dict[str, Any]:
    """As the edge tells of one."""
    return {"name": name, "version": "1.0", "digest": None, "ran": True, "decision": decision, "why": None,
            "request": None, "response": None, **changes}  # fmt: skip


NO_HEADERS = {"added": [], "changed": [], "removed": [], "more": 0}


def explained(**changes: Any) -> dict[str, Any]:
    """As the edge tells of one."""
    return {
        "request": request("a", status=401), "because": "interrupted", "error": None, "notes": [], "upstream": None,
        "plan": {"number": 3, "is_current": False, "is_known": True},
        "route": {"name": "api", "host": "shop", "path": "/api", "answers": "upstream u", "others": [
            {"name": "shop", "host": "shop", "path": "/", "answers": "upstream u", "why": "its path, /, is shorter"}]},
        "plugins": [
            plugin("auth", "answered", why="it has answered 401 itself"), plugin("tag", "not asked", ran=False),
        ],
        "request_headers": None, "response_headers": {**NO_HEADERS, "added": ["www-authenticate"]},
        "answered_by": {"kind": "plugin", "name": "auth"},
        "phases": {"before_us": None, "upstream_us": None, "after_us": None, "duration_us": 1234},
        **changes,
    }  # fmt: skip


class ExplainTests(CommandCase):
    """``revproxy explain ID``."""

    def test_told(self) -> None:
        """What it was, its route and why not others, its plugins, and what they did to fields."""
        edge = self.edge(explained())
        output = self.run_("explain", "a/b").stdout
        edge.close()
        self.assertEqual(edge.requests[0][1], "requests/a%2Fb/explain")
        for line in (
            "GET http://shop/a",
            "401 after 1.23 ms, answered by the plugin auth",
            "route: api (host shop, path /api, upstream u)",
            "  not shop: its path, /, is shorter",
            "by all plugins together, the answer's fields: +www-authenticate",
        ):
            self.assertIn(f"{line}\n", output)
        self.assertIn("plan 3 (not in force any more)", output)
        self.assertRegex(output, r"auth +1\.0 +answered +- +- +- +- +it has answered 401 itself")

    def test_figures(self) -> None:
        """Times, fields, and each target that was tried."""
        call = {"us": 250, "waited_us": 1000, "headers": {**NO_HEADERS, "changed": ["accept"], "more": 3}}
        upstream = {"name": "u", "attempts": 2, "chosen_upstream": None, "chosen_target": "http://two", "tries": [
            {"target": "http://one", "outcome": "lost", "why": "refused"},
            {"target": "http://two", "outcome": "answered", "why": None},
        ]}  # fmt: skip
        phases = {"before_us": 1000, "upstream_us": 20000, "after_us": 300, "duration_us": 21300}
        self.edge(explained(plugins=[plugin("auth", "passed", request=call)], upstream=upstream, phases=phases,
                            notes=["something"], error="X: y"))  # fmt: skip
        output = self.run_("explain", "a").stdout
        self.assertRegex(output, r"auth +1\.0 +passed +0\.25 +1 +~accept … 3 more +-")
        self.assertIn("upstream: u (a plugin chose http://two)\n  http://one: lost: refused\n  http://two: answered\n"
                      "  1 ms before it was sent on, 20 ms until the answer, 0.3 ms after it\n", output)  # fmt: skip
        self.assertIn("note: something\n", output)

    def test_arms(self) -> None:
        """Where a version is rolled out, it is said which one it was."""
        plugins = [plugin("auth", "passed", arm="candidate"), plugin("quota", "passed", arm=None)]
        self.edge(explained(plugins=plugins))
        output = self.run_("explain", "a").stdout
        self.assertRegex(output, r"auth +1\.0 \(candidate\) +passed")
        self.assertRegex(output, r"quota +1\.0 +passed")

    def test_noRoute(self) -> None:
        """Without a route there are no plugins."""
        route = {"name": None, "host": None, "path": None, "answers": None, "others": []}
        self.edge(explained(route=route, plugins=[], answered_by={"kind": "edge", "name": "NotFound"}))
        output = self.run_("explain", "a").stdout
        self.assertIn("route: none\n\nno plugins\n", output)
        self.assertIn("answered by the edge (NotFound)", output)

    def test_json(self) -> None:
        """All of it."""
        self.edge(explained())
        self.assertEqual(json.loads(self.run_("explain", "a", "--json").stdout), explained())


def outcome(**changes: Any) -> dict[str, Any]:
    """As the edge tells of one."""
    return {
        "plan": 3, "refused": None, "status": 200, "is_sent_on": True, "methods": ["GET", "HEAD"], "error": None,
        "route": explained()["route"], "plugins": [{**plugin("auth", "not tried", ran=False), "rule": "priority 10"}],
        "request_headers": None, "response_headers": None, "chosen_upstream": None, "chosen_target": None,
        "answered_by": {"kind": "upstream", "name": "u"}, "notes": [], **changes,
    }  # fmt: skip


class RehearsalTests(CommandCase):
    """``revproxy explain --request``."""

    def asked(self, *arguments: str) -> Any:
        """What the edge is asked."""
        edge = self.edge(outcome())
        self.run_("explain", *arguments)
        edge.close()
        return edge.requests[0]

    def test_asked(self) -> None:
        """A method and a URL, with all else."""
        self.assertEqual(
            self.asked("--request", "PUT https://shop/api/x?y", "-H", "X: y", "-H", "X: z:1", "--client", "192.0.2.1",
                       "--plugins", "--server-name", "blog"),
            ("POST", "explain", {"method": "PUT", "url": "https://shop/api/x?y", "headers": {"X": ["y", "z:1"]},
                                 "client": "192.0.2.1", "plugins": True, "server_name": "blog"}),
        )  # fmt: skip

    def test_short(self) -> None:
        """A URL alone."""
        self.assertEqual(self.asked("--request", "http://shop/"), ("POST", "explain", {"url": "http://shop/"}))

    def test_told(self) -> None:
        """Where it would go, and through whom."""
        self.edge(outcome())
        output = self.run_("explain", "--request", "GET http://shop/api").stdout
        self.assertIn("GET http://shop/api\nwould be sent to u, with plan 3\n\nroute: api (host shop", output)
        self.assertIn("  not shop: its path, /, is shorter\n  it takes GET, HEAD\n", output)
        self.assertRegex(output, r"auth +priority 10 +1\.0 +not tried")

    def test_ends(self) -> None:
        """Who else may answer."""
        for changes, text in (
            ({"answered_by": {"kind": "plugin", "name": "auth"}, "status": 401},
             "would be 401, answered by the plugin auth, with plan 3"),
            ({"answered_by": {"kind": "route", "name": "respond"}}, "would be answered by the route itself (respond)"),
            ({"answered_by": {"kind": "edge", "name": "NotFound"}, "status": 404, "error": "NotFound: no route"},
             "would be 404, answered by the edge (NotFound), with plan 3\nNotFound: no route\n"),
            ({"answered_by": {"kind": "nobody", "name": None}}, "no answer: the plugins did not come to an end"),
            ({"refused": "BadRequest: no", "status": 400, "plugins": []}, "refused, 400: BadRequest: no\n"),
            ({"plugins": []}, "\nno plugins\n"),
        ):  # fmt: skip
            edge = self.edge(outcome(**changes))
            self.assertIn(text, self.run_("explain", "--request", "http://shop/").stdout)
            edge.close()
            Path("var/control.sock").unlink()

    def test_usage(self) -> None:
        """An id, or a request; and fields that are some."""
        for arguments, text in (
            ((), "give the ID of a request"),
            (("a", "--request", "http://shop/"), "give the ID of a request"),
            (("a", "--plugins"), "go with --request"),
            (("--request", "http://shop/", "-H", "X"), "X: write a field as 'NAME: VALUE'"),
        ):
            self.assertIn(text, self.run_("explain", *arguments, status=2).stderr)
