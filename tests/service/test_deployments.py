"""The recipes of docs/deploying.md, against an edge that runs and is asked all the time."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

from tests.harness import PATIENCE, readAll
from tests.service.test_foreground import RunCase
from tests.tools import needs

ROOT = Path(__file__).parent.parent.parent
RECIPES = (ROOT / "docs" / "deploying.md").read_text()

CODE = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware, IResponseMiddleware

@implementer(IMiddleware, IResponseMiddleware)
class PluginMain:
    name = "NAME"
    def __init__(self, config): ...
    def handle(self, context): return True
    def handleResponse(self, context): context.response.headers.set("X-NAME", "RELEASE")
"""

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")


class DeployCase(RunCase):
    """An edge whose answers say from which release each part of it is."""

    watch = True

    def release(self, folder: Path, number: int, broken: bool = False) -> None:
        """A configuration and two plugins."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "revproxy.yaml").write_text(
            f"listeners: [{{endpoint: 'tcp:{self.port}:interface=127.0.0.1'}}]\n"
            f"routes: [{{respond: {{body: '{number}'}}}}]\n"
            f"plugins: {{directory: plugins, watch: {str(self.watch).lower()}}}\n"
            f"state: {self.folder}/var\nlogging: {{access: off}}\n")
        for name in ("a", "b"):
            self.plugin(folder / "plugins" / name, name, number, broken and name == "b")

    def plugin(self, place: Path, name: str, number: int, broken: bool = False) -> None:
        place.mkdir(parents=True, exist_ok=True)
        text = CODE.replace("NAME", name).replace("RELEASE", str(number))
        (place / "plugin.py").write_text("1 / 0\n" if broken else text)
        (place / "plugin.json").write_text(f'{{"name": "{name}", "version": "{number}", "entry_point": "PluginMain"}}')

    def parts(self) -> tuple[str, str, str]:
        """Of which release are a, b and the configuration."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            head, _, body = readAll(client).decode().partition("\r\n\r\n")
        of = dict(re.findall(r"X-(\w): (\d+)", head))
        return of["a"], of["b"], body

    def command(self, *arguments: str) -> int:
        command = [sys.executable, "-m", "revproxy.cli", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, capture_output=True, timeout=60, check=False, env=environment,
                              cwd=self.folder).returncode

    def asked(self) -> set[tuple[str, str, str]]:
        """Ask all the time, until the test ends; what was answered so far."""
        seen: set[tuple[str, str, str]] = set()
        over = threading.Event()

        def ask() -> None:
            while not over.wait(0.002):
                seen.add(self.parts())

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(over.set)
        return seen


class LinkTests(DeployCase):
    """A link that leads to another release."""

    def point(self, number: int) -> None:
        """As the page has it."""
        self.assertIn("ln -sfn releases/43 current.new && mv -T current.new current", RECIPES)
        subprocess.run(f"ln -sfn releases/{number} current.new && mv -T current.new current", shell=True, check=True,
                       cwd=self.folder)

    def start_(self) -> None:
        (self.folder / "revproxy.yaml").unlink()
        for number in (1, 2):
            self.release(self.folder / "releases" / str(number), number)
        self.release(self.folder / "releases" / "3", 3, broken=True)
        self.point(1)
        self.running("--config", "current/revproxy.yaml")

    def test_watched(self) -> None:
        """Both plugins and the configuration change for the same request, and go back with the link."""
        self.start_()
        seen = self.asked()
        for number in (2, 1):
            self.point(number)
            self.until(lambda number=number: self.parts() == (str(number),) * 3)
        self.until(lambda: ("2",) * 3 in seen)
        self.assertEqual(seen, {("1",) * 3, ("2",) * 3})


class UnwatchedLinkTests(LinkTests):
    """The same, by command."""

    watch = False

    def test_watched(self) -> None:
        """Nothing changes until it is said; a release that will not do is told by the status, before and at once."""
        self.start_()
        seen = self.asked()
        self.point(2)
        self.assertEqual(self.parts(), ("1",) * 3)
        self.assertEqual(self.command("reload", "--config", "current/revproxy.yaml"), 0)
        self.assertEqual(self.parts(), ("2",) * 3)
        self.until(lambda: ("2",) * 3 in seen)
        self.assertEqual(seen, {("1",) * 3, ("2",) * 3})
        self.assertEqual(self.command("check", "releases/3/revproxy.yaml"), 1)
        self.point(3)
        self.assertEqual(self.command("reload", "--config", "current/revproxy.yaml"), 1)
        self.assertEqual(self.parts(), ("3", "2", "3"))
        self.point(2)
        self.assertEqual(self.command("reload", "--config", "current/revproxy.yaml"), 0)
        self.assertEqual(self.parts(), ("2",) * 3)


@needs("git")
class GitTests(DeployCase):
    """A checkout."""

    watch = False

    def git(self, *arguments: str) -> None:
        subprocess.run([*GIT, "-C", str(self.folder / "edge"), *arguments], check=True, capture_output=True)

    def test_checkout(self) -> None:
        """A tag is checked out and taken up by the command; and the one before."""
        (self.folder / "edge").mkdir()
        self.git("init", "-q")
        for number in (1, 2):
            self.release(self.folder / "edge", number)
            self.git("add", "-A")
            self.git("commit", "-qm", str(number))
            self.git("tag", f"v{number}")
        self.git("checkout", "-q", "v1")
        self.running("--config", "edge/revproxy.yaml")
        seen = self.asked()
        for number in (2, 1):
            self.git("checkout", "-q", f"v{number}")
            self.assertEqual(self.command("reload", "--config", "edge/revproxy.yaml"), 0)
            self.assertEqual(self.parts(), (str(number),) * 3)
        self.until(lambda: ("2",) * 3 in seen)
        self.assertEqual(seen, {("1",) * 3, ("2",) * 3})


class KubernetesTests(DeployCase):
    """Volumes as the kubelet mounts them."""

    def mount(self, volume: Path, stamp: str) -> Path:
        """Begin a version of a volume; the files are then written into the folder that is returned."""
        place = volume / f"..{stamp}"
        place.mkdir(parents=True)
        return place

    def publish(self, volume: Path, place: Path) -> None:
        before = volume / "..data"
        gone = volume / os.readlink(before) if before.is_symlink() else None
        (volume / "..data_tmp").symlink_to(place.name)
        (volume / "..data_tmp").rename(before)
        for path in place.iterdir():
            if not (volume / path.name).is_symlink():
                (volume / path.name).symlink_to(f"..data/{path.name}")
        if gone is not None:
            shutil.rmtree(gone)

    def test_whole(self) -> None:
        """One volume with everything: all changes at once."""
        volume = self.folder / "etc"
        for number in (1, 2):
            place = self.mount(volume, str(number))
            self.release(place, number)
            self.publish(volume, place)
            if number == 1:
                self.running("--config", "etc/revproxy.yaml")
                seen = self.asked()
        self.until(lambda: self.parts() == ("2",) * 3)
        self.until(lambda: ("2",) * 3 in seen)
        self.assertEqual(seen, {("1",) * 3, ("2",) * 3})

    def test_each(self) -> None:
        """One volume for each plugin, mounted as its folder."""
        self.release(self.folder, 1)
        for name in ("a", "b"):
            shutil.rmtree(self.folder / "plugins" / name)
        for number in (1, 2):
            for name in ("a", "b"):
                volume = self.folder / "plugins" / name
                place = self.mount(volume, str(number))
                self.plugin(place, name, number)
                self.publish(volume, place)
            if number == 1:
                self.running()
        self.until(lambda: self.parts() == ("2", "2", "1"))
