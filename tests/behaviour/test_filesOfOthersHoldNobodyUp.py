"""
Whatever stands where a file is expected, a folder, a pipe, a device, a gigabyte: nobody waits for it, and the message
names it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import readBundle
from revproxy.cli.edgeclient import statePath
from revproxy.cli.preflight import preflight
from revproxy.config.configfile import loadConfig, parseConfig
from revproxy.config.settings import TLSConfig
from revproxy.control.catalogreader import readCatalog
from revproxy.control.certificatefiles import CertificateFiles
from revproxy.control.snapshot import SnapshotReader
from revproxy.control.state.recordfile import readRecords
from revproxy.dataplane.leaves.static import openBelow
from revproxy.plugins.basic_auth import BasicAuth
from revproxy.worker.certificates import CertificateFolder
from revproxy.worker.guard.timelimit import noLongerThan

CONFIG = """\
listeners: [{endpoint: "tcp:1"}]
routes: [{path: /, upstream: app}]
upstreams: {app: {targets: ["https://127.0.0.1:1"], tls: {KEY: PATH}}}
"""


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _circle(path: Path) -> None:
    path.symlink_to(path.name)


def _gigabyte(path: Path) -> None:
    path.write_bytes(b"")
    os.truncate(path, 1 << 30)


KINDS: dict[str, Callable[[Path], None]] = {
    "pipe": _pipe, "folder": _folder, "device": _device, "circle": _circle, "gigabyte": _gigabyte
}


def _upstream(key: str) -> Callable[[Path], str]:
    def check(path: Path) -> str:
        text = CONFIG.replace("KEY", key).replace("PATH", path.name)
        return _refusal(lambda: preflight(parseConfig(text, "r.yaml", path.parent), []))

    return check


def _scan(path: Path) -> str:
    config = parseConfig("listeners: [{endpoint: 'tcp:1'}]\nroutes: [{path: /, respond: {}}]", path.name, path.parent)
    return str(SnapshotReader(path, config).read(config).configErrors)


def _refusal(call: Callable[..., Any], *arguments: Any) -> str:
    try:
        return f"taken: {call(*arguments)}"
    except Exception as error:
        return str(error)


READERS: dict[str, Callable[[Path], str]] = {
    "configuration": lambda path: _refusal(loadConfig, path),
    "configuration again": _scan,
    "state path": lambda path: _refusal(statePath, path),
    "certificates": lambda path: _refusal(CertificateFolder(TLSConfig(path)).load, CertificateFiles(path).read()),
    "users": lambda path: _refusal(BasicAuth, {"file": str(path)}),
    "ledger": lambda path: str(readRecords(path)[1]),
    "authorities of an upstream": _upstream("ca"),
    "certificate for an upstream": _upstream("certificate"),
}


class EveryReaderTests(SynchronousTestCase):
    """Each reads each."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def test_refused(self) -> None:
        """It is refused at once, by name."""
        for kind, make in KINDS.items():
            for number, (reader, read) in enumerate(READERS.items()):
                if (kind, reader) == ("folder", "certificates"):
                    continue
                path = self.folder / f"file-{kind}-{number}"
                make(path)
                with noLongerThan(5):
                    said = read(path)
                self.assertIn(path.name, said, (kind, reader))
                self.assertNotIn("taken", said, (kind, reader))
                self.assertNotIn("Traceback", said, (kind, reader))

    def test_plugin(self) -> None:
        """Inside a plugin's folder, and in the place of its manifest: it is broken, and the others are read."""
        for kind, make in KINDS.items():
            for name in ("plugin.json", "plugin.py", "more.txt"):
                plugins = self.folder / f"{kind}-{name}"
                for plugin in ("good", "bad"):
                    (plugins / plugin).mkdir(parents=True)
                    (plugins / plugin / "plugin.json").write_text(f'{{"name": "{plugin}", "version": "1"}}')
                    (plugins / plugin / "plugin.py").write_text("")
                bad = plugins / "bad" / name
                bad.unlink(missing_ok=True)
                make(bad)
                with noLongerThan(5):
                    catalog = readCatalog(plugins)
                if (kind, name) == ("folder", "more.txt"):
                    self.assertEqual(list(catalog.entries), ["bad", "good"])
                    continue
                self.assertEqual(list(catalog.entries), ["good"], (kind, name))
                self.assertEqual([one.name for one in catalog.broken], ["bad"], (kind, name))
                self.assertIn(str(bad), str(catalog.broken[0].problems[0]), (kind, name))

    def test_static(self) -> None:
        """What is served."""
        for kind, make in KINDS.items():
            path = self.folder / f"{kind}.txt"
            make(path)
            with noLongerThan(5):
                if kind in ("folder", "gigabyte"):
                    found = openBelow(os.fsencode(self.folder), [os.fsencode(path.name)])
                    if found is not None:
                        found.close()
                else:
                    self.assertRaises(OSError, openBelow, os.fsencode(self.folder), [os.fsencode(path.name)])

    def test_bundle(self) -> None:
        """A plugin's folder that is none."""
        for kind, make in KINDS.items():
            if kind != "folder":
                path = self.folder / f"plugin-{kind}"
                make(path)
                with noLongerThan(5):
                    self.assertIn(path.name, _refusal(readBundle, path))
