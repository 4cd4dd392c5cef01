"""Libraries as bytes, for a process that has no files."""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import makeBundle
from revproxy.config.manifest import parseManifest
from revproxy.loading.contract import PluginError
from revproxy.loading.libraries import librariesOf

MANIFEST = '{{"name": "p", "version": "1", "dependencies": {dependencies}}}'


class LibrariesTests(SynchronousTestCase):
    """Distributions in a folder of their own on the path."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        sys.path.insert(0, str(self.folder))
        self.addCleanup(sys.path.remove, str(self.folder))

    def install(self, name: str, files: dict[str, bytes], requires: str = "", wrong: str = "") -> None:
        info = f"{name.replace('-', '_')}-1.0.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}"
        lines = []
        for path, data in {**files, f"{info}/METADATA": metadata.encode()}.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_bytes(data)
            digest = hashlib.sha256(b"other" if path == wrong else data).digest()
            lines.append(f"{path},sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()},{len(data)}")
        (self.folder / info / "RECORD").write_text("\n".join([*lines, f"{info}/RECORD,,"]))

    def read(self, *dependencies: str) -> dict[str, list[str]]:
        text = MANIFEST.format(dependencies=str(list(dependencies)).replace("'", '"'))
        manifest = parseManifest(text.encode(), "plugin.json")
        bundle = makeBundle("p", {"plugin.py": b"", "plugin.json": text.encode()})
        return {name: sorted(files) for name, files in librariesOf(manifest, bundle).items()}

    def refused(self, *dependencies: str) -> str:
        return str(self.assertRaises(PluginError, self.read, *dependencies))

    def test_read(self) -> None:
        """All of its files, and those of what it needs; what every locked process has is not among them."""
        self.install("lib-one", {"lib_one/__init__.py": b"1", "lib_one/data.txt": b"2"},
                     "Requires-Dist: lib-two\nRequires-Dist: twisted\nRequires-Dist: lib-three; extra == 'more'\n")
        self.install("lib-two", {"lib_two.py": b"3"})
        found = self.read("lib-one>=1")
        self.assertEqual(sorted(found), ["lib-one", "lib-two"])
        self.assertIn("lib_one/data.txt", found["lib-one"])
        self.assertEqual(self.read("twisted", "zope.interface"), {})

    def test_extras(self) -> None:
        """An extra that is named is needed."""
        requires = "Provides-Extra: more\nRequires-Dist: lib-three; extra == 'more'\n"
        self.install("lib-one", {"lib_one.py": b""}, requires)
        self.install("lib-three", {"lib_three.py": b""})
        self.assertEqual(sorted(self.read("lib-one[more]")), ["lib-one", "lib-three"])

    def test_native(self) -> None:
        """Machine code is refused by name, also deep down, with the line of plugin.json."""
        self.install("lib-one", {"lib_one.py": b""}, "Requires-Dist: lib-native\n")
        self.install("lib-native", {"lib_native.cpython-311-x86_64-linux-gnu.so": b"\x7fELF"})
        told = self.refused("lib-one")
        self.assertIn("lib-one → lib-native has machine code (lib_native.cpython-311", told)
        self.assertIn("plugin.json:1:", told)

    def test_changed(self) -> None:
        """A file that is not what its RECORD says is refused."""
        self.install("lib-one", {"lib_one.py": b"1"}, wrong="lib_one.py")
        self.assertIn("lib_one.py of lib-one is not what its RECORD says", self.refused("lib-one"))

    def test_missing(self) -> None:
        """What is not there, or has no RECORD, cannot be had."""
        self.assertIn("not installed", self.refused("nowhere-to-be-found"))
        self.install("lib-one", {"lib_one.py": b""})
        (self.folder / "lib_one-1.0.dist-info/RECORD").unlink()
        self.assertIn("has no RECORD", self.refused("lib-one"))
