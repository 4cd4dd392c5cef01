"""
docs/canary.md, from the first file to the version that was taken back; and that docs/rollouts.md names what there is.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from tests.docs.walkthrough import Command, perform, steps
from tests.harness import PATIENCE, EdgeCase, freePort
from tests.tools import needs

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "canary.md").read_text(encoding="utf-8")
ROLLOUTS = (DOCS / "rollouts.md").read_text(encoding="utf-8")


@needs("curl")
class CanaryTests(EdgeCase):
    """All commands of the page, one after the other."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.port = freePort()
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "PYTHONPATH": str(DOCS.parent), "NO_PROXY": "*"}

    def begin(self, line: str) -> None:
        """Something that runs until the end of the test."""
        name = line.split()[0]
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                line.removesuffix("&").split(), cwd=self.folder, env=self.environment, stdout=log, stderr=log
            )
        self.addCleanup(process.wait, PATIENCE)
        self.addCleanup(process.send_signal, signal.SIGTERM)
        if name == "revproxy":
            written = self.folder / f"{name}.log"
            self.until(lambda: "listening on" in written.read_text() or process.poll() is not None)
            self.assertIsNone(process.poll(), written.read_text())

    def type(self, command: Command) -> None:
        """Once, or until it prints what it should."""
        printed = perform(command, self.folder, self.environment)
        if command.once:
            self.assertTrue(command.isShownBy(printed), f"{command.line}\n{printed}")
            return

        def shows() -> bool:
            nonlocal printed
            if command.isShownBy(printed):
                return True
            printed = perform(command, self.folder, self.environment)
            return False

        try:
            self.until(shows)
        except self.failureException:
            self.fail(f"{command.line}\nprinted\n{printed}\ninstead of\n{command.output}")

    def test_page(self) -> None:
        """It is done as it is written."""
        count = 0
        for step in steps(PAGE.replace(":8080", f":{self.port}").replace(", 8080", f", {self.port}")):
            if isinstance(step, Command) and step.line.endswith("&"):
                self.begin(step.line)
            elif isinstance(step, Command):
                self.type(step)
                count += 1
            else:
                perform(step, self.folder, self.environment)
        self.assertGreater(count, 10)


class RolloutsTests(SynchronousTestCase):
    """The page about rollouts."""

    def test_examples(self) -> None:
        """Its configuration is sound, with what stands in pieces put into it."""
        base = Path(self.mktemp()).absolute()
        (base / "plugins").mkdir(parents=True)
        (base / "arm.token").write_text("0123456789abcdef")
        blocks = re.findall(r"```yaml\n((?s:.*?))```", ROLLOUTS)
        whole, pieces = blocks[0], blocks[1:]
        start = "listeners: [{endpoint: 'tcp:8080'}]\nroutes: [{respond: {}}]\n"
        policy = parseConfig(start + whole + "".join(pieces), "r", base).plugins.rollout.policyFor("quota")
        assert policy is not None and policy.testers is not None
        self.assertEqual(len(policy.expect), 2)
        self.assertEqual([step.kind for step in policy.steps], ["preflight", "shadow", "canary", "canary"])
