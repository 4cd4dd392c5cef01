"""
A version that steps are asked of is proved before it meets a request: its tests, and a recording. Nothing of that
happens in the edge, and one that does not pass serves nobody.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from revproxy.replay.corpus import End, Header, endLine, headerLine, requestLine
from revproxy.replay.recordedrequest import PluginCall
from tests.control.test_rolloutdriver import RolloutCase
from tests.replay.recordings import call, outcome, request

CODE = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

@implementer(IMiddleware)
class A:
    name = "a"
    def handle(self, context):
        BODY
        return True

def PluginMain(config):
    return A()
"""

TESTS = """
from pathlib import Path
from twisted.trial.unittest import SynchronousTestCase
from revproxy.testing import EdgeDouble, loadPlugin

class ATests(SynchronousTestCase):
    def test_lets(self):
        plugin = loadPlugin(Path(__file__).parent)
        self.addCleanup(plugin.unload)
        self.assertEqual(EdgeDouble(plugin.make()).get("/").status, 200)
"""


def code(body: str = "pass") -> str:
    """A plugin that does something, and lets the request go on."""
    return CODE.replace("BODY", body)


class PreflightTests(RolloutCase):
    """The only step is the pre-flight, with a recording."""

    steps = "[{preflight: true, replay: corpus.jsonl}]"

    def setUp(self) -> None:
        super().setUp()
        of = call()
        made = request(PluginCall("a", "1.0.0", "", of, outcome(of)))
        lines = headerLine(Header("r", 1.0)), requestLine(made), endLine(End(2.0, "over", 1))
        (self.bench.root / "corpus.jsonl").write_bytes(b"".join(lines))

    def saveWith(self, text: str, tests: str = TESTS, version: str = "2.0.0") -> None:
        """A new version, with tests beside it."""
        folder = self.bench.write("a", text, version=version)
        (folder / "test_a.py").write_text(tests)
        self.bench.apply()
        self.settle()

    def runs(self) -> str:
        """The version that serves."""
        plan = self.bench.coordinator.plan
        assert plan is not None
        return next(each.entry.version.number for each in plan.selected if each.name == "a")

    def test_passes(self) -> None:
        """One that is well serves all after it."""
        modules = set(sys.modules)
        self.saveWith(code())
        self.assertEqual(self.runs(), "2.0.0", self.rollouts.views())
        new = {name for name in set(sys.modules) - modules if name.startswith("revproxy_plugins.a_")}
        self.assertLessEqual(len({name.partition(".plugin")[0] for name in new}), 2)  # what serves, and nothing else

    def test_tests(self) -> None:
        """One whose tests do not pass is refused, and what runs goes on."""
        self.saveWith(code("context.respond(418); return False"))
        self.assertEqual(self.runs(), "1.0.0")
        (view,) = self.rollouts.views()
        self.assertEqual(view["state"], "refused")
        reason = self.rollouts.view("a")["transitions"][-1]["reason"]
        self.assertIn("did not pass its pre-flight: the tests did not pass", reason)
        self.assertIn("418", reason)

    def test_recording(self) -> None:
        """So is one that does otherwise than was recorded; the reason has what it does."""
        self.saveWith(code("context.request.headers.set('X-New', '1')"))
        self.assertEqual(self.runs(), "1.0.0")
        reason = self.rollouts.view("a")["transitions"][-1]["reason"]
        self.assertIn("request:x-new added in 1 of 1 replayed calls", reason)

    def test_expected(self) -> None:
        """Unless that is meant."""
        self.bench.configure(extra=(
            f"plugins: {{directory: plugins, rollout: {{default: {{steps: {self.steps}, expect: ['request:x-*']}}}}}}"
        ))  # fmt: skip
        self.bench.apply()
        self.saveWith(code("context.request.headers.set('X-New', '1')"))
        self.assertEqual(self.runs(), "2.0.0", self.rollouts.views())

    def test_process(self) -> None:
        """What its code does to the process that it is proved in, it does not do to the edge."""
        self.saveWith(code(), "import os\nos._exit(0)\n")
        self.assertEqual(self.runs(), "1.0.0")
        reason = self.rollouts.view("a")["transitions"][-1]["reason"]
        self.assertIn("no test has run", reason)
        mark = Path(self.mktemp()).absolute()
        marks = f"import os\nopen({str(mark)!r}, 'a').write(f'{{os.getpid()}} ')\n"
        self.saveWith(code("raise ValueError") + marks, version="3.0.0")
        self.assertEqual(self.runs(), "1.0.0")
        self.assertNotIn(os.getpid(), {int(each) for each in mark.read_text().split()})
