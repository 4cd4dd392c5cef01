"""What the double says of upstreams, certificates, alerts and the machine."""

from __future__ import annotations

import time
from typing import Any

from tests.admin.dashboard.samplefacts import Json


class EstateAnswers:
    """Targets, certificates, events, alerts, and the doctor."""

    def _upstreams(self, *_: Any) -> Json:
        web, api = [self._target_(f"http://10.0.1.1{n}:8000", 3) for n in (1, 2)], "http://10.0.2.2"
        legacy = "http://a-machine-with-a-very-long-name.internal.example.com:8080"
        targets = {
            "api": [self._target_(f"{api}1:9000", 1), self._target_(f"{api}2:9000", 2, 2)],
            "legacy": [self._target_(legacy, 0, 1, "down")],
            "search": [self._target_("http://10.0.3.31:7700", 1)],
            "web": web,
        }
        return {"items": [
            {"name": name, "policy": "round_robin", "targets": all_,
             "state": "up" if any(one["state"] == "up" for one in all_) else "down"} for name, all_ in targets.items()
        ]}  # fmt: skip

    def _target_(self, url: str, n: int, weight: int = 1, state: str = "up") -> Json:
        said, isDown = self.overrides.get(url, {}), state == "down"
        weighed = said.get("weighed")
        return {
            "url": url, "weight": weighed["weight"] if weighed else weight, "configured_weight": weight,
            "state": "drained" if "drained" in said else state, "since": self.begun, "in_flight": 4 * n, "queued": 0,
            "connections": 11 * n + 2, "tunnels": 0, "drained": said.get("drained"), "weighed": weighed,
            "last_failure": {"at": time.time() - 4000, "text": "connection refused"} if isDown else None,
            "expires_at": None, "last_10s": self.figures(100.0 * n, n, 0.0),
        }  # fmt: skip

    def _target(self, _values: Any, body: Json, _etag: Any, name: str, command: str) -> Json:
        own = self.overrides.setdefault(body["target"], {})
        about = {"by": "alice", "reason": body.get("reason", ""), "at": time.time(), "expires_at": time.time() + 3600}
        if command == "drain":
            own["drained"] = about
        elif command == "undrain":
            own.pop("drained", None)
        else:
            own["weighed"] = {**about, "weight": body["weight"]} if body["weight"] else None
        return {"text": [f"{name}: {body['target']}: {command} done"]}

    def _certificates(self, *_: Any) -> Json:
        def one(file: str, names: list[str], days: float, issuer: str, isUsed: bool = True) -> Json:
            ends = time.time() + days * 86400
            return {"file": f"certs/{file}", "names": names, "serves": names if isUsed else [], "is_default": days > 60,
                    "is_used": isUsed, "subject": f"CN={names[0]}", "issuer": issuer, "chain": [issuer], "serial": "1",
                    "fingerprint": "3f" * 32, "not_before": ends - 9e6, "not_after": ends, "days_left": days}

        return {"items": [{
            "listener": "tcp:8443", "place": "/etc/revproxy/certs", "read_at": time.time() - 7000, "is_kept": False,
            "problems": ["certs/old.example.com.pem: the key does not belong to the certificate"], "expires_at": 0,
            "certificates": [
                one("shop.example.com.pem", ["shop.example.com", "www.shop.example.com"], 61, "Let's Encrypt R11"),
                one("partners.pem", ["*.partners.example.com"], 6.5, "Example Root"),
                one("archive.pem", ["archive.example.com"], -3, "Example Root", False),
            ],
        }]}  # fmt: skip

    def _events(self, values: dict[str, str], *_: Any) -> Json:
        after = int(values.get("after", 0))
        return {"items": [one for one in self.events if one["number"] > after], "next": None}

    def _alerts(self, *_: Any) -> Json:
        now = time.time()

        def alert(rule: str, severity: str, text: str, ago: float, ended: float | None = None, **about: str) -> Json:
            return {"fingerprint": rule, "rule": rule, "state": "resolved" if ended else "firing", "summary": rule,
                    "labels": {"alertname": rule, "severity": severity, **about}, "text": text, "since": now - ago - 60,
                    "fired_at": now - ago, "ended_at": ended and now - ended, "why": ""}  # fmt: skip

        firing = [
            alert("errors", "critical", "3.1 % of the requests to search fail; 2 % are allowed", 640, route="search"),
            alert("remains", "warning", "1.2.0 of auth is still in memory: a module global holds the class Session",
                  40000, plugin="auth"),
        ]  # fmt: skip
        hidden = {text for one in self.silences for text in one["matchers"]}
        isSilent = {one["rule"]: f"alertname={one['rule']}" in hidden for one in firing}
        return {
            "firing": [one for one in firing if not isSilent[one["rule"]]], "pending": [],
            "silenced": [one for one in firing if isSilent[one["rule"]]], "silences": self.silences,
            "resolved": [alert("target-down", "warning", "http://10.0.3.31:7700 answers again", 9000, 8000.0,
                               upstream="search")],
            "rules": [_rule("errors", 1, when="error_share > 2%", of="route", over_seconds=300.0, for_seconds=60.0),
                      _rule("target-down", 0, on=["target-down"], for_seconds=30.0, is_ready_made=True)],
            "receivers": [
                _receiver("ops", "alertmanager", now - 20),
                _receiver("chat", "slack", now - 7000, last_failure=now - 60, queued=3, dead_letters=1,
                          last_error="503 from hooks.example.com"),
            ],
        }  # fmt: skip

    def _silence(self, _values: Any, body: Json, *_: Any) -> Json:
        made = {"id": f"s{len(self.silences)}", "matchers": body["matchers"], "reason": body.get("reason", ""),
                "by": "alice", "at": time.time(), "until": time.time() + 3600}  # fmt: skip
        self.silences.append(made)
        return made

    def _unsilence(self, _values: Any, _body: Any, _etag: Any, name: str) -> Json:
        self.silences = [one for one in self.silences if one["id"] != name]
        return {}

    def _doctor(self, *_: Any) -> Json:
        said = [
            ("descriptors", "ok", "1,204 of 65,536 are open", ""),
            ("disk", "warning", "/var has 2.1 GB left of 40", "Rotate access.log, or make room."),
            ("clock", "ok", "agrees with the kernel's, which is synchronised", ""),
            ("configuration", "ok", "what is written is what runs", ""),
            ("kernel", "failing", "net.core.somaxconn is 128: bursts of connections are dropped",
             "sysctl -w net.core.somaxconn=4096"),
        ]  # fmt: skip
        return {"checks": [dict(zip(("name", "state", "text", "advice"), one, strict=True)) for one in said]}


def _rule(name: str, firing: int, **about: Any) -> Json:
    return {"name": name, "on": [], "when": "", "of": "edge", "only": "", "over_seconds": None, "for_seconds": 0,
            "severity": "warning", "to": ["ops"], "is_ready_made": False, "firing": firing, "pending": 0,
            "without_traffic": 0, **about}  # fmt: skip


def _receiver(name: str, kind: str, delivered: float, **about: Any) -> Json:
    return {"name": name, "kind": kind, "is_disabled": False, "last_delivery": delivered, "last_failure": None,
            "last_error": "", "failures": 0, "queued": 0, "dead_letters": 0, "dead": [], **about}  # fmt: skip
