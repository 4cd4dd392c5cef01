"""docs/plugins.md: what it says of signing is so."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.signaturefiles import ENVELOPES, MANIFEST
from revproxy.bundles.signedmanifest import FORMAT
from revproxy.cli.main import main

SECTION = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text("utf-8").partition("\n### Signing\n")[2]
PART = SECTION.partition("\n## ")[0]


class SigningTests(SynchronousTestCase):
    """The section on signing."""

    def test_commands(self) -> None:
        """The commands work one after the other; the passphrase, which somebody would type, is left out."""
        root = Path(self.mktemp()).absolute()
        folder = root / "plugins" / "greeting"
        folder.mkdir(parents=True)
        (folder / "plugin.json").write_text('{"name": "greeting", "version": "1.0", "revision": 1}')
        (folder / "plugin.py").write_text("")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(root)
        lines = re.findall(r"^\$ revproxy ([^#\n]+)", PART, re.MULTILINE)
        self.assertEqual(len(lines), 3)
        for line in lines:
            more = ["--no-passphrase"] if line.startswith("keygen") else []
            result = CliRunner().invoke(main, shlex.split(line) + more)
            self.assertEqual(result.exit_code, 0, (line, result.output))
        (folder / "plugin.py").write_text("x")
        said = CliRunner().invoke(main, shlex.split(lines[-1])).stderr
        self.assertIn("plugin.py: size: ", said)

    def test_names(self) -> None:
        """Files and namespace are called so."""
        for name in (MANIFEST, *(envelope.removeprefix(MANIFEST) for envelope in ENVELOPES), f"-n {FORMAT}",
                     f"-t {FORMAT}"):
            self.assertIn(f"{name}", PART)
