"""What the double says of plugins, configuration and changes."""

from __future__ import annotations

import difflib
import json
import time
from typing import Any

from tests.admin.dashboard.samplefacts import DIGESTS, PLUGINS, QUOTA, ROUTES, TRACEBACK, Json, Refused


class CodeAnswers:
    """Plugins, revproxy.yaml, and who changed what."""

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
        }

    def _plugin(self, _values: Any, _body: Any, _etag: Any, name: str) -> Json:
        if name not in PLUGINS:
            raise Refused(404, f"no plugin named {name!r}")
        return {
            **self._describe(name),
            "config_schema": QUOTA if name == "quota" else {},
            "config": [{"routes": ["shop"], "config": self.configs.get(name)}],
            "order": [{"routes": ["shop-api", "checkout"], "position": 3, "of": 5, "rule": "priority 500, after auth"}],
            "holders": [{"version": "1.2.0", "text": "a module global of auth (SESSIONS) holds the class Session"}]
            if name == "auth"
            else [],
            "figures": [{"name": "refused", "kind": "counter", "series": [{"labels": {"by": "rate"}, "value": 8123}]}]
            if name == "quota"
            else [],
        }

    def _pluginConfig(self, _values: Any, body: Json, etag: str, name: str) -> Json:
        if not body:
            return {"config": self.configs.get(name), "etag": "c1", "is_writable": True}
        if name == "quota" and body["config"].get("burst") == 13:
            raise Refused(
                422,
                "plugins.config.quota was not taken: 13 brings bad luck",
                problems=[
                    {
                        "file": "revproxy.yaml",
                        "line": 28,
                        "column": 12,
                        "path": "plugins.config.quota.burst",
                        "message": "13 brings bad luck",
                    }
                ],
            )
        before = json.dumps(self.configs.get(name)).splitlines()
        diff = "\n".join(difflib.unified_diff(before, json.dumps(body["config"]).splitlines(), lineterm=""))
        if not body.get("dry_run"):
            self.configs[name] = body["config"]
            self.change("configured", name, f"plugins.config.{name}", why=body.get("reason", ""))
        return {"diff": diff, "text": [], "etag": "c2"}

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
        return {
            "items": [
                {
                    "routes": ["shop", "admin", "search"],
                    "plugins": [one(name, n, rule) for n, (name, rule) in enumerate(zip(names, rules, strict=True))],
                },
                {
                    "routes": ["shop-api", "checkout"],
                    "plugins": [one(name, n, rules[n]) for n, name in enumerate(names[:4])],
                },
                {"routes": ["images", "status", ROUTES[-1]], "plugins": []},
            ]
        }

    def _etag(self) -> str:
        return f"{abs(hash(self.text)):x}"

    def _config(self, values: dict[str, str], body: Json, etag: str) -> Json:
        if not body:
            return {
                "text": self.text,
                "etag": self._etag(),
                "path": "/etc/revproxy/revproxy.yaml",
                "is_writable": True,
                "effective": {},
            }
        if etag and etag != self._etag():
            raise Refused(412, "the file is not what it was when you read it")
        for number, line in enumerate(body["text"].splitlines(), 1):
            if "tragets" in line:
                raise Refused(
                    422,
                    "revproxy.yaml was not taken",
                    problems=[
                        {
                            "file": "revproxy.yaml",
                            "line": number,
                            "column": line.index("tragets") + 1,
                            "path": "upstreams.web.tragets",
                            "message": "unknown key; did you mean targets?",
                        }
                    ],
                )
        diff = "\n".join(difflib.unified_diff(self.text.splitlines(), body["text"].splitlines(), lineterm=""))
        if values.get("dry_run") != "true" and not body.get("dry_run"):
            self.text = body["text"]
            self.change("configured", "revproxy.yaml", "revproxy.yaml is in force", why=body.get("reason", ""))
        return {"diff": diff, "text": [], "etag": self._etag()}

    def _history(self, *_: Any) -> Json:
        return {
            "items": [{k: v for k, v in one.items() if k != "config"} for one in reversed(self.history)],
            "next": None,
        }

    def _change(self, _values: Any, _body: Any, _etag: Any, number: str) -> Json:
        return next(one for one in self.history if one["number"] == int(number))

    def _diff(self, values: dict[str, str], *_: Any) -> Json:
        return {
            "diff": "@@ -7,3 +7,3 @@\n upstreams:\n   web:\n"
            f"-    targets: [http://10.0.1.11:{values['from']}]\n+    targets: [http://10.0.1.11:{values['to']}]\n"
        }

    def _revert(self, _values: Any, body: Json, *_: Any) -> Json:
        target = next(one for one in self.history if one["number"] == body["to"])
        if not body.get("dry_run"):
            self.text = target["config"]
            self.change("reverted", f"to #{body['to']}", "the file, pins and switches", why=body.get("reason", ""))
        return {"text": [f"as it was at #{body['to']}"], "diff": "@@ -1 +1 @@\n-rate: 50/s\n+rate: 100/s\n"}
