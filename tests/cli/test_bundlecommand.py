"""``revproxy bundle``: of an edge in a thread; of a real one in tests.integration.test_bundle."""

from __future__ import annotations

import json
import stat
import tarfile
from pathlib import Path

from revproxy import __version__
from tests.cli.test_edgecommands import CommandCase


def contents(path: Path) -> dict[str, str]:
    """What is in an archive, by name without its folder."""
    with tarfile.open(path) as archive:
        found = {}
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None
            found[member.name.partition("/")[2]] = file.read().decode()
        return found


class BundleTests(CommandCase):
    """With an edge that gives every request the same answer, and without."""

    def test_edge(self) -> None:
        """All that the edge tells, masked; a list of it; for nobody else to read."""
        answer = {"state": "ok", "checks": [], "version": __version__, "items": [{"peer": "203.0.113.7"}],
                  "secret": "Trillian-and-more", "text": "Trillian-and-more"}  # fmt: skip
        self.edge(answer)
        said = self.run_("bundle", "-o", "a.tar.gz").stdout
        self.assertIn("wrote a.tar.gz: alerts.json, certificates.json, config.json, doctor.json, events.json,", said)
        self.assertIn("not in it: metrics: metrics.endpoint names no TCP port\n", said)
        self.assertIn("not in it: connections: they are clients'; --clients has them\n", said)
        self.assertEqual(stat.S_IMODE(Path("a.tar.gz").stat().st_mode), 0o600)
        found = contents(Path("a.tar.gz"))
        self.assertNotIn("Trillian", "".join(found.values()))
        self.assertNotIn("203.0.113.7", "".join(found.values()))
        for name in found:
            self.assertIn(name, found["CONTENTS.txt"] + "CONTENTS.txt")
        self.assertIn("Twisted", json.loads(found["versions.json"])["installed"])

    def test_clients(self) -> None:
        """With addresses of clients, where that is asked for."""
        self.edge({"state": "ok", "checks": [], "version": __version__, "items": [{"peer": "203.0.113.7"}]})
        self.run_("bundle", "-o", "a.tar.gz", "--clients")
        self.assertIn("203.0.113.7", contents(Path("a.tar.gz"))["connections.json"])

    def test_noEdge(self) -> None:
        """Where none runs, there is what can be seen without."""
        Path("revproxy.yaml").write_text(
            "listeners: [{endpoint: 'tcp:0'}]\nroutes: [{respond: {}, plugins: {a: {password: Trillian-and-more}}}]\n"
        )
        result = json.loads(self.run_("bundle", "-o", "a.tar.gz", "--json").stdout)
        self.assertEqual(result["contents"], ["config.json", "doctor.json", "versions.json"])
        self.assertIn("no edge listens there", result["missing"]["events"])
        found = contents(Path("a.tar.gz"))
        self.assertIn('"password": "***"', found["config.json"])
        self.assertNotIn("Trillian", "".join(found.values()))

    def test_oneReason(self) -> None:
        """What is missing for the same reason is told in one line."""
        said = self.run_("bundle", "-o", "a.tar.gz").stdout
        self.assertEqual(said.count("no edge listens there"), 1, said)
        self.assertIn("not in it: alerts, certificates, ", said)
        self.assertEqual(contents(Path("a.tar.gz"))["CONTENTS.txt"].count("no edge listens there"), 1)

    def test_there(self) -> None:
        """A file that is there is left as it is; without a name it has the time."""
        Path("a.tar.gz").write_text("mine")
        self.assertIn("a.tar.gz exists already", self.run_("bundle", "-o", "a.tar.gz", status=1).stderr)
        self.assertEqual(Path("a.tar.gz").read_text(), "mine")
        self.run_("bundle")
        self.assertEqual(len(list(Path().glob("revproxy-bundle-*.tar.gz"))), 1)
