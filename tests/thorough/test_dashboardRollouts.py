"""Rollouts on the dashboard, in front of the double: what is seen of one, and what is done about it."""

from __future__ import annotations

from typing import Any

from tests.admin.dashboard.browsing import DashboardCase
from tests.tools import needs


@needs("chromium")
class SeenTests(DashboardCase):
    """What is shown."""

    def test_all(self) -> None:
        """Those that go on have their steps, those that are over their reason; each leads to its own screen."""
        page = self.signedIn(screen="rollouts")
        self.assertEqual(page.locator(".track").count(), 2)
        page.wait_for_selector("td >> text=4 of 31 clients met an error")
        page.get_by_role("link", name="bot-rules").click()
        page.wait_for_selector("h1 >> text=bot-rules")
        page.wait_for_selector(".track .bad >> text=canary 5 %")

    def test_evidence(self) -> None:
        """The bar is said in words as well; what is noise is folded."""
        page = self.signedIn(screen="rollouts/quota")
        meter = page.get_by_role("meter")
        self.assertEqual(meter.get_attribute("aria-valuetext"),
                         "6.1 : 1 that it is among the slowest 10 %; it goes back at 125 : 1")  # fmt: skip
        self.assertEqual(meter.get_attribute("aria-valuenow"), "37")
        page.wait_for_selector("text=27 s left")
        self.assertFalse(page.get_by_text("header:date").is_visible())
        page.get_by_text("1 more differs").click()
        page.get_by_text("header:date").wait_for()
        page.wait_for_selector("tr:has-text('header:x-new') >> text=meant")
        self.assertEqual(page.locator("[aria-current=step]").text_content(), "●canary 5 %")

    def test_certain(self) -> None:
        """What went back without odds does not say that nothing speaks against it; what says nothing has no line."""
        went = self.double.edge.rollouts["bot-rules"]
        went["verdict"] = {**went["verdict"], "family": "fingerprint", "odds": 0.0}
        went["families"] = [{**each, "of_candidate": 0, "candidate": 0} for each in went["families"]]
        page = self.signedIn(screen="rollouts/bot-rules")
        page.wait_for_selector(".evidence >> text=Certain, whatever the odds: it raises something new")
        self.assertEqual(page.get_by_text("What was looked at").count(), 0)

    def test_held(self) -> None:
        """Since when it is held, and for what, is part of what happened."""
        page = self.signedIn(screen="rollouts/auth")
        page.wait_for_selector(".timeline >> text=shadow → held")
        page.wait_for_selector(".track .now >> text=shadow 20 %")

    def test_elsewhere(self) -> None:
        """The list of plugins, and a plugin's own screen, lead to it; so do keys."""
        page = self.signedIn(screen="plugins")
        page.get_by_role("link", name="→ 1.3.0, canary 5 %").click()
        page.wait_for_selector(".evidence")
        self.open(page, "plugin/quota")
        page.wait_for_selector(".note >> text=is being rolled out")
        page.keyboard.press("g")
        page.keyboard.press("l")
        page.wait_for_function("() => location.hash === '#/rollouts'")

    def test_none(self) -> None:
        """Of a plugin without a rollout it is said that there is none."""
        self.meant = ("404",)
        page = self.signedIn(screen="rollouts/tenant")
        page.wait_for_selector("text=nothing of tenant is or was rolled out")


@needs("chromium")
class SteeringTests(DashboardCase):
    """What is done."""

    def do(self, page: Any, button: str, verb: str, reason: str = "") -> None:
        page.get_by_role("button", name=button, exact=True).click()
        page.wait_for_selector("dialog")
        if reason:
            page.get_by_label("Reason").fill(reason)
        page.locator("dialog").get_by_role("button", name=verb).click()
        page.wait_for_selector("dialog", state="detached")

    def test_holdAndResume(self) -> None:
        """What is held says that it waits, and for whom; then it goes on."""
        page = self.signedIn(screen="rollouts/quota")
        self.do(page, "Hold", "Hold", "lunch")
        page.wait_for_selector(".note >> text=It waits for somebody.")
        self.check(page, "held")
        self.assertEqual(self.double.edge.history[-1]["reason"], "lunch")
        self.do(page, "Resume", "Resume")
        page.wait_for_selector(".note >> text=It waits for somebody.", state="detached")

    def test_promoteIsNotOffered(self) -> None:
        """While something speaks against it, or nothing is shown, no button stands out as the one to press."""
        page = self.signedIn(screen="rollouts/quota")
        page.get_by_role("button", name="Promote").wait_for()
        self.assertEqual(page.locator(".head .button.main").count(), 0)

    def test_stepAndPromote(self) -> None:
        """The dialog says which step is next; promoted, it serves everybody, and nothing is to be pressed."""
        page = self.signedIn(screen="rollouts/quota")
        page.get_by_role("button", name="Next step").click()
        page.wait_for_selector("dialog >> text=canary 50 %")
        page.locator("dialog").get_by_role("button", name="Go on").click()
        page.wait_for_selector("[aria-current=step] >> text=canary 50 %")
        self.do(page, "Promote", "Promote")
        page.wait_for_selector(".state.good >> text=promoted")
        self.assertEqual(page.locator(".head .button").count(), 0)

    def test_abortAndStart(self) -> None:
        """Aborted, it can be started again: how long that takes is shown before."""
        page = self.signedIn(screen="rollouts/quota")
        self.do(page, "Abort", "Abort")
        page.wait_for_selector(".state >> text=aborted")
        page.get_by_role("button", name="Start again").click()
        page.wait_for_selector("dialog >> text=It cannot show:")
        self.check(page, "before it begins")
        page.locator("dialog").get_by_role("button", name="Start").click()
        page.wait_for_selector("[aria-current=step] >> text=canary 5 %")
        self.assertIn("POST /rollouts/quota/start", self.double.asked)

    def test_version(self) -> None:
        """A version that is kept is rolled out from the plugin's own screen."""
        page = self.signedIn(screen="plugin/bot-rules?tab=versions")
        page.get_by_role("button", name="Roll out 1.1.0").click()
        page.wait_for_selector("dialog >> text=shadow 20 %")
        page.locator("dialog").get_by_role("button", name="Start").click()
        page.wait_for_function("() => location.hash === '#/rollouts/bot-rules'")

    def test_busy(self) -> None:
        """Where another version is being rolled out, the button says so."""
        page = self.signedIn(screen="plugin/quota?tab=versions")
        button = page.get_by_role("button", name="Roll out 1.1.0")
        self.assertEqual(button.get_attribute("title"), "Another version is being rolled out.")


@needs("chromium")
class ReaderTests(DashboardCase):
    """Who may only read."""

    role = "read"

    def test_disabled(self) -> None:
        """Everything is seen, and nothing can be done."""
        page = self.signedIn(screen="rollouts/quota")
        page.wait_for_selector(".evidence")
        for name in ("Hold", "Next step", "Promote", "Abort"):
            button = page.get_by_role("button", name=name)
            self.assertIn("role operate", button.get_attribute("title"))
