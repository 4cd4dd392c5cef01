"""The dashboard in a browser, in front of the double."""

from __future__ import annotations

from typing import Any

from tests.admin.dashboard.browsing import DashboardCase
from tests.admin.dashboard.double import CODE, Double
from tests.tools import needs


def value(page: Any, label: str) -> Any:
    """What a field has."""
    return page.get_by_label(label, exact=True).input_value()


@needs("chromium")
class SignInTests(DashboardCase):
    """Who comes in, and how."""

    def test_token(self) -> None:
        """A wrong token is said to be wrong; a right one opens the dashboard."""
        self.meant = ("401",)
        page = self.page(self.context())
        page.goto(self.double.url)
        page.fill("input[name=token]", "nonsense")
        page.click("button[type=submit]")
        page.wait_for_selector("[role=alert]")
        self.check(page, "sign-in")
        page.fill("input[name=token]", "rvp_right")
        page.click("button[type=submit]")
        page.wait_for_selector(".rail")

    def test_code(self) -> None:
        """A code signs in once, and is out of the address at once."""
        self.meant = ("401",)
        page = self.signedIn()
        self.assertNotIn("login", page.url)
        self.assertNotIn("login", page.evaluate("() => document.referrer + JSON.stringify(localStorage)"))
        other = self.page(self.context())
        other.goto(f"{self.double.url}#login=once")
        other.wait_for_selector("input[name=token]")
        self.assertNotIn("login", other.url)

    def test_sessionEnds(self) -> None:
        """When the session ends, one signs in above what one has typed."""
        self.meant = ("401",)
        page = self.signedIn(screen="configuration")
        area = page.get_by_label("revproxy.yaml")
        area.fill("# mine\n")
        self.double.sessions.clear()
        page.wait_for_selector("dialog input[name=token]")
        page.fill("dialog input[name=token]", "rvp_again")
        page.press("dialog input[name=token]", "Enter")
        page.wait_for_selector("dialog", state="detached")
        self.assertEqual(area.input_value(), "# mine\n")

    def test_asksAgain(self) -> None:
        """What could not be shown because the session had ended is shown after signing in."""
        self.meant = ("401",)
        page = self.signedIn()
        self.double.sessions.clear()
        page.goto(f"{self.double.url}#/configuration")
        page.wait_for_selector("dialog input[name=token]")
        page.fill("dialog input[name=token]", "rvp_again")
        page.press("dialog input[name=token]", "Enter")
        page.get_by_label("revproxy.yaml").wait_for()


@needs("chromium")
class RoleTests(DashboardCase):
    """Who may only read."""

    role = "read"

    def test_disabledWithReason(self) -> None:
        """What one may not do is shown, disabled, and says why; what one may not see says so."""
        self.meant = ("403",)
        page = self.signedIn(screen="plugin/auth")
        button = page.get_by_role("button", name="Disable")
        self.assertEqual(button.get_attribute("aria-disabled"), "true")
        self.assertIn("Takes a token with the role operate", button.get_attribute("title"))
        button.click(force=True)
        page.wait_for_selector(".toast >> text=role operate")
        self.assertNotIn("POST /plugins/auth/disable", self.double.asked)
        self.open(page, "requests")
        page.wait_for_selector("main [role=alert]")


@needs("chromium")
class RequestTests(DashboardCase):
    """The list of requests."""

    def test_filtersAndList(self) -> None:
        """What is typed is in the address; of many only those that are seen are in the page; keys go through them."""
        page = self.signedIn(screen="requests")
        page.get_by_label("Path").fill("/api/")
        page.wait_for_function("() => location.hash.includes('path=%2Fapi%2F')")
        page.wait_for_function(
            "() => [...document.querySelectorAll('.l-path')].every((one) => one.textContent.includes('/api/'))"
        )
        self.assertLess(page.locator(".line").count(), 80)
        page.evaluate("() => document.querySelector('.viewport').scrollTo(0, 1e6)")
        page.wait_for_function(
            "() => Number(document.querySelector('.viewport li').ariaSetSize) > 200"
        )
        page.evaluate("() => document.querySelector('.viewport').scrollTo(0, 0)")
        page.wait_for_function("() => document.querySelector('.viewport li').ariaPosInSet === '1'")
        page.locator(".line").first.focus()
        page.keyboard.press("ArrowDown")
        self.assertEqual(page.evaluate("() => document.activeElement.parentElement.ariaPosInSet"), "2")
        page.keyboard.press("Enter")
        page.wait_for_selector(".steps")
        self.assertIn("#/why/", page.url)

    def test_follow(self) -> None:
        """What comes appears at the top."""
        page = self.signedIn(screen="requests")
        page.get_by_role("button", name="Follow").click()
        page.wait_for_function("() => location.hash.includes('live=1')")
        while "GET /requests/live" not in self.double.asked:
            page.wait_for_timeout(10)
        self.double.passes(target="/just-now", status=503)
        page.wait_for_selector(".line >> text=/just-now")

    def test_badFilter(self) -> None:
        """A filter that is none is said to be none."""
        self.meant = ("400",)
        page = self.signedIn(screen="requests?status=abc")
        page.wait_for_selector("[role=alert] >> text=is none of")


@needs("chromium")
class PluginTests(DashboardCase):
    """One plugin."""

    def test_configuration(self) -> None:
        """The form says what is wrong before the edge does, and at the field what the edge says; JSON is the same."""
        self.meant = ("422",)
        page = self.signedIn(screen="plugin/quota?tab=config")
        page.get_by_label("rate").fill("many")
        page.wait_for_selector(".wrong >> text=Must look like")
        self.check(page, "a form with problems")
        page.get_by_label("rate").fill("5/m")
        page.get_by_label("burst").fill("13")
        page.get_by_role("button", name="Save").click()
        page.wait_for_selector(".field .wrong >> text=13 is bad luck")
        page.get_by_label("burst").fill("14")
        page.get_by_role("tab", name="JSON").click()
        text = page.locator("textarea").input_value()
        self.assertIn('"burst": 14', text)
        page.locator("textarea").fill("{")
        page.wait_for_selector(".wrong")
        page.locator("textarea").fill('{"rate": "7/h"}')
        page.get_by_role("button", name="Save").click()
        page.wait_for_selector(".toast >> text=has its new configuration")
        self.assertEqual(self.double.edge.configs["quota"], {"rate": "7/h"})


@needs("chromium")
class ConfigurationTests(DashboardCase):
    """revproxy.yaml in a text field."""

    def test_wrongThenRight(self) -> None:
        """What is wrong is told at its line; what is right is shown as a difference, saved, and can be undone."""
        self.meant = ("422",)
        page = self.signedIn(screen="configuration")
        before = self.double.edge.text
        area = page.get_by_label("revproxy.yaml")
        area.fill(before.replace("targets: [http://10.0.1.11", "tragets: [http://10.0.1.11"))
        page.get_by_role("button", name="Try").click()
        page.wait_for_selector(".gutter .wrong >> text=8")
        page.wait_for_selector("text=did you mean 'targets'?")
        self.check(page, "a configuration with a problem")
        area.fill(before.replace("50/s", "60/s"))
        page.get_by_role("button", name="Save").click()
        page.wait_for_selector("dialog .diff .add >> text=60/s")
        page.locator("dialog button[type=submit]").click()
        page.wait_for_selector(".toast >> text=in force")
        self.assertIn("60/s", self.double.edge.text)
        page.get_by_role("button", name="Undo").click()
        page.wait_for_function("(text) => document.querySelector('.editor textarea').value === text", arg=before)
        self.assertEqual(self.double.edge.text, before)
        page.wait_for_selector(".toast >> text=As it was before")
        self.assertEqual(page.get_by_text("changed, not saved").count(), 0)
        self.assertEqual(page.get_by_text("The file has changed since you began").count(), 0)

    def test_conflict(self) -> None:
        """When somebody else has saved meanwhile, nothing is lost, and nothing overwritten unasked."""
        self.meant = ("412",)
        page = self.signedIn(screen="configuration")
        page.get_by_label("revproxy.yaml").fill("# mine\n")
        self.double.edge.text = "# theirs\n"
        page.get_by_role("button", name="Try").click()
        page.wait_for_selector("text=The file has changed since you began")
        self.assertEqual(page.get_by_label("revproxy.yaml").input_value(), "# mine\n")
        self.assertEqual(self.double.edge.text, "# theirs\n")


@needs("chromium")
class EdgeGoneTests(DashboardCase):
    """The edge does not answer for a while."""

    def test_lostAndFound(self) -> None:
        """A banner says since when; what was typed stays; and it is found again without anybody's doing."""
        self.meant = ("net::ERR",)
        page = self.signedIn(screen="configuration")
        page.get_by_label("revproxy.yaml").fill("# mine\n")
        port = self.double.gone()
        page.wait_for_selector(".banner >> text=The edge does not answer")
        self.check(page, "the edge is lost")
        sessions, edge = self.double.sessions, self.double.edge
        self.double = Double(port)
        self.double.sessions, self.double.edge = sessions, edge
        page.wait_for_selector(".banner", state="detached")
        self.assertEqual(page.get_by_label("revproxy.yaml").input_value(), "# mine\n")


    def test_screenFails(self) -> None:
        """A screen whose file cannot be had at first is shown when it can."""
        self.meant = ("net::ERR", "Failed to fetch")
        context = self.context()
        page = self.page(context)
        failed: list[str] = []

        def fail(route: Any) -> None:
            failed.append(route.request.url)
            route.abort()
            page.unroute("**/screens/chain.js*")

        page.route("**/screens/chain.js*", fail)
        page.goto(f"{self.double.url}#login={CODE}")
        page.wait_for_selector("main h1")
        self.open(page, "chain")
        page.wait_for_selector("h1 >> text=Chain")
        self.assertEqual(len(failed), 1)


@needs("chromium")
class TabTests(DashboardCase):
    """Several tabs of one browser."""

    def test_oneStream(self) -> None:
        """Three tabs have one stream, and each hears what happens."""
        context = self.context()
        pages = [self.signedIn(context, "events?tab=events") for _ in range(3)]
        while "GET /events/stream" not in self.double.asked:
            pages[0].wait_for_timeout(10)
        self.double.happen("stalled", "the loop was held for 0.4 s", "quota", "1.3.0")
        for page in pages:
            page.wait_for_selector("text=the loop was held for 0.4 s")
        self.assertEqual(self.double.asked.count("GET /events/stream"), 1)
        pages[0].close()
        pages[1].close()
        while self.double.asked.count("GET /events/stream") < 2:
            pages[2].wait_for_timeout(10)
        self.double.happen("restored", "and turns again")
        pages[2].wait_for_selector("text=and turns again")


@needs("chromium")
class KeyTests(DashboardCase):
    """Without a mouse."""

    def test_keys(self) -> None:
        """A link to skip, the palette, the list of keys, and places by two keys."""
        page = self.signedIn()
        page.keyboard.press("Tab")
        self.assertEqual(page.evaluate("() => document.activeElement.textContent"), "Skip to the content")
        page.keyboard.press("Enter")
        self.assertEqual(page.evaluate("() => document.activeElement.id"), "main")
        page.keyboard.press("?")
        page.wait_for_selector("dialog >> text=Keys")
        self.check(page, "the list of keys")
        page.keyboard.press("Escape")
        page.keyboard.press("g")
        page.keyboard.press("u")
        page.wait_for_selector("h1 >> text=Upstreams")
        page.keyboard.press("Control+k")
        page.wait_for_selector("dialog input")
        page.keyboard.type("html-ban")
        page.wait_for_selector("[role=option] >> text=html-banner")
        self.check(page, "the palette")
        page.keyboard.press("Enter")
        page.wait_for_selector("h1 >> text=html-banner")


@needs("chromium")
class TrustTests(DashboardCase):
    """Whose code runs, and what it may touch."""

    def test_grant(self) -> None:
        """What waits says what it wants besides; what would be written is shown before, and sent with what was seen."""
        page = self.signedIn(screen="trust")
        page.get_by_role("link", name="bot-rules").first.click()
        page.get_by_role("tab", name="Trust").wait_for()
        waits = page.get_by_role("region", name="What waits")
        self.assertIn("+ read_headers: Cookie", waits.inner_text())
        page.get_by_role("button", name="Grant").click()
        dialog = page.get_by_role("dialog")
        dialog.wait_for()
        self.assertIn("+    bot-rules:", dialog.inner_text())
        self.assertEqual(self.double.edge.granted, set())
        dialog.get_by_label("Reason").fill("asked for in March")
        dialog.get_by_role("button", name="Grant").click()
        page.wait_for_selector(".toast >> text=it is granted what it asks for")
        waits.wait_for(state="detached")
        self.assertEqual(self.double.edge.granted, {"bot-rules"})
        self.assertEqual(self.double.edge.history[-1]["reason"], "asked for in March")

    def test_refused(self) -> None:
        """If the folder has another version by then, nothing is granted, and that is said."""
        self.meant = ("409",)
        problem = {"detail": "its folder has another version by now"}
        self.double.refusing["POST /plugins/bot-rules/grant"] = (409, problem)
        page = self.signedIn(screen="plugin/bot-rules?tab=trust")
        page.get_by_role("button", name="Grant").click()
        page.wait_for_selector(".toast.bad >> text=another version by now")
        self.assertEqual(self.double.edge.granted, set())

    def test_missing(self) -> None:
        """What a plugin asks for and does not have is marked by more than a colour."""
        page = self.signedIn(screen="plugin/tenant?tab=trust")
        touch = page.get_by_role("region", name="What it may touch").inner_text()
        self.assertIn("▲ legacy, not granted", touch)
        self.assertIn("X-Tenant", touch)
        self.open(page, "plugin/request-id?tab=trust")
        self.assertIn("may touch everything", page.locator("main").inner_text())

    def test_revoked(self) -> None:
        """What must not run stands first, in words; a machine that locks too little says what becomes of plugins."""
        edge = self.double.edge
        waiting = {**edge._waiting(), "stage": "revoked", "added": [], "missing": [], "message": "the key was revoked"}
        plugin = {"name": "tenant", **edge.trustOf("tenant"), "waiting": waiting}
        told = {**edge._trust(), "level": None, "plugins": [plugin], "problems": ["revoked:3: no key and no digest"]}
        table = [row for row in edge._table() if row[1] != "/trust"]
        self.patch(edge, "_table", lambda: [*table, ("GET", "/trust", lambda *_: told)])
        text = self.signedIn(screen="trust").locator("main").inner_text()
        for said in ("revoked:3: no key and no digest", "This machine does not lock as well as it has to",
                     "tenant 1.4.0 does not run: the key was revoked"):
            self.assertIn(said, text)


@needs("chromium")
class TrustReaderTests(DashboardCase):
    """Who may not configure."""

    role = "operate"

    def test_mayNotGrant(self) -> None:
        """The button is there, and says which role it takes."""
        page = self.signedIn(screen="plugin/bot-rules?tab=trust")
        button = page.get_by_role("button", name="Grant")
        self.assertEqual(button.get_attribute("aria-disabled"), "true")
        self.assertIn("role configure", button.get_attribute("title"))
