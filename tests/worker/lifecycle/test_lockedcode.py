"""What the process of a plugin is told, and what is refused before there is one."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.manifest import Manifest, parseManifest
from revproxy.loading.contract import PluginError
from revproxy.worker.lifecycle.lockedcode import refuseThreads


def manifest(**more: Any) -> Manifest:
    """Of a plugin in a locked process."""
    text = json.dumps({"name": "p", "version": "1", "isolation": "process", **more}, indent=1)
    return parseManifest(text.encode(), "plugin.json")


class ThreadsTests(SynchronousTestCase):
    """`refuseThreads`."""

    def test_declared(self) -> None:
        """A plugin that says how many threads it needs is refused, with the line where it does."""
        with self.assertRaises(PluginError) as caught:
            refuseThreads(manifest(limits={"threads": 2}))
        text = str(caught.exception)
        self.assertRegex(text, r"^plugin\.json:6:\d+: a locked process has no threads: .* \(plugin p\)$")

    def test_notDeclared(self) -> None:
        """Others are not: what they call there raises."""
        refuseThreads(manifest(limits={"timeout_ms": 100}))
        refuseThreads(manifest())
