"""Completion in shells that are there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from revproxy.cli.completion import SHELLS
from revproxy.cli.main import main
from tests.cli.test_edgecommands import CommandCase, Status


def complete(*words: str) -> list[str]:
    """What comes for the last of these words, which may be empty."""
    environment = {"_REVPROXY_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(("revproxy", *words)),
                   "COMP_CWORD": str(len(words))}
    said = CliRunner().invoke(main, [], prog_name="revproxy", env=environment)
    return [line.removeprefix("plain,") for line in said.stdout.splitlines() if line]


class CompletionTests(SynchronousTestCase):
    """``revproxy completion``."""

    def script(self, shell: str) -> str:
        # click asks bash for its version.
        result = CliRunner().invoke(main, ["completion", shell], prog_name="revproxy")
        self.assertEqual(result.exit_code, 0, result.output)
        return result.stdout

    def test_scripts(self) -> None:
        """Each shell is given a script that asks us."""
        for shell in SHELLS:
            self.assertIn(f"_REVPROXY_COMPLETE={shell}_complete", self.script(shell))
        self.assertEqual(CliRunner().invoke(main, ["completion", "cmd"]).exit_code, 2)

    def test_complete(self) -> None:
        """What we are asked then is answered with commands, and with values of options."""
        for words, wanted in (("revproxy rol", "rollback"), ("revproxy token new x --role ope", "operate"),
                              ("revproxy plugins --js", "--json")):
            environment = {"_REVPROXY_COMPLETE": "bash_complete", "COMP_WORDS": words,
                           "COMP_CWORD": str(len(words.split()) - 1)}
            said = CliRunner().invoke(main, [], prog_name="revproxy", env=environment).stdout
            self.assertIn(wanted, said, words)

    def test_groups(self) -> None:
        """Commands of a group, also of one that has a command for whoever names none."""
        self.assertEqual(complete("token", ""), ["list", "new", "revoke"])
        self.assertEqual(complete("alerts", ""), ["list", "redeliver", "silence", "test", "unsilence"])

    def test_bash(self) -> None:
        """A real bash completes a command."""
        bash = shutil.which("bash")
        assert bash is not None, "this is a POSIX system"
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "script").write_text(self.script("bash"))
        program = folder / "revproxy"
        program.write_text('#!/bin/sh\nexec "$PYTHON" -c "from revproxy.cli.main import main; '
                           "main(prog_name='revproxy')\" \"$@\"\n")
        program.chmod(0o755)
        line = (
            f"source {folder}/script; COMP_WORDS=(revproxy rollb); COMP_CWORD=1; _revproxy_completion revproxy; "
            'echo "${COMPREPLY[@]}"'
        )
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHON": sys.executable,
                       "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([bash, "-c", line], env=environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.stdout.strip(), "rollback", done.stderr)


class NamesTests(CommandCase):
    """Names that a running edge knows."""

    def test_plugins(self) -> None:
        """Those that begin so."""
        self.edge([{"name": "cors"}, {"name": "auth"}, {"name": "audit"}])
        self.assertEqual(complete("rollback", "au"), ["audit", "auth"])
        self.assertEqual(complete("requests", "--plugin", ""), ["audit", "auth", "cors"])
        self.assertEqual(complete("plugins", "--state", "elsewhere", ""), [])

    def test_targets(self) -> None:
        """Those of the upstream that is named before."""
        targets = [{"url": "http://a:1"}, {"url": "http://b:1"}]
        self.edge([{"name": "web", "targets": targets}, {"name": "api", "targets": [{"url": "http://c:1"}]}])
        self.assertEqual(complete("drain", ""), ["api", "web"])
        self.assertEqual(complete("drain", "web", ""), ["http://a:1", "http://b:1"])

    def test_none(self) -> None:
        """Where nobody answers, or in another way, nothing is said."""
        self.assertEqual(complete("rollback", ""), [])
        wrong: tuple[Any, ...] = (Status(403, {"title": "Forbidden", "status": 403}), {"items": [{}]}, {"items": None},
                                  {})
        for answer in wrong:
            edge = self.edge(answer)
            self.assertEqual(complete("rollback", ""), [])
            edge.close()
            Path("var/control.sock").unlink()
