"""Tests for what the bundled plugins say about themselves."""

from typing import Any

from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import revproxy.plugins
from revproxy.config.manifest import manifestFromMapping
from revproxy.interfaces import IMiddleware, IMiddlewareFactory
from revproxy.loading.contract import verifyMiddleware
from tests.plugins.folders import FOLDER, mainOf, manifestOf, problemsOf

BCRYPT = "$2b$04$suFGhHj85PKGYeoqHm5Lg.ROPsqaGBKrWiohSCo3CCJpLXT2RDlzK"

USABLE: dict[str, dict[str, Any]] = {
    "request-id": {},
    "ip-filter": {"deny": ["192.0.2.0/24"]},
    "rate-limit": {},
    "cors": {"origins": ["*"]},
    "basic-auth": {"users": {"alice": BCRYPT}},
    "headers": {},
}
"""The least that each built-in must be told."""


class BuiltInTests(SynchronousTestCase):
    """The middleware that come along, as Twisted's plugin system finds them."""

    def setUp(self) -> None:
        found = getPlugins(IMiddlewareFactory, revproxy.plugins)
        self.factories = {factory.manifest["name"]: factory for factory in found}

    def test_allAreFound(self) -> None:
        """Each built-in is found; none failed to import in silence."""
        self.assertLessEqual(set(USABLE), set(self.factories))

    def test_order(self) -> None:
        """They run in the order that the guide promises."""
        names = sorted(USABLE, key=lambda name: self.factories[name].manifest["priority"])
        self.assertEqual(names, ["request-id", "ip-filter", "rate-limit", "cors", "basic-auth", "headers"])

    def test_manifests(self) -> None:
        """Each manifest is sound, its own configuration suits its schema, and the instance has its name."""
        for name, config in USABLE.items():
            manifest = manifestFromMapping(self.factories[name].manifest, name)
            self.assertEqual(problemsOf(manifest, config), [])
            instance = self.factories[name].create({**manifest.config, **config})
            verifyObject(IMiddleware, instance)
            self.assertEqual(instance.name, name)

    def test_loadable(self) -> None:
        """The edge takes each, also where its configuration leaves out a part."""
        for name, config in [*USABLE.items(), ("headers", {"request": {"set": {"A": "1"}}}),
                             ("headers", {"response": {"set": {"A": "1"}}}), ("rate-limit", {"on_allowed": True})]:
            verifyMiddleware(self.factories[name].create(config), name, name)

    def test_unknownOptions(self) -> None:
        """An option nobody reads is refused, and every option is described."""
        for name, config in USABLE.items():
            manifest = manifestFromMapping(self.factories[name].manifest, name)
            self.assertEqual(len(problemsOf(manifest, {**config, "typo": 1})), 1, name)
            assert isinstance(manifest.configSchema, dict)
            for option, schema in manifest.configSchema["properties"].items():
                self.assertTrue(schema.get("description"), f"{name}: {option}")

    def test_schemaRefuses(self) -> None:
        """Values that cannot be meant are refused before anything is made of them."""
        for name, wrong in (
            ("request-id", {"trust": "yes"}),
            ("ip-filter", {"status": 500}),
            ("rate-limit", {"rate": "fast"}),
            ("rate-limit", {"key": "ip"}),
            ("rate-limit", {"burst": 0}),
            ("cors", {"origins": []}),
            ("basic-auth", {"users": {}}),
            ("basic-auth", {"threads": 0}),
            ("headers", {"request": {"set": {"A": 1}}}),
        ):
            manifest = manifestFromMapping(self.factories[name].manifest, name)
            self.assertNotEqual(problemsOf(manifest, {**USABLE[name], **wrong}), [], f"{name}: {wrong}")

    def test_needed(self) -> None:
        """What cannot work without an option says so."""
        for name in ("cors", "basic-auth"):
            self.assertNotEqual(problemsOf(manifestFromMapping(self.factories[name].manifest, name), {}), [])


class FolderTests(SynchronousTestCase):
    """The plugins under ``plugins/``."""

    def test_manifests(self) -> None:
        """Each manifest is sound, its folder has its name, and its configuration makes an instance."""
        names = sorted(path.parent.name for path in FOLDER.glob("*/plugin.json"))
        self.assertLessEqual({"html-banner", "require-key", "server-timing"}, set(names))
        for name in names:
            manifest = manifestOf(name)
            self.assertEqual(manifest.name, name)
            self.assertEqual(problemsOf(manifest, {}), [])
            instance = mainOf(self, name)(manifest.config)
            verifyObject(IMiddleware, instance)
            self.assertEqual(instance.name, name)

    def test_onlyTheHarmlessRun(self) -> None:
        """What runs without being named changes neither pages nor who may see them."""
        self.assertTrue(manifestOf("server-timing").enabled)
        self.assertFalse(manifestOf("html-banner").enabled)
        self.assertFalse(manifestOf("require-key").enabled)

    def test_short(self) -> None:
        """An example is under a hundred lines."""
        for path in FOLDER.glob("*/plugin.py"):
            self.assertLess(len(path.read_text().splitlines()), 100, path)
