"""The commands that show how the edge is now."""

from __future__ import annotations

import json
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.operations.rolloutshapes import goingOn
from revproxy.cli import repeated
from revproxy.cli.statuscommands import _duration
from tests.admin.rolloutviews import canary
from tests.cli.test_edgecommands import CommandCase
from tests.cli.test_upstreamcommands import FIGURES

BUSY = {"requests": 40, "rate": 4.0, "share_4xx": 0.125, "share_5xx": 0.25, "p50_ms": 1.234, "p95_ms": 20.0,
        "p99_ms": 1234.5}  # fmt: skip


def route(name: str, **changes: Any) -> dict[str, Any]:
    """As the edge tells of one."""
    return {"route": name, "upstream": None, "last_10s": FIGURES, "last_hour": FIGURES, "in_flight": 0,
            "oldest_seconds": None, **changes}  # fmt: skip


def status(*routes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """As the edge tells of itself."""
    total = {"last_10s": BUSY, "last_hour": BUSY, "in_flight": 3, "oldest_seconds": 7.25}
    return {
        "name": "revproxy", "version": "1.0", "python": "3.11", "started_at": 1000.0, "now": 8260.0,
        "state": "serving", "is_ready": True, "not_ready": [], "workers": 1,
        "config": {"source": "r.yaml", "failure": None}, "plan": 4,
        "plugins": {"running": 2, "quarantined": 1, "failed": 0, "off": 0}, "connections": 12,
        "requests_in_flight": 3, "oldest_request_seconds": 7.25, "alerts_firing": 0, "routes": list(routes),
        "total": total, **changes,
    }  # fmt: skip


def rollout(**changes: Any) -> dict[str, Any]:
    """As the edge tells of one in brief."""
    return {**goingOn([canary()])[0], **changes}


class StatusTests(CommandCase):
    """``revproxy status``."""

    def test_rollouts(self) -> None:
        """Each that goes on has a line: where it is, what speaks against it, how long still; or that it is held."""
        self.edge(status(rollouts=[rollout(), rollout(plugin="auth", held=True)]))
        lines = [line for line in self.run_("status").stdout.splitlines() if line.startswith("  rollout ")]
        where = "1.3.0 in place of 1.2.0: canary 5 % of clients, step 3 of 4"
        self.assertEqual(lines, [
            f"  rollout      quota: {where}, odds 6.1 : 1 against it, about 27 s left",
            f"  rollout      auth: {where}, held, odds 6.1 : 1 against it",
        ])  # fmt: skip
        self.assertIn(f"rollout: quota: {where}", self.run_("top", "--once").stdout)

    def test_shown(self) -> None:
        """What the edge is, and a line for each route; requests without one are named so; the sum is last."""
        self.edge(status(route("shop", upstream="web", last_hour=BUSY, last_10s=BUSY, in_flight=2, oldest_seconds=61.0),
                         route("")))  # fmt: skip
        lines = self.run_("status").stdout.splitlines()
        self.assertEqual(lines[:4], [
            "revproxy 1.0, Python 3.11: serving for 2 h 1 min",
            "  file         r.yaml, plan 4",
            "  plugins      2 running, 1 quarantined",
            "  connections  12; 3 requests under way, the oldest for 7.2 s",
        ])  # fmt: skip
        shop = ["shop", "web", "4.0", "40", "12.5%", "25%", "1.23", "1234", "2", "1", "min", "1", "s"]
        self.assertEqual(lines[6].split(), shop)
        self.assertTrue(lines[7].startswith("(no route)"))
        self.assertEqual(lines[8].split()[:4], ["all", "-", "4.0", "40"])

    def test_notReady(self) -> None:
        """An edge that is not ready says why, and ends the command with 1."""
        self.edge(status(is_ready=False, state="draining", not_ready=["the edge is draining"]))
        self.assertIn("not ready    the edge is draining", self.run_("status", status=1).stdout)

    def test_trouble(self) -> None:
        """Alerts, several workers, and a file that is not in force."""
        failure = {"at": 1.0, "stage": "files", "version": "", "digest": None, "message": "r.yaml:3:1: no",
                   "traceback": ""}  # fmt: skip
        self.edge(status(alerts_firing=2, workers=4, config={"source": "r.yaml", "failure": failure}))
        text = self.run_("status").stdout
        for wanted in ("2 firing: `revproxy alerts`", "serving for 2 h 1 min, 4 workers", "not in force", "r.yaml:3:1"):
            self.assertIn(wanted, text)

    def test_json(self) -> None:
        """As the API says it."""
        self.edge(status(route("shop")))
        self.assertEqual(json.loads(self.run_("status", "--json").stdout), status(route("shop")))


class TopTests(CommandCase):
    """``revproxy top``."""

    def routes(self, *options: str) -> list[str]:
        """Names, in the order in which they are shown."""
        lines = self.run_("top", "--once", *options).stdout.splitlines()
        return [line.split()[0] for line in lines[lines.index("") + 2 :]]

    def test_order(self) -> None:
        """What comes first can be chosen; equal ones are by requests in the hour, and then by name."""
        self.edge(status(
            route("a"), route("b", last_hour=BUSY), route("c", last_10s={**BUSY, "rate": 1.0}, in_flight=1),
            route("d", last_10s={**BUSY, "rate": 9.0, "share_5xx": 0.0, "p99_ms": 1.0}, oldest_seconds=5.0),
        ))  # fmt: skip
        for sort, wanted in (("rate", "dcba"), ("errors", "cbad"), ("p99", "cdba"), ("in-flight", "cbad"),
                             ("oldest", "dbac"), ("route", "abcd")):
            self.assertEqual("".join(self.routes("--sort", sort)), wanted, sort)

    def test_some(self) -> None:
        """So many; or those that are named; one that there is not is said."""
        self.edge(status(route("a"), route("b"), route("c")))
        self.assertEqual(self.routes("-n", "2"), ["a", "b"])
        self.assertEqual(self.routes("--route", "c", "--route", "a"), ["a", "c"])
        self.assertIn('no route named "x"', self.run_("top", "--once", "--route", "x", status=1).stderr)

    def test_many(self) -> None:
        """In a pipe, as many as a screen has; the rest is counted."""
        self.edge(status(*(route(f"r{number:03}") for number in range(500))))
        lines = self.run_("top", "--once").stdout.splitlines()
        self.assertEqual((lines[-1], len([line for line in lines if line.startswith("r")]) - 1), ("and 480 more", 20))

    def test_live(self) -> None:
        """Again and again; as JSON, a line each time, with all routes."""
        asked = []

        def sleep(seconds: float) -> None:
            asked.append(seconds)
            if len(asked) == 3:
                raise KeyboardInterrupt

        self.patch(repeated.repeat, "__defaults__", (sleep,))
        self.edge(status(*(route(f"r{number}") for number in range(30))))
        lines = self.run_("top", "--json").stdout.splitlines()
        self.assertEqual([len(json.loads(line)["routes"]) for line in lines], [30, 30, 30])


class ConnectionsTests(CommandCase):
    """``revproxy connections``."""

    def test_shown(self) -> None:
        """A line for each, with the request it is at, if any; the rest is counted."""
        now = time.time()
        common = {"listener": "tcp:443", "scheme": "https", "protocol": "1.1", "requests": 3}
        self.edge({"count": 2000, "items": [
            {**common, "peer": "192.0.2.1", "since": now - 7200, "state": "answering", "route": "shop",
             "request_id": "a1\x1b", "request_at": now - 70},
            {**common, "peer": "", "since": now - 3, "state": "idle", "route": None, "request_id": None,
             "request_at": None},
        ]})  # fmt: skip
        _, first, second, rest = self.run_("connections").stdout.splitlines()
        self.assertEqual(first.split(), [
            "192.0.2.1", "tcp:443", "https/1.1", "2", "h", "0", "min", "3", "answering", "shop", "a1\\x1b",
            "1", "min", "10", "s"])  # fmt: skip
        self.assertEqual((second.split()[0], second.split()[-4:]), ("-", ["idle", "-", "-", "-"]))
        self.assertEqual(rest, "and 1998 more")

    def test_none(self) -> None:
        """None at all."""
        self.edge({"count": 0, "items": []})
        self.assertEqual(self.run_("connections").stdout, "no connections\n")


class DurationTests(SynchronousTestCase):
    """How long."""

    def test_units(self) -> None:
        """In the two largest units."""
        for seconds, text in ((-1.0, "0.0 s"), (59.94, "59.9 s"), (60.0, "1 min 0 s"), (3599.9, "59 min 59 s"),
                              (3600.0, "1 h 0 min"), (86399.0, "23 h 59 min"), (90000.0, "1 d 1 h")):
            self.assertEqual(_duration(seconds), text)
