"""
What is proved of a version, one job after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import makeBundle
from revproxy.config.configfile import parseConfig
from revproxy.plan.catalog import CatalogEntry, Selected, entryOf
from revproxy.proving.orders import Order, Report, Subject
from revproxy.proving.proof import Proof, counted, failureIn
from revproxy.proving.subjects import subjectOf, withLibraries
from revproxy.secrets import Secret
from tests.proving.subjects import plugin, subject


class ProofTests(SynchronousTestCase):
    """In what order, and until when."""

    def setUp(self) -> None:
        self.orders: list[Order] = []
        self.reports: dict[str, Report] = {}
        self.ended: list[str] = []
        self.corpus: Path | None = None
        self.during: Callable[[], None] = lambda: None

    def proof(self, candidate: Subject, corpus: Path | None = None, seconds: float = 60.0) -> Proof:
        outer = self

        class Process:
            def __init__(self, order: Order, corpus: Path | None) -> None:
                self.job = order.job
                outer.orders.append(order)
                outer.corpus = corpus

            def run(self) -> Report:
                outer.during()
                return outer.reports.get(self.job, Report())

            def end(self) -> None:
                outer.ended.append(self.job)

        return Proof(candidate, None, corpus, seconds, process=Process)

    def test_all(self) -> None:
        """It is loaded, its tests run, the recording is replayed: in the time that is left."""
        self.reports = {"tests": Report(output="Ran 12 tests in 0.1s\n"), "replay": Report(replayed=7)}
        report = self.proof(subject(tests={"test_a.py": ""}), Path("/corpus")).run()
        self.assertEqual([order.job for order in self.orders], ["load", "tests", "replay"])
        self.assertEqual((report.tests, report.replayed), (12, 7))
        self.assertEqual((self.corpus, self.orders[-1].corpus), (Path("/corpus"), "/corpus"))
        self.assertTrue(0 < self.orders[2].seconds <= self.orders[0].seconds <= 60)

    def test_firstProblem(self) -> None:
        """What comes after a problem is not tried."""
        self.reports = {"load": Report(("bad",))}
        self.assertEqual(self.proof(subject(tests={"test_a.py": ""}), Path("/corpus")).run(), Report(("bad",)))
        self.reports = {"tests": Report(("failed",), output="Ran 3 tests in 0.1s\nFAILED (failures=1)")}
        report = self.proof(subject(tests={"test_a.py": ""}), Path("/corpus")).run()
        self.assertEqual([order.job for order in self.orders], ["load", "load", "tests"])
        self.assertEqual((report.problems, report.tests), (("failed",), 3))

    def test_failures(self) -> None:
        """What was wrong with a test is told with it; that no test has run is wrong, too."""
        trial = "Traceback\n  File x\ntwisted.trial.unittest.FailTest: 418 != 200\n\nRan 2 tests in 0.1s\nFAILED"
        self.reports = {"tests": Report(("the tests did not pass",), output=trial)}
        report = self.proof(subject(tests={"test_a.py": ""})).run()
        self.assertEqual(
            report.problems, ("the tests did not pass: twisted.trial.unittest.FailTest: 418 != 200",)
        )
        self.assertEqual(failureIn("E       AssertionError: assert 1 == 2\n"), "AssertionError: assert 1 == 2")
        self.reports = {"tests": Report()}
        self.assertIn("no test has run", self.proof(subject(tests={"tests/test_a.py": ""})).run().problems[0])
        self.assertEqual(self.proof(subject(tests={"helpers.py": ""})).run().problems, ())

    def test_less(self) -> None:
        """Without tests none are run, and without a recording none is replayed."""
        self.proof(subject()).run()
        self.assertEqual([order.job for order in self.orders], ["load"])

    def test_givenUp(self) -> None:
        """What goes on is ended, and nothing else begins."""
        proof = self.proof(subject(tests={"test_a.py": ""}))
        self.during = proof.end
        self.assertEqual(proof.run().problems, ("it was given up",))
        self.assertEqual(self.ended, ["load"])
        self.assertEqual(len(self.orders), 1)

    def test_libraries(self) -> None:
        """What cannot be had in a locked process is said before there is one."""
        needs = subject(plugin(dependencies=["nowhere-at-all>=1"]), isLocked=True)
        (problem,) = self.proof(needs).run().problems
        self.assertIn("nowhere-at-all", problem)
        self.assertEqual(self.orders, [])
        brings = withLibraries(subject(plugin(dependencies=["idna"]), isLocked=True))
        self.assertIn("idna/__init__.py", brings.libraries["idna"])
        self.assertIn("vendor/idna/__init__.py", brings.bundle().files)
        self.assertEqual(withLibraries(subject()).libraries, {})

    def test_counted(self) -> None:
        """The last number is of all: trial's, or pytest's."""
        self.assertEqual(counted("Ran 1 test in 0.003s\n\nPASSED"), 1)
        self.assertEqual(counted("Ran 1 test in 0.003s\nRan 40 tests in 2s"), 40)
        self.assertEqual(counted("....\n4 passed in 0.01s"), 4)
        self.assertEqual(counted("===== 3 passed, 1 skipped in 0.5s ====="), 3)
        self.assertEqual(counted("nothing"), 0)


class SubjectTests(SynchronousTestCase):
    """Versions of a plan."""

    def test_configurations(self) -> None:
        """Each once, with the routes that have it; where it is off it has none."""
        text = """
listeners: [{endpoint: "tcp:0"}]
routes:
- {name: a, path: /a, respond: {status: 200}}
- {name: b, path: /b, respond: {status: 200}, plugins: {shop: {rate: 2}}}
- {name: c, path: /c, respond: {status: 200}, plugins: {shop: false}}
- {name: d, path: /d, respond: {status: 200}}
"""
        config = parseConfig(text, "revproxy.yaml", Path("/"))
        entry = entryOf(makeBundle("shop", plugin(), Path("/plugins/shop"), {"test_a.py": b""}), "plugin.json")
        assert isinstance(entry, CatalogEntry)
        usual, other = {"rate": 1}, {"rate": 2}
        made = subjectOf(Selected(entry, usual, {1: other, 2: None}), config)
        self.assertEqual(made.configs, (usual, other))
        self.assertEqual(made.routes, {"a": 0, "b": 1, "d": 0})
        self.assertEqual((made.directory, made.tests), ("/plugins/shop", {"test_a.py": b""}))

    def test_travels(self) -> None:
        """An order comes out as it went in; what is secret in it is known."""
        order = Order("replay", subject(configs=({"key": Secret("opensesame"), "list": [1, None]},)), seconds=7.5)
        read = Order.of(order.encoded())
        self.assertEqual(read.candidate.configs, ({"key": "opensesame", "list": [1, None]},))
        self.assertEqual((read.job, read.seconds, read.secrets), ("replay", 7.5, ("opensesame",)))
