"""``revproxy doctor``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from revproxy import __version__
from revproxy.cli import edgeclient
from tests.cli.test_edgecommands import CommandCase

WELL = {"name": "edge", "state": "ok", "text": "it is ready", "advice": ""}
ILL = {"name": "clock", "state": "warning", "text": "nobody has set it", "advice": "See that chrony runs."}
BAD = {"name": "state", "state": "failing", "text": "nothing can be written", "advice": "Make room."}


class DoctorTests(CommandCase):
    """With an edge, and without."""

    def answering(self, *checks: Any, version: str = __version__) -> None:
        """An edge that says this; it gives every request the same answer."""
        self.edge({"state": "ok", "checks": list(checks), "version": version})

    def test_well(self) -> None:
        """Where all is well, that is all that is said."""
        self.answering(WELL)
        self.assertEqual(
            self.run_("doctor").stdout, "1 well, 0 to look at, 0 failing; --all shows those that are well\n"
        )
        self.assertEqual(
            self.run_("doctor", "--all").stdout, "ok       edge: it is ready\n1 well, 0 to look at, 0 failing\n"
        )

    def test_worstFirst(self) -> None:
        """What is worst comes first, with what to do; and decides how the command ends."""
        self.answering(WELL, ILL)
        self.assertEqual(
            self.run_("doctor").stdout,
            "warning  clock: nobody has set it\n         See that chrony runs.\n"
            "1 well, 1 to look at, 0 failing; --all shows those that are well\n",
        )

    def test_failing(self) -> None:
        """Something is failing."""
        self.answering(ILL, WELL, BAD)
        lines = self.run_("doctor", status=1).stdout.splitlines()
        self.assertEqual(lines[0], "FAILING  state: nothing can be written")

    def test_json(self) -> None:
        """For programs."""
        self.answering(WELL, ILL)
        self.assertEqual(json.loads(self.run_("doctor", "--json").stdout), {"state": "warning", "checks": [WELL, ILL]})

    def test_otherVersion(self) -> None:
        """An edge that was not restarted since revproxy was installed anew."""
        self.answering(WELL, version="0.0.1")
        said = self.run_("doctor").stdout
        self.assertIn(f"version: the edge is revproxy 0.0.1, and this command {__version__}", said)

    def test_outOfReach(self) -> None:
        """An edge of another user is not to be started, but asked by that user."""

        def refused(path: Path, timeout: float) -> Any:
            raise PermissionError(13, "Permission denied")

        self.patch(edgeclient, "connect", refused)
        said = self.run_("doctor", status=1).stdout
        self.assertIn("control.sock: Permission denied", said)
        self.assertIn("Ask as the user that the edge runs as, or as root. What follows", said)
        self.assertNotIn("Start it", said)

    def test_noEdge(self) -> None:
        """Where none runs, that is failing, and the rest is looked at."""
        Path("revproxy.yaml").write_text("listeners: [{endpoint: 'tcp:0'}]\nroute: []\n")
        said = self.run_("doctor", status=1).stdout
        self.assertIn("FAILING  edge: ", said)
        self.assertIn("FAILING  config: revproxy.yaml:2:1: ", said)
        self.assertIn("to look at", said)
