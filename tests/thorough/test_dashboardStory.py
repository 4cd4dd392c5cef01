"""The dashboard on a real edge, from the first look to the edge that was away."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.admin.dashboard.browsing import BrowserCase
from tests.harness import EdgeCase, EdgeProcess, freePort
from tests.tools import needs

CONFIG = """
routes:
  - {name: shop, upstream: app}
  - {name: old, path: /old, respond: {body: "old shop"}}
plugins: {directory: ./plugins, settle: 0.05, config: {banner: {text: hello}}}
state: ./var
explain: {sample: 100%}
admin: {endpoint: "tcp:ADMIN:interface=127.0.0.1"}
"""

MANIFEST = {
    "name": "banner", "version": "1.0.0", "entry_point": "PluginMain",
    "config_schema": {
        "type": "object", "additionalProperties": False, "required": ["text"],
        "properties": {"text": {"type": "string", "minLength": 1, "description": "What it says."}},
    },
}  # fmt: skip

PLUGIN = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

@implementer(IMiddleware)
class PluginMain:
    name = "banner"

    def __init__(self, config):
        self.text = config["text"]

    def handle(self, context):
        %s
"""

GOOD = PLUGIN % "context.request.headers.set('X-Banner', self.text)\n        return True"
BAD = PLUGIN % "return context.respond(418)"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"


@needs("chromium")
class StoryTests(EdgeCase, BrowserCase):
    """One edge, one who is on call."""

    def setUp(self) -> None:
        super().setUp()
        self.admin = freePort()
        folder, config = "plugins/banner", CONFIG.replace("ADMIN", str(self.admin))
        files: dict[str, str | bytes] = {f"{folder}/plugin.json": json.dumps(MANIFEST), f"{folder}/plugin.py": GOOD}
        self.edge = self.start([self.answering(ANSWER)], config, files)
        self.meant = ("401 (Unauthorized)",)

    def token(self, role: str) -> str:
        """Of somebody with this role."""
        command = [sys.executable, "-c", "from revproxy.cli.main import main; main()", "token", "new", role]
        command += ["--role", role, "--state", "var"]
        said = subprocess.run(command, cwd=self.edge.folder, check=True, capture_output=True, text=True)
        return next(word for word in said.stdout.split() if word.startswith("rvp_"))

    def signedIn(self, role: str = "admin", screen: str = "now") -> Any:
        """A tab in which somebody with this role is."""
        page = self.page(self.context())
        page.goto(f"http://127.0.0.1:{self.admin}/#/{screen}")
        page.fill("input[name=token]", self.token(role))
        page.press("input[name=token]", "Enter")
        page.wait_for_selector("main h1")
        return page

    def open(self, page: Any, screen: str) -> None:
        """Go to a screen."""
        page.goto(f"http://127.0.0.1:{self.admin}/#/{screen}")
        page.wait_for_function("() => document.querySelector('main h1') && !document.querySelector('main .wait')")

    def status(self) -> str:
        """That a request is answered with."""
        return self.get(self.edge)[0].split()[1].decode()

    def test_trafficAndWhy(self) -> None:
        """What passes is seen; a request is found, and says why it went so; one not sent says how it would."""
        page = self.signedIn()
        for n in range(20):
            self.get(self.edge, f"/item/{n}")
        cells = "[...document.querySelectorAll('td')]"
        page.wait_for_function(f"() => {cells}.some((one) => parseFloat(one.textContent) > 0.1)")
        self.check(page, "now")
        self.open(page, "requests")
        page.get_by_label("Path").fill("/item/7")
        page.locator(".line", has_text="/item/7").first.click()
        page.wait_for_selector(".steps >> text=banner")
        self.assertIn("passed", page.locator(".steps").inner_text())
        self.assertIn("x-banner", page.locator(".steps").inner_text())
        self.check(page, "why")
        page.get_by_role("link", name="Try it as a dry run").click()
        page.get_by_role("button", name="Explain").click()
        page.wait_for_selector(".verdict >> text=It would be sent on")
        self.check(page, "a dry run")

    def test_rollback(self) -> None:
        """A plugin that came and refuses everybody is rolled back, in two clicks."""
        page = self.signedIn("operate", "plugin/banner")
        folder = Path(self.edge.folder, "plugins/banner")
        (folder / "plugin.json").write_text(json.dumps({**MANIFEST, "version": "2.0.0"}))
        (folder / "plugin.py").write_text(BAD)
        self.until(lambda: self.status() == "418")
        page.wait_for_selector("h1 >> text=2.0.0")
        page.get_by_role("button", name="Roll back").click()
        page.locator("dialog button[type=submit]").click()
        self.until(lambda: self.status() == "200")
        page.wait_for_selector("text=by rollback")
        page.get_by_role("button", name="Undo").click()
        self.until(lambda: self.status() == "418")

    def test_pluginConfiguration(self) -> None:
        """A plugin is configured by the form of its schema, and revproxy.yaml has it."""
        page = self.signedIn("configure", "plugin/banner?tab=config")
        page.get_by_label("text").fill("")
        page.wait_for_selector(".wrong")
        page.get_by_label("text").fill("good evening")
        page.get_by_role("button", name="Save").click()
        page.wait_for_selector(".toast >> text=has its new configuration")
        text = Path(self.edge.folder, "revproxy.yaml").read_text()
        self.assertIn("good evening", text)
        self.assertIn("explain: {sample: 100%}", text)

    def test_configurationAndRevert(self) -> None:
        """A configuration with a mistake is refused at its line; one without is in force, and is taken back later."""
        page = self.signedIn("configure", "configuration")
        self.meant = ("401", "422")
        file = Path(self.edge.folder, "revproxy.yaml")
        before = file.read_text()
        area = page.get_by_label("revproxy.yaml")
        area.fill(before.replace("respond: {body", "respnd: {body"))
        page.get_by_role("button", name="Try").click()
        page.wait_for_selector(".gutter .wrong")
        page.wait_for_selector("[role=alert] >> text=respnd")
        self.check(page, "a mistake")
        area.fill(before.replace("old shop", "new shop"))
        page.get_by_role("button", name="Save").click()
        page.wait_for_selector("dialog .diff .add >> text=new shop")
        page.locator("dialog button[type=submit]").click()
        page.wait_for_selector(".toast >> text=In force")
        self.assertEqual(self.get(self.edge, "/old")[1], b"new shop")
        self.open(page, "changes")
        page.get_by_role("button", name="#1 start").click()
        page.get_by_role("button", name="Revert to #1").click()
        page.locator("dialog button[type=submit]").click()
        self.until(lambda: self.get(self.edge, "/old")[1] == b"old shop")
        self.assertEqual(file.read_text(), before)
        page.wait_for_selector("text=revert")
        self.check(page, "changes")

    def test_edgeIsAway(self) -> None:
        """The edge is killed and comes back: what was typed is there, and nobody had to do anything."""
        page = self.signedIn("configure", "configuration")
        area = page.get_by_label("revproxy.yaml")
        typed = "# half a thought\n" + area.input_value()
        area.fill(typed)
        self.edge.kill()
        self.meant = ("401", "net::ERR", "422")
        page.wait_for_selector(".banner >> text=The edge does not answer")
        self.edge = EdgeProcess(self.edge.folder, self.edge.port, ["--config", "revproxy.yaml"])
        self.addCleanup(self.edge.kill)
        page.wait_for_selector(".banner", state="detached")
        # Sessions do not outlive the edge.
        page.wait_for_selector("dialog input[name=token]")
        page.fill("dialog input[name=token]", self.token("configure"))
        page.press("dialog input[name=token]", "Enter")
        page.wait_for_selector("dialog", state="detached")
        self.assertEqual(area.input_value(), typed)
        page.get_by_role("button", name="Try").click()
        page.wait_for_selector("text=It would be taken")

    def test_everyScreen(self) -> None:
        """Every screen is drawn from what the edge really answers, and is accessible."""
        page = self.signedIn()
        self.get(self.edge, "/")
        for screen in ("now", "requests", "connections", "plugins", "plugin/banner", "plugin/banner?tab=versions",
                       "changes", "upstreams", "certificates", "events", "events?tab=events", "events?tab=rules",
                       "events?tab=receivers", "why", "doctor", "chain"):  # fmt: skip
            self.open(page, screen)
            self.assertEqual(page.locator("main [role=alert], main .empty >> text=Not found").count(), 0, screen)
            self.check(page, screen)

    def test_sizeAndFirstPaint(self) -> None:
        """All files together are 200 KB as they are sent, and something is seen within 300 ms."""
        page = self.signedIn()
        loaded = "performance.getEntriesByType('resource').filter((one) => one.name.includes('/screens/'))"
        page.wait_for_function(f"() => {loaded}.length > 12")
        sent = page.evaluate("""() => performance.getEntriesByType("resource")
            .filter((one) => !one.name.includes("/api/")).reduce((sum, one) => sum + one.encodedBodySize, 0)""")
        self.assertLess(sent, 200_000)
        times = []
        for _ in range(5):
            page.goto("about:blank")
            page.goto(f"http://127.0.0.1:{self.admin}/")
            page.wait_for_selector(".tiles")
            paints = page.evaluate("() => performance.getEntriesByType('paint').map((one) => one.startTime)")
            times.append(max(paints))
        self.assertLess(min(times), 300)
