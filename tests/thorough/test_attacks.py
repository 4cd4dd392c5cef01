"""
Hostile code in a locked process: each attack in each situation, and without the lock, where it has to work.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from tests.isolation.lock.arena import Setup
from tests.isolation.lock.arenas import ROOT, run, told
from tests.isolation.lock.attacks import ALL
from tests.tools import needs

NOBODY = 65534
UID = 300321

AS_ROOT = skipUnless(os.geteuid() == 0, "attacks are made as root and as nobody: run the tests as root")

ANYWHERE = {"numberOtherwise", "touchPorts", "useRing", "haveRing", "makeNamedQueue", "measure", "loadBpf"}
"""What a kernel may have been built without, so that the attack may be impossible here without any lock."""


@AS_ROOT
class UnlockedTests(SynchronousTestCase):
    """
    Without a lock.
    """

    def test_works(self) -> None:
        """Each attack works, or this kernel does not have what it would use, and says so."""
        layers, outcomes = run(Setup(isLocked=False))
        self.assertIsNone(layers.level)
        self.assertEqual(told(outcomes, "stopped"), [])
        absent = {outcome.attack for outcome in outcomes if outcome.what == "not here"}
        self.assertEqual(absent - ANYWHERE, set())
        self.assertEqual(len(outcomes), sum(not attack.unproven for attack in ALL))


@AS_ROOT
class LockedTests(SynchronousTestCase):
    """
    With the lock, in every situation; what a machine does not have is taken away from it by a filter.
    """

    def stopped(self, setup: Setup, level: str, *missing: str) -> None:
        """All attacks are, at that level, and these layers are the ones that are told to be missing."""
        layers, outcomes = run(setup)
        self.assertEqual(told(outcomes, "worked"), [])
        self.assertEqual(layers.level, level)
        self.assertEqual({layer.name for layer in layers.missing}, set(missing))
        self.assertEqual(len(outcomes), len(ALL))

    def test_rootA(self) -> None:
        """All layers, as root without users to give."""
        self.stopped(Setup(), "A", "user")

    def test_rootAsOwnUser(self) -> None:
        """All layers."""
        self.stopped(Setup(uid=UID), "A")

    def test_rootWithoutUserNamespaces(self) -> None:
        """Rooms that root has made."""
        self.stopped(Setup(uid=UID, without=("user namespaces",)), "A", "user-namespace")

    def test_rootB(self) -> None:
        """As in Docker, as root."""
        self.stopped(Setup(without=("namespaces",)), "B", *NO_ROOMS, "user")

    def test_rootC(self) -> None:
        """The floor, as root: the worst that there is."""
        self.stopped(Setup(without=("namespaces", "Landlock")), "C", *NO_ROOMS, "user", "landlock")

    def test_nobodyA(self) -> None:
        """All layers that one who is not root can have; attacker and attacked are the same user."""
        self.stopped(Setup(user=NOBODY), "A", "user")

    def test_nobodyB(self) -> None:
        """Without namespaces for everybody."""
        self.stopped(Setup(user=NOBODY, without=("user namespaces",)), "B", *NO_ROOMS, "user")

    def test_nobodyC(self) -> None:
        """The floor."""
        self.stopped(Setup(user=NOBODY, without=("namespaces", "Landlock")), "C", *NO_ROOMS, "user", "landlock")

    def test_nobodyInSandbox(self) -> None:
        """Rooms, but no Landlock: as in gVisor."""
        self.stopped(Setup(user=NOBODY, without=("Landlock",)), "C", "user", "landlock")


NO_ROOMS = ("user-namespace", "network", "ipc", "hostname", "root")


@AS_ROOT
@needs("setpriv", "python3")
class StartedAsNobodyTests(SynchronousTestCase):
    """
    A process that was never root, by the system's own Python, from a folder with nothing in it but the lock.
    """

    def test_all(self) -> None:
        """All attacks are stopped."""
        folder = tempfile.mkdtemp(prefix="revproxy-nobody-")
        self.addCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o755)
        for package in ("revproxy/isolation/lock", "tests/isolation/lock"):
            shutil.copytree(ROOT / package, Path(folder) / package, ignore=shutil.ignore_patterns("__pycache__"))
        before = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all")
        layers, outcomes = run(Setup(), before, "/usr/bin/python3", Path(folder))
        self.assertEqual(told(outcomes, "worked"), [])
        self.assertEqual(layers.level, "A")
        self.assertEqual(len(outcomes), len(ALL))
