"""
A page of the docs that is done as it is written: each file made, each command typed, until it prints what stands there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.docs.walkthrough import Command, perform, steps
from tests.harness import PATIENCE, EdgeCase, freePort

ROOT = Path(__file__).parents[2]


class PageCase(EdgeCase):
    """
    A folder in which a page is done.

    :ivar port: that its edge listens on, instead of 8080.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.port = freePort()
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "NO_PROXY": "*"}

    def begin(self, line: str) -> None:
        """
        Something that runs until the end of the test; an edge, until it listens.

        :param line: may say ``> FILE`` for what it prints.
        """
        started, _, redirected = line.removesuffix("&").partition(">")
        command = started.split()
        name = command[0]
        written = self.folder / (redirected.split()[0] if redirected else f"{name}.log")
        with written.open("ab") as log:
            process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        self.addCleanup(process.wait, PATIENCE)
        self.addCleanup(process.send_signal, signal.SIGTERM)
        if name == "revproxy":
            self.until(lambda: "listening on" in written.read_text() or process.poll() is not None)
            self.assertIsNone(process.poll(), written.read_text())

    def type(self, command: Command) -> None:
        """Once, or until it prints what it should: a change takes a moment."""
        printed = ""

        def shows() -> bool:
            nonlocal printed
            printed = perform(command, self.folder, self.environment)
            return command.isShownBy(printed)

        try:
            self.assertTrue(shows() if command.once else self.until(shows))
        except self.failureException:
            expected = "\n".join(command.output)
            self.fail(f"$ {command.line}\nprints\n{printed}\nand not\n{expected}")

    def walk(self, page: str) -> int:
        """
        Do all that a page says. What ends with ``&``, and ``revproxy run``, goes on in the background.

        :returns: how many commands were typed.
        """
        count = 0
        for step in steps(page.replace(":8080", f":{self.port}").replace(", 8080", f", {self.port}")):
            if isinstance(step, Command) and (step.line.endswith("&") or step.line.startswith("revproxy run")):
                self.begin(step.line)
            elif isinstance(step, Command):
                self.type(step)
                count += 1
            else:
                perform(step, self.folder, self.environment)
        return count
