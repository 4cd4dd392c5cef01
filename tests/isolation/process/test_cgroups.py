"""
Cgroups of locked processes, on files that stand for the kernel's.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.process.cgroups import BESIDE, Cgroups, NotDelegated
from revproxy.isolation.process.descriptors import Descriptors
from tests.isolation.process.turns import Turns


class CgroupsTests(SynchronousTestCase):
    """A tree like that of a service of systemd's."""

    def setUp(self) -> None:
        """Nothing is delegated yet."""
        self.reactor = Turns()
        self.descriptors = Descriptors(self.reactor)
        self.root = Path(self.mktemp())
        self.service = self.root / "system.slice" / "revproxy.service"
        self.service.mkdir(parents=True)
        self.own = self.root / "self"
        self.own.write_text("12:cpu:/x\n0::/system.slice/revproxy.service\n")
        for folder in (self.root, self.service):
            (folder / "cgroup.controllers").write_text("cpu memory pids\n")
            (folder / "cgroup.procs").write_text("")
        (self.service / "cgroup.type").write_text("domain\n")

    def delegate(self) -> None:
        """As systemd does."""
        try:
            os.setxattr(self.service, "user.delegate", b"1")
        except OSError as error:
            self.skipTest(f"no attributes in the folder of the tests: {error}")

    def find(self) -> Cgroups:
        """As the edge does when it begins."""
        return Cgroups.find(self.descriptors, self.root, self.own)

    def refused(self) -> str:
        """:returns: why there are none."""
        with self.assertRaises(NotDelegated) as caught:
            self.find()
        return str(caught.exception)

    def test_otherVersion(self) -> None:
        """A machine with version 1 has none for us."""
        (self.root / "cgroup.controllers").unlink()
        self.assertEqual(self.refused(), "this machine has no cgroups of version 2")

    def test_inNone(self) -> None:
        """Nor has one that is in none."""
        self.own.write_text("12:cpu:/x\n")
        self.assertEqual(self.refused(), "this process is in no cgroup of version 2")
        self.own.unlink()
        self.assertIn("nobody knows which cgroup this process is in", self.refused())

    def test_notDelegated(self) -> None:
        """What systemd has not given away is not touched, though root could."""
        self.assertIn("is not delegated to this service (systemd: Delegate=memory pids)", self.refused())
        self.assertFalse((self.service / "edge").exists())

    def test_theWholeMachines(self) -> None:
        """Nor is the root of the machine's tree."""
        self.own.write_text("0::/\n")
        self.assertIn("is the whole machine's", self.refused())

    def test_withoutControl(self) -> None:
        """A part in which memory is not counted is no use."""
        self.delegate()
        (self.service / "cgroup.controllers").write_text("cpu pids\n")
        self.assertIn("has no control of memory", self.refused())

    def test_container(self) -> None:
        """In a container the root that can be written is ours."""
        self.own.write_text("0::/\n")
        (self.root / "cgroup.type").write_text("domain\n")
        self.find()
        self.assertEqual((self.root / "cgroup.subtree_control").read_text(), "+memory +pids")

    def test_prepared(self) -> None:
        """The edge's own processes are moved one below: a group that has groups may not have processes, too."""
        self.delegate()
        (self.service / "cgroup.procs").write_text("101\n")
        self.find()
        self.assertEqual((self.service / "edge" / "cgroup.procs").read_text(), "101")
        self.assertEqual((self.service / "cgroup.subtree_control").read_text(), "+memory +pids")

    def test_below(self) -> None:
        """An edge that is one below already (systemd's DelegateSubgroup=edge) stays there."""
        self.delegate()
        (self.service / "edge").mkdir()
        self.own.write_text("0::/system.slice/revproxy.service/edge\n")
        cgroup = self.find().make(1)
        assert cgroup is not None
        self.assertEqual(Path(cgroup.path).parent, self.service)

    def test_oneForEach(self) -> None:
        """A process has a group of its own, with one process at most and so much memory."""
        self.delegate()
        cgroup = self.find().make(7)
        assert cgroup is not None
        folder = Path(cgroup.path)
        self.assertEqual(folder, self.service / f"locked-{os.getpid()}-7")
        cgroup.limit(10 << 20)
        self.assertEqual(
            {name: (folder / name).read_text() for name in ("pids.max", "memory.oom.group", "memory.max")},
            {"pids.max": "1", "memory.oom.group": "1", "memory.max": str((10 << 20) + BESIDE)},
        )

    def test_whoIsInIt(self) -> None:
        """Whether a process has entered is asked of the kernel."""
        self.delegate()
        cgroup = self.find().make(7)
        assert cgroup is not None
        self.assertFalse(cgroup.has(5))
        Path(cgroup.path, "cgroup.procs").write_text("15\n5\n")
        self.assertTrue(cgroup.has(5))
        self.assertFalse(cgroup.has(1))

    def test_overLimit(self) -> None:
        """Whether the kernel has ended it for its memory."""
        self.delegate()
        cgroup = self.find().make(7)
        assert cgroup is not None
        self.assertFalse(cgroup.isOverLimit)
        events = Path(cgroup.path, "memory.events")
        events.write_text("low 0\nmax 12\noom 1\noom_kill 0\n")
        self.assertFalse(cgroup.isOverLimit)
        events.write_text("low 0\nmax 12\noom 1\noom_kill 1\n")
        self.assertTrue(cgroup.isOverLimit)

    def test_refusedByTheKernel(self) -> None:
        """Where no group can be made, there is none, and nothing is left of it."""
        self.delegate()
        cgroups = self.find()
        (self.service / f"locked-{os.getpid()}-7").write_text("in the way")
        self.assertIsNone(cgroups.make(7))

    def test_removed(self) -> None:
        """It is ended and removed; as long as the kernel does not let go of it, that is tried again."""
        self.delegate()
        cgroup = self.find().make(7)
        assert cgroup is not None
        folder = Path(cgroup.path)
        cgroup.remove()
        self.assertEqual((folder / "cgroup.kill").read_text(), "1")
        self.assertTrue(folder.exists())  # these files are in the way, as a process would be
        for file in folder.iterdir():
            file.unlink()
        self.reactor.advance(0.1)
        self.assertFalse(folder.exists())
        self.assertFalse(self.reactor.getDelayedCalls())

    def test_cannotBeRemoved(self) -> None:
        """It is not tried for ever."""
        self.delegate()
        cgroup = self.find().make(7)
        assert cgroup is not None
        cgroup.remove()
        self.reactor.pump([0.1] * 30)
        self.assertFalse(self.reactor.getDelayedCalls())
