"""
What a configuration says of one plugin.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.config.settings import Config
from revproxy.control.planning.selection import select
from revproxy.control.planning.settings import fingerprint, isSetOtherwise, settingsOf
from revproxy.plan.catalog import Catalog
from tests.plan.plans import entry


def said(everywhere: str = "{x: 1}", **routes: str) -> Config:
    """A configuration with these routes, and what each says of the plugin a."""
    lines = ["listeners: [{endpoint: 'tcp:1'}]", f"plugins: {{config: {{a: {everywhere}}}}}", "routes:"]
    for name, own in (routes or {"one": ""}).items():
        plugins = f", plugins: {{a: {own}}}" if own else ""
        lines.append(f"- {{name: {name}, path: /{name}, respond: {{}}{plugins}}}")
    return parseConfig("\n".join(lines), "r.yaml", Path("/"))


class SettingsTests(SynchronousTestCase):
    """
    Of the plugin a.
    """

    def test_same(self) -> None:
        """
        The same is the same, wherever else configurations differ; routes that come or go say nothing new.
        """
        one, other = said(one="{x: 2}"), said(one="{x: 2}", two="{x: 3}")
        self.assertFalse(isSetOtherwise("a", one, other))
        self.assertFalse(isSetOtherwise("a", other, one))
        self.assertFalse(isSetOtherwise("b", said(), said("{x: 2}")))
        self.assertEqual(fingerprint("a", said()), fingerprint("a", said()))

    def test_other(self) -> None:
        """
        For all, or for one route; as a plugin tells things apart.
        """
        self.assertTrue(isSetOtherwise("a", said(), said("{x: 2}")))
        self.assertTrue(isSetOtherwise("a", said("{x: 1}"), said("{x: 1.0}")))
        self.assertTrue(isSetOtherwise("a", said(one=""), said(one="{x: 2}")))
        self.assertNotEqual(fingerprint("a", said(one="")), fingerprint("a", said(one="{x: 2}")))

    def test_former(self) -> None:
        """
        Routes have what was said of them; those that there were not, what is said now.
        """
        former = said("{x: 1}", one="{x: 2}", two="")
        now = said("{x: 9}", one="{x: 8}", two="", three="{x: 7}")
        (a,) = select(Catalog({"a": entry("a")}), now, former={"a": former})
        found = {now.routes[group.routes[0]].name: a.configFor(at) for at, group in enumerate(now.routeGroups)}
        self.assertEqual(found, {"one": {"x": 2}, "two": {"x": 1}, "three": {"x": 7}})

    def test_cannot(self) -> None:
        """
        Routes that say the same now, and did not, cannot be told apart.
        """
        self.assertIsNone(settingsOf("a", said(one="{x: 1}", two="{x: 2}"), said(one="{x: 3}", two="{x: 3}")))
