"""
What an edge could have to say, for `double`: a shop, an API, a few plugins of which one misbehaves.
"""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable
from typing import Any

from tests.admin.dashboard.samplecode import CodeAnswers
from tests.admin.dashboard.sampleestate import EstateAnswers
from tests.admin.dashboard.samplefacts import PATHS, ROUTES, TEXT, TRACEBACK, UPSTREAMS, Json, Refused
from tests.admin.dashboard.samplerollouts import RolloutAnswers
from tests.admin.dashboard.sampletraffic import TrafficAnswers
from tests.admin.dashboard.sampletrust import TrustAnswers

Answering = Callable[[dict[str, str], Json, str], Any]


class Sample(TrafficAnswers, CodeAnswers, EstateAnswers, TrustAnswers, RolloutAnswers):
    """
    One edge, as it could be.

    :ivar requests: the latest first.
    :ivar events: the latest last.
    """

    Refused = Refused

    def __init__(self, seed: int = 7) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self.begun = time.time() - 3 * 86400 - 4321
        self.text = TEXT
        self.number = 0
        self.passed = 0
        self.events: list[Json] = []
        self.silences: list[Json] = []
        self.pinned: dict[str, Json | None] = {"bot-rules": {"version": "2.0.1", "digest": "", "by": "rollback"}}
        self.off: set[str] = set()
        self.granted: set[str] = set()
        self.configs: dict[str, Any] = {"quota": {"rate": "100/s", "per": "client"}, "auth": {"audience": "shop"}}
        now = time.time()
        self.requests = [self.request(now - 0.4 * n - self._random.random()) for n in range(2500)]
        self.overrides: dict[str, Json] = {}
        self.history: list[Json] = []
        self._begin()

    def _begin(self) -> None:
        said = [
            ("configured", "revproxy.yaml is in force", "", ""),
            ("loaded", "runs on 6 routes", "auth", "1.4.0"),
            ("replaced", "2.0.1 by 2.1.0; 5 requests ended with the old one", "bot-rules", "2.1.0"),
            ("quarantined", "38 of 412 calls failed in 30 s; 2.0.1 runs instead", "bot-rules", "2.1.0"),
            ("target-down", "search: http://10.0.3.31:7700 is passed over: connection refused", "", ""),
            ("refused", "plugins/tenant/plugin.py:31:9: SyntaxError: expected ':'", "tenant", "0.9.1"),
            ("target-up", "search: http://10.0.3.31:7700 answers again", "", ""),
            (
                "remains",
                "1.3.0 is still in memory after 60 s: a module global of auth holds the class Session",
                "auth",
                "1.3.0",
            ),
            ("certificate-refused", "certs/old.example.com.pem: the key does not belong to the certificate", "", ""),
            ("replaced", "html-banner has another text", "html-banner", "1.2.0"),
        ]
        for n, (kind, text, plugin, version) in enumerate(said):
            self.event(kind, text, plugin, version, time.time() - 86400 * (1 - n / 10) + n * 7)
        self.events[3]["traceback"] = TRACEBACK
        whats = [
            ("config", "", "the route search has an upstream of its own", "alice", "http", "INC-211"),
            ("files", "bot-rules", "2.1.0 instead of 2.0.1", "files", "files", ""),
            ("quarantine", "bot-rules", "2.0.1 instead of 2.1.0", "edge", "edge", ""),
            ("pin", "auth", "stays at 1.4.0", "bob", "socket", "until the audit is over"),
            ("files:import", "tenant", "plugin.py:31:9: SyntaxError: expected ':'", "files", "files", ""),
            ("config", "", "quota: 50/s for shop-api", "alice", "http", "the app's new page"),
        ]
        for n, (action, target, text, who, via, why) in enumerate(whats):
            self.change(action, target, text, who, via, why, at=time.time() - 86400 + n * 14000)

    # What passes

    def request(self, at: float, **about: Any) -> Json:
        """A record, as a line of the access log."""
        rand = self._random
        route = rand.choices(ROUTES, (30, 40, 4, 8, 25, 1, 3, 1))[0]
        status = rand.choices((200, 304, 404, 429, 403, 502, 503), (820, 90, 30, 25, 10, 6, 2))[0]
        took = int(rand.lognormvariate(9.2, 0.9) if route != "images" else rand.lognormvariate(6.5, 0.5))
        self.passed += 1
        record: Json = {
            "number": self.passed,
            "at": at,
            "plan": 45,
            "explained": status >= 400,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1000):03d}Z",
            "id": f"{int(at * 1000):x}-{rand.getrandbits(40):010x}",
            "peer": f"203.0.113.{rand.randrange(1, 250)}",
            "method": rand.choices(("GET", "POST", "DELETE"), (80, 18, 2))[0],
            "scheme": "https",
            "host": "shop.example.com",
            "target": rand.choice(PATHS),
            "version": "1.1",
            "status": status,
            "bytes_in": 0,
            "bytes_out": rand.randrange(200, 90000),
            "duration_us": took,
            "route": route,
        }
        if status in (429, 403):
            record["interrupted_by"] = "quota" if status == 429 else "auth"
            record["duration_us"] = 260 + took // 60
        elif UPSTREAMS[route]:
            record["upstream_name"] = UPSTREAMS[route]
            record["upstream"] = {
                "web": "http://10.0.1.11:8000",
                "api": "http://10.0.2.22:9000",
                "search": "http://10.0.3.31:7700",
            }.get(UPSTREAMS[route], "http://10.0.9.9:80")
            record["upstream_us"] = int(took * 0.93)
        if status >= 500:
            record["error"] = "connection refused" if status == 502 else "no target is up"
        return {**record, **about}

    def event(self, kind: str, text: str, plugin: str = "", version: str = "", at: float | None = None) -> Json:
        """Something happens."""
        self.number += 1
        event = {
            "number": self.number,
            "at": at or time.time(),
            "kind": kind,
            "plugin": plugin,
            "version": version,
            "text": text,
            "traceback": "",
        }
        self.events.append(event)
        return event

    def change(
        self, action: str, plugin: str, text: str, who: str = "alice", via: str = "http", why: str = "", at: float = 0
    ) -> None:
        """A change is made, or refused, if there is a colon in its action."""
        action, _, refused = action.partition(":")
        isHere = via in ("http", "socket")
        self.history.append({
            "number": len(self.history) + 40, "at": at or time.time(), "action": action, "plugin": plugin,
            "actor": {"name": who, "via": via, "role": "admin", "address": "10.1.0.9" if isHere else "", "token": ""},
            "reason": why, "result": "refused" if refused else "done", "text": [] if refused else [text],
            "refused": [{"plugin": plugin, "stage": refused, "message": text}] if refused else [], "then": self.text,
        })  # fmt: skip

    def figures(self, scale: float, slow: float = 1.0, bad: float = 0.004) -> Json:
        """Of one window."""
        wave = 1 + 0.1 * math.sin(time.time() / 7)
        return {
            "requests": int(scale * 10),
            "rate": round(scale * wave, 2),
            "share_4xx": 0.031,
            "share_5xx": bad,
            "p50_ms": 8.2 * slow * wave,
            "p95_ms": 31 * slow * wave,
            "p99_ms": 74 * slow * wave,
        }

    # What is asked

    def roleFor(self, method: str, path: str) -> str:
        """The least that may ask."""
        if (
            path in ("/config",)
            or (path.endswith(("/config", "/diff")) and path.startswith("/plugins"))
            or path == "/revert"
            or path.endswith("/grant")
        ):
            return "configure"
        if path.startswith(("/requests", "/connections")) or path == "/explain":
            return "observe"
        return "read" if method == "GET" else "operate"

    def find(self, method: str, path: str) -> Answering | None:
        """Who answers it."""
        for ways, pattern, answer in self._table():
            if method in ways.split() and (found := re.fullmatch(pattern, path)):
                names = found.groups()
                return lambda values, body, etag, names=names, answer=answer: answer(values, body, etag, *names)
        return None

    def _table(self) -> list[tuple[str, str, Callable[..., Any]]]:
        return [
            ("GET", "/status", self._status),
            ("GET", "/traffic", self._traffic),
            ("GET", "/connections", self._connections),
            ("GET", "/requests", self._requests),
            ("GET", "/requests/([^/]+)", self._one),
            ("GET", "/requests/([^/]+)/explain", self._explain),
            ("POST", "/explain", self._dryRun),
            ("GET", "/plugins", self._plugins),
            ("GET", "/plugins/([^/]+)", self._plugin),
            ("GET PUT", "/plugins/([^/]+)/config", self._pluginConfig),
            ("GET", "/plugins/([^/]+)/diff", self._pluginDiff),
            ("POST", "/plugins/([^/]+)/(enable|disable|rollback|pin|unpin)", self._steer),
            ("POST", "/plugins/([^/]+)/grant", self._grant),
            ("GET", "/rollouts", self._rollouts),
            ("GET", "/rollouts/([^/]+)", self._rollout),
            ("GET", "/rollouts/([^/]+)/plan", self._forecast),
            ("POST", "/rollouts/([^/]+)/start", self._startRollout),
            ("POST", "/rollouts/([^/]+)/(step|hold|resume|promote|abort)", self._steerRollout),
            ("GET", "/trust", self._trust),
            ("POST", "/reload", lambda *_: {"text": ["nothing had to change"], "refused": []}),
            ("GET", "/chain", self._chain),
            ("GET PUT", "/config", self._config),
            ("GET", "/config/effective", lambda *_: {"timeouts": {"drain": 30.0, "tunnel": 3600}}),
            ("GET", "/history", self._history),
            ("GET", r"/history/(\d+)", self._change),
            ("GET", "/diff", self._diff),
            ("POST", "/revert", self._revert),
            ("GET", "/upstreams", self._upstreams),
            ("POST", "/upstreams/([^/]+)/(drain|undrain|weight)", self._target),
            ("GET", "/certificates", self._certificates),
            ("GET", "/events", self._events),
            ("GET", "/alerts", self._alerts),
            ("POST", "/alerts/silences", self._silence),
            ("DELETE", "/alerts/silences/([^/]+)", self._unsilence),
            ("POST", "/alerts/receivers/([^/]+)/test", lambda *_: {"is_delivered": True, "status": 200, "text": ""}),
            ("GET", "/doctor", self._doctor),
        ]
