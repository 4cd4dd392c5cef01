"""What the double says of upstreams, certificates, alerts and the machine."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.admin.dashboard.samplefacts import Json


class EstateAnswers:
    """Targets, certificates, events, alerts, and the doctor."""

    def _upstreams(self, *_: Any) -> Json:
        def target(url: str, n: int, weight: int = 1, state: str = "up") -> Json:
            own = {
                "url": url,
                "weight": weight,
                "configured_weight": weight,
                "state": state,
                "since": self.begun,
                "expires_at": None,
                "in_flight": 4 * n,
                "queued": 0,
                "connections": 11 * n + 2,
                "last_failure": {"at": time.time() - 4000, "text": "connection refused"} if state == "down" else None,
                "last_10s": self.figures(100.0 * n, n, 0.0),
            }
            return {**own, **self.overrides.get(url, {})}

        return {
            "items": [
                {
                    "name": "api",
                    "policy": "round_robin",
                    "targets": [target("http://10.0.2.21:9000", 1), target("http://10.0.2.22:9000", 2, 2)],
                },
                {
                    "name": "legacy",
                    "policy": "round_robin",
                    "targets": [
                        target("http://a-machine-with-a-very-long-name.internal.example.com:8080", 0, 1, "down")
                    ],
                },
                {"name": "search", "policy": "round_robin", "targets": [target("http://10.0.3.31:7700", 1)]},
                {
                    "name": "web",
                    "policy": "round_robin",
                    "targets": [target("http://10.0.1.11:8000", 3), target("http://10.0.1.12:8000", 3)],
                },
            ]
        }

    def _target(self, _values: Any, body: Json, _etag: Any, name: str, command: str) -> Json:
        own = self.overrides.setdefault(body["target"], {})
        if command == "drain":
            own.update(state="drained", since=time.time(), expires_at=time.time() + 3600)
        elif command == "undrain":
            own.clear()
        else:
            own.update(weight=body["weight"], expires_at=time.time() + 3600)
        return {"text": [f"{name}: {body['target']}: {command} done"], "refused": []}

    def _certificates(self, *_: Any) -> Json:
        day = 86400
        return {
            "items": [
                {
                    "names": ["shop.example.com", "www.shop.example.com"],
                    "not_after": time.time() + 61 * day,
                    "issuer": "R11, Let's Encrypt",
                    "endpoint": "tcp:8443",
                    "file": "certs/shop.example.com.pem",
                    "problems": [],
                },
                {
                    "names": ["*.partners.example.com"],
                    "not_after": time.time() + 6.5 * day,
                    "issuer": "Example Root",
                    "endpoint": "tcp:8443",
                    "file": "certs/partners.pem",
                    "problems": [],
                },
                {
                    "names": ["old.example.com"],
                    "not_after": time.time() - 3 * day,
                    "issuer": "Example Root",
                    "endpoint": "tcp:8443",
                    "file": "certs/old.example.com.pem",
                    "problems": ["the key does not belong to the certificate"],
                    "is_kept": True,
                },
            ]
        }

    def _events(self, values: dict[str, str], *_: Any) -> Json:
        after = int(values.get("after", 0))
        return {"items": [one for one in self.events if one["number"] > after], "next": None}

    def _alerts(self, *_: Any) -> Json:
        firing = [
            {
                "id": "a1",
                "rule": "errors",
                "labels": {"route": "search"},
                "since": time.time() - 640,
                "text": "3.1 % of the requests to search fail; 2 % are allowed",
            },
            {
                "id": "a2",
                "rule": "remains",
                "labels": {"plugin": "auth"},
                "since": time.time() - 40000,
                "text": "1.2.0 of auth is still in memory: a module global holds the class Session",
            },
        ]
        hidden = {json.dumps(one["matchers"], sort_keys=True) for one in self.silences}
        return {
            "firing": [one for one in firing if json.dumps(one["labels"], sort_keys=True) not in hidden],
            "silences": self.silences,
            "silenced": [one for one in firing if json.dumps(one["labels"], sort_keys=True) in hidden],
            "resolved": [
                {
                    "id": "r1",
                    "rule": "target-down",
                    "labels": {"upstream": "search"},
                    "since": time.time() - 9000,
                    "resolved_at": time.time() - 8000,
                    "text": "http://10.0.3.31:7700 answers again",
                }
            ],
            "rules": [
                {
                    "name": "errors",
                    "when": "error_share > 2%",
                    "over": "5m",
                    "for": "1m",
                    "to": ["ops", "chat"],
                    "firing": 1,
                },
                {
                    "name": "target-down",
                    "on": "target-down",
                    "for": "30s",
                    "to": ["ops"],
                    "firing": 0,
                    "is_ready_made": True,
                },
            ],
            "receivers": [
                {
                    "name": "ops",
                    "kind": "alertmanager",
                    "last_delivery": time.time() - 20,
                    "last_error": None,
                    "queued": 0,
                    "dead_letters": 0,
                },
                {
                    "name": "chat",
                    "kind": "slack",
                    "last_delivery": time.time() - 7000,
                    "last_error": {"at": time.time() - 60, "text": "503 from hooks.example.com"},
                    "queued": 3,
                    "dead_letters": 1,
                },
            ],
        }

    def _silence(self, _values: Any, body: Json, *_: Any) -> Json:
        made = {
            "id": f"s{len(self.silences)}",
            "matchers": body["matchers"],
            "reason": body["reason"],
            "expires_at": time.time() + 3600,
        }
        self.silences.append(made)
        return made

    def _unsilence(self, _values: Any, _body: Any, _etag: Any, name: str) -> Json:
        self.silences = [one for one in self.silences if one["id"] != name]
        return {}

    def _doctor(self, *_: Any) -> Json:
        return {
            "checks": [
                {"name": "descriptors", "state": "ok", "text": "1,204 of 65,536 are open", "advice": ""},
                {
                    "name": "disk",
                    "state": "warning",
                    "text": "/var has 2.1 GB left of 40",
                    "advice": "Rotate access.log, or raise the alert before it is full: logging.access",
                },
                {
                    "name": "clock",
                    "state": "ok",
                    "text": "agrees with the kernel's, which is synchronised",
                    "advice": "",
                },
                {"name": "configuration", "state": "ok", "text": "what is written is what runs", "advice": ""},
                {
                    "name": "kernel",
                    "state": "failing",
                    "text": "net.core.somaxconn is 128: bursts of connections are dropped",
                    "advice": "sysctl -w net.core.somaxconn=4096",
                },
            ]
        }
