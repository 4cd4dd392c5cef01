"""
docs/hotswap.md and docs/operations.md say what the code does: its figures, its events, and the plugin that is shown.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles import bundle
from revproxy.config.manifest import DEFAULT_TIMEOUT_MS
from revproxy.config.readymadealerts import EVENTS
from revproxy.config.settings import QuarantineConfig
from revproxy.control import breaker, slowplugins
from revproxy.control.state import keeper
from revproxy.control.watch.watcher import Watcher
from revproxy.dataplane import counters
from revproxy.loop import jobthread as disk
from revproxy.plan.events import WARNINGS
from revproxy.testing import EdgeDouble
from revproxy.worker import stagedchange
from revproxy.worker.guard import recovery as quarantine
from revproxy.worker.guard import stallguard as stalls
from revproxy.worker.lifecycle.stages import StageLimits
from revproxy.worker.lifecycle.unloadproof import UnloadProof

ROOT = Path(__file__).parents[2]


def page(name: str) -> str:
    """
    The text of a page, each run of white space one blank.
    """
    return " ".join((ROOT / "docs" / name).read_text(encoding="utf-8").split())


def default(function: Any, name: str) -> Any:
    """
    What a parameter is when it is left out.
    """
    return inspect.signature(function).parameters[name].default


class FigureTests(SynchronousTestCase):
    """
    The figures on the page.
    """

    def test_figures(self) -> None:
        """
        Deadlines and limits are those of the code.
        """
        stages, limits, text = StageLimits(), QuarantineConfig(), page("hotswap.md")
        for said in (
            f"once {default(Watcher, 'settle') * 1000:g} ms have passed",
            f"broken into after {default(Watcher, 'longest'):g} s",
            f"{bundle.MAX_BYTES // 2**20} MiB and {bundle.MAX_FILES} files per plugin",
            f"`attach`. Requests are served between one and the next. | {stages.hold:g} s each",
            f"`importState` of the new | {stages.handover:g} s each, {stages.stateBytes // 2**20} MiB as JSON",
            f"`start` | {stages.start:g} s |",
            f"`checkHealth` | {stages.health:g} s |",
            f"`checkHealth` again | {stages.update:g} s each |",
            f"`stop` {stages.stop:g} s |",
            f"hold the event loop for more than {stages.hold:g} s",
            f"told after {default(UnloadProof, 'deadline'):g} s",
            f"within {limits.window:g} s at least {limits.failures} of its calls failed",
            f"within {limits.window:g} s {breaker.STALLS} of its calls were ended",
            f"long calls ({counters.LONG:g} s or more) of a version that hold the loop for",
            f"hold the loop for {slowplugins.SLOW * 100:g} %",
            f"below {slowplugins.OVER * 100:g} % another",
            f"After {quarantine.COOLDOWN:g} s one request at a time",
            f"up to {quarantine.LONGEST:g} s",
            f"a hold of {stalls.LIMIT:g} s or more",
            f"`limits.timeout_ms` ({DEFAULT_TIMEOUT_MS})",
            f"after {stalls.HANG:g} to",
            f"event loop for {stagedchange.HOLD:g} s requests are served",
            f"waited for {disk.READING:g} s; then the change is refused",
            f"the last {keeper.MAX_GONE} are kept",
        ):
            self.assertIn(said, text)
        self.assertEqual((limits.share, limits.loopShare, quarantine.PROBES), (0.5, None, 3))
        self.assertIn("at least half of them", text)
        self.assertIn("Three in a row", text)
        self.assertIn("every five seconds", text)
        self.assertEqual(default(Watcher, "rescan"), 5)
        self.assertIn("again, up to three times, as long as it takes no more than a second", text)
        self.assertEqual((stagedchange.HANDOVERS, stagedchange.QUICK), (4, 1))
        text = page("operations.md")
        self.assertIn("tried again every minute", text)
        self.assertEqual(keeper.RETRY_INTERVAL, 60)
        self.assertIn(f"waited for {disk.SILENCE:g} s, once, and {disk.HURRY:g} s when the edge ends", text)


class EventTests(SynchronousTestCase):
    """
    The table of events.
    """

    def kinds(self) -> Iterator[str]:
        """
        The kinds that appear in the code: the first argument of ``events.add``, ``Notice``,
        ``_noticeOf``, ``_onEvent`` and ``Difference``.
        """
        for path in (ROOT / "revproxy").rglob("*.py"):
            if path.parent.name == "replay":
                continue  # in what two calls differ, and no event
            source = path.read_text(encoding="utf-8")
            for node in ast.walk(ast.parse(source)):
                if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
                    continue
                if ast.unparse(node.func).endswith(("events.add", "Notice", "_noticeOf", "_onEvent", "Difference")):
                    yield node.args[0].value
        # By the state of a rollout, so no literal says them.
        yield from (kind for kind in EVENTS if kind.startswith("rollout-"))

    def test_everyKind(self) -> None:
        """
        Each kind has a row, no row is of another, and bold are those that are warnings.
        """
        text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
        table = text[text.index("## Events") : text.index("## The state folder")]
        found: dict[str, bool] = {}
        for cell in re.findall(r"^\| ([^|]*`[^|]*) \|", table, re.MULTILINE):
            for bold, kind in re.findall(r"(\*\*)?`([a-z-]+)`", cell):
                found[kind] = bool(bold)
        self.assertEqual(set(found), set(self.kinds()))
        self.assertEqual({kind for kind, bold in found.items() if bold}, set(WARNINGS))


class PluginTests(SynchronousTestCase):
    """
    The plugin that is shown.
    """

    def test_quota(self) -> None:
        """
        It goes on where the one before it was, also when the state comes twice.
        """
        source = re.search(r"```python\n((?s:.+?))```", (ROOT / "docs" / "hotswap.md").read_text(encoding="utf-8"))
        assert source is not None
        names: dict[str, Any] = {"__name__": "page"}
        exec(compile(source[1], "hotswap.md", "exec"), names)
        old, new = names["Quota"]({"limit": 3}), names["Quota"]({"limit": 3})
        edge = EdgeDouble(old)
        edge.get("/")
        new.importState(old.exportState(), "1.0")
        edge.get("/")
        new.importState(old.exportState(), "1.0")
        edge = EdgeDouble(new)
        self.assertEqual([edge.get("/").status for _ in range(2)], [200, 429])
