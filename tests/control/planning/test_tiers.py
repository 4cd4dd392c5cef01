"""Where a plugin runs, and what it may touch there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.settings import GrantConfig, PluginsConfig
from revproxy.config.trustconfig import SignerConfig
from revproxy.control.planning.tiers import FREE, Bounds, tierOf
from revproxy.permissions import UNASKED, Permissions
from revproxy.plan.catalog import CatalogEntry
from tests.plan.plans import entry

ASKS = {"read_headers": ["X-Tenant", "Cookie"], "store": True}
ASKED = Permissions.of(ASKS)
LITTLE = Permissions.of({"read_headers": ["X-Tenant"]})


def asking(**manifest: Any) -> CatalogEntry:
    """A plugin that asks."""
    return entry("vendor-a", "1.0", **manifest)


def granting(permissions: Permissions = LITTLE, **more: Any) -> PluginsConfig:
    """What revproxy.yaml says."""
    return PluginsConfig(grants={"vendor-a": GrantConfig(permissions=permissions)}, **more)


def signed(tier: Any = "inline", permissions: Permissions | None = None) -> Bounds:
    """By somebody."""
    return Bounds(SignerConfig("alice", "key", tier=tier, permissions=permissions), False)


class IsolationTests(SynchronousTestCase):
    """In the edge's own process, or in a locked one."""

    def test_said(self) -> None:
        """revproxy.yaml goes over plugin.json; of several lines the one that says most."""
        for isolation, own, expected in (
            ({}, "inline", "inline"),
            ({"*": "process"}, "inline", "process"),
            ({"*": "process", "vendor-*": "inline"}, "inline", "inline"),
            ({"vendor-*": "inline", "vendor-a": "process"}, "inline", "process"),
            ({"????????": "process", "vendor-a": "inline"}, "inline", "inline"),
            ({"other": "process"}, "inline", "inline"),
        ):
            tier = tierOf(asking(isolation=own), PluginsConfig(isolation=isolation))  # type: ignore[arg-type]
            self.assertEqual(tier.isolation, expected, isolation)

    def test_ceiling(self) -> None:
        """The signer's tier is the highest there is; whoever wants less has less."""
        tier = tierOf(asking(), PluginsConfig(), signed("process"))
        self.assertEqual((tier.isolation, tier.wanted), ("process", "inline"))
        tier = tierOf(asking(), PluginsConfig(isolation={"*": "process"}), signed("inline"))
        self.assertEqual((tier.isolation, tier.wanted), ("process", "process"))
        self.assertEqual(tierOf(asking(), PluginsConfig(isolation={"*": "inline"}), signed("process")).isolation,
                         "process")

    def test_installed(self) -> None:
        """What is installed with Python is imported where the edge is, whatever is said."""
        installed = replace(asking(), bundle=None, origin="dropin")
        self.assertEqual(tierOf(installed, PluginsConfig(isolation={"*": "process"})).isolation, "inline")


class PermissionTests(SynchronousTestCase):
    """What it may touch."""

    def test_free(self) -> None:
        """In the edge's own process: all, or what it asks for; that is there to keep it from mistakes."""
        self.assertEqual(tierOf(asking(), PluginsConfig(), FREE).permissions, None)
        tier = tierOf(asking(permissions=ASKS), PluginsConfig(), FREE)
        self.assertEqual((tier.permissions, tier.missing), (ASKED, ()))

    def test_granted(self) -> None:
        """Where somebody has to vouch for it: what it asks for and is granted."""
        tier = tierOf(asking(permissions=ASKS), granting(), Bounds(None, False))
        self.assertEqual((tier.permissions, tier.missing), (LITTLE, ("read_headers: Cookie", "store")))
        tier = tierOf(asking(permissions=ASKS), granting(ASKED), Bounds(None, False))
        self.assertEqual((tier.permissions, tier.missing), (ASKED, ()))

    def test_process(self) -> None:
        """In a locked process it is so always; who asks for nothing sees method and path, and may answer."""
        locked: Any = {"*": "process"}
        tier = tierOf(asking(permissions=ASKS), granting(isolation=locked), FREE)
        self.assertEqual(tier.permissions, LITTLE)
        self.assertEqual(tierOf(asking(), PluginsConfig(isolation=locked), FREE).permissions, UNASKED)

    def test_beyond(self) -> None:
        """Nobody is granted more than his signer may have granted; who does not ask has that, and no more."""
        tier = tierOf(asking(permissions=ASKS), granting(ASKED), signed(permissions=LITTLE))
        self.assertEqual((tier.permissions, tier.beyond), (LITTLE, ("read_headers: Cookie", "store")))
        self.assertEqual(tierOf(asking(), PluginsConfig(), signed(permissions=LITTLE)).permissions, LITTLE)
        self.assertEqual(tierOf(asking(), PluginsConfig(), signed("process", LITTLE)).permissions, Permissions())
