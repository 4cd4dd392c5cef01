"""
Locked processes under the reactor that runs, and what becomes of them when their edge is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from revproxy.isolation.frames import Done, Step, Up
from revproxy.isolation.process.gone import Gone
from revproxy.isolation.process.processes import Processes
from tests.isolation.process.stage import INSIDES, OBEDIENT, isThere

ROOT = Path(__file__).parents[3]

PATH = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])

EDGE = f"""
import sys
sys.path.append({INSIDES!r})
from twisted.internet import reactor
from revproxy.isolation.frames import Step
from revproxy.isolation.process.processes import Processes
processes = Processes(reactor, inside={OBEDIENT!r})
pids = []
for deed in (b'["spin"]', b'["burn", 1]'):
    process = processes.waitFor(processes.take(repr(deed)), 60)
    process.attach(print, print, print)
    process.send(Step(1, "updateConfig", deed))
    pids.append(process.pid)
process.held()
from pathlib import Path
pids.append(next(int(line.split()[1]) for line in Path(f"/proc/{{pids[0]}}/status").open() if line.startswith("PPid")))
print(*pids, flush=True)
reactor.run()
"""


FIRST = f"""
import ctypes, os, signal, sys
sys.path.append({INSIDES!r})
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from revproxy.isolation.process.processes import Processes
from tests.isolation.process.stage import fieldsOf
processes = Processes(reactor, inside={OBEDIENT!r}, spares=0)
ends = []
for version in "ab":
    process = processes.waitFor(processes.take(version), 60)
    ends.append(Deferred())
    process.attach(print, ends[-1].callback, print)
os.kill(int(fieldsOf(process.pid)["PPid"]), signal.SIGKILL)
processes.waitFor(DeferredList(ends), 60)
processes.waitFor(processes.close(), 60)
while processes._descriptors._readers:
    processes._descriptors._once(1)
print("children:", open(f"/proc/self/task/{{os.getpid()}}/children").read(), flush=True)
"""


class ReactorTests(TestCase):
    """Twisted's own."""

    async def test_wholeLife(self) -> None:
        """Taken before or after it runs, told something, killed."""
        self.patch(sys, "path", [*sys.path, INSIDES])
        processes = Processes(reactor, inside=OBEDIENT)
        self.addCleanup(processes.close)
        process = await processes.take("quota 1.0.0")
        said: Deferred[Up] = Deferred()
        ended: Deferred[Gone] = Deferred()
        process.attach(said.callback, ended.callback, print)
        process.send(Step(1, "updateConfig", b'["take", 1]'))
        self.assertEqual(await said, Done(1, b'"taken"'))
        process.kill("it was told to")
        self.assertEqual((await ended).text, "it was told to")
        process = await processes.take("quota 1.0.0")
        ended = Deferred()
        process.attach(print, ended.callback, print)
        process.send(Step(1, "updateConfig", b'["forbidden"]'))
        self.assertTrue((await ended).isForbiddenCall)
        await processes.close()
        while isThere(process.pid):
            await deferLater(reactor, 0.01)


class KilledEdgeTests(SynchronousTestCase):
    """An edge that nobody has asked to end."""

    def test_nothingOutlivesIt(self) -> None:
        """Whatever its processes do, the one that spins too, all end with it, by the kernel."""
        edge = subprocess.Popen(
            [sys.executable, "-c", EDGE], stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": PATH}
        )
        self.addCleanup(edge.wait)
        self.addCleanup(edge.kill)
        assert edge.stdout is not None
        self.addCleanup(edge.stdout.close)
        pids = [int(pid) for pid in edge.stdout.readline().split()]
        self.assertEqual(len(pids), 3)
        self.assertTrue(all(map(isThere, pids)))
        edge.send_signal(signal.SIGKILL)
        edge.wait()
        end = monotonic() + 30
        while any(map(isRunning, pids)):
            self.assertLess(monotonic(), end, "something has outlived its edge")


class FirstProcessTests(SynchronousTestCase):
    """An edge that is process 1 of a container: whoever loses his parent becomes its child."""

    def test_orphans(self) -> None:
        """When the template ends, what it has forked is reaped, and nothing else."""
        said = subprocess.run(
            [sys.executable, "-c", FIRST],
            capture_output=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": PATH},
            timeout=120,
        )
        self.assertEqual((said.stdout.strip(), said.returncode), (b"children:", 0), said.stderr)


def isRunning(pid: int) -> bool:
    """Whether a process is there and not only its number, which some init may keep for long."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
