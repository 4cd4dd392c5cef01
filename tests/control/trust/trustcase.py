"""An edge that takes what somebody has signed, or what is in its lock file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from revproxy.bundles.bundle import readBundle
from revproxy.bundles.signature import publicKey
from revproxy.config.lockfile import LockedPlugin, LockedVersion, LockFile, formatLock
from revproxy.config.problems import ConfigErrors
from revproxy.control.changes import ChangeRequest
from tests.bundles.signing import Key, signed, sshKey
from tests.control.test_coordinator import LifecycleCase

ALICE, BOB = "alice", "bob"


class TrustCase(LifecycleCase):
    """
    With a bench; and two who sign, alice for everything, and bob for what he is named for.

    :ivar trust: the section, without its signers.
    :ivar signers: by name, what is said of each but the key.
    """

    def setUp(self) -> None:
        super().setUp()
        self.keys = {ALICE: sshKey(number=0), BOB: sshKey(number=1)}
        self.trust: dict[str, Any] = {"mode": "signed"}
        self.signers: dict[str, dict[str, Any]] = {ALICE: {"tier": "inline"}}
        self.plugins: dict[str, Any] = {"directory": "plugins"}

    def say(self, routes: str = "[{respond: {}}]", **trust: Any) -> None:
        """
        Write revproxy.yaml.

        :param trust: more of the section trust.
        """
        self.trust.update(trust)
        signers = {name: {"key": self.keys[name].line, **said} for name, said in self.signers.items()}
        section = {key: value for key, value in {**self.trust, "signers": signers}.items() if value is not None}
        self.bench.configure(
            routes, f"plugins: {json.dumps(self.plugins)}\ntrust: {json.dumps(section)}"
        )

    def write(self, name: str = "a", version: str = "1.0.0", by: str | None = ALICE, revision: int | None = 1,
              code: str | None = None, **manifest: Any) -> Path:
        """A plugin in its folder. :param by: who signs it; None: nobody does."""
        said = {} if revision is None else {"revision": revision}
        folder = self.bench.write(name, code, version, **said, **manifest)
        for file in folder.glob("plugin.manifest.json*"):
            file.unlink()
        if by is not None:
            self.sign(name, self.keys[by])
        return folder

    def sign(self, name: str, key: Key) -> None:
        """Somebody signs what is in a folder."""
        folder = self.bench.plugins / name
        for file, content in signed(readBundle(folder), key).signature.items():
            (folder / file).write_bytes(content)

    def digest(self, name: str = "a") -> str:
        """Of what is in a folder."""
        return readBundle(self.bench.plugins / name).digest

    def lock(self, **earlier: LockedVersion) -> None:
        """The lock file has what is in the folders. :param earlier: of a plugin, what may be gone back to."""
        plugins = {}
        for folder in self.bench.plugins.iterdir():
            version = json.loads((folder / "plugin.json").read_text())["version"]
            plugins[folder.name] = LockedPlugin(
                LockedVersion(version, self.digest(folder.name)),
                tuple(each for name, each in earlier.items() if name == folder.name),
            )
        (self.bench.root / "plugins.lock").write_text(formatLock(LockFile(plugins)))

    def revoke(self, *entries: str) -> None:
        """The file of what is revoked has these lines."""
        (self.bench.root / "revoked").write_text("".join(f"{entry}\n" for entry in entries))

    def keyId(self, name: str) -> str:
        """Of somebody's key, as messages call it."""
        return publicKey(self.keys[name].line).keyId

    def start(self) -> None:
        """The edge starts."""
        self.say()
        self.bench.start()

    def reload(self) -> Any:
        """All is tried again."""
        return self.apply(ChangeRequest(force=True, reads=True))

    def refusedStart(self) -> str:
        """Why the edge does not start."""
        self.say()
        return str(self.assertRaises(ConfigErrors, self.bench.prepare))

    def told(self, kind: str) -> list[str]:
        """Texts of the events of a kind."""
        return [event.text for event in self.bench.events.latest(1000) if event.kind == kind]

    def runs(self) -> list[str]:
        """What runs: name and version of each plugin."""
        plan = self.bench.coordinator.plan
        assert plan is not None
        return [f"{each.name} {each.entry.version.number}" for each in plan.selected]

    def status(self, name: str = "a") -> dict[str, Any]:
        """What is shown of a plugin's trust."""
        (found,) = self.call("plugins", name=name)
        told: dict[str, Any] = found["trust"]
        return told
