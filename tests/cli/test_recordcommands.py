"""``revproxy record`` and ``revproxy recordings``, asked of an edge which here is a thread."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Any

from revproxy.cli import recordcommands
from tests.cli.test_edgecommands import CommandCase

RECORDING: dict[str, Any] = {
    "name": "shop-1", "path": "/var/recordings/shop-1.jsonl", "state": "recording", "begun": 1000.0, "until": 1060.0,
    "ended": None, "why": None, "routes": ["shop"], "share": 0.01, "requests": 0, "dropped": 0, "bytes": 150,
    "most_requests": 10000, "most_bytes": 1 << 26, "redact": [], "keep": [], "hides_clients": False,
}  # fmt: skip
ENDED = {**RECORDING, "state": "ended", "why": "its time is over", "requests": 612, "bytes": 3 << 20, "dropped": 2,
         "until": None, "ended": 1060.0}  # fmt: skip


class RecordTests(CommandCase):
    """What is asked for, and what is shown until it has ended."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(recordcommands, "INTERVAL", 0.0)

    def answering(self, *listed: Any) -> Any:
        """An edge that begins one, and then lists it so, one after the other."""
        return self.edge(deque([RECORDING, *({"items": [each]} for each in listed)]))

    def test_waits(self) -> None:
        """It waits, and says how much there is, where, and what to do with it."""
        edge = self.answering(RECORDING, {**RECORDING, "state": "ending"}, ENDED)
        said = self.run_("record", "--route", "shop", "--share", "1%", "--for", "1m", "--keep", "x-tenant", "--mb", "8")
        self.assertEqual(edge.requests[0], ("POST", "recordings", {
            "routes": ["shop"], "share": "1%", "for": 60.0, "bytes": 8 << 20, "keep": ["x-tenant"]}))  # fmt: skip
        self.assertEqual(len(edge.requests), 4)
        self.assertEqual(said.stdout.splitlines(), [
            "612 requests, 3.0 MB, 2 were dropped: its time is over", "/var/recordings/shop-1.jsonl",
            "next: revproxy replay --plugin NAME --version V /var/recordings/shop-1.jsonl",
        ])  # fmt: skip
        self.assertIn("recording shop-1 for 1m at most", said.stderr)

    def test_nothing(self) -> None:
        """Where nobody came it says so, and ends with 1."""
        self.answering({**ENDED, "requests": 0})
        self.assertIn("nothing was recorded", self.run_("record", "--for", "1m", status=1).stderr)

    def test_interrupted(self) -> None:
        """Ctrl-C ends it in order."""
        ended = {**ENDED, "why": "somebody ended it"}
        edge = self.edge(deque([RECORDING, RECORDING, {"items": [ended]}]))

        def sleep(seconds: float) -> None:
            self.patch(recordcommands.time, "sleep", lambda seconds: None)
            raise KeyboardInterrupt

        self.patch(recordcommands.time, "sleep", sleep)
        self.assertIn("somebody ended it", self.run_("record", "--for", "1m").stdout)
        self.assertEqual(edge.requests[1], ("POST", "recordings/shop-1/stop", {}))

    def test_detached(self) -> None:
        """Or it waits for nothing."""
        edge = self.edge(RECORDING)
        said = self.run_("record", "--detach")
        self.assertEqual(said.stdout, "recording shop-1: /var/recordings/shop-1.jsonl\n")
        self.assertEqual(len(edge.requests), 1)
        self.assertEqual(json.loads(self.run_("record", "--detach", "--json").stdout), RECORDING)

    def test_wrong(self) -> None:
        """What is no share, or no time, is said before anybody is asked."""
        self.assertIn("is no share", self.run_("record", "--share", "1", status=2).stderr)
        self.run_("record", "--for", "soon", status=2)
        self.assertIn("'0%' of the requests are none", self.run_("record", "--share", "0%", status=2).stderr)
        self.assertIn("2d: more than nothing, and a day at most", self.run_("record", "--for", "2d", status=2).stderr)


class RecordingsTests(CommandCase):
    """Those that there are."""

    def test_list(self) -> None:
        """In a table, or that there are none."""
        self.edge([ENDED, {**ENDED, "name": "b", "state": "cut", "requests": None, "routes": [], "begun": 0.0}])
        said = self.run_("recordings").stdout
        for text in ("shop-1", "ended", "612", "3.0", "1% of shop", "its time is over", "1% of all", "cut"):
            self.assertIn(text, said)
        self.assertEqual(len(json.loads(self.run_("recordings", "--json").stdout)), 2)

    def test_none(self) -> None:
        """It says how one is made."""
        self.edge([])
        self.assertIn("revproxy record makes one", self.run_("recordings").stdout)

    def test_fetch(self) -> None:
        """Page by page into a file that only its owner reads; never over another."""
        pages = ({"items": ["a", "b"], "next": 4}, {"items": ["c"], "next": None})
        edge = self.edge(deque([*pages, pages[1], *pages]))
        self.assertEqual(self.run_("recordings", "fetch", "shop-1").stdout, "wrote shop-1.jsonl\n")
        path = Path("shop-1.jsonl")
        self.assertEqual(path.read_text(), "a\nb\nc\n")
        self.assertEqual(path.stat().st_mode & 0o077, 0)
        self.assertEqual([asked for _, asked, _ in edge.requests],
                         ["recordings/shop-1/content?offset=0", "recordings/shop-1/content?offset=4"])  # fmt: skip
        self.assertIn("exists already", self.run_("recordings", "fetch", "shop-1", status=1).stderr)
        self.assertEqual(self.run_("recordings", "fetch", "shop-1", "-o", "-").stdout, "a\nb\nc\n")

    def test_endAndRemove(self) -> None:
        """Each by its name."""
        edge = self.edge({**RECORDING, "state": "ending", "why": "somebody ended it", "text": ["shop-1: deleted"]})
        self.assertEqual(self.run_("recordings", "stop", "shop-1").stdout, "shop-1: somebody ended it\n")
        self.assertEqual(self.run_("recordings", "delete", "shop-1").stdout, "shop-1: deleted\n")
        asked = [(method, path) for method, path, _ in edge.requests]
        self.assertEqual(asked, [("POST", "recordings/shop-1/stop"), ("DELETE", "recordings/shop-1")])
