"""Tests for `revproxy.worker.lifecycle.dropins`: what is installed with Python, and how it is told."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import revproxy.plugins
from revproxy.dropin import DropIn
from revproxy.plan.encoding import decode, encode
from revproxy.worker.lifecycle.dropins import DropInFactories
from tests.worker.workers import entry


def main(config: Any) -> Any:
    """A ``PluginMain``."""


class GivenTests(SynchronousTestCase):
    """Factories that are given."""

    def test_entry(self) -> None:
        """A factory is told as the value that it says it is, and found again by that."""
        factory = DropIn({"name": "d", "version": "1.2"}, main)
        factories = DropInFactories([factory])
        [found] = factories.told.entries
        self.assertEqual((found.manifest.name, str(found.version), found.origin), ("d", "1.2", "dropin"))
        self.assertEqual((found.bundle, found.source), (None, __name__))
        self.assertIs(factories.of(found), factory)
        self.assertEqual((factories.told.broken, factories.told.modules), ((), ()))

    def test_acrossTheBorder(self) -> None:
        """What comes back over the border still finds its factory."""
        factory = DropIn({"name": "d", "version": "1.2", "config": {"x": 1}}, main)
        factories = DropInFactories([factory])
        told: Any = decode(encode(factories.told))
        self.assertIs(factories.of(told.entries[0]), factory)

    def test_notInstalled(self) -> None:
        """What is not installed here has no factory."""
        self.assertRaises(KeyError, DropInFactories([]).of, entry("d"))

    def test_broken(self) -> None:
        """One whose manifest will not do is told under its name, with what is wrong; the others are not concerned."""
        factories = DropInFactories([
            DropIn({"name": "d", "version": "not a version"}, main),
            DropIn({"version": "1"}, main),
            DropIn({"name": "e", "version": "1"}, main),
        ])
        self.assertEqual([found.manifest.name for found in factories.told.entries], ["e"])
        self.assertEqual([broken.name for broken in factories.told.broken], ["d", __name__])
        self.assertTrue(all(broken.problems for broken in factories.told.broken))

    def test_sameName(self) -> None:
        """Of two with one name and module the first is used; that there are two is told."""
        first, second = (DropIn({"name": "d", "version": version}, main) for version in "12")
        factories = DropInFactories([first, second])
        self.assertEqual(len(factories.told.entries), 2)
        self.assertIs(factories.of(factories.told.entries[0]), first)


class FoundTests(SynchronousTestCase):
    """Factories that Twisted's plugin system finds."""

    def test_ours(self) -> None:
        """Those that come with the edge are found."""
        told = DropInFactories().told
        self.assertIn("headers", [found.manifest.name for found in told.entries])
        self.assertEqual(told.broken, ())

    def test_brokenModule(self) -> None:
        """A module that cannot be imported is told, and costs no other."""
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        (place / "broken_dropin.py").write_text("raise SystemExit('no')\n")
        revproxy.plugins.__path__.append(str(place))
        self.addCleanup(revproxy.plugins.__path__.remove, str(place))
        self.addCleanup(sys.modules.pop, "revproxy.plugins.broken_dropin", None)
        told = DropInFactories().told
        self.flushLoggedErrors()
        [module] = told.modules
        self.assertEqual((module.name, module.error), ("revproxy.plugins.broken_dropin", "SystemExit: no"))
        self.assertIn("headers", [found.manifest.name for found in told.entries])


class _Raising:
    """Raises when it is looked at."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name} outside of a request")


class _RaisingManifest:
    """A factory whose manifest is not to be had."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    main = staticmethod(main)

    @property
    def manifest(self) -> Any:
        raise self._error


class HostileTests(SynchronousTestCase):
    """Whatever is installed, the rest can be used."""

    def test_factories(self) -> None:
        """A factory that raises when it is asked is told as broken."""
        errors = (ValueError("\ud800"), GeneratorExit(), KeyboardInterrupt(), SystemExit(2), BaseException("odd"))
        for hostile in (*map(_RaisingManifest, errors), _Raising(), DropIn({1: 2, "config": {3: {4}}}, main)):
            factories = DropInFactories([hostile, DropIn({"name": "d", "version": "1"}, main)])
            self.assertEqual([found.manifest.name for found in factories.told.entries], ["d"])
            self.assertEqual(len(factories.told.broken), 1)
            decode(encode(factories.told))

    def test_modules(self) -> None:
        """A module that raises or exits at its import, or has in it what raises when looked at, stops nobody."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        raising = "class R:\n def __getattr__(self, name): raise RuntimeError(name)\nr = R()\n"
        modules = {
            "exits": "import sys; sys.exit(3)", "interrupts": "raise KeyboardInterrupt", "looked": raising,
            "closes": "raise GeneratorExit", "odd": "class O(BaseException): pass\nraise O",
            "good": "from revproxy.dropin import DropIn\n"
                    "g = DropIn({'name': 'good', 'version': '1'}, lambda config: None)",
        }
        for name, text in modules.items():
            (folder / f"hostile_{name}.py").write_text(text + "\n")
        self.patch(revproxy.plugins, "__path__", [*revproxy.plugins.__path__, str(folder)])
        self.addCleanup(lambda: [sys.modules.pop(f"revproxy.plugins.hostile_{name}", None) for name in modules])
        told = DropInFactories().told
        self.assertIn("good", [found.manifest.name for found in told.entries])
        self.assertIn("cors", [found.manifest.name for found in told.entries])
        broken = {module.name.rpartition("_")[2] for module in told.modules}
        self.assertEqual(broken & set(modules), {"exits", "interrupts", "closes", "odd"})
        self.flushLoggedErrors()

    def test_notImported(self) -> None:
        """A module that is known to have no middleware is not imported; one that had some and fails now is told."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "known_empty.py").write_text("x = 1\n")
        factory = "from revproxy.dropin import DropIn\ng = DropIn({'name': 'kept', 'version': '1'}, print)\n"
        (folder / "known_factory.py").write_text(factory)
        for path in folder.iterdir():
            os.utime(path, (1, 1))
        names = ("revproxy.plugins.known_empty", "revproxy.plugins.known_factory")

        def forget() -> None:
            for name in names:
                sys.modules.pop(name, None)

        self.patch(revproxy.plugins, "__path__", [*revproxy.plugins.__path__, str(folder)])
        self.addCleanup(forget)
        self.assertIn("kept", [found.manifest.name for found in DropInFactories().told.entries])
        forget()
        for path in folder.glob("*.py"):
            path.write_text("raise ValueError('no more')\n")
            os.utime(path, (1, 1))
        told = DropInFactories().told
        self.assertEqual([(module.name, module.error) for module in told.modules], [(names[1], "ValueError: no more")])
        self.assertNotIn(names[0], sys.modules)
        self.flushLoggedErrors()
