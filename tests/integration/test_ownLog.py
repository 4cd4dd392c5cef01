"""The edge's own log, as the real commands write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.harness import EdgeCase, EdgeProcess, freePort

CODE = """
import logging
import warnings
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

log = logging.getLogger("some.name")
log.info("it is imported")

@implementer(IMiddleware)
class PluginMain:
    name = "talks"
    def __init__(self, config): pass
    def handle(self, context):
        warnings.warn("take care")
        log.debug("a detail")
        try:
            {}["k"]
        except KeyError:
            log.exception("it failed")
        return True
"""
CONFIG = """
listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]
routes: [{respond: {body: hello}}]
plugins: {directory: plugins}
logging: {access: "off", own: json}
"""


class OwnLogTests(EdgeCase):
    """Lines of JSON, from the first to the last."""

    def begin(self, twistd: tuple[str, ...] | None) -> EdgeProcess:
        """An edge with a plugin that talks."""
        folder, port = Path(self.mktemp()).absolute(), freePort()
        (folder / "plugins" / "talks").mkdir(parents=True)
        (folder / "revproxy.yaml").write_text(CONFIG.replace("PORT", str(port)))
        (folder / "plugins" / "talks" / "plugin.json").write_text('{"name": "talks", "version": "1.0"}')
        (folder / "plugins" / "talks" / "plugin.py").write_text(CODE)
        edge = EdgeProcess(folder, port, ["--config", "revproxy.yaml"], twistd)
        self.addCleanup(edge.kill)
        self.until(lambda: "listening on" in edge.said())
        return edge

    def lines(self, edge: EdgeProcess) -> list[dict[str, Any]]:
        """All that it has written."""
        return [json.loads(line) for line in edge.said().splitlines()]

    def test_json(self) -> None:
        """By whichever command; what a plugin logs and warns of is under its name, with level and traceback."""
        for twistd in (("--pidfile=", "-n"), None):
            edge = self.begin(twistd)
            for _ in range(2):
                self.get(edge)
            edge.terminate()
            self.assertEqual(edge.status(), 0, edge.said())
            lines = [line for line in self.lines(edge) if line.get("plugin") == "talks"]
            told = [(line["level"], line["message"].partition(", at ")[0]) for line in lines if "kind" not in line]
            self.assertEqual(told, [
                ("info", "it is imported"), ("warn", "UserWarning: take care"), ("error", "it failed"),
                ("error", "it failed"),
            ])  # fmt: skip
            failed = lines[-1]
            self.assertTrue(failed["traceback"].endswith("KeyError: 'k'"))
            self.assertEqual((failed["namespace"], failed["logger"]), ("plugin.talks", "some.name"))
            self.assertTrue(failed["version"].startswith("1.0 ("))

    def test_live(self) -> None:
        """Form and level become others while it runs."""
        edge = self.begin(None)
        path = edge.folder / "revproxy.yaml"
        path.write_text(path.read_text().replace("own: json", "level: debug"))
        self.until(lambda: "configured: revproxy.yaml is in force" in edge.said())
        self.get(edge)
        self.until(lambda: "[plugin.talks#debug] a detail\n" in edge.said())
