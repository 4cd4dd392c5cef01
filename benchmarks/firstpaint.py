"""When something of the dashboard is seen, in a browser that has never been there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.operatededge import OperatedEdge
from benchmarks.processes import BenchmarkError
from revproxy.cli.edgeclient import EdgeClient

_PAINT = """() => performance.getEntriesByType("paint")
    .find((one) => one.name === "first-contentful-paint").startTime"""
_FILES = """() => [performance.getEntriesByType("navigation")[0], ...performance.getEntriesByType("resource")]
    .filter((one) => !one.name.includes("/api/")).map((one) => [one.name, one.transferSize])"""
_PATIENCE = 20_000
_REST = 5_000
"""Milliseconds; within these the other screens are fetched, one after the other."""


@dataclass(frozen=True, slots=True)
class Seen:
    """
    :ivar paints: milliseconds to the first contentful paint, of each browser.
    :ivar transfer: bytes of all files of the dashboard, with their heads; ``files``: how many.
    """

    paints: list[float]
    transfer: int
    files: int


def firstPaints(edge: OperatedEdge, times: int) -> Seen:
    """Open the dashboard by a link that signs in, in so many new browsers.

    :raises ImportError: there is no playwright.
    :raises BenchmarkError: there is no Chromium, or nothing is seen.
    """
    from playwright.sync_api import Error, sync_playwright

    program = shutil.which("chromium")
    if program is None:
        raise BenchmarkError("chromium is needed (Debian: apt install chromium)")
    client = EdgeClient(Path(edge.directory) / "state" / "control.sock")
    paints: list[float] = []
    files: dict[str, int] = {}
    with sync_playwright() as playwright:
        for _ in range(times):
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            try:
                page = browser.new_page()
                page.set_default_timeout(_PATIENCE)
                page.goto("about:blank")
                code = client.ask("POST", "login-codes", body={"role": "admin"})["code"]
                page.goto(f"http://127.0.0.1:{edge.admin}/#login={code}")
                page.wait_for_selector(".tiles")
                paints.append(page.evaluate(_PAINT))
                if len(paints) == times:
                    page.wait_for_timeout(_REST)
                files |= dict(page.evaluate(_FILES))
            except Error as error:
                raise BenchmarkError(f"the dashboard is not seen: {str(error).splitlines()[0]}") from None
            finally:
                browser.close()
    return Seen(paints, sum(files.values()), len(files))
