"""
What can be seen where no edge runs.
"""

from __future__ import annotations

import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.doctor.outside import outsideChecks


class OutsideTests(SynchronousTestCase):
    """
    A folder with a configuration.
    """

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute() / "revproxy.yaml"
        (self.path.parent / "var").mkdir(parents=True, mode=0o700)

    def found(self, text: str, name: str) -> list[tuple[str, str]]:
        """State and text of the checks of one name."""
        self.path.write_text(text)
        return [(check.state, check.text) for check in outsideChecks(self.path) if check.name == name]

    def test_wrong(self) -> None:
        """
        What is wrong in the file, each with its place.
        """
        [first, second] = self.found("listeners: [{endpoint: 'tcp:1'}]\nroute: []\nlimit: {}\n", "config")[:2]
        self.assertEqual((first[0], second[0]), ("failing", "failing"))
        self.assertIn("revproxy.yaml:2:1: ", first[1])

    def test_ports(self) -> None:
        """
        Whether an edge could listen.
        """
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            text = f"listeners: [{{endpoint: 'tcp:{port}:interface=127.0.0.1'}}]\nroutes: [{{respond: {{}}}}]\n"
            self.assertEqual(self.found(text, "ports"), [
                ("failing", f"tcp:{port}:interface=127.0.0.1: another program listens there")])
        self.assertEqual(self.found(text, "ports"), [("ok", "1 endpoint is free")])
        text = text.replace("127.0.0.1", "192.0.2.77").replace(f"tcp:{port}", "tcp:0")
        [(state, said)] = self.found(text, "ports")
        self.assertEqual(state, "failing")
        self.assertIn("Cannot assign requested address", said)

    def test_nothing(self) -> None:
        """
        Without a configuration there is the machine.
        """
        self.assertIn("interpreter", [check.name for check in outsideChecks(None)])
