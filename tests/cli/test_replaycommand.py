"""``revproxy replay``: which versions, what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from click.testing import Result

from revproxy.bundles.bundle import readBundle
from revproxy.bundles.versionstore import VersionStore
from revproxy.cli import replaycommand
from revproxy.proving.orders import Order, Report
from revproxy.replay.corpus import End, Header, endLine, headerLine, requestLine
from revproxy.replay.recordedrequest import PluginCall
from tests.cli.test_edgecommands import CommandCase
from tests.proving.subjects import plugin
from tests.replay.recordings import call, outcome, request

CONFIG = """
listeners: [{endpoint: "tcp:0"}]
routes:
- {name: shop, path: /, respond: {status: 200}}
- {name: blog, path: /blog, respond: {status: 200}, plugins: {shop: {status: 402}}}
plugins: {directory: plugins, config: {shop: {status: 401}, other: true}}
state: var
"""

ANSWERS = "return context.respond(self.config.get('status', 400))"


class ReplayCase(CommandCase):
    """With a folder of a plugin, and a recording of it."""

    def folder(self, name: str, body: str = "return True", **said: Any) -> Path:
        """A folder with ``shop``."""
        place = Path(name)
        place.mkdir(parents=True)
        for path, content in plugin(body, **said).items():
            (place / path).write_bytes(content)
        return place

    def stored(self, body: str = "return True", **said: Any) -> str:
        """Put it into ``var``. :returns: its digest."""
        bundle = readBundle(self.folder(f"made/{len(os.listdir('.'))}{len(body)}{len(str(said))}", body, **said))
        VersionStore(Path("var/versions").absolute()).keep("shop", bundle)
        return bundle.digest

    def corpus(self, digest: str = "", routes: Sequence[str] = ("shop",), name: str = "c.jsonl") -> str:
        """Requests that ``shop`` let through."""
        requests = []
        for number, route in enumerate(routes):
            of = call(id=f"r-{number}", route=route)
            requests.append(request(PluginCall("shop", "1.0.0", digest, of, outcome(of))))
        lines = [headerLine(Header("c", 1.0)), *map(requestLine, requests), endLine(End(2.0, "over", len(requests)))]
        Path(name).write_bytes(b"".join(lines))
        return name

    def replay(self, *arguments: str, status: int = 0) -> Result:
        return self.run_("replay", *arguments, status=status)

    def told(self, *arguments: str, status: int = 0) -> Any:
        return json.loads(self.replay(*arguments, "--json", status=status).stdout)


class EndsTests(ReplayCase):
    """What is printed, and the status."""

    def test_nothing(self) -> None:
        """A version that does the same: 0."""
        said = self.replay("--folder", str(self.folder("shop")), self.corpus())
        self.assertIn("shop 1.0.0 (shop): 1 of 1 recorded calls compared", said.stdout)
        self.assertIn("nothing unexpected", said.stdout)
        self.assertIn("note: shop 1.0.0 (installed), which was recorded, is not stored", said.stdout)

    def test_unexpected(self) -> None:
        """One that does not: 1, with what differs, and an example; 0 where that is meant."""
        folder = str(self.folder("shop", "context.request.headers.set('X-New', '1')\nreturn True"))
        said = self.replay("--folder", folder, self.corpus(), status=1).stdout
        self.assertRegex(said, r"(?s)not expected:.*request:x-new +added +1 +0 +\(nothing\) → 1 +GET shop.example/")
        self.assertIn("1 unexpected kind of differences", said)
        meant = self.told("--folder", folder, "--expect", "request:x-*:added", "c.jsonl")
        self.assertEqual((meant["unexpected"], meant["replayed"], meant["plugin"]), (0, 1, "shop"))
        self.assertEqual(meant["differences"], [{
            "field": "request:x-new", "kind": "added", "candidate": 1, "control": 0, "both": 0, "is_expected": True,
            "is_noise": False,
            "examples": [{"request": "GET shop.example/ (r-0)", "before": "", "after": "1"}],
        }])  # fmt: skip
        self.replay("--folder", folder, "--expect", "request:x-new:changed", "c.jsonl", status=1)

    def test_unreadable(self) -> None:
        """What cannot be read, loaded or compared: 2, and why."""
        good, corpus = str(self.folder("shop")), self.corpus()
        Path("no.jsonl").write_text("{}\n")
        broken = self.folder("broken")
        (broken / "plugin.py").write_text("def PluginMain(:\n")
        empty = self.corpus(routes=(), name="e.jsonl")
        for arguments, told in (
            (("--folder", good, "no.jsonl"), "no.jsonl:1: it is no recording"),
            (("--folder", good, "nowhere.jsonl"), "nowhere.jsonl: cannot be read: No such file"),
            (("--folder", str(broken), corpus), "plugin.py:1:"),
            (("--folder", good, empty), "the recording has no calls of shop"),
            (("--folder", good, "--plugin", "other", corpus), 'this is plugin shop, and not "other"'),
            (("--plugin", "shop", "--version", "9", "--state", "var", corpus), 'no version of "shop" is stored there'),
            (("--folder", good, "--expect", "statuss", corpus), 'did you mean "status"?'),
            (("--plugin", "shop", "--version", "9", corpus), "which state folder has it? name it with --state DIR"),
            (("--folder", good, "--settings", "s.yaml", corpus), "s.yaml: cannot be read"),
            (("--plugin", "shop", corpus), "--version V"),
            (("--version", "1", corpus), "--plugin NAME"),
            (("--folder", good, "--against", "1", "--against-folder", good, corpus), "do not go together"),
        ):
            said = self.replay(*arguments, status=2)
            self.assertIn(told, re.sub(r"\s+", " ", said.output), arguments)

    def test_cut(self) -> None:
        """A recording that was cut off is replayed as far as it goes."""
        corpus = Path(self.corpus())
        corpus.write_bytes(corpus.read_bytes()[:-5])
        told = self.told("--folder", str(self.folder("shop")), str(corpus))
        self.assertEqual((told["replayed"], told["unexpected"]), (1, 0))
        self.assertIn("c.jsonl:3: the last line is cut off, and passed over", told["notes"])


class VersionsTests(ReplayCase):
    """Which version, against which, with which configuration."""

    def test_stored(self) -> None:
        """By its number, or by its digest where several have that."""
        first, second = self.stored(), self.stored("return context.respond(503)")
        self.stored(version="2.0.0")
        told = self.told("--plugin", "shop", "--version", "2.0.0", "--state", "var", self.corpus())
        self.assertEqual((told["candidate"]["version"], told["candidate"]["place"]), ("2.0.0", "stored"))
        said = self.replay("--plugin", "shop", "--version", "1.0.0", "--state", "var", "c.jsonl", status=2)
        self.assertIn("several have this number, name one by its digest", said.stderr)
        self.told("--plugin", "shop", "--version", first[:8], "--state", "var", "c.jsonl")
        self.told("--plugin", "shop", "--version", second[:8], "--state", "var", "c.jsonl", status=1)

    def test_noise(self) -> None:
        """The version that was recorded shows what differs by itself, if it is stored; or one that is named."""
        random = "import random\ncontext.request.headers.set('X-Id', str(random.random()))\nreturn True"
        digest, folder = self.stored(random), str(self.folder("shop", random))
        corpus = self.corpus(digest, ("shop",) * 4)
        told = self.told("--folder", folder, "--state", "var", corpus)
        self.assertEqual((told["running"]["digest"], told["unexpected"], told["notes"]), (digest, 0, []))
        self.assertTrue(told["differences"][0]["is_noise"])
        said = self.replay("--folder", folder, "--state", "var", corpus).stdout
        self.assertIn("noise (what runs differs so, too)", said)
        self.told("--folder", folder, corpus, status=1)
        self.told("--folder", folder, "--against-folder", folder, corpus)
        self.told("--folder", folder, "--against", digest[:8], "--state", "var", corpus)

    def test_configuration(self) -> None:
        """That of revproxy.yaml, route by route; of a file alone; or of plugin.json."""
        folder, corpus = str(self.folder("shop", ANSWERS, config={"status": 400})), self.corpus(routes=("shop", "blog"))
        orders: list[Order] = []

        class Process:
            def __init__(self, order: Order, corpus: Path) -> None:
                orders.append(order)

            def run(self) -> Report:
                return Report(calls=1, replayed=1)

        self.patch(replaycommand, "ProvingProcess", Process)
        self.replay("--folder", folder, corpus)
        Path("revproxy.yaml").write_text(CONFIG)
        Path("plugins").mkdir()
        self.replay("--folder", folder, corpus)
        Path("settings.yaml").write_text("status: 418")
        self.replay("--folder", folder, "--settings", "settings.yaml", corpus)
        plain, routes, alone = (order.candidate for order in orders)
        self.assertEqual((plain.configs, plain.routes), (({"status": 400},), {}))
        self.assertEqual(routes.configs, ({"status": 401}, {"status": 402}))
        self.assertEqual(routes.routes, {"shop": 0, "blog": 1})
        self.assertEqual((alone.configs, alone.routes), (({"status": 418},), {}))

    def test_wrongConfiguration(self) -> None:
        """A file that is wrong says where, and how to do without it."""
        Path("revproxy.yaml").write_text("routes: 7\n")
        said = self.replay("--folder", str(self.folder("shop")), self.corpus(), status=2)
        self.assertIn("revproxy.yaml:1:", said.stderr)
        self.assertIn("--settings FILE", said.stderr)
