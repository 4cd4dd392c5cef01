"""What the double says of trust: one plugin waits for a grant, one is locked in, one signer ends soon."""

from __future__ import annotations

import time
from typing import Any

from tests.admin.dashboard.samplefacts import DIGESTS, PLUGINS, Json, Refused

NOTHING: Json = {
    "read_headers": [], "write_headers": [], "body": "none", "respond": False, "upstreams": [], "store": False,
    "figures": False, "environment": [], "files": [],
}  # fmt: skip

ASKED: dict[str, Json | None] = {
    "auth": {**NOTHING, "read_headers": ["Authorization", "Cookie", ":authority"], "write_headers": ["X-User"],
             "respond": True, "upstreams": ["api"], "store": True, "environment": ["AUTH_SECRET"]},
    "quota": {**NOTHING, "read_headers": ["X-Tenant"], "respond": True, "store": True, "figures": True},
    "bot-rules": {**NOTHING, "read_headers": ["*"], "body": "read", "respond": True},
    "tenant": {**NOTHING, "read_headers": ["X-Tenant"], "write_headers": ["X-Plan"], "upstreams": ["legacy"]},
}  # fmt: skip

LACKS = {"tenant": ["upstreams: legacy"]}

KEYS = {"ours": "SHA256:ours0kq0Vb8lSX2T0x2qQ0m", "acme-2026": "RWTacme2026", "acme-2027": "RWTacme2027"}
SIGNERS = {"auth": "ours", "quota": "ours", "html-banner": "ours", "bot-rules": "acme-2026", "tenant": "acme-2026"}
REASON = "EPERM: this user may not make user namespaces"
LAYERS = (
    ("seccomp", None), ("landlock", None), ("limits", None), ("no-new-privileges", None), ("network", REASON),
    ("root", REASON), ("user", "no users are set aside for it: trust.uids in revproxy.yaml"), ("no-new-code", None),
)  # fmt: skip


class TrustAnswers:
    """Whose code it is; part of a `Sample`."""

    granted: set[str]
    change: Any

    def trustOf(self, name: str) -> Json:
        """Of one plugin."""
        signer, isLocked = SIGNERS.get(name), name in ("bot-rules", "tenant")
        lacks = [] if name in self.granted else LACKS.get(name, [])
        asked = ASKED.get(name)
        granted = None if asked is None else {**asked, "upstreams": [] if lacks else asked["upstreams"]}
        return {
            "state": "trusted" if signer else "unchecked",
            "signer": signer,
            "key": KEYS[signer] if signer else None,
            "envelope": None if signer is None else "minisig" if signer.startswith("acme") else "sshsig",
            "revision": 7 if signer else None,
            "verified_at": time.time() - 86400 if signer else None,
            "file": None, "rule": None, "message": None,
            "tier": "process" if isLocked else "inline",
            "wanted_tier": "process" if name == "tenant" else "inline",
            "level": "B" if isLocked else None,
            "permissions": {"asked": asked, "granted": granted, "missing": lacks, "beyond": []},
            "waiting": self._waiting() if name == "bot-rules" and name not in self.granted else None,
        }  # fmt: skip

    def _waiting(self) -> Json:
        added = ["read_headers: Cookie", "upstreams: api"]
        return {
            "version": "1.4.0", "digest": DIGESTS["bot-rules", 4], "stage": "grant", "added": added, "missing": added,
            "message": "it asks for more than it is granted: read_headers: Cookie, upstreams: api",
            "asked": {**(ASKED["bot-rules"] or {}), "upstreams": ["api"]}, "beyond": [],
        }  # fmt: skip

    def _trust(self, *_: Any) -> Json:
        day = 86400
        return {
            "mode": "signed+lock", "minimum_level": "C", "level": "B",
            "layers": [{"name": name, "enforced": not why, "reason": why} for name, why in LAYERS],
            "signers": [
                self._signer("ours", ["*"], "inline", None, time.time() + 400 * day),
                self._signer("acme-2026", ["bot-*", "tenant"], "process", ASKED["bot-rules"], time.time() + 12 * day),
                {**self._signer("acme-2027", ["bot-*", "tenant"], "process", ASKED["bot-rules"], None), "signed": []},
                {**self._signer("acme-2026", ["bot-*"], "process", NOTHING, time.time() - 300 * day),
                 "name": "acme-2025", "key": "RWTacme2025", "is_over": True, "is_revoked": True, "signed": []},
            ],
            "lock": {"path": "/etc/revproxy/plugins.lock", "plugins": [
                {"name": name, "version": "1.3.0", "digest": DIGESTS[name, 3], "signer": SIGNERS[name], "earlier": n}
                for n, name in enumerate(sorted(SIGNERS))
            ]},
            "revoked": {"path": "/etc/revproxy/revoked", "entries": ["key:RWTacme2025", f"sha256:{'ab' * 32}"]},
            "problems": [],
            "plugins": [{"name": name, **self.trustOf(name)} for name in PLUGINS],
        }  # fmt: skip

    def _signer(self, name: str, globs: list[str], tier: str, most: Json | None, ends: float | None) -> Json:
        return {
            "name": name, "key": KEYS[name], "plugins": globs, "tier": tier, "permissions": most, "not_after": ends,
            "is_over": False, "is_revoked": False,
            "signed": sorted(plugin for plugin, signer in SIGNERS.items() if signer == name),
        }  # fmt: skip

    def _grant(self, values: dict[str, str], body: Json, _etag: Any, name: str) -> Json:
        if body.get("digest") not in (None, DIGESTS.get((name, 4)), DIGESTS.get((name, 3))):
            raise Refused(409, f"{name}: its folder has another version by now; look at that")
        isTrial = values.get("dry_run") == "true"
        diff = f"@@ -30,2 +30,5 @@\n   grants:\n+    {name}:\n+      read_headers: [Cookie]\n+      upstreams: [api]"
        if not isTrial:
            self.granted.add(name)
            self.change("grant", name, f"revproxy grant {name}", why=body.get("reason", ""))
        return {"text": [f"{name}: it is granted what it asks for"], "refused": [], "diff": diff, "etag": "c9",
                "dry_run": isTrial}  # fmt: skip
