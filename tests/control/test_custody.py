"""Who else could change the code that the edge runs."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.control.custody import (
    codeWarnings,
    configWarnings,
    keyWarnings,
    lookWarnings,
    ownerOf,
    secretWarnings,
    stateWarnings,
    users,
)


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
        """Its user's alone; what is in it is not to be looked at then."""
        self.assertEqual(self.check(), [])
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

    def test_readers(self) -> None:
        """Everybody may look into it."""
        self.state.chmod(0o755)
        text = "everybody may look into it, and it has what plugins keep; chmod 700"
        self.assertEqual(lookWarnings(self.state), [f"{self.state}: {text} {self.state}"])
        self.assertEqual(self.check(), [])
        self.state.chmod(0o750)
        self.assertEqual(lookWarnings(self.state) + lookWarnings(self.root / "none"), [])

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


PEM = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"


class KeyTests(CustodyCase):
    """Who can read keys and secrets."""

    def key(self, name: str, mode: int, text: str = PEM) -> Path:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def test_keys(self) -> None:
        """Those of a folder, and single ones, that everybody or the owner's group can read; certificates are public."""
        self.accounts("bob")
        everybody = self.key("certs/a.pem", 0o644)
        self.key("certs/b.pem", 0o600)
        self.key("certs/c.pem", 0o644, "-----BEGIN CERTIFICATE-----\n")
        group = self.key("single.key", 0o640)
        self.assertEqual(keyWarnings([everybody.parent, group, everybody.parent, self.root / "none"]), [
            f"{everybody}: everybody can read this private key; chmod go-r {everybody}",
            f"{group}: group alice can read this private key; chmod go-r {group}",
        ])  # fmt: skip

    def test_given(self) -> None:
        """A group that root has given it to, and one of the owner alone."""
        self.accounts("alice")
        path = self.key("a.pem", 0o640)
        self.assertEqual(keyWarnings([path]), [])
        self.accounts("bob")
        self.owners[path] = 0, 100
        self.assertEqual(keyWarnings([path]), [])
        path.chmod(0o644)
        self.assertEqual(keyWarnings([path]), [f"{path}: everybody can read this private key; chmod o-r {path}"])

    def test_secrets(self) -> None:
        """Files that a configuration takes secrets from, whatever is in them."""
        path = self.key("password", 0o604, "hunter2")
        said = f"{path}: everybody can read this secret; chmod go-r {path}"
        self.assertEqual(secretWarnings([path, self.root / "none", self.root]), [said])

    def test_strange(self) -> None:
        """What is no file is not waited for, and what is too large for a key is none."""
        os.mkfifo(self.root / "pipe.key", 0o644)
        large = self.key("large.key", 0o644, PEM)
        os.truncate(large, 2 << 20)
        self.assertEqual(keyWarnings([self.root]), [])

    def test_configuration(self) -> None:
        """All that a configuration names: listeners, upstreams, secrets, the lock file; a public key is none."""
        for name in ("certs/a.pem", "admin.pem", "client.pem"):
            self.key(name, 0o644)
        self.key("password", 0o644, "hunter2")
        self.key("alice.pub", 0o644, "ssh-ed25519 AAAA alice\n")
        for name in ("plugins.lock", "revoked"):
            self.key(name, 0o666, "")
        text = """
listeners: [{endpoint: "tcp:1", tls: {certificates: certs}}]
admin: {endpoint: "tcp:2", tls: {certificates: admin.pem}}
upstreams: {app: {targets: ["https://a"], tls: {certificate: client.pem}}}
traces: {otlp: "http://127.0.0.1:4318", headers: {authorization: {$file: password}}}
trust: {lock: plugins.lock, revoked: revoked, signers: {alice: {key: {$file: alice.pub}}}}
"""
        config = parseConfig(text, "revproxy.yaml", self.root)
        named = {Path(warning.partition(": ")[0]).name for warning in configWarnings(config, None)}
        self.assertEqual(named, {"a.pem", "admin.pem", "client.pem", "password", "plugins.lock", "revoked"})
        self.assertIn("everybody may write there", " ".join(configWarnings(config, None)))
