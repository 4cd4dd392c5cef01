"""
docs/trust.md, from the first key to the revocation; and docs/locked.md: what is shown there is so.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.manifest import manifestFromMapping
from revproxy.isolation.lock.layers import NAMES, Layer, Layers
from revproxy.permissions import Permissions
from revproxy.testing import EdgeDouble
from tests.docs.pagecase import PageCase
from tests.docs.test_tutorial import module
from tests.docs.walkthrough import File, steps
from tests.tools import needs

DOCS = Path(__file__).parents[2] / "docs"
TRUST = (DOCS / "trust.md").read_text(encoding="utf-8")
LOCKED = (DOCS / "locked.md").read_text(encoding="utf-8")


@needs("curl", "ssh-keygen")
class WalkthroughTests(PageCase):
    """All commands of the operators' page, one after the other."""

    def test_page(self) -> None:
        """It is done as it is written."""
        self.assertGreater(self.walk(TRUST), 25)


class LevelTests(SynchronousTestCase):
    """What is said of levels."""

    def test_levels(self) -> None:
        """B is A without rooms of its own, C is B without Landlock."""
        rooms = {"network", "ipc", "hostname", "root"}
        cases: tuple[tuple[set[str], str | None], ...] = (
            (set(), "A"), (rooms, "B"), (rooms | {"landlock"}, "C"), ({"seccomp"}, None),
        )  # fmt: skip
        for without, level in cases:
            layers = Layers(tuple(Layer(name, "no" if name in without else "") for name in NAMES))
            self.assertEqual(layers.level, level)


class LockedTests(SynchronousTestCase):
    """The authors' page."""

    def setUp(self) -> None:
        self.files = {step.path: step.text for step in steps(LOCKED) if isinstance(step, File)}

    def test_example(self) -> None:
        """The plugin is one, asks for what it uses, and does what it says."""
        manifest = manifestFromMapping(json.loads(self.files["plugins/tenant/plugin.json"]), "plugin.json")
        self.assertEqual(manifest.isolation, "process")
        self.assertIsInstance(manifest.permissions, Permissions)
        made = module("tenant", self.files["plugins/tenant/plugin.py"]).PluginMain({})
        edge = EdgeDouble(made)
        self.assertEqual(edge.get("/").status, 403)
        answered = edge.get("/", headers={"X-Tenant": "acme"})
        self.assertEqual(answered.forwarded.headers.get("X-Plan"), "gold")

    def test_permissions(self) -> None:
        """Every permission is named on one of the two pages."""
        for key in Permissions().asDict():
            said = {"environment": r"\$env", "files": r"\$file"}.get(key, rf"\b{key}\b")
            self.assertRegex(LOCKED + TRUST, said)

    def test_links(self) -> None:
        """The pages that are named are there."""
        for page in re.findall(r"\]\(([a-z]+\.md)", LOCKED + TRUST):
            self.assertTrue((DOCS / page).is_file(), page)
