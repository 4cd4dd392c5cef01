"""The options of ``twistd revproxy``."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from revproxy.tap import Options, makeService


class OptionsTests(SynchronousTestCase):
    """What is understood."""

    def parsed(self, *arguments: str) -> Any:
        options = Options()
        options.parseOptions(list(arguments))
        return options

    def test_lists(self) -> None:
        """--listen and --upstream may be given again; each parse begins with none."""
        options = self.parsed("--listen", "tcp:1", "-l", "tcp:2", "--upstream", "http://a", "-u", "http://b")
        self.assertEqual([options["listen"], options["upstream"]], [["tcp:1", "tcp:2"], ["http://a", "http://b"]])
        self.assertEqual(self.parsed("-l", "tcp:3")["listen"], ["tcp:3"])

    def test_refused(self) -> None:
        """Nothing at all, and a file together with what it says."""
        for arguments in (
            (),
            ("-c", "x", "-l", "tcp:1"),
            ("-c", "x", "-u", "http://a"),
            ("-c", "x", "-p", "d"),
            ("x",),
        ):
            self.assertRaises(UsageError, self.parsed, *arguments)

    def test_problems(self) -> None:
        """A configuration that will not do: every problem on standard error, status 1."""
        path = Path(self.mktemp())
        path.write_text("listeners: []\nnonsense: 1\nlimits: {max_headers: many}\n")
        said = StringIO()
        self.patch(sys, "stderr", said)
        exit_ = self.assertRaises(SystemExit, makeService, self.parsed("-c", str(path)))
        self.assertEqual(exit_.code, 1)
        for words in ("nonsense", "max_headers", f"{path}:2:1"):
            self.assertIn(words, said.getvalue())
