"""The dashboard in front of the double: what is done with it, and ten tabs at a time."""

from __future__ import annotations

import re

from tests.admin.dashboard.browsing import DashboardCase
from tests.tools import needs


@needs("chromium")
class FilledTests(DashboardCase):
    """Screens where something is done."""

    def test_drain(self) -> None:
        """Draining says who takes over, and shows until when."""
        page = self.signedIn(screen="upstreams")
        page.get_by_role("button", name="Drain http://10.0.1.11:8000").click()
        page.wait_for_selector("dialog >> text=1 other takes over")
        self.check(page, "the dialog")
        page.locator("dialog button[type=submit]").click()
        page.wait_for_selector("td >> text=drained")
        page.wait_for_selector("text=back in")

    def test_revert(self) -> None:
        """Going back shows first what it would change."""
        page = self.signedIn(screen="changes?at=42")
        page.get_by_role("button", name="Revert to #42").click()
        page.wait_for_selector("dialog .diff")
        page.locator("dialog button[type=submit]").click()
        page.wait_for_selector(".toast >> text=as after change 42")

    def test_silence(self) -> None:
        """An alert is silenced for a time, and the silence can be ended."""
        page = self.signedIn(screen="events")
        page.get_by_role("button", name="Silence errors").click()
        page.locator("dialog button[type=submit]").click()
        page.wait_for_selector("h2 >> text=Silenced")
        page.get_by_role("button", name="End it").click()
        page.wait_for_selector("h2 >> text=Silences", state="detached")

    def test_dryRun(self) -> None:
        """A request that nobody has sent is explained."""
        page = self.signedIn(screen="why")
        page.get_by_label("URL").fill("https://shop.example.com/api/x")
        page.get_by_label("Run the plugins too").check()
        page.get_by_role("button", name="Explain").click()
        page.wait_for_selector(".verdict >> text=The plugin auth would answer")

    def test_rollback(self) -> None:
        """A rollback says what will happen, and can be undone."""
        page = self.signedIn(screen="plugin/quota")
        page.get_by_role("button", name="Roll back").click()
        page.wait_for_selector("dialog >> text=within a second")
        page.locator("dialog input").fill("it was slow")
        page.locator("dialog button[type=submit]").click()
        page.wait_for_selector("text=pinned to 1.2.0 by rollback")
        self.assertEqual(self.double.edge.history[-1]["reason"], "it was slow")
        page.get_by_role("button", name="Undo").click()
        page.wait_for_selector("main .tag >> text=pinned to", state="detached")
        self.assertIn("POST /plugins/quota/unpin", self.double.asked)

    def test_noSchema(self) -> None:
        """A plugin without a schema has a form all the same: its JSON."""
        page = self.signedIn(screen="plugin/auth?tab=config")
        self.assertIn("audience", page.locator("textarea").input_value())

    def test_sourceDiff(self) -> None:
        """What a version changed can be read."""
        page = self.signedIn(screen="plugin/bot-rules?tab=versions")
        page.get_by_role("button", name="Changes of 1.3.0").click()
        page.wait_for_selector(".diff .add")
        self.check(page, "source differences")

    def test_chartAsTable(self) -> None:
        """What a chart shows can be read as a table."""
        page = self.signedIn()
        page.wait_for_selector("canvas")
        page.get_by_role("button", name="as table").first.click()
        page.wait_for_selector("figure td")
        self.assertTrue(re.match(r"[\d,.]+", page.locator("figure td").nth(1).text_content()))


@needs("chromium")
class TenTabsTests(DashboardCase):
    """A browser has six connections to an origin."""

    def test_eachIsUsable(self) -> None:
        """Of ten tabs that are seen, each follows what happens, and can be used; they have one stream of events."""
        context = self.context()
        pages = [self.signedIn(context, "requests?live=1") for _ in range(10)]
        while self.double.asked.count("GET /requests/live") < 2 or "GET /events/stream" not in self.double.asked:
            pages[0].wait_for_timeout(20)
        self.double.passes(target="/seen-by-all")
        for page in pages:
            page.wait_for_selector(".line >> text=/seen-by-all")
        self.assertEqual(self.double.asked.count("GET /requests/live"), 2)
        for page in pages:
            self.open(page, "plugin/quota?tab=config")
            page.get_by_label("rate").fill("9/s")
        self.assertEqual(self.double.asked.count("GET /events/stream"), 1)

    def test_withoutStreams(self) -> None:
        """Where no stream comes through, the page asks every few seconds, and says so."""
        self.meant = ("503",)
        for path in ("/events/stream", "/requests/live"):
            self.double.refusing[f"GET {path}"] = (503, {"detail": "no streams here"})
        page = self.signedIn(screen="events?tab=events")
        page.wait_for_selector("text=asked each few seconds")
        self.double.happen("stalled", "told without a stream")
        page.wait_for_selector("text=told without a stream")
        self.open(page, "requests?live=1")
        self.double.passes(target="/without-a-stream")
        page.wait_for_selector(".line >> text=/without-a-stream")

    def test_hiddenTabsAskForNothing(self) -> None:
        """A tab that is hidden lets go of its streams, and asks for nothing until it is seen."""
        page = self.signedIn(screen="requests?live=1")
        while not self.double.listeners:
            page.wait_for_timeout(20)
        page.evaluate("""() => {
            Object.defineProperty(document, "hidden", { get: () => true, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""")
        while self.double.listeners:
            page.wait_for_timeout(20)
        asked = len(self.double.asked)
        page.wait_for_timeout(6000)
        self.assertLessEqual(len(self.double.asked), asked + 1)
        page.evaluate("""() => {
            Object.defineProperty(document, "hidden", { get: () => false, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""")
        while len(self.double.listeners) < 2:
            page.wait_for_timeout(20)


@needs("chromium")
class FirstPaintTests(DashboardCase):
    """How soon something is seen."""

    def test_firstPaint(self) -> None:
        """The first contentful paint of Now comes within 300 ms, the best of five."""
        page = self.signedIn()
        times = []
        for _ in range(5):
            page.goto("about:blank")
            page.goto(f"{self.double.url}#/now")
            page.wait_for_selector(".tiles")
            entries = page.evaluate("() => performance.getEntriesByType('paint').map((one) => one.startTime)")
            times.append(max(entries))
        self.assertLess(min(times), 300)
