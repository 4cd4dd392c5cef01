"""An edge that is not root, and folders of plugins that it may not read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import SkipTest

from tests.behaviour.test_stoppingLosesNothing import MANIFEST
from tests.harness import PATIENCE, EdgeCase, EdgeProcess, freePort

NOBODY = 65534

CODE = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware, IResponseMiddleware

@implementer(IMiddleware, IResponseMiddleware)
class Stamp:
    name = "NAME"
    def __init__(self, config): pass
    def handle(self, context): return True
    def handleResponse(self, context): context.response.headers.set("X-NAME", "VERSION")

PluginMain = Stamp
"""


AS_NOBODY: dict[str, Any] = {
    "user": NOBODY,
    "group": NOBODY,
    "extra_groups": [],
    "env": {**os.environ, "HOME": "/", "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
}
"""For `subprocess`: how to run something as nobody."""


def _pythonOfAll() -> str:
    """
    A Python that nobody can run, this one or the system's, if that is of the same version.

    :raises SkipTest: there is none.
    """
    if os.geteuid() != 0:
        raise SkipTest("only root can start an edge as somebody else")
    said = ""
    for python in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        try:
            found = subprocess.run([python, "-c", "import revproxy.tap"], cwd=Path(__file__).resolve().parents[2],
                                   capture_output=True, text=True, timeout=PATIENCE, **AS_NOBODY)  # fmt: skip
        except OSError as error:
            said += f"; {error}"
        else:
            if found.returncode == 0:
                return python
            said += f"; {found.stderr[-200:]}"
    raise SkipTest(f"nobody cannot run this Python{said}")


class NobodyTests(EdgeCase):
    """Two plugins; the folder of one cannot be read any more."""

    def setUp(self) -> None:
        self.python = _pythonOfAll()
        self.root = Path(tempfile.mkdtemp()).resolve()
        self.addCleanup(shutil.rmtree, self.root)
        self.folder = self.root / "plugins" / "one"
        self.write("one", "1.0")
        self.write("two", "1.0")
        self.port = freePort()
        (self.root / "revproxy.yaml").write_text(
            f"listeners: [{{endpoint: 'tcp:{self.port}:interface=127.0.0.1'}}]\nroutes: [{{respond: {{}}}}]\n"
            "plugins: {directory: plugins}\nstate: var\nlogging: {access: off}\n"
        )
        for path in (self.root, *self.root.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        self.edge = self.begin()

    def write(self, name: str, version: str) -> None:
        folder = self.root / "plugins" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "plugin.py").write_text(CODE.replace("NAME", name).replace("VERSION", version))
        manifest = {**json.loads(MANIFEST), "name": name, "version": version}
        (folder / "plugin.json").write_text(json.dumps(manifest))

    def begin(self) -> EdgeProcess:
        edge = EdgeProcess(self.root, self.port, ["--config", "revproxy.yaml"], executable=self.python, **AS_NOBODY)
        self.addCleanup(edge.kill)
        self.until(lambda: "listening on" in edge.said() or edge.process.poll() is not None)
        self.assertIsNone(edge.process.poll(), edge.said())
        return edge

    def restart(self) -> None:
        self.edge.terminate()
        self.assertEqual(self.edge.status(), 0, self.edge.said())
        self.edge = self.begin()

    def versions(self) -> dict[str, str]:
        """By plugin, what an answer says of it."""
        head = self.get(self.edge)[0].decode().lower().split("\r\n")
        return {line[2:5]: line.partition(": ")[2] for line in head if line.startswith("x-")}

    def becomes(self, one: str, two: str) -> None:
        wanted = {"one": one, "two": two}
        self.until(lambda: self.versions() == wanted, f"{wanted} is not {self.versions()}: {self.edge.said()[-2000:]}")

    def check(self) -> str:
        """What ``revproxy check`` says, as the edge's user."""
        found = subprocess.run(
            [self.python, "-m", "revproxy.cli.main", "check", "revproxy.yaml"],
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            **AS_NOBODY,
        )
        return found.stdout + found.stderr

    def stays(self, named: Path) -> None:
        """The others are changed, also after a restart; the path is named, by the log and by ``revproxy check``."""
        self.write("two", "2.0")
        self.becomes("1.0", "2.0")
        self.until(lambda: f"refused: {named}: cannot be read: Permission denied" in self.edge.said())
        self.restart()
        self.becomes("1.0", "2.0")
        self.assertIn(f"{named}: cannot be read: Permission denied", self.check())
        self.write("two", "3.0")
        self.becomes("1.0", "3.0")

    def comesBack(self) -> None:
        """Nothing but the mode has changed; that is noticed, and what was written meanwhile runs."""
        self.write("one", "4.0")
        self.folder.chmod(0o755)
        self.becomes("4.0", "3.0")

    def test_mode(self) -> None:
        """Nobody may read it."""
        self.folder.chmod(0)
        self.stays(self.folder)
        self.comesBack()

    def test_owner(self) -> None:
        """Only somebody else may."""
        os.chown(self.folder, 0, 0)
        self.folder.chmod(0o700)
        self.stays(self.folder)
        self.comesBack()

    def test_file(self) -> None:
        """It may be listed, and one file in it not be read."""
        (self.folder / "plugin.py").chmod(0)
        self.stays(self.folder / "plugin.py")
        (self.folder / "plugin.py").chmod(0o644)
        self.comesBack()
