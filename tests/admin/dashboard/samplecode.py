"""What the double says of plugins, configuration and changes."""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Callable
from typing import Any

from tests.admin.dashboard.samplefacts import DIGESTS, PLUGINS, QUOTA, ROUTES, TRACEBACK, Json, Refused


class CodeAnswers:
    """Plugins, revproxy.yaml, and who changed what."""

    trustOf: Callable[[str], Json]
    rolloutOf: Callable[[str], Json | None]

    def _plugins(self, *_: Any) -> Json:
        return {
            "items": [self._describe(name) for name in PLUGINS],
            "configuration": {"source": "revproxy.yaml", "failure": None},
        }

    def _describe(self, name: str) -> Json:
        order = PLUGINS.index(name)
        versions = [
            {
                "version": f"1.{n}.0",
                "digest": DIGESTS[name, n],
                "ran_at": time.time() - 86400 * (4 - n),
                "running": n == 3,
                "trial": {"state": "rolled-back", "reason": "4 of 31 clients met an error with it: 210 : 1"}
                if name == "bot-rules" and n == 1 else None,
                "quarantined": "38 of 412 calls failed in 30 s" if name == "bot-rules" and n == 2 else None,
                "calls": 9000 * (n + 1),
                "errors": 38 if name == "bot-rules" and n == 2 else 0,
                "last_failure": {
                    "at": time.time() - 9999,
                    "message": "ZeroDivisionError: division by zero",
                    "function": "handle",
                    "where": "plugins/bot-rules/plugin.py:131",
                    "traceback": TRACEBACK,
                }
                if name == "bot-rules" and n == 2
                else None,
            }
            for n in range(4)
        ]
        failure = (
            {
                "at": time.time() - 5555,
                "stage": "import",
                "version": "0.9.1",
                "digest": DIGESTS[name, 4],
                "message": "plugins/tenant/plugin.py:31:9: SyntaxError: expected ':'",
                "traceback": "",
            }
            if name == "tenant"
            else None
        )
        return {
            "name": name,
            "origin": "directory" if name != "request-id" else "dropin",
            "version": "1.3.0",
            "digest": DIGESTS[name, 3],
            "state": "off" if name in self.off else "running",
            "pinned": self.pinned.get(name),
            "removed_at": None,
            "removed_because": None,
            "required": name == "auth",
            "calls": 3610244 // (order + 1),
            "errors": 2 if name == "bot-rules" else 0,
            "timeouts": 0,
            "interrupts": 8123 if name in ("auth", "quota") else 0,
            "stalls": 0,
            "self_seconds": 97.2 / (order + 1),
            "generations_alive": 2 if name == "auth" else 1,
            "threads": {"busy": 2, "most": 8, "queued": 0, "rejected": 0, "left": 0} if name == "bot-rules" else None,
            "failure": failure,
            "last_failure": None,
            "versions": versions if name != "request-id" else [],
            "trust": self.trustOf(name),
            "rollout": self.rolloutOf(name),
        }

    def _plugin(self, _values: Any, _body: Any, _etag: Any, name: str) -> Json:
        if name not in PLUGINS:
            raise Refused(404, f"no plugin named {name!r}")
        figure = {"name": "refused", "kind": "counter", "series": [{"labels": {"by": "rate"}, "value": 8123}]}
        order = {"routes": ["shop-api", "checkout"], "position": 3, "of": 5, "rule": "priority 500, after auth"}
        told = {"at": time.time() - 9000, "version": "1.2.0",
                "text": "a module global of auth (SESSIONS) holds the class Session"}  # fmt: skip
        return {**self._describe(name), "figures": [figure] if name == "quota" else [], "order": [order],
                "holders": [told] if name == "auth" else []}  # fmt: skip

    def _pluginConfig(self, values: dict[str, str], body: Json, etag: str, name: str) -> Json:
        config, path = self.configs.get(name), "$.plugins.config.quota.burst"
        if not body:
            groups = [{"routes": ["shop", "admin"], "config": config}, {"routes": ["images"], "config": None}]
            return {"name": name, "config": config, "defaults": {"per": "client"}, "groups": groups, "etag": "c1",
                    "schema": QUOTA if name == "quota" else None, "is_writable": True}  # fmt: skip
        if name == "quota" and body["config"].get("burst") == 13:
            problem = {"source": "revproxy.yaml", "line": 28, "column": 12, "path": path, "message": "13 is bad luck"}
            raise Refused(422, "revproxy.yaml:28:12: 13 is bad luck", problems=[problem])
        isTrial = values.get("dry_run") == "true"
        if not isTrial:
            self.configs[name] = body["config"]
            self.change("plugin-config", name, f"plugins.config.{name}", why=body.get("reason", ""))
        return _written(json.dumps(config), json.dumps(body["config"]), "c2", isTrial)

    def _pluginDiff(self, *_: Any) -> Json:
        return {
            "files": [
                {
                    "path": "plugin.py",
                    "diff": "@@ -12,4 +12,5 @@\n def handle(self, context):\n"
                    "-    return self.allow(context)\n+    return self.isPreflight(context) or self.allow(context)\n",
                }
            ]
        }

    def _steer(self, _values: Any, body: Json, _etag: Any, name: str, command: str) -> Json:
        if command in ("disable", "enable"):
            (self.off.add if command == "disable" else self.off.discard)(name)
        else:
            self.pinned[name] = (
                None
                if command == "unpin"
                else {
                    "version": "1.2.0",
                    "digest": DIGESTS[name, 2],
                    "by": "rollback" if command == "rollback" else "user",
                }
            )
        self.change(command, name, f"revproxy {command} {name}", why=body.get("reason", ""))
        return {
            "text": [
                {
                    "rollback": f"{name}: pinned until its folder has something new",
                    "disable": f"{name}: switched off",
                }.get(command, f"{name}: {command} done")
            ],
            "refused": [],
        }

    def _chain(self, *_: Any) -> Json:
        def one(name: str, n: int, rule: str) -> Json:
            return {
                "name": name,
                "version": "1.3.0",
                "rule": rule,
                "calls": 3610244 // (n + 1),
                "errors": 2 if name == "bot-rules" else 0,
                "interrupts": 8123 if name in ("auth", "quota") else 0,
                "self_p50_us": 9.0 + n * 14,
                "self_p99_us": 80.0 + n * 100,
                "share": 0.004 * (n + 1) ** 2,
            }

        names = ("request-id", "bot-rules", "auth", "quota", "html-banner")
        rules = (
            "phase first, then by name",
            "before auth",
            "priority 600",
            "after auth",
            "priority 100, the last of its phase",
        )
        rest = ["images", "status", ROUTES[-1]]
        groups = ((["shop", "admin", "search"], 5), (["shop-api", "checkout"], 4), (rest, 0))
        return {"items": [
            {"routes": routes, "route_count": len(routes),
             "plugins": [one(names[n], n, rules[n]) for n in range(length)]} for routes, length in groups
        ]}  # fmt: skip

    def _etag(self) -> str:
        return f"{abs(hash(self.text)):x}"

    def _config(self, values: dict[str, str], body: Json, etag: str) -> Json:
        if not body:
            return {"text": self.text, "etag": self._etag(), "path": "/etc/revproxy/revproxy.yaml", "effective": {},
                    "is_writable": True, "unwritable": ""}  # fmt: skip
        if etag != self._etag():
            raise Refused(412, "revproxy.yaml was changed by somebody else meanwhile; read it again")
        for number, line in enumerate(body["text"].splitlines(), 1):
            if (at := line.find("tragets")) >= 0:
                problem = {"source": "revproxy.yaml", "line": number, "column": at + 1, "path": "$.upstreams.web",
                           "message": "unknown key 'tragets'; did you mean 'targets'?"}  # fmt: skip
                raise Refused(422, f"revproxy.yaml:{number}:{at + 1}: unknown key", problems=[problem])
        before, isTrial = self.text, values.get("dry_run") == "true"
        if not isTrial:
            self.text = body["text"]
            self.change("config", "", "revproxy.yaml is in force", why=body.get("reason", ""))
        return _written(before, body["text"], self._etag(), isTrial)

    def _history(self, *_: Any) -> Json:
        shown = [{key: value for key, value in one.items() if key != "then"} for one in reversed(self.history)]
        return {"items": shown, "next": None}

    def _change(self, _values: Any, _body: Any, _etag: Any, number: str) -> Json:
        found = next(one for one in self.history if one["number"] == int(number))
        return {**found, "stood": {"config": "", "plugins": {}, "pins": {}}, "config_text": found["then"]}

    def _diff(self, values: dict[str, str], *_: Any) -> Json:
        config = f"@@ -8 +8 @@\n-    targets: [http://10.0.1.{values['from']}]\n"
        config += f"+    targets: [http://10.0.1.{values['to']}]"
        return {"from": int(values["from"]), "to": int(values["to"]), "config": config, "plugins": [], "pins": [],
                "lines": ["bot-rules: 2.0.1, was 2.1.0", "auth: pinned"], "switches": [], "gates": []}  # fmt: skip

    def _revert(self, _values: Any, body: Json, *_: Any) -> Json:
        target = next(one for one in self.history if one["number"] == body["to"])
        if not body.get("dry_run"):
            self.text = target["then"]
            self.change("revert", "", f"as after change {body['to']}", why=body.get("reason", ""))
        told = _written("rate: 50/s", "rate: 100/s", "c3", bool(body.get("dry_run")))
        return {**told, "text": [f"as after change {body['to']}"]}


def _written(before: str, after: str, etag: str, isTrial: bool) -> Json:
    """What an edit is answered."""
    diff = "\n".join(list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm=""))[2:])
    return {"text": ["revproxy.yaml: one value"], "refused": [], "diff": diff, "etag": etag, "dry_run": isTrial}
