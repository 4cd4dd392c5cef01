"""Who else could change the code that the edge runs."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.custody import codeWarnings, ownerOf, stateWarnings, users


class CustodyCase(SynchronousTestCase):
    """A folder whose parents are all in order: owners are pretended, modes are real."""

    def setUp(self) -> None:
        self.root = Path(os.path.realpath(self.mktemp()))
        self.root.mkdir(parents=True)
        self.state = self.root / "var"
        self.state.mkdir(0o700)
        self.owners: dict[Path, tuple[int, int]] = {}
        stat = os.stat

        def pretended(path: Any, **options: Any) -> Any:
            known = stat(path, **options)
            own = isinstance(path, Path)
            inside = own and path.is_relative_to(self.root)
            uid, gid = self.owners.get(path, (1000, 1000)) if own else (known.st_uid, known.st_gid)
            mode = known.st_mode if not own or inside else 0o40755
            return SimpleNamespace(st_mode=mode, st_uid=uid, st_gid=gid)

        self.patch(os, "geteuid", lambda: 1000)
        self.patch(os, "stat", pretended)

    def accounts(self, *members: str) -> None:
        """User 1000 is alice and has a group of her own; 100 is everybody's."""
        self.patch(pwd, "getpwuid", lambda number: SimpleNamespace(pw_name={1000: "alice"}[number], pw_gid=number))
        names = {1000: "alice", 100: "users"}
        self.patch(grp, "getgrgid", lambda number: SimpleNamespace(gr_name=names[number], gr_mem=list(members)))


class StateTests(CustodyCase):
    """The state folder."""

    def check(self) -> list[str]:
        return stateWarnings(self.state, users())

    def test_fine(self) -> None:
        """Its user's alone; also when others may read it, and what is in it is not to be looked at yet."""
        self.assertEqual(self.check(), [])
        self.state.chmod(0o755)
        (self.state / "versions").mkdir(0o755)
        self.assertEqual(self.check(), [])
        self.assertEqual(stateWarnings(self.root / "none", users()), [])

    def test_modes(self) -> None:
        """Others may write there, or the group, and into what is in it."""
        self.accounts("bob")
        tail = "and who can decides what code the edge runs; chmod go-w"
        self.state.chmod(0o777)
        self.assertEqual(self.check(), [f"{self.state}: everybody may write there, {tail} {self.state}"])
        self.state.chmod(0o770)
        self.assertEqual(self.check(), [f"{self.state}: group alice may write there, {tail} {self.state}"])
        self.state.chmod(0o700)
        ledger = self.state / "plugins.json"
        ledger.write_text("{}")
        ledger.chmod(0o666)
        self.assertEqual(self.check(), [f"{ledger}: everybody may write there, {tail} {ledger}"])

    def test_ownGroup(self) -> None:
        """A group of the owner alone is nobody else; one that all users share is."""
        self.accounts("alice")
        self.state.chmod(0o770)
        self.assertEqual(self.check(), [])
        self.owners[self.state] = 1000, 100
        self.assertIn("group users may write there", self.check()[0])

    def test_owner(self) -> None:
        """It belongs to somebody who is neither root nor the edge's user."""
        self.owners[self.state] = 0, 0
        self.assertEqual(self.check(), [])
        self.owners[self.state] = 4242, 0
        self.assertIn(f"{self.state}: belongs to user 4242, and who can", self.check()[0])
        self.assertEqual(stateWarnings(self.state, users(ownerOf(self.state))), [])

    def test_parents(self) -> None:
        """A folder above it in which others may put another in its place; one that is sticky is none."""
        self.root.chmod(0o777)
        self.assertIn(f"{self.root}: everybody may write there and could put another var in its place", self.check()[0])
        self.root.chmod(0o1777)
        self.assertEqual(self.check(), [])
        self.owners[self.root] = 4242, 0
        self.assertIn(f"{self.root}: belongs to user 4242, who could put another var in its place", self.check()[0])
        self.owners[self.root] = 65534, 65534
        self.assertEqual(self.check(), [], "a container does not know")

    def test_link(self) -> None:
        """What a link leads to counts."""
        self.state.chmod(0o777)
        link = self.root / "link"
        link.symlink_to(self.state)
        self.assertIn(f"{self.state}: everybody", stateWarnings(link, users())[0])


class CodeTests(CustodyCase):
    """Plugins and the configuration."""

    def test_plugins(self) -> None:
        """A folder of plugins, or of one, that everybody may write to, sticky or not; a group may be a deployment's."""
        plugins = self.root / "plugins"
        (plugins / "a").mkdir(parents=True)
        (plugins / ".git").mkdir()
        (plugins / ".git").chmod(0o777)
        for path, mode in ((plugins, 0o777), (plugins, 0o1777), (plugins / "a", 0o757)):
            path.chmod(mode)
            [warning] = codeWarnings([plugins])
            self.assertTrue(warning.startswith(f"{path}: everybody may write there, and who can decides"), warning)
            self.assertTrue(warning.endswith(f"chmod o-w {path}"), warning)
            path.chmod(0o2775)
            self.assertEqual(codeWarnings([plugins]), [])

    def test_configuration(self) -> None:
        """A file, and the folder it is in unless that is sticky."""
        file = self.root / "revproxy.yaml"
        file.write_text("")
        self.assertEqual(codeWarnings([file]), [])
        file.chmod(0o666)
        self.assertIn(f"{file}: everybody may write there", codeWarnings([file])[0])
        file.chmod(0o644)
        self.root.chmod(0o777)
        self.assertIn(f"{self.root}: everybody may write there and could put another revproxy.yaml",
                      codeWarnings([file])[0])
        self.root.chmod(0o1777)
        self.assertEqual(codeWarnings([file]), [])

    def test_few(self) -> None:
        """A thousand plugins are five warnings."""
        plugins = self.root / "plugins"
        for number in range(20):
            (plugins / str(number)).mkdir(parents=True)
            (plugins / str(number)).chmod(0o777)
        self.assertEqual(len(codeWarnings([plugins])), 5)
