"""A plugin's folder that cannot be read is that plugin's failure, by its own path, and nobody else's."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.witnesses import WitnessCase


class UnreadableCase(WitnessCase):
    """Two plugins run; one of them is in a folder that is called otherwise."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.folder = self.bench.plugins / "place"
        (self.bench.plugins / "a").rename(self.folder)
        self.bench.write("b")
        self.bench.start()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "b 1.0.0"])

    def holds(self, *named: str) -> None:
        """What runs goes on, the other is changed, also after a restart; and the first's path is named."""
        for version in ("2.0", "3.0"):
            self.bench.write("b", version=version)
            self.apply()
            self.assertEqual(self.bench.seen(), ["a 1.0.0", f"b {version}"])
            self.assertIn(str(self.folder), self.bench.failure("a"))
            for text in named:
                self.assertIn(text, self.bench.failure("a"))
            self.assertIn(("refused", "a"), self.bench.kinds())
            self.restart()
            self.assertEqual(self.bench.seen(), ["a 1.0.0", f"b {version}"])
            self.assertIn(("refused", "a"), self.bench.kinds())

    def recovers(self) -> None:
        """What is in the folder runs, once it can be read."""
        (self.folder / "plugin.json").write_text('{"name": "a", "version": "5.0"}')
        self.apply()
        self.assertEqual(self.bench.failure("a"), "")
        plan = self.bench.coordinator.plan
        assert plan is not None
        self.assertEqual(plan.entries["a"].version.number, "5.0")


class DiskTests(UnreadableCase):
    """What a disk, or the system, says of the folder."""

    def failing(self, number: int, inside: bool) -> Callable[[], None]:
        """:param inside: files fail as well. :return: ends it."""
        real = {name: getattr(os, name) for name in ("stat", "lstat", "open", "listdir", "readlink")}
        folder, isOn = str(self.folder), [True]

        def wrapped(name: str) -> Callable[..., Any]:
            def call(path: Any, *args: Any, **options: Any) -> Any:
                isPath = isinstance(path, (str, os.PathLike))
                isHere = isPath and (os.fspath(path) + "/").startswith(folder + "/")
                if isOn[0] and ((isHere and inside) or (isHere and os.fspath(path) == folder and name != "lstat")):
                    raise OSError(number, os.strerror(number), str(path))
                return real[name](path, *args, **options)

            return call

        for name in real:
            self.patch(os, name, wrapped(name))

        def end() -> None:
            isOn[0] = False

        return end

    def test_folder(self) -> None:
        """Whatever the error is."""
        for number in (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT,
                       errno.EREMOTEIO, errno.ENOMEM):
            for inside in (False, True):
                end = self.failing(number, inside)
                self.holds(os.strerror(number))
                end()
                self.bench.write("b")
        self.recovers()

    def test_openOnly(self) -> None:
        """The error comes from what is open already."""
        real = os.fstat
        inodes = {os.stat(self.folder).st_ino}

        def fails(descriptor: int) -> os.stat_result:
            found = real(descriptor)
            if found.st_ino in inodes:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return found

        self.patch(os, "fstat", fails)
        self.holds("Input/output error")
        inodes.clear()
        self.recovers()


class LinkTests(UnreadableCase):
    """The folder is a link that leads nowhere."""

    def put(self, target: str) -> Path:
        away = self.bench.root / "away"
        self.folder.rename(away)
        self.folder.symlink_to(target)
        return away

    def back(self, away: Path) -> None:
        self.folder.unlink()
        away.rename(self.folder)
        self.recovers()

    def test_dangling(self) -> None:
        """To something that is not there: a release that was deleted, a disk that is not mounted."""
        away = self.put("../releases/7")
        self.holds("is a link, and where it leads cannot be read", "/releases/7: No such file or directory")
        self.back(away)

    def test_circle(self) -> None:
        """To itself."""
        away = self.put("place")
        self.holds("is a link, and where it leads cannot be read", "Too many levels of symbolic links")
        self.back(away)

    def test_elsewhere(self) -> None:
        """A link to a file is no plugin, and nor is a folder without a plugin.json: that one is gone."""
        away = self.put("../revproxy.yaml")
        self.apply()
        self.assertEqual(self.bench.seen(), ["b 1.0.0"])
        self.assertEqual(self.bench.coordinator.catalog.broken, ())
        self.folder.unlink()
        away.rename(self.folder)
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "b 1.0.0"])


class InsideTests(UnreadableCase):
    """Something inside the folder cannot be opened."""

    def deny(self, name: str) -> None:
        real, inode = os.open, os.stat(self.folder).st_ino

        def denied(path: Any, *args: Any, **options: Any) -> Any:
            if path == name and os.fstat(options["dir_fd"]).st_ino == inode:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            return real(path, *args, **options)

        self.patch(os, "open", denied)

    def assertHolds(self, name: str) -> None:
        self.deny(name)
        os.utime(self.folder / "plugin.py", (1, 1))
        self.holds(f"{self.folder / name}: cannot be read: Permission denied")

    def test_manifest(self) -> None:
        """plugin.json, which tells the plugin's name."""
        self.assertHolds("plugin.json")

    def test_code(self) -> None:
        """plugin.py."""
        self.assertHolds("plugin.py")

    def test_rules(self) -> None:
        """.pluginignore."""
        (self.folder / ".pluginignore").write_text("")
        self.assertHolds(".pluginignore")

    def test_data(self) -> None:
        """Anything else; and it is part of the plugin again once it can be read."""
        (self.folder / "words.txt").write_text("")
        self.assertHolds("words.txt")
        (self.folder / "words.txt").unlink()
        self.recovers()

    def test_inner(self) -> None:
        """A folder in it."""
        (self.folder / "inner").mkdir()
        self.assertHolds("inner")

    def test_passedOver(self) -> None:
        """Of what is passed over it makes no difference."""
        (self.folder / "README.md").write_text("")
        (self.folder / "docs").mkdir()
        (self.folder / "tests").mkdir()
        for name in ("README.md", "docs", "tests"):
            self.deny(name)
        self.apply()
        self.assertEqual((self.bench.seen(), self.bench.failure("a")), (["a 1.0.0", "b 1.0.0"], ""))
