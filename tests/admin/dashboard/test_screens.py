"""Every screen: nobody is kept out, at any width, in either theme."""

from __future__ import annotations

from typing import Any

from tests.admin.dashboard.browsing import DashboardCase
from tests.tools import needs

SCREENS = (
    "now", "requests", "why", "why/{failed}", "why/{refused}", "connections", "plugins", "plugin/auth",
    "plugin/quota?tab=config", "plugin/bot-rules?tab=versions", "plugin/bot-rules?tab=failures",
    "plugin/bot-rules?tab=trust", "plugin/auth?tab=trust", "rollouts", "rollouts/quota", "rollouts/bot-rules",
    "rollouts/auth", "trust", "chain", "changes", "configuration", "upstreams", "certificates", "events",
    "events?tab=events", "events?tab=rules", "events?tab=receivers", "doctor",
)  # fmt: skip

FEW = (
    "now", "requests", "why/{failed}", "plugin/quota?tab=config", "plugin/bot-rules?tab=trust", "trust",
    "rollouts/quota", "events",
)  # fmt: skip
"""Those that have most kinds of things on them; all of them: `tests.thorough`."""

ALERTS = ("firing", "silenced", "pending", "resolved", "silences", "rules", "receivers")


@needs("chromium")
class ScreenTests(DashboardCase):
    """
    One after the other.

    :ivar names: of the screens.
    """

    names: tuple[str, ...] = FEW

    def screens(self) -> list[str]:
        """With the ids of two requests."""
        found = {kind: next(one["id"] for one in self.double.edge.requests if one["status"] == status)
                 for kind, status in (("failed", 502), ("refused", 429))}  # fmt: skip
        return [screen.format(**found) for screen in self.names]

    def sticksOut(self, page: Any) -> list[str]:
        """Whether a telephone would have to scroll the page sideways."""
        page.set_viewport_size({"width": 390, "height": 800})
        wide = page.evaluate("() => document.documentElement.scrollWidth")
        page.set_viewport_size({"width": 1280, "height": 800})
        return [f"{wide} pixels wide"] if wide > 390 else []

    def test_accessible(self) -> None:
        """axe finds nothing, in the light theme and in the dark; on a telephone no page scrolls sideways."""
        page, found = self.signedIn(), {}
        for screen in self.screens():
            self.open(page, screen)
            found[screen, "light"] = self.violations(page)
            page.evaluate("() => { document.documentElement.dataset.theme = 'dark'; }")
            found[screen, "dark"] = self.violations(page, ["color-contrast"])
            page.evaluate("() => { delete document.documentElement.dataset.theme; }")
            found[screen, "narrow"] = self.sticksOut(page)
        wrong = [f"{where}: {text}" for where, told in found.items() for text in told]
        self.assertEqual(wrong, [], "\n".join(wrong))

    def test_empty(self) -> None:
        """An edge that has nothing yet is told of as such, without an error."""
        edge = self.double.edge
        edge.requests.clear()
        edge.events.clear()
        edge.history.clear()
        empty = {"/plugins": {"items": []}, "/chain": {"items": []}, "/upstreams": {"items": []},
                 "/certificates": {"items": []}, "/connections": {"count": 0, "items": []},
                 "/rollouts": {"items": []}, "/alerts": {name: [] for name in ALERTS},
                 "/trust": {"mode": "off", "minimum_level": "C", "level": None, "layers": [], "signers": [],
                            "lock": None, "revoked": None, "problems": [], "plugins": []}}  # fmt: skip
        table = [row for row in edge._table() if row[1] not in empty]
        table += [("GET", path, lambda *_, answer=answer: answer) for path, answer in empty.items()]
        self.patch(edge, "_table", lambda: table)
        page = self.signedIn()
        for screen in (
            "now",
            "requests",
            "connections",
            "plugins",
            "rollouts",
            "trust",
            "chain",
            "changes",
            "upstreams",
            "certificates",
            "events",
        ):
            self.open(page, screen)
            self.check(page, f"{screen}, empty")
