"""
One browser for all tests of a process, and a page per test that fails the test when the browser complains: of what the
policy refuses, of an error nobody caught, of an answer that is not there.
"""

from __future__ import annotations

import atexit
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.admin.dashboard.double import CODE, Double
from tests.tools import program

AXE = Path(__file__).parent / "vendor/axe.min.js"
PATIENCE = 30_000
"""Milliseconds that something on a page may take."""

_begun: list[Any] = []


def browser() -> Any:
    """Chromium, started once, ended with the process."""
    if not _begun:
        from playwright.sync_api import sync_playwright

        playwright = sync_playwright().start()
        started = playwright.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        _begun.append(started)
        atexit.register(playwright.stop)
        atexit.register(started.close)
    return _begun[0]


class BrowserCase(SynchronousTestCase):
    """
    :ivar complaints: of the browser.
    :ivar meant: texts of complaints that a test brings about.
    """

    def setUp(self) -> None:
        self.complaints: list[str] = []
        self.meant: tuple[str, ...] = ()

    def context(self, **more: Any) -> Any:
        """Of pages that share cookies and storage, as the tabs of one browser do."""
        options = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **more}
        made = browser().new_context(**options)
        made.set_default_timeout(PATIENCE)
        self.addCleanup(made.close)
        return made

    def page(self, context: Any) -> Any:
        """A tab."""
        made = context.new_page()
        made.on("pageerror", lambda error: self.complaints.append(f"not caught: {error}"))
        made.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        self.addCleanup(self._noComplaints)
        return made

    def _noComplaints(self) -> None:
        self.assertEqual([one for one in self.complaints if not any(text in one for text in self.meant)], [])

    def check(self, page: Any, where: str) -> None:
        """Nothing on the page is against the rules of accessibility that axe knows."""
        self.assertEqual(self.violations(page), [], where)

    def violations(self, page: Any, rules: list[str] | None = None) -> list[str]:
        """What is. :param rules: only these."""
        if not page.evaluate("() => 'axe' in window"):
            page.evaluate(AXE.read_text())
        options = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
        found = page.evaluate("async (options) => (await axe.run(document, options)).violations", options)
        return [f"{one['id']}: {node['html'][:160]} {node['failureSummary']}" for one in found for node in one["nodes"]]


class DashboardCase(BrowserCase):
    """
    A page in front of a double, signed in.

    :ivar role: of who is signed in.
    """

    role = "admin"

    def setUp(self) -> None:
        super().setUp()
        self.double = Double(role=self.role)
        self.addCleanup(lambda: self.double.gone())

    def signedIn(self, context: Any = None, screen: str = "now") -> Any:
        """A tab that shows a screen."""
        page = self.page(context or self.context())
        self.double.codes.add(CODE)
        page.goto(f"{self.double.url}#login={CODE}")
        page.wait_for_selector("main h1")
        self.open(page, screen)
        return page

    def open(self, page: Any, screen: str) -> None:
        """Go to a screen, and wait until it has been drawn."""
        page.goto(f"{self.double.url}#/{screen}")
        page.wait_for_selector("main h1")
        page.wait_for_function("() => !document.querySelector('main .wait')")
