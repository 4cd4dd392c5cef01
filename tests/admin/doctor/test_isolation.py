"""
How far plugins can be locked in: what is said of layers, and one that is really tried.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.doctor import isolation
from revproxy.admin.doctor.check import Check
from revproxy.admin.doctor.isolation import Untried, isolationChecks, triedLayers
from revproxy.config.configfile import parseConfig
from revproxy.isolation.lock.layers import NAMES, ROOMS, Layer, Layers

START = "listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}]\n"


def without(reason: str = "the kernel refuses it", *names: str) -> Layers:
    """A machine on which these cannot be had."""
    return Layers(tuple(Layer(name, reason if name in names else "") for name in NAMES))


class IsolationTests(SynchronousTestCase):
    """
    `isolationChecks`, with layers that are made up.
    """

    def check(self, layers: Layers, more: str = "", isNeeded: bool = False) -> Check:
        config = parseConfig(START + more, "revproxy.yaml", Path.cwd())
        [check] = isolationChecks(config, isNeeded, lambda uid: layers)
        return check

    def test_all(self) -> None:
        """
        Everything can be had: all of it is named, and nothing is to be done.
        """
        check = self.check(without())
        self.assertEqual((check.state, check.advice), ("ok", ""))
        self.assertEqual(check.text, f"level A: {', '.join(NAMES)}")

    def test_container(self) -> None:
        """
        No namespaces, as in most containers: level B, the reason once, and what would help.
        """
        check = self.check(without("EPERM", "user-namespace", *ROOMS))
        self.assertEqual(check.state, "ok")
        self.assertTrue(check.text.startswith("level B: descriptors, "), check.text)
        self.assertTrue(check.text.endswith("not: user-namespace, network, ipc, hostname, root (EPERM)"), check.text)
        self.assertIn("sysctl user.max_user_namespaces", check.advice)

    def test_minimum(self) -> None:
        """
        Less than the configuration wants: a warning, and failing where plugins need it.
        """
        layers = without("not there", "landlock")
        self.assertEqual(self.check(layers).state, "ok")
        trust = "trust: {minimum_level: B}\n"
        check = self.check(layers, trust)
        self.assertEqual(check.state, "warning")
        self.assertIn("refused, for trust.minimum_level is B", check.text)
        self.assertIn("landlock among its security modules", check.advice)
        self.assertEqual(self.check(layers, trust, isNeeded=True).state, "failing")
        vendors = "plugins: {isolation: {'vendor-*': process}}\n"
        self.assertEqual(self.check(layers, trust + vendors).state, "failing")

    def test_nothing(self) -> None:
        """
        Below the floor nothing is locked.
        """
        layers = without("no such system call", "seccomp")
        check = self.check(layers)
        self.assertEqual(check.state, "warning")
        self.assertEqual(check.text, "plugins cannot be locked in here: seccomp (no such system call)")
        self.assertIn("CONFIG_SECCOMP_FILTER", check.advice)
        self.assertEqual(self.check(layers, isNeeded=True).state, "failing")

    def test_users(self) -> None:
        """
        The first that is set aside is tried, whoever runs it: who is not root is told that this takes root.
        """
        asked: list[int | None] = []

        def look(uid: int | None) -> Layers:
            asked.append(uid)
            return without()

        config = parseConfig(START + "trust: {uids: 300000-300009}\n", "revproxy.yaml", Path.cwd())
        isolationChecks(config, False, look)
        isolationChecks(None, False, look)
        self.assertEqual(asked, [300000, None])

    def test_around(self) -> None:
        """
        One reason against all layers is told alone, and no kernel is blamed for it.
        """
        check = self.check(without("there is no /proc to look at: mount it", *NAMES), isNeeded=True)
        self.assertEqual(check.state, "failing")
        self.assertEqual(check.text, "plugins cannot be locked in here: there is no /proc to look at: mount it")
        self.assertNotIn("CONFIG_SECCOMP", check.advice)

    def test_untried(self) -> None:
        """
        That it could not be tried is no reason to say that it cannot be had.
        """

        def look(uid: int | None) -> Layers:
            raise Untried("no more processes")

        [check] = isolationChecks(None, False, look)
        self.assertEqual((check.state, check.text), ("warning", "it could not be tried: no more processes"))


class TriedTests(SynchronousTestCase):
    """
    `triedLayers`.
    """

    def test_here(self) -> None:
        """
        A process of its own tries, without our environment; each layer that is named holds or has a reason.
        """
        if not sys.platform.startswith("linux"):
            self.skipTest("only Linux has layers")
        self.patch(os, "environ", {**os.environ, "PYTHONPATH": "/nowhere"})
        layers = triedLayers(None)
        self.assertEqual({layer.name for layer in layers}, set(NAMES))
        self.assertIn("trust.uids", layers["user"].reason)
        if layers.level is None:
            self.fail(f"nothing can be locked in here: {layers.missing}")

    def test_fails(self) -> None:
        """
        What keeps it from being tried is told in one line.
        """
        for script, said in (
            ("raise OSError('no more processes')", "OSError: no more processes"),
            ("print('{')", "Expecting property name"),
            ("print('[{}]')", "name"),
            ("import sys; sys.exit(7)", "exit status 7"),
            ("import time; time.sleep(60)", "timed out after 0.2 seconds"),
        ):
            self.patch(isolation, "_SCRIPT", script)
            if "sleep" in script:
                self.patch(isolation, "PATIENCE", 0.2)
            self.assertIn(said, str(self.assertRaises(Untried, triedLayers, None)))

    def test_noPython(self) -> None:
        """
        Nor is there a Python.
        """

        def run(*_: Any, **__: Any) -> None:
            raise FileNotFoundError(2, "No such file or directory", "python")

        self.patch(subprocess, "run", run)
        self.assertIn("No such file", str(self.assertRaises(Untried, triedLayers, None)))
