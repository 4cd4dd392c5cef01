"""What the double says of requests."""

from __future__ import annotations

import math
import random
import re
import time
from typing import Any

from tests.admin.dashboard.samplefacts import RATES, ROUTES, UPSTREAMS, Json, Refused


class TrafficAnswers:
    """Figures, requests, and why they went as they did."""

    def _status(self, *_: Any) -> Json:
        routes = [
            {
                "route": name,
                "upstream": UPSTREAMS[name],
                "in_flight": int(rate / 30),
                "oldest_seconds": 0.4 + rate / 99,
                "last_10s": self.figures(rate, 1 + n / 4, 0.031 if name == "search" else 0.001),
                "last_hour": {**self.figures(rate, 1 + n / 3), "requests": int(rate * 3600)},
            }
            for n, (name, rate) in enumerate(zip(ROUTES, RATES, strict=True))
        ]
        return {
            "name": "revproxy",
            "version": "0.3.0",
            "python": "3.13.1",
            "started_at": self.begun,
            "now": time.time(),
            "state": "serving",
            "is_ready": True,
            "not_ready": [],
            "workers": 2,
            "config": {"source": "/etc/revproxy/revproxy.yaml", "failure": None},
            "plan": 45,
            "plugins": {"running": 5, "quarantined": 0, "failed": 1, "off": 0},
            "connections": 812,
            "requests_in_flight": 34,
            "oldest_request_seconds": 12.4,
            "alerts_firing": 2 - len(self.silences),
            "routes": routes,
            "total": {"last_10s": self.figures(1062), "last_hour": {**self.figures(1010), "requests": 3636000}},
        }

    def _traffic(self, values: dict[str, str], *_: Any) -> Json:
        step, seconds = int(values.get("step", 10)), int(values.get("seconds", 3600))
        begin = time.time() // step * step - seconds
        points: list[Json] = []
        scale = RATES[ROUTES.index(values["name"])] / 1062 if values.get("of") == "route" else 1.0
        for n in range(seconds // step):
            at = begin + n * step
            noise = random.Random(at)
            wave = 1000 + 260 * math.sin(at / 900) + noise.gauss(0, 25)
            spike = 1 + 3 * math.exp(-(((n - seconds / step * 0.7) / 3) ** 2))
            points.append(
                {
                    "at": at,
                    "requests": int(wave * step * scale),
                    "errors_4xx": int(31 * step * noise.uniform(0.8, 1.2)),
                    "errors_5xx": int(4 * step * spike * noise.random()),
                    "p50_ms": 8 * noise.uniform(0.9, 1.1),
                    "p95_ms": 30 * noise.uniform(0.9, 1.2) * spike**0.5,
                    "p99_ms": 74 * noise.uniform(0.8, 1.3) * spike,
                }
            )
        return {"step_seconds": step, "from": begin, "points": points}

    def _connections(self, *_: Any) -> Json:
        now, items = time.time(), []
        for n in range(1, 40):
            about = {"peer": f"203.0.113.{n}", "listener": "tcp:8443", "scheme": "https", "protocol": "1.1"}
            isBusy = n < 9
            told = {"route": "shop", "request_id": self.requests[n]["id"], "request_at": now - 1 / n} if isBusy else {
                "route": None, "request_id": None, "request_at": None}  # fmt: skip
            state = "answering" if isBusy else "idle"
            items.append({**about, "since": now - 7 * n, "requests": 3 * n, "state": state, **told})
        return {"count": 812, "items": items}

    def _requests(self, values: dict[str, str], *_: Any) -> Json:
        status = values.get("status", "")
        if status and not re.fullmatch(r"\d{3}|\dxx|\d{3}-\d{3}", status):
            raise Refused(400, f"status: {status!r} is none of 404, 5xx, 400-499")
        found = [one for one in self.requests if _fits(one, values)]
        at, limit = int(values.get("cursor", "1-0")[2:]), int(values.get("limit", 100))
        return {"items": found[at : at + limit], "next": f"1-{at + limit}" if at + limit < len(found) else None,
                "remembered": len(self.requests), "dropped": 0}  # fmt: skip

    def _one(self, _values: Any, _body: Any, _etag: Any, name: str) -> Json:
        for one in self.requests:
            if one["id"] == name:
                return {**one, "plan": 45, "others": False, "attempts": 2 if one["status"] >= 500 else 1}
        raise Refused(404, f"no request {name} is remembered; the last 50,000 are")

    def _explain(self, _values: Any, _body: Any, _etag: Any, name: str) -> Json:
        one = self._one(None, None, None, name)
        stop, target = one.get("interrupted_by"), one.get("upstream")
        plugins = []
        for order, plugin in enumerate(("request-id", "bot-rules", "auth", "quota", "html-banner")):
            plugins.append(_ran(plugin, order, "answered" if plugin == stop else "passed"))
            if plugin == stop:
                break
        if not stop:
            plugins.append({**_ran("tenant", 5, "not asked"), "ran": False, "why": "the filter of its manifest",
                            "request": None, "response": None})  # fmt: skip
        lost = [{"target": "http://10.0.2.21:9000", "outcome": "lost", "why": "connection refused"}]
        last = {"target": target, "outcome": "answered", "why": None}
        tries = [*(lost if one["status"] >= 500 else []), last]
        by = {"kind": "plugin", "name": stop} if stop else {"kind": "upstream" if target else "edge", "name": target}
        sent = int(one["duration_us"] * 0.03)
        return {
            "request": one, "because": "sample", "plan": {"number": 45, "is_current": True, "is_known": True},
            "route": _route(one["route"]), "plugins": plugins, "error": one.get("error"), "notes": [],
            "upstream": {"name": one["upstream_name"], "attempts": len(tries), "tries": tries, "chosen_upstream": None,
                         "chosen_target": None} if target and not stop else None,
            "answered_by": by, "request_headers": _names(["x-request-id", "x-user"], [], ["authorization"]),
            "response_headers": _names(["x-request-id"], ["content-length"]),
            "phases": {"before_us": sent, "upstream_us": one.get("upstream_us"), "after_us": sent,
                       "duration_us": one["duration_us"]},
        }  # fmt: skip

    def _dryRun(self, _values: Any, body: Json, *_: Any) -> Json:
        if "://" not in body["url"]:
            raise Refused(400, f"url: {body['url']!r} has no scheme; write https://{body['url']}")
        plugins = [{**_ran("auth", 2, "answered"), "why": "no Authorization"}] if body["plugins"] else []
        by = {"kind": "plugin", "name": "auth"} if plugins else {"kind": "upstream", "name": "api"}
        plugins = [{**one, "rule": "priority 600"} for one in plugins]
        return {"route": _route("shop-api"), "plugins": plugins, "answered_by": by, "notes": [], "refused": None,
                "status": 401 if plugins else None, "request_headers": None, "response_headers": None, "plan": 45,
                "is_sent_on": not plugins, "methods": [], "chosen_upstream": None, "chosen_target": None, "error": None}


def _names(added: list[str], changed: list[str], removed: list[str] | None = None) -> Json:
    return {"added": added, "changed": changed, "removed": removed or [], "more": 0}


def _ran(plugin: str, order: int, decision: str) -> Json:
    headers = _names(["x-request-id"], []) if plugin == "request-id" else None
    return {"name": plugin, "version": f"1.{order}.0", "digest": "", "ran": True, "decision": decision, "why": None,
            "arm": "candidate" if plugin == "quota" else None,
            "request": {"us": 6 + 31 * order, "waited_us": None, "headers": headers},
            "response": {"us": 4 + order, "waited_us": None, "headers": None}}  # fmt: skip


def _route(name: str) -> Json:
    place = {"host": "shop.example.com", "path": "/", "answers": f"upstream {UPSTREAMS[name]}"}
    others = [{**place, "name": "shop", "why": "a shorter path: /"},
              {**place, "name": "admin", "host": "admin.example.com", "why": "another host"}]  # fmt: skip
    return {"name": name, **place, "path": "/api/", "others": [one for one in others if one["name"] != name]}


def _fits(one: Json, values: dict[str, str]) -> bool:
    status = values.get("status", "")
    if status.endswith("xx") and str(one["status"])[0] != status[0]:
        return False
    if status.isdecimal() and one["status"] != int(status):
        return False
    if (plugin := values.get("plugin")) and one.get("interrupted_by") != plugin:
        return False
    if (path := values.get("path")) and not one["target"].startswith(path):
        return False
    if (slower := values.get("slower")) and one["duration_us"] < float(slower.rstrip("ms")) * (
        1e3 if slower.endswith("ms") else 1e6
    ):
        return False
    return all(
        values[key] == one[name]
        for key, name in (("route", "route"), ("method", "method"), ("client", "peer"), ("host", "host"))
        if values.get(key)
    )
