"""
Tests for `revproxy.demo.trust` and its plugins: what is decided without an edge.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.config.manifest import parseManifest
from revproxy.demo.hostileplugins import HOSTILE
from revproxy.demo.trust import Act, configuration, freePort, get, lockTold, told

THIEF = Act(HOSTILE[0], 200, {"reads a file": "PermissionError: no"}, 90, 0, 12.3, [])


class PluginTests(SynchronousTestCase):
    """
    The plugins.
    """

    def test_sources(self) -> None:
        """
        Each is a plugin for a locked process whose code compiles.
        """
        for plugin in HOSTILE:
            files = plugin.files(4711)
            manifest = parseManifest(files["plugin.json"].encode(), "plugin.json")
            self.assertEqual((manifest.name, manifest.isolation, manifest.config["home"]),
                             (plugin.name, "process", 4711))
            compile(files["plugin.py"], "plugin.py", "exec")
        self.assertEqual(len({plugin.path for plugin in HOSTILE}), len(HOSTILE))

    def test_limits(self) -> None:
        """
        What is said of limits is what the manifests have.
        """
        limits = {plugin.name: plugin.limits for plugin in HOSTILE if plugin.limits}
        self.assertEqual(limits, {"glutton": {"memory_mb": 64}, "spinner": {"timeout_ms": 200}})
        for plugin in HOSTILE:
            for number in plugin.limits.values():
                self.assertIn(str(number), plugin.title)


class ActTests(SynchronousTestCase):
    """
    What became of a plugin.
    """

    def test_stopped(self) -> None:
        """
        It was stopped if nothing that it tried succeeded, or its process was ended; and if nobody else was harmed.
        """
        ended = replace(THIEF, status=500, outcomes={})
        for act, isStopped in (
            (THIEF, True), (ended, True), (replace(THIEF, outcomes={"reads": "SUCCEEDED: 'root'"}), False),
            (replace(THIEF, lost=1), False), (replace(THIEF, others=0), False), (replace(ended, status=0), False),
            (replace(ended, status=200), False),
        ):  # fmt: skip
            self.assertIs(act.isStopped, isStopped, act)
            self.assertEqual("NOT STOPPED" in told(act), not isStopped)

    def test_told(self) -> None:
        """
        What it tried, who was served meanwhile, what was booked, and what the edge says of it.
        """
        text = told(replace(THIEF, events=[("limit-exceeded", "memory: much")], failure="ValueError: x"))
        for part in ("thief  steals", "reads a file", "PermissionError: no", "90 of 90 other requests were answered",
                     "event limit-exceeded: memory: much", "booked to it: ValueError: x"):
            self.assertIn(part, text)
        self.assertIn("whoever asked got 500", told(replace(THIEF, status=500, outcomes={})))

    def test_lock(self) -> None:
        """
        Which layers hold, and why others do not.
        """
        layers = [{"name": "seccomp", "enforced": True, "reason": None},
                  {"name": "landlock", "enforced": False, "reason": "not in this kernel"}]
        text = lockTold({"level": "C", "layers": layers})
        self.assertIn("their level is C", text)
        self.assertIn("holds", text)
        self.assertIn("not in this kernel", text)
        self.assertIn("Nobody has told", lockTold({"level": None, "layers": []}))


class EdgeTests(SynchronousTestCase):
    """
    The edge that is shown.
    """

    def test_configuration(self) -> None:
        """
        It is one, on loopback only, and nothing of it is written outside of its folder.
        """
        folder = Path(self.mktemp()).absolute()
        (folder / "plugins").mkdir(parents=True)
        config = parseConfig(configuration(8123, folder), "demo", folder)
        self.assertEqual([listener.endpoint for listener in config.listeners], ["tcp:8123:interface=127.0.0.1"])
        self.assertEqual((config.plugins.directory, config.state), (folder / "plugins", folder / "state"))

    def test_ports(self) -> None:
        """
        The port is free; where nobody listens there is no answer.
        """
        port = freePort()
        self.assertEqual(get(port, "/"), (0, ""))
        socket.create_server(("127.0.0.1", port)).close()
