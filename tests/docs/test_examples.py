"""The examples in the docstrings of packages run."""

from __future__ import annotations

import os
import textwrap
from importlib import import_module
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.cli.templates import writeConfig, writePlugin

PACKAGES = ("loop", "config", "bundles")


class ExampleTests(SynchronousTestCase):
    """In a folder with what ``revproxy init`` and ``revproxy new-plugin hello`` write."""

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        writePlugin(writeConfig(folder).parent / "plugins", "hello")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)

    def test_run(self) -> None:
        """Each is indented behind two colons, and is whole: what it uses it imports."""
        for name in PACKAGES:
            _, found, code = (import_module(f"revproxy.{name}").__doc__ or "").rpartition("::\n\n")
            self.assertTrue(found, name)
            names: dict[str, Any] = {"print": lambda *_: None}
            exec(compile(textwrap.dedent(code), f"revproxy/{name}/__init__.py", "exec"), names)
