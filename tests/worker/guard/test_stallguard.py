"""
Who holds the reactor, and the end of that.

Each of these runs a reactor in a process of its own, holds it, and reads what was made of that. All of it is about
fractions of seconds in which that process runs: a test that fails while the machine kept it waiting is made again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

from twisted.internet import reactor as trialsReactor
from twisted.trial.unittest import SynchronousTestCase

from revproxy.worker.guard.stallguard import StallGuard
from tests.harness import PATIENCE

STAGE = """
import json, os, signal, sys, threading, time
from types import ModuleType
from revproxy.loop.reactor import installUnlessChosen
reactor = installUnlessChosen()
from twisted.internet import defer, protocol
from twisted.logger import globalLogBeginner
globalLogBeginner.beginLoggingTo([lambda event: None], redirectStandardIO=False, discardBuffer=True)
from revproxy.worker.guard.stacksampler import Culprit
from revproxy.worker.guard.stallguard import StallGuard

LIMITS = {"slow": 0.3, "other": 0.3, "trusted": None}
CULPRITS = {
    f"revproxy_plugins.{name}_0_1.plugin": Culprit(name, "1.2.0", limit, name) for name, limit in LIMITS.items()
}

def load(name, source):
    module = ModuleType(f"revproxy_plugins.{name}_0_1.plugin")
    exec(compile(source, f"/plugins/{name}/plugin.py@0123456789ab", "exec"), module.__dict__)
    return module

def attempt(call, *args):
    began = time.monotonic()
    try:
        came = repr(call(*args))
    except BaseException as error:
        came = f"{type(error).__name__}: {error}"
    outcomes.append((came, time.monotonic() - began))

def waited():
    "Seconds that this thread was ready and did not run; many where that is not counted."
    try:
        return int(open("/proc/self/schedstat").read().split()[1]) / 1e9
    except (OSError, IndexError):
        return 1e9

outcomes, stalls, waits = [], [], []
guard = StallGuard(reactor, CULPRITS.get, stalls.append, limit=0.4)

def end():
    said = [(s.plugin, s.version, s.where, s.function, s.seconds, s.ended, s.key, s.cpuSeconds) for s in stalls]
    print(json.dumps({"outcomes": outcomes, "stalls": said, "interrupts": guard.interrupts,
                      "waited": waited() - min(waits, default=0)}))
    guard.stop()
    reactor.stop()

def play(scene, after=0.3):
    def run():
        scene()
        if after is not None:
            reactor.callLater(after, end)
    waits.append(waited())
    reactor.callLater(0.1, run)
    guard.start()
    reactor.run()
"""


@dataclass
class Saw:
    """A `Stall`, as it came out of the process."""

    plugin: str | None
    version: str | None
    where: str
    function: str
    seconds: float
    ended: bool
    key: Any
    cpuSeconds: float


TOLERATED = 0.03
"""Seconds that a scene's process may be kept waiting: the limits are a few ticks of `TICK` apart."""
ATTEMPTS = 8

BUSY = 0.03
"""Seconds of a processor's that a loop of 0.3 s has at least, where ten others want it; what sleeps has less."""


class Heart:
    """
    A thread that is to wake up all the time.

    :ivar late: seconds by which it did so too late, at worst: when the whole machine stood still.
    """

    def __init__(self) -> None:
        self.late = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def _beat(self) -> None:
        before = time.monotonic()
        while not self._stopped.wait(0.01):
            now = time.monotonic()
            self.late = max(self.late, now - before - 0.01)
            before = now

    def __enter__(self) -> Heart:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()
        self._thread.join()


class StageCase(SynchronousTestCase):
    """
    Plays scenes.

    :ivar waited: seconds that they were kept waiting.
    """

    waited = 0.0

    def run(self, result: Any) -> Any:
        """With its test made again while it fails for being kept waiting."""
        name = self._testMethodName
        test = getattr(self, name)

        def repeated() -> None:
            for _ in range(ATTEMPTS - 1):
                self.waited = 0.0
                try:
                    test()
                    return
                except (self.failureException, LookupError):
                    if self.waited <= TOLERATED:
                        raise
            test()

        setattr(self, name, repeated)
        return super().run(result)


class Played:
    """What came of a scene. :ivar said: on standard error."""

    def __init__(self, case: StageCase, scene: str) -> None:
        with Heart() as heart:
            done = subprocess.run(
                [sys.executable, "-c", STAGE + scene], capture_output=True, text=True, timeout=PATIENCE, check=False
            )
        self.said = done.stderr
        case.waited = max(case.waited, heart.late)
        case.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        case.waited = max(case.waited, told["waited"])
        self.outcomes: list[tuple[str, float]] = told["outcomes"]
        self.stalls = [Saw(*stall) for stall in told["stalls"]]
        self.interrupts: bool = told["interrupts"]


class EndedTests(StageCase):
    """Calls of plugins that are ended."""

    def ended(self, source: str, function: str = "handle", line: int | None = 2) -> Played:
        """Play a scene in which ``handle`` of a plugin is ended, and nothing else happens."""
        played = Played(self, f"plugin = load('slow', {source!r})\nplay(lambda: attempt(plugin.handle, None))")
        came, seconds = played.outcomes[0]
        self.assertIn("PluginStalled: held the reactor for 0.", came)
        self.assertTrue(0.29 < seconds < 2, seconds)
        (stall,) = played.stalls
        self.assertEqual((stall.plugin, stall.version, stall.key), ("slow", "1.2.0", "slow"))
        if line is not None:
            self.assertEqual(stall.where, f"/plugins/slow/plugin.py:{line}")
        self.assertEqual(stall.function, function)
        self.assertTrue(stall.ended)
        self.assertTrue(0.29 < stall.seconds < 2, stall.seconds)
        return played

    def test_loop(self) -> None:
        """A loop that never ends."""
        (stall,) = self.ended("def handle(context):\n    while True: pass").stalls
        self.assertGreater(stall.cpuSeconds, BUSY)

    def test_expression(self) -> None:
        """A regular expression with too many ways to fail."""
        self.ended("import re\ndef handle(context):\n    return re.match('(a+)+$', 'a' * 60 + 'b')", line=3)

    def test_swallows(self) -> None:
        """A loop that catches every Exception."""
        self.ended(
            "def handle(context):\n"
            "    while True:\n"
            "        try:\n"
            "            sum(range(100))\n"
            "        except Exception:\n"
            "            continue\n",
            line=None,
        )

    def test_sleeps(self) -> None:
        """Sleeping is holding. No processor has to do with it."""
        (stall,) = self.ended("from time import sleep\ndef handle(context):\n    sleep(30)", line=3).stalls
        self.assertLess(stall.cpuSeconds, BUSY)

    def test_blocks(self) -> None:
        """So is waiting for a socket without a time-out, as a client made for threads does."""
        self.ended("import socket\none, other = socket.socketpair()\ndef handle(context):\n    one.recv(1)", line=4)

    def test_lock(self) -> None:
        """And waiting for a lock that nobody gives back."""
        self.ended(
            "from threading import Lock\nlock = Lock()\nlock.acquire()\ndef handle(context):\n    lock.acquire()",
            line=5,
        )

    def test_callsUs(self) -> None:
        """A loop around calls into the edge: it is ended, and not while it is inside if that can be helped."""
        self.ended(
            "from revproxy.headers import Headers\n"
            "def handle(context):\n"
            "    headers = Headers()\n"
            "    while True: headers.set('a', 'b')\n",
            line=4,
        )

    def test_stuckInUs(self) -> None:
        """A call of ours that does not come back, for a plugin gave it too much to do, is ended a little later."""
        self.ended(
            "from itertools import repeat\n"
            "from twisted.internet.task import Clock\n"
            "def handle(context):\n"
            "    Clock().pump(repeat(0))\n",
            line=4,
        )

    def test_coroutine(self) -> None:
        """A coroutine that has waited before."""
        scene = """
plugin = load("slow", '''
async def handle(context, waiting):
    await waiting
    while True: pass
''')
waiting = defer.Deferred()
done = defer.Deferred.fromCoroutine(plugin.handle(None, waiting))
done.addErrback(lambda failure: outcomes.append((str(failure.value), 0)))
play(lambda: waiting.callback(None))
"""
        played = Played(self, scene)
        self.assertIn("held the reactor", played.outcomes[0][0])
        self.assertEqual([(s.where, s.ended) for s in played.stalls], [("/plugins/slow/plugin.py:4", True)])

    def test_delayed(self) -> None:
        """A timer of a plugin's, which the reactor calls without anybody of ours around it; the reactor goes on."""
        scene = """
plugin = load("slow", "def tick():\\n    while True: pass")
play(lambda: reactor.callLater(0, plugin.tick), after=1.5)
"""
        played = Played(self, scene)
        self.assertEqual([(s.function, s.ended) for s in played.stalls], [("tick", True)])

    def test_again(self) -> None:
        """What comes after an ended call is not ended with it, and is ended in its turn."""
        scene = """
slow = load("slow", "def handle(context):\\n    while True: pass")
other = load("other", "def handle(context):\\n    return sum(range(1000))")
def scene():
    attempt(slow.handle, None)
    attempt(other.handle, None)
    attempt(slow.handle, None)
play(scene)
"""
        played = Played(self, scene)
        self.assertEqual(
            [came.partition(":")[0] for came, _ in played.outcomes], ["PluginStalled", "499500", "PluginStalled"]
        )
        self.assertEqual([(s.plugin, s.ended) for s in played.stalls], [("slow", True)] * 2)

    def test_inner(self) -> None:
        """A plugin that runs within another's call is ended; the other goes on."""
        scene = """
slow = load("slow", "def handle(context):\\n    while True: pass")
other = load("other", '''
def handle(deferred, results):
    deferred.callback(None)
    return results[0].type.__name__
''')
deferred, results = defer.Deferred(), []
deferred.addCallback(slow.handle).addErrback(results.append)
play(lambda: attempt(other.handle, deferred, results))
"""
        played = Played(self, scene)
        self.assertEqual(played.outcomes[0][0], "'PluginStalled'")
        self.assertEqual([(s.plugin, s.ended) for s in played.stalls], [("slow", True)])

    def test_inChain(self) -> None:
        """To the chain it is a failure of the plugin, whether its answer comes at once or later."""
        scene = """
from zope.interface import directlyProvides
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.link import Link
from revproxy.loop.deadlines import Deadlines
from revproxy.interfaces import IMiddleware
from revproxy.testing import DestinationsDouble, makeContext
chains = []
for kind in ("def", "async def"):
    plugin = load("slow", f"{kind} handle(context):\\n    while True: pass")
    directlyProvides(plugin, IMiddleware)
    chains.append(Chain([Link(plugin, "slow", "1.2.0", open=False, timeout=10, deadlines=Deadlines(reactor, 0.5),
                              makeClient=lambda: None, services=lambda interface: None,
                              destinations=DestinationsDouble())]))
def scene():
    attempt(chains[0].enter, makeContext())
    chains[1].enter(makeContext()).addErrback(lambda failure: outcomes.append((repr(failure.value), 0)))
    outcomes.extend((repr(chain.links[0].counters.stalls), 0) for chain in chains)
play(scene)
"""
        played = Played(self, scene)
        first, second, *stalls = (came for came, _ in played.outcomes)
        self.assertIn("PluginFailed: slow 1.2.0: ", first)
        self.assertIn("PluginFailed('slow 1.2.0: ", second)
        self.assertEqual(stalls, ["1", "1"])


class SparedTests(StageCase):
    """What is not ended."""

    def test_inC(self) -> None:
        """One long call in C is named when it is over, though it is not ended."""
        scene = """
plugin = load("slow", "def handle(context):\\n    return sum(range(context))")
play(lambda: attempt(plugin.handle, 60_000_000))
"""
        played = Played(self, scene)
        self.assertEqual(played.outcomes[0][0], "1799999970000000")
        self.assertEqual(
            [(s.plugin, s.where, s.ended) for s in played.stalls], [("slow", "/plugins/slow/plugin.py:2", False)]
        )
        self.assertLess(abs(played.stalls[0].seconds - played.outcomes[0][1]), 0.2)

    def test_hangs(self) -> None:
        """When it takes very long, the stacks are written, even while nothing else can run."""
        scene = """
from revproxy.worker.guard import stallguard as module
module.HANG, module._REARM = 0.3, 0.1
plugin = load("slow", "def handle(context):\\n    return sum(range(context))")
play(lambda: attempt(plugin.handle, 60_000_000))
"""
        played = Played(self, scene)
        self.assertEqual(played.said.count("Timeout"), 1, played.said)
        self.assertIn('File "/plugins/slow/plugin.py@0123456789ab", line 2 in handle', played.said)

    def test_busyTurn(self) -> None:
        """A plugin that is called very often in one long turn, each time shortly, is neither ended nor named."""
        scene = """
plugin = load("slow", "def handle(context):\\n    return sum(range(2000))")
def scene():
    ends = time.monotonic() + 1
    while time.monotonic() < ends:
        plugin.handle(None)
play(lambda: attempt(scene))
"""
        played = Played(self, scene)
        self.assertEqual(played.outcomes[0][0], "None")
        self.assertEqual([(s.plugin, s.ended) for s in played.stalls], [(None, False)])

    def test_resumed(self) -> None:
        """A coroutine that is resumed very often, shortly each time, is none either."""
        scene = """
plugin = load("slow", '''
async def handle(wait):
    for _ in range(100_000):
        await wait()
        sum(range(2000))
''')
waiting = []
def wait():
    waiting.append(defer.Deferred())
    return waiting[-1]
defer.Deferred.fromCoroutine(plugin.handle(wait)).addErrback(lambda failure: outcomes.append((repr(failure), 0)))
def scene():
    ends = time.monotonic() + 1
    while time.monotonic() < ends:
        waiting.pop().callback(None)
play(lambda: attempt(scene))
"""
        played = Played(self, scene)
        self.assertEqual([came for came, _ in played.outcomes], ["None"])
        self.assertEqual([(s.plugin, s.ended) for s in played.stalls], [(None, False)])

    def test_nobody(self) -> None:
        """Without a plugin, nothing is ended; it is told where the reactor was held."""
        scene = """
def ours():
    ends = time.monotonic() + 2
    while time.monotonic() < ends: pass
play(lambda: attempt(ours))
"""
        played = Played(self, scene)
        self.assertEqual(played.outcomes[0][0], "None")
        (stall,) = played.stalls
        self.assertEqual((stall.plugin, stall.version, stall.function, stall.ended), (None, None, "ours", False))
        self.assertIn("the reactor is held, for 0.", played.said)
        self.assertIn("in ours", played.said)

    def test_trusted(self) -> None:
        """A plugin without a limit is named, and not ended."""
        scene = """
plugin = load("trusted", "from time import sleep\\ndef handle(context):\\n    sleep(2)")
play(lambda: attempt(plugin.handle, None))
"""
        played = Played(self, scene)
        self.assertEqual(played.outcomes[0][0], "None")
        self.assertEqual([(s.plugin, s.ended) for s in played.stalls], [("trusted", False)])
        self.assertIn("in plugin trusted 1.2.0, at /plugins/trusted/plugin.py:3 in handle\n", played.said)

    def test_suspended(self) -> None:
        """When the whole process was suspended, the plugin that ran meanwhile is not to blame."""
        scene = """
from revproxy.loop.reactor import EdgeReactor
import subprocess
plugin = load("slow", '''
import os, signal, time
def handle(context):
    ends = time.thread_time() + 0.03
    os.kill(os.getpid(), signal.SIGSTOP)
    while time.thread_time() < ends: pass
''')
waker = subprocess.Popen([sys.executable, "-c", f'''
import os, signal, time
path = "/proc/{os.getpid()}/stat"
while True:
    time.sleep(0.02)
    if open(path).read().rpartition(")")[2].split()[0] == "T":
        time.sleep(1)
        os.kill({os.getpid()}, signal.SIGCONT)
        break
'''])
play(lambda: attempt(plugin.handle, None))
waker.wait()
"""
        played = Played(self, scene)
        self.assertEqual(played.outcomes[0][0], "None")
        self.assertEqual([(s.plugin, s.ended) for s in played.stalls], [(None, False)])

    def test_idle(self) -> None:
        """While nothing is held, the alarm does not ring, children are reaped, and nothing is told."""
        scene = """
rang = []
real = guard._rang
guard._rang = lambda number, frame: rang.append(number) or real(number, frame)
class Child(protocol.ProcessProtocol):
    def processEnded(self, reason):
        outcomes.append((f"exit {reason.value.exitCode}, rang {len(rang)}", 0))
        reactor.callLater(1, end)
play(lambda: reactor.spawnProcess(Child(), sys.executable, [sys.executable, "-c", "raise SystemExit(3)"]), after=None)
"""
        played = Played(self, scene)
        self.assertEqual([came for came, _ in played.outcomes], ["exit 3, rang 0"])
        self.assertEqual(played.stalls, [])
        self.assertEqual(played.said, "")


class LifeTests(StageCase):
    """Starting, stopping, and doing with less."""

    def test_taken(self) -> None:
        """If somebody else uses the signal, holds are noticed and named all the same."""
        scene = """
mine = lambda number, frame: None
signal.signal(signal.SIGALRM, mine)
plugin = load("slow", "from time import sleep\\ndef handle(context):\\n    sleep(1)")
play(lambda: attempt(plugin.handle, None))
assert signal.getsignal(signal.SIGALRM) is mine
"""
        played = Played(self, scene)
        self.assertFalse(played.interrupts)
        self.assertEqual(played.outcomes[0][0], "None")
        self.assertEqual([(s.plugin, s.function, s.ended) for s in played.stalls], [("slow", "handle", False)])

    def test_stopped(self) -> None:
        """Stopped, everything is as before; and it can be started again."""
        scene = """
plugin = load("slow", "def handle(context):\\n    while True: pass")
def scene():
    assert signal.getsignal(signal.SIGALRM) != signal.SIG_DFL
    guard.stop()
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert threading.active_count() == 1, threading.enumerate()
    guard.stop()
    time.sleep(0.6)
    guard.start()
    reactor.callLater(0.1, attempt, plugin.handle, None)
play(scene, after=1.5)
"""
        played = Played(self, scene)
        self.assertIn("PluginStalled", played.outcomes[0][0])
        self.assertEqual([(s.plugin, s.ended) for s in played.stalls], [("slow", True)])

    def test_forgotten(self) -> None:
        """A process that ends without having stopped it is not killed by the alarm."""
        done = subprocess.run(
            [sys.executable, "-c", STAGE + "reactor.callLater(0.2, reactor.stop)\nguard.start()\nreactor.run()"],
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(done.returncode, 0)

    def test_notRunning(self) -> None:
        """Stopped before the reactor runs, it has never begun."""
        guard = StallGuard(trialsReactor, lambda name: None, lambda stall: None)
        threads = {*threading.enumerate()}
        guard.start()
        guard.stop()
        self.assertEqual({*threading.enumerate()} - threads, set())

    def test_identifyFails(self) -> None:
        """What ``identify`` raises strikes nobody, and is said once."""
        scene = """
def broken(name):
    raise ValueError("nobody knows")
guard._identify = broken
def ours():
    ends = time.monotonic() + 1
    while time.monotonic() < ends: pass
play(lambda: attempt(ours))
"""
        played = Played(self, scene)
        self.assertEqual(played.outcomes[0][0], "None")
        self.assertEqual(played.said.count("nobody knows"), 1)
        self.assertEqual([(s.plugin, s.where) for s in played.stalls], [(None, "")])
