"""Whether the distributions that a plugin needs are there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from packaging.version import Version
from twisted.trial.unittest import SynchronousTestCase

import twisted
from revproxy.bundles.bundle import makeBundle
from revproxy.config.manifest import parseManifest
from revproxy.loading.contract import PluginError
from revproxy.loading.dependencies import dependencyProblems
from revproxy.loading.loader import loadBundle, unload
from tests.loading.test_loader import PLACE

PIP = f"{sys.executable} -m pip install"


class DependencyTests(SynchronousTestCase):
    """`dependencyProblems`."""

    def setUp(self) -> None:
        self.site = Path(self.mktemp()).absolute()
        self.site.mkdir()
        sys.path.append(str(self.site))
        self.addCleanup(sys.path.remove, str(self.site))

    def install(self, name: str, version: str, more: str = "") -> None:
        """Install a distribution, as far as its metadata goes."""
        folder = self.site / f"{name.replace('-', '_')}-{version or '1'}.dist-info"
        folder.mkdir()
        number = f"Version: {version}\n" if version else ""
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\n{number}{more}")

    def problems(self, *dependencies: str, **files: bytes) -> list[str]:
        """What is missing."""
        written = ", ".join(f'"{each}"' for each in dependencies).replace("'", '\\"')
        manifest = parseManifest(f'{{"name": "p", "version": "1",\n"dependencies": [{written}]}}'.encode(), "p.json")
        bundle = makeBundle("p", {path.replace("__", "/"): content for path, content in files.items()}, PLACE)
        return [str(problem) for problem in dependencyProblems(manifest, bundle)]

    def test_fulfilled(self) -> None:
        """What is installed in a version that will do, in any spelling; pre-releases count; markers decide."""
        self.install("moon_dust", "2.9rc1")
        self.assertEqual(self.problems("Moon.Dust>=2.8,<3", "twisted[tls]", f"twisted=={twisted.__version__}",
                                       "nothing; sys_platform == 'vms'"), [])

    def test_missing(self) -> None:
        """What is not there, or too old, is told with its line and what to type."""
        self.install("moon-dust", "2.4")
        self.assertEqual(self.problems("moon-dust>=2.8,<3", "sun[hot]>1"), [
            "p.json:2:18: $.dependencies[0]: needs moon-dust<3,>=2.8, and there is moon-dust 2.4; where the edge runs: "
            f'{PIP} "moon-dust<3,>=2.8", then revproxy reload; or for this plugin alone: {PIP} --target {PLACE}/vendor '
            '"moon-dust<3,>=2.8"',
            "p.json:2:39: $.dependencies[1]: needs sun[hot]>1, which is not installed; where the edge runs: "
            f'{PIP} "sun[hot]>1", then revproxy reload; or for this plugin alone: {PIP} --target {PLACE}/vendor '
            '"sun[hot]>1"',
        ])

    def test_installedSince(self) -> None:
        """What was installed a moment ago is found."""
        self.assertEqual(len(self.problems("moon-dust>=2")), 1)
        self.install("moon_dust", "2.4")
        self.assertEqual(self.problems("moon-dust>=2"), [])

    def test_vendored(self) -> None:
        """What the plugin brings along counts before what is installed, for better or worse."""
        self.install("moon-dust", "2.4")
        name = "vendor__moon_dust-3.1.dist-info__METADATA"
        found: dict[str, Any] = {name: b"Name: moon-dust\nVersion: 3.1\n"}
        self.assertEqual(self.problems("moon-dust>=3", **found), [])
        [problem] = self.problems("moon-dust<3", **found)
        self.assertIn("and there is moon-dust 3.1 in vendor/; replace it: "
                      f'{PIP} --upgrade --target {PLACE}/vendor "moon-dust<3"', problem)

    def test_extras(self) -> None:
        """An extra is what it asks for besides."""
        self.install("moon-dust", "1.0", "Provides-Extra: shine\nProvides-Extra: dark\n"
                                         "Requires-Dist: lamp>=2; extra == 'shine'\nRequires-Dist: twisted\n")
        self.assertEqual(self.problems("moon-dust", "moon-dust[dark]"), [])
        [missing] = self.problems("moon-dust[shine]")
        self.assertIn("needs lamp>=2, which is not installed, for moon-dust[shine]", missing)
        self.assertIn('moon-dust has no extra "glow"', self.problems("moon-dust[glow]")[0])
        self.install("lamp", "2.1")
        self.assertEqual(self.problems("moon-dust[shine]"), [])

    def test_broken(self) -> None:
        """Metadata that says nothing, or nonsense, is told as that."""
        self.install("moon-dust", "")
        self.install("sun", "one", "")
        self.assertIn("what is installed of it is broken: its METADATA names no version", self.problems("moon-dust")[0])
        self.assertIn("what is installed of it is broken: InvalidVersion", self.problems("sun")[0])

    def test_load(self) -> None:
        """A plugin is not loaded without them; its code has not run."""
        manifest = parseManifest(b'{"name": "p", "version": "1", "dependencies": ["moon-dust", "sun"]}', "p.json")
        bundle = makeBundle("p", {"plugin.py": b"raise SystemExit('it ran')"}, PLACE)
        error = self.assertRaises(PluginError, loadBundle, bundle, manifest)
        self.assertEqual(error.where, "p.json:1:48")
        self.assertIn("needs moon-dust, which is not installed", error.message)
        self.assertIn("\np.json:1:61: $.dependencies[1]: needs sun", error.message)
        self.install("moon-dust", str(Version("1")))
        self.install("sun", "1")
        bundle = makeBundle("p", {"plugin.py": b""}, PLACE)
        self.addCleanup(unload, loadBundle(bundle, manifest))
