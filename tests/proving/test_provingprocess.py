"""
Versions proved in processes of their own: loaded, and tested.
"""

from __future__ import annotations

import os
import select
import threading
from functools import cache
from time import monotonic

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from revproxy.proving.orders import Order, Report, Subject
from revproxy.proving.proof import counted
from revproxy.proving.provingprocess import ProvingProcess
from revproxy.secrets import Secret
from tests.proving.subjects import plugin, proved, subject

CASE = """
from pathlib import Path
from twisted.trial.unittest import SynchronousTestCase, TestCase
from revproxy.testing import EdgeDouble, loadPlugin

class ShopTests(SynchronousTestCase):
    def test_lets(self):
        plugin = loadPlugin(Path(__file__).parent)
        self.addCleanup(plugin.unload)
        self.assertEqual(EdgeDouble(plugin.make()).get("/").status, 200)
"""


def within(text: str) -> str:
    """Further lines of the test case."""
    return CASE + "".join(f"    {line}\n" for line in text.strip("\n").split("\n"))


@cache
def unlockable() -> str:
    """Why no process can be locked here; empty: one can."""
    return next((each for each in proved("tests", subject(isLocked=True)).problems if "can be had" in each), "")


class LoadTests(SynchronousTestCase):
    """Whether a version can be loaded and made."""

    def test_good(self) -> None:
        """One that is well has no problem."""
        self.assertEqual(proved("load", subject()), Report())

    def test_bad(self) -> None:
        """What is wrong is told in a line with its place."""
        schema = {"type": "object", "required": ["rate"]}
        for files, told in (
            ({**plugin(), "plugin.py": b"def PluginMain(:\n"}, "/plugins/shop/plugin.py:1:"),
            ({**plugin(), "plugin.py": b"import nowhere_at_all\n"}, "no module named nowhere_at_all"),
            ({**plugin(), "plugin.py": b"def PluginMain(config):\n    return 7\n"}, "does not provide IMiddleware"),
            (plugin(config_schema=schema), 'missing "rate"'),
            ({**plugin(), "plugin.json": b"{"}, "plugin.json:1:"),
        ):
            report = proved("load", subject(files))
            (problem,) = report.problems
            self.assertIn(told, problem)
            self.assertNotIn("\n", problem)

    def test_eachConfiguration(self) -> None:
        """It is made with each of those that it would run with."""
        files = plugin()
        files["plugin.py"] = files["plugin.py"].replace(b"self.config = config", b"self.rate = 1 / config['rate']")
        report = proved("load", subject(files, configs=({"rate": 1}, {"rate": 0})))
        self.assertIn("PluginMain raised ZeroDivisionError", report.problems[0])

    def test_ends(self) -> None:
        """One that ends its process has a problem, and nobody else has."""
        files = {**plugin(), "plugin.py": b"import os\nos._exit(7)\n"}
        told = ("its process ended with status 7, and has told nothing",)
        self.assertEqual(proved("load", subject(files)).problems, told)

    def test_locked(self) -> None:
        """One for a locked process is loaded in one, and not here."""
        self.assertEqual(proved("load", subject(isLocked=True)), Report())
        opens = {**plugin(), "plugin.py": b"open('/etc/hostname')\n"}
        (problem,) = proved("load", subject(opens, isLocked=True)).problems
        self.assertIn("Permission", problem)

    def test_secrets(self) -> None:
        """What is secret in a configuration gets there, and into no report."""
        files = plugin()
        files["plugin.py"] = files["plugin.py"].replace(
            b"self.config = config", b"raise ValueError(config['key'] * 2, type(config['key']))"
        )
        (problem,) = proved("load", subject(files, configs=({"key": Secret("opensesame")},))).problems
        self.assertIn("******", problem)
        self.assertNotIn("opensesame", problem)


class OpenTests(SynchronousTestCase):
    """The tests of a version that runs in the edge's own process."""

    def test_pass(self) -> None:
        """They run in a folder of their own, and are counted."""
        report = proved("tests", subject(tests={"test_shop.py": CASE}))
        self.assertEqual(report.problems, ())
        self.assertEqual(counted(report.output), 1)

    def test_fail(self) -> None:
        """One that fails is a problem, and what it printed is told."""
        report = proved("tests", subject(plugin("return context.respond(418)"), {"test_shop.py": CASE}))
        self.assertEqual(report.problems, ("the tests did not pass",))
        self.assertIn("418", report.output)

    def test_none(self) -> None:
        """Without tests there is nothing to say."""
        self.assertEqual(proved("tests", subject()), Report())

    def test_hang(self) -> None:
        """Those that do not end are ended."""
        sleeps = within("def test_hangs(self):\n    import time; time.sleep(600)")
        started = monotonic()
        (problem,) = proved("tests", subject(tests={"test_shop.py": sleeps}), 4.0).problems
        self.assertIn("within 4 s", problem)
        self.assertLess(monotonic() - started, 60)

    def test_outlives(self) -> None:
        """What leaves their group to outlive them ends with them, and so do their temporary files."""
        leaves = within("""
def test_leaves(self):
    import os, tempfile, time
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writing, str(os.getpid()).encode())
            time.sleep(600)
        os._exit(0)
    print(f"child {os.read(reading, 20).decode()} in {tempfile.mkdtemp()} .", flush=True)
""")
        report = proved("tests", subject(tests={"test_shop.py": leaves}))
        child, _, place = report.output.partition("child ")[2].split()[:3]
        self.assertEqual(report.problems, ())
        self.assertTrue(self.ends(int(child)))
        self.assertFalse(os.path.exists(place))

    def ends(self, pid: int) -> bool:
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        self.addCleanup(os.close, process)
        return bool(select.select([process], [], [], 30)[0])

    def test_givenUp(self) -> None:
        """Who has given it up waits for nothing; what the tests have begun ends with them."""
        begun, ended, said = threading.Event(), [], bytearray()
        sleeps = "import subprocess, sys, time\n" + within("""
def test_hangs(self):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(f"child {child.pid} begun", flush=True)
    time.sleep(600)
""")

        def heard(data: bytes) -> None:
            said.extend(data)
            if b" begun" in said:
                begun.set()

        order = Order("tests", subject(tests={"test_shop.py": sleeps}), seconds=120.0)
        process = ProvingProcess(order, onOutput=heard)
        thread = threading.Thread(target=lambda: ended.append(process.run()), daemon=True)
        thread.start()
        self.assertTrue(begun.wait(60))
        process.end()
        thread.join(60)
        self.assertEqual([report.problems for report in ended], [("it was given up",)])
        self.assertTrue(self.ends(int(said.partition(b"child ")[2].split()[0])))
        self.assertEqual(process.run().problems[0], "no process can be started to prove it in: it was given up")


class LockedTests(SynchronousTestCase):
    """The tests of a version that runs in a locked process."""

    def setUp(self) -> None:
        if unlockable():
            raise SkipTest(unlockable())

    def test_pass(self) -> None:
        """They have the plugin from memory, may wait, import each other, and be functions."""
        waits = CASE + """
    def test_helps(self):
        import helpers
        self.assertEqual(helpers.HELP, 7)

class WaitingTests(TestCase):
    def test_waits(self):
        from twisted.internet import reactor
        from twisted.internet.task import deferLater
        return deferLater(reactor, 0.01, lambda: None)

def test_function():
    assert True
"""
        report = proved("tests", subject(tests={"test_shop.py": waits, "helpers.py": "HELP = 7"}, isLocked=True))
        self.assertEqual((report.problems, report.tests), ((), 4), report.output)

    def test_locked(self) -> None:
        """No file, no socket, no process: what the plugin cannot do its tests cannot do."""
        tries = CASE + """
    def test_file(self):
        open("/etc/passwd")

    def test_socket(self):
        import socket
        socket.socket()

    def test_process(self):
        import os
        os.fork()
"""
        report = proved("tests", subject(tests={"test_shop.py": tries}, isLocked=True))
        self.assertEqual(report.problems, ("the tests did not pass",), report.output)
        self.assertIn("FAILED (errors=3, successes=1)", report.output)
        self.assertIn('open("/etc/passwd")', report.output)

    def test_deadly(self) -> None:
        """What no honest plugin does ends the process, and is told."""
        tries = CASE + """
    def test_program(self):
        import os
        os.execv("/bin/true", ["true"])
"""
        report = proved("tests", subject(tests={"test_shop.py": tries}, isLocked=True))
        self.assertEqual(report.problems, ("its process ended by SIGSYS, and has told nothing",))

    def test_pytest(self) -> None:
        """What only pytest can run says what to do."""
        tests = {"test_shop.py": "def test_it(tmp_path):\n    pass\n"}
        (problem,) = proved("tests", subject(tests=tests, isLocked=True)).problems
        self.assertIn("/plugins/shop/test_shop.py: test_it is a test that only pytest can run", problem)

    def test_broken(self) -> None:
        """What cannot be imported is a problem."""
        (problem,) = proved("tests", subject(tests={"test_shop.py": "import nowhere_"}, isLocked=True)).problems
        self.assertIn("the tests cannot be imported: ModuleNotFoundError", problem)

    def test_environment(self) -> None:
        """Nothing of this process's environment is there."""
        self.patch(os, "environ", {**os.environ, "SESAME": "open"})
        looks = CASE + """
    def test_environment(self):
        import os
        self.assertNotIn("SESAME", os.environ)
"""
        report = proved("tests", subject(tests={"test_shop.py": looks}, isLocked=True))
        self.assertEqual((report.problems, report.tests), ((), 2), report.output)

    def test_level(self) -> None:
        """One that has to be locked better than this machine can is not run."""
        if proved("tests", subject(isLocked=True), minimumLevel="A").problems:
            raise SkipTest("there is no level A here")
        candidate = subject(tests={"test_shop.py": CASE}, isLocked=True)
        self.assertIsInstance(candidate, Subject)
        self.assertEqual(proved("tests", candidate, minimumLevel="A").problems, ())
