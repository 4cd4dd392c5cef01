"""The commands about requests."""

from __future__ import annotations

import json
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

    def test_filters(self) -> None:
        """Options become the query."""
        edge = self.edge([])
        output = self.run_("requests", "--status", "5xx", "--plugin", "auth", "--since", "10m", "-n", "5").stdout
        edge.close()
        self.assertEqual(output, "no requests that are so\n")
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
