"""
Whose code runs, where, and what it may touch, as JSON can say it.
"""

from __future__ import annotations

from typing import Any

from revproxy.config.settings import Config
from revproxy.config.trustconfig import SignerConfig
from revproxy.control.coordinator import Coordinator
from revproxy.control.inbox import Inbox
from revproxy.control.planning.tiers import Tier, tierOf
from revproxy.control.trust.policy import UNCHECKED, Judgement, Policy
from revproxy.control.trust.sieve import boundsOf
from revproxy.permissions import Permissions
from revproxy.plan.catalog import CatalogEntry
from revproxy.plan.refusal import OF_TRUST


class TrustView:
    """That of one edge."""

    def __init__(self, coordinator: Coordinator, inbox: Inbox) -> None:
        """:param inbox: has what workers have said of the machine."""
        self._coordinator = coordinator
        self._inbox = inbox

    def whole(self) -> dict[str, Any]:
        """All of it: the rules, the machine, and each plugin that there is."""
        config, locking = self._coordinator.config, self._inbox.locking
        policy = self._coordinator.trust.under(config)
        names = sorted({*self._running(), *self._coordinator.catalog.entries})
        return {
            "mode": config.trust.mode,
            "minimum_level": config.trust.minimumLevel,
            "level": None if locking is None else locking.level,
            "layers": [] if locking is None else [
                {"name": name, "enforced": not why, "reason": why or None} for name, why in locking.layers.items()
            ],
            "signers": [self._signer(signer, policy) for signer in config.trust.signers],
            "lock": _lock(config, policy),
            "revoked": None if config.trust.revoked is None else {
                "path": str(config.trust.revoked), "entries": sorted(policy.lists.revoked),
            },
            "problems": [str(problem) for problem in policy.lists.problems],
            "plugins": [{"name": name, **self.of(name)} for name in names],
        }  # fmt: skip

    def of(self, name: str) -> dict[str, Any]:
        """
        Of one plugin: of what runs, else of what its folder has; and of what waits.
        """
        coordinator, trust = self._coordinator, self._coordinator.trust
        config = coordinator.config
        running = self._running().get(name)
        entry = running or coordinator.catalog.entries.get(name)
        if entry is None:
            return {**_judged(UNCHECKED, None), **self._placed(None), "waiting": None}
        policy = trust.under(config)
        judged = trust.judgements.get(name) if running else None  # before the first commit, none of it is
        judgement = judged or policy.judge(entry, running is not None)
        verified = None if entry.digest is None else trust.memory.verified(name, entry.digest)
        at = None if verified is None or judgement.signer is None else verified.at
        tier = tierOf(entry, config.plugins, boundsOf(judgement, policy))
        return {**_judged(judgement, at), **self._placed(tier), "waiting": self._waiting(name, entry, policy)}

    def _running(self) -> dict[str, CatalogEntry]:
        plan = self._coordinator.shown
        return {} if plan is None else {each.name: each.entry for each in plan.selected}

    def _waiting(self, name: str, shown: CatalogEntry, policy: Policy) -> dict[str, Any] | None:
        """What is in a plugin's folder, and may not run, or not yet."""
        refusal = self._coordinator.refused.of(name)
        if refusal is None or refusal.stage not in OF_TRUST:
            return None
        here = self._coordinator.catalog.entries.get(name)
        told = {"version": refusal.version.number, "digest": refusal.digest, "stage": refusal.stage,
                "message": refusal.message}  # fmt: skip
        if here is None or here.digest != refusal.digest:
            return {**told, "asked": None, "added": [], "missing": [], "beyond": []}
        tier = tierOf(here, policy.config.plugins, boundsOf(policy.judge(here, False), policy))
        before = shown.manifest.permissions if shown is not here else None
        added = () if tier.asked is None or before is None else before.lacks(tier.asked)
        return {**told, "asked": _permissions(tier.asked), "added": list(added), "missing": list(tier.missing),
                "beyond": list(tier.beyond)}  # fmt: skip

    def _placed(self, tier: Tier | None) -> dict[str, Any]:
        locking = self._inbox.locking
        if tier is None:
            permissions: dict[str, Any] = {"asked": None, "granted": None, "missing": [], "beyond": []}
            return {"tier": "inline", "wanted_tier": "inline", "level": None, "permissions": permissions}
        return {
            "tier": tier.isolation,
            "wanted_tier": tier.wanted,
            "level": locking.level if locking is not None and tier.isolation == "process" else None,
            "permissions": {
                "asked": _permissions(tier.asked),
                "granted": _permissions(tier.permissions),
                "missing": list(tier.missing),
                "beyond": list(tier.beyond),
            },
        }

    def _signer(self, signer: SignerConfig, policy: Policy) -> dict[str, Any]:
        trust = self._coordinator.trust
        key = policy.keyId(signer)
        return {
            "name": signer.name,
            "key": key,
            "plugins": list(signer.plugins),
            "tier": signer.tier,
            "permissions": _permissions(signer.permissions),
            "not_after": signer.notAfter,
            "is_over": policy.isOver(signer),
            "is_revoked": f"key:{key}" in policy.lists.revoked,
            "signed": sorted(name for name, judgement in trust.judgements.items() if judgement.key == key),
        }


def _judged(judgement: Judgement, at: float | None) -> dict[str, Any]:
    signer = judgement.signer
    return {
        "state": judgement.state,
        "signer": None if signer is None else signer.name,
        "key": judgement.key or None,
        "envelope": judgement.envelope or None,
        "revision": judgement.revision,
        "verified_at": at,
        "file": judgement.file or None,
        "rule": judgement.rule or None,
        "message": judgement.message or None,
    }


def _lock(config: Config, policy: Policy) -> dict[str, Any] | None:
    if config.trust.lock is None:
        return None
    lock = policy.lists.lock
    plugins = {} if lock is None else lock.plugins
    return {
        "path": str(config.trust.lock),
        "plugins": [
            {"name": name, "version": each.now.number, "digest": each.now.digest, "signer": each.now.signer or None,
             "earlier": len(each.earlier)}
            for name, each in plugins.items()
        ],
    }  # fmt: skip


def _permissions(permissions: Permissions | None) -> dict[str, Any] | None:
    """None: everything, or nothing is said."""
    return None if permissions is None else permissions.asDict()


__all__ = ["TrustView"]
