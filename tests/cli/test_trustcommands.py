"""``revproxy trust`` and ``grant``, and what ``plugins NAME`` says of trust."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from revproxy.cli.main import main
from revproxy.cli.trustreport import trustLines
from revproxy.config.document import parseYAML
from tests.cli.test_edgecommands import CommandCase, Status

NONE = {"read_headers": [], "write_headers": [], "body": "none", "respond": False, "upstreams": [], "store": False,
        "figures": False, "environment": [], "files": []}  # fmt: skip
LITTLE = {**NONE, "read_headers": ["x-a"], "respond": True}
DIGEST = "5d" * 32


def trust(**facts: Any) -> dict[str, Any]:
    """Of a plugin that alice has signed."""
    return {
        "state": "trusted", "signer": "alice", "key": "SHA256:x", "envelope": "sshsig", "revision": 3,
        "verified_at": None, "file": None, "rule": None, "message": None, "tier": "process", "wanted_tier": "inline",
        "level": "B", "waiting": None,
        "permissions": {"asked": LITTLE, "granted": LITTLE, "missing": [], "beyond": []}, **facts,
    }  # fmt: skip


WAITING = {"version": "1.1.0", "digest": DIGEST, "stage": "grant", "message": "it asks for more", "asked": LITTLE,
           "added": ["store"], "missing": ["store"], "beyond": []}  # fmt: skip


class LinesTests(CommandCase):
    """A plugin's trust, in lines."""

    def test_signed(self) -> None:
        """Who has signed it, where it runs, what it may, and what waits."""
        self.assertEqual(list(trustLines(trust(waiting=WAITING))), [
            "  signed by alice (SHA256:x), revision 3",
            "  runs in   a locked process, level B, as its signer's plugins do",
            "  may       read_headers: x-a; respond",
            "  waiting   1.1.0 (5d5d5d5d5d5d): it asks for more",
            "              + store",
        ])

    def test_unchecked(self) -> None:
        """Where nobody has to vouch for it."""
        permissions = {"asked": None, "granted": None, "missing": [], "beyond": []}
        lines = list(trustLines(trust(state="unchecked", signer=None, tier="inline", permissions=permissions)))
        self.assertEqual(lines, ["  runs in   the edge's own process", "  may       touch everything"])

    def test_wrong(self) -> None:
        """What is not trusted; and what a plugin does not have."""
        told = trust(state="revoked", signer=None, message="it was revoked")
        self.assertEqual(list(trustLines(told)), ["  revoked   it was revoked"])
        permissions = {"asked": LITTLE, "granted": NONE, "missing": ["store"], "beyond": ["body: write"]}
        self.assertEqual(list(trustLines(trust(permissions=permissions)))[1:], [
            "  runs in   a locked process, level B, as its signer's plugins do",
            "  may       touch nothing",
            "  not       store, which it asks for",
            "  never     body: write: beyond what its signer may have granted",
        ])


class TrustTests(CommandCase):
    """``revproxy trust``."""

    def test_told(self) -> None:
        """The rules, the machine, signers, plugins."""
        signer = {"name": "alice", "key": "SHA256:x", "plugins": ["*"], "tier": "inline", "permissions": None,
                  "not_after": 86400.0, "is_over": True, "is_revoked": False, "signed": ["a"]}  # fmt: skip
        self.edge({
            "mode": "signed+lock", "minimum_level": "C", "level": "B", "signers": [signer],
            "layers": [{"name": "seccomp", "enforced": True, "reason": None},
                       {"name": "namespaces", "enforced": False, "reason": "EPERM"}],
            "lock": {"path": "/x/plugins.lock", "plugins": [{}]}, "revoked": {"path": "/x/revoked", "entries": []},
            "problems": ["/x/revoked:1:1: no"], "plugins": [{"name": "a", **trust(waiting=WAITING)}],
        })  # fmt: skip
        lines = self.run_("trust").stdout.splitlines()
        self.assertEqual(lines[:7], [
            "mode      signed+lock", "lock      /x/plugins.lock: 1 plugins", "revoked   /x/revoked: 0 entries",
            "problem   /x/revoked:1:1: no", "level     B; at least C is wanted", "  seccomp     yes",
            "  namespaces  EPERM",
        ])
        text = "\n".join(lines)
        self.assertIn("1970-01-01, over", text)
        self.assertIn("1.1.0 waits: it asks for more", text)

    def test_rows(self) -> None:
        """Of a plugin it is told what it goes without; of one that was revoked, that it runs nowhere."""
        lacking = {"asked": LITTLE, "granted": NONE, "missing": ["store", "respond"], "beyond": []}
        gone = {"state": "revoked", "signer": None, "waiting": {**WAITING, "stage": "revoked", "message": "its key"}}
        self.edge({
            "mode": "signed", "minimum_level": "C", "level": None, "signers": [], "layers": [], "lock": None,
            "revoked": None, "problems": [],
            "plugins": [{"name": "a", **trust(permissions=lacking)}, {"name": "b", **trust(**gone)}],
        })  # fmt: skip
        first, second = self.run_("trust").stdout.splitlines()[-2:]
        self.assertRegex(first, "without store; respond$")
        self.assertRegex(second, "revoked .* nowhere .* 1.1.0 does not run: its key$")


class GrantTests(CommandCase):
    """``revproxy grant``."""

    DONE = {"text": ["a: 1.1.0 runs"], "refused": [], "diff": "+ store: true", "etag": "e", "dry_run": False}

    def answers(self, *answers: Any) -> Any:
        return self.edge(deque(answers))

    def test_asks(self) -> None:
        """What is asked for is shown, and granted by whoever says yes: of that version."""
        thread = self.answers({"trust": trust(waiting=WAITING)}, self.DONE)
        result = CliRunner().invoke(main, ["grant", "a", "--reason", "why not"], input="y\n")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual(result.stdout.splitlines(), ["a asks for:", "  store", "a: 1.1.0 runs", "+ store: true"])
        self.assertEqual(thread.requests[1], ("POST", "plugins/a/grant", {"reason": "why not", "digest": DIGEST}))

    def test_no(self) -> None:
        """Who says no has nothing granted."""
        thread = self.answers({"trust": trust(waiting=WAITING)})
        self.assertEqual(CliRunner().invoke(main, ["grant", "a"], input="n\n").exit_code, 1)
        self.assertEqual(len(thread.requests), 1)

    def test_nothing(self) -> None:
        """Where all is granted there is nothing to do."""
        thread = self.answers({"trust": trust()})
        self.assertIn("nothing that it does not have", self.run_("grant", "a", "-y").stdout)
        self.assertEqual(len(thread.requests), 1)

    def test_refused(self) -> None:
        """What is refused ends with 1."""
        told = {**self.DONE, "refused": [{"plugin": "a", "stage": "import", "message": "no"}]}
        self.answers({"trust": trust(waiting=WAITING)}, told)
        self.assertIn("no", self.run_("grant", "a", "-y", status=1).stderr)

    def test_problem(self) -> None:
        """So does what the edge does not do at all."""
        self.answers({"trust": trust(waiting=WAITING)}, Status(409, {"detail": "another version", "title": "Conflict"}))
        self.assertIn("another version", self.run_("grant", "a", "-y", status=1).stderr)

    def test_dry(self) -> None:
        """Nobody is asked for what is not done."""
        thread = self.answers({"trust": trust(waiting=WAITING)}, self.DONE)
        self.run_("grant", "a", "--dry-run")
        self.assertEqual(thread.requests[1][1], "plugins/a/grant?dry_run=true")


class OfflineTests(CommandCase):
    """Where no edge runs, it is written into the file."""

    def setUp(self) -> None:
        super().setUp()
        folder = Path("plugins/a")
        folder.mkdir(parents=True)
        (folder / "plugin.py").write_text("def PluginMain(config): ...\n")
        asks = {"read_headers": ["X-Tenant"], "store": True}
        (folder / "plugin.json").write_text(json.dumps({"name": "a", "version": "1.0", "permissions": asks}))
        self.text = (
            "listeners: [{endpoint: 'tcp:0'}]  # all\nroutes: [{respond: {}}]\n"
            "plugins:\n  directory: plugins\n  grants:\n    a:\n      read_headers: [X-Other]  # why\n"
        )
        Path("revproxy.yaml").write_text(self.text)

    def test_written(self) -> None:
        """What is missing is added to what is there, and nothing else is changed."""
        result = self.run_("grant", "a", "-y")
        self.assertIn("read_headers: X-Tenant", result.stdout)
        text = Path("revproxy.yaml").read_text()
        self.assertEqual(parseYAML(text, "").value["plugins"]["grants"],
                         {"a": {"read_headers": ["X-Other", "X-Tenant"], "store": True}})
        self.assertIn("# all", text)
        self.assertIn("nothing that it does not have", self.run_("grant", "a", "-y").stdout)
        self.assertEqual(Path("revproxy.yaml").read_text(), text)

    def test_dry(self) -> None:
        """Or only shown."""
        self.assertIn("X-Tenant", self.run_("grant", "a", "--dry-run").stdout)
        self.assertEqual(Path("revproxy.yaml").read_text(), self.text)

    def test_refused(self) -> None:
        """No such plugin; a file with mistakes; and an edge that is elsewhere."""
        self.assertIn('no plugin named "b"', self.run_("grant", "b", "-y", status=1).stderr)
        Path("revproxy.yaml").write_text("listeners: x\n")
        self.assertIn("revproxy.yaml:1:", self.run_("grant", "a", "-y", status=1).stderr)
        self.run_("grant", "a", "-y", "--url", "http://127.0.0.1:1", status=3)
