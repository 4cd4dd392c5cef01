"""
The pure parts of ``benchmarks``: reading wrk, choosing rows, medians, tables, verdicts, collapsed stacks, counts of
instructions, snapshots of source trees.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import observability
from benchmarks.callgrind import parseTotals
from benchmarks.cycle import Edges, parts
from benchmarks.instructions import CASES, Outcome, chooseCases, outcomeTable, perRequest, verdict
from benchmarks.load import LoadResult, parseWrk
from benchmarks.measure import Sample
from benchmarks.processes import BenchmarkError
from benchmarks.profile import selfAndTotal
from benchmarks.report import Results, Target, figure, medians, rowTable, table
from benchmarks.rows import ROWS, Row, chooseRows
from benchmarks.trees import snapshot, usualBefore
from revproxy.config.configfile import parseConfig

WRK = """\
Running 4s test @ http://127.0.0.1:8080/small
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.21ms  373.00us   9.50ms   91.24%
    Req/Sec    53.01k     2.91k   57.00k    72.50%
  Latency Distribution
     50%    0.95ms
     75%    1.29ms
     90%    1.50ms
     99%    1.02s
  211201 requests in 4.00s, 34.64MB read
Requests/sec:  52773.10
Transfer/sec:      8.66MB
"""

PLAIN = '{"listeners": [{"endpoint": "tcp:1"}], "routes": [{"respond": {}}]}'

SMALL = next(row for row in ROWS if row.name == "small-64")
IDLE = next(row for row in ROWS if row.name == "idle")


class ObservabilityTests(SynchronousTestCase):
    """``observability``."""

    def test_switches(self) -> None:
        """Each switch is a key of the configuration that is on by default; all off is what no row has on."""
        for name, switch in observability.SWITCHES.items():
            text = json.dumps({"listeners": [{"endpoint": "tcp:1"}], "routes": [{"respond": {}}], **switch})
            config, plain = parseConfig(text, "r.json", Path("/")), parseConfig(PLAIN, "r.json", Path("/"))
            self.assertNotEqual((name, replace(config, document=None)), (name, replace(plain, document=None)))
        (row, without), case = observability.rowsFor([CASES[0]], False), CASES[0]
        off, on = row.configurations()
        self.assertEqual((off["logging"], off["metrics"], on), ({"remember": 0}, {"count": False}, {}))
        off, on = without.configurations()
        self.assertEqual((off["logging"], on), ({"access": "off", "remember": 0}, {"logging": {"access": "off"}}))
        alone = observability.rowsFor([case], True)
        self.assertEqual([row.names for row in alone], [(name,) for name in observability.SWITCHES])
        self.assertNotIn("metrics", alone[0].configurations()[1])
        self.assertEqual(alone[1].configurations()[1]["metrics"], {"count": False})

    def test_verdict(self) -> None:
        """What all together cost at most; of one alone nothing is asked."""
        row, alone = observability.rowsFor([CASES[0]], False)[0], observability.rowsFor([CASES[0]], True)[0]
        outcome = Outcome(([100.0], [150.0]), ([20.0, 30.0, 40.0], [24.0, 31.0, 49.0]))
        self.assertEqual(observability.differences(outcome), [1.0, 4.0, 9.0])
        self.assertIn("reached", observability.verdict({row: outcome}))
        self.assertIn("| all |", observability.outcomeTable({row: outcome}))
        outcome.cpu[1][:] = [34.0, 41.0, 49.0]
        self.assertIn("missed: in memory +11.0 µs", observability.verdict({row: outcome}))
        self.assertIn("reached", observability.verdict({alone: outcome}))


class WrkOutputTests(SynchronousTestCase):
    """``parseWrk``."""

    def test_clean(self) -> None:
        """Requests, seconds and latencies are read, each in its own unit, as milliseconds."""
        self.assertAlmostEqual(parseWrk(WRK.replace("0.95ms", "950.00us")).p50, 0.95)
        self.assertEqual(parseWrk(WRK), LoadResult(211201, 4.0, 0.95, 1020.0))

    def test_trouble(self) -> None:
        """Socket errors that happened and bad statuses are told; those that did not are not."""
        errors = "  Socket errors: connect 0, read 12, write 0, timeout 3\n  Non-2xx or 3xx responses: 44\n"
        self.assertEqual(parseWrk(WRK + errors).trouble, "44 responses not 2xx, 12 read errors, 3 timeout errors")

    def test_longTime(self) -> None:
        """A window of minutes is given in minutes by wrk."""
        self.assertEqual(parseWrk(WRK.replace("in 4.00s", "in 1.50m")).seconds, 90.0)

    def test_other(self) -> None:
        """What is no result is an error with its last line."""
        error = self.assertRaises(BenchmarkError, parseWrk, "usage: wrk\nunable to connect to 127.0.0.1\n")
        self.assertIn("unable to connect", str(error))
        self.assertRaises(BenchmarkError, parseWrk, "")


class RowChoiceTests(SynchronousTestCase):
    """``chooseRows``."""

    def names(self, chosen: str | None) -> list[str]:
        """Return the names of the rows chosen."""
        return [row.name for row in chooseRows(chosen)]

    def test_prefix(self) -> None:
        """The part before the hyphen stands for all rows that have it, in the order of the table."""
        self.assertEqual(self.names("tls-1, small"), ["small-1", "small-64", "small-512", "tls-1"])

    def test_exact(self) -> None:
        """A name that is a row's own means that row alone."""
        self.assertEqual(self.names("upload"), ["upload"])

    def test_standard(self) -> None:
        """Without names come the standard rows, with ``all`` the others, too."""
        self.assertNotIn("1m-tls", self.names(None))
        self.assertEqual(self.names("all"), [row.name for row in ROWS])

    def test_unknown(self) -> None:
        """A name that fits no row is refused."""
        self.assertRaises(ValueError, chooseRows, "small,huge")


class ReportTests(SynchronousTestCase):
    """Medians, tables and verdicts."""

    def results(self, *cpus: tuple[str, list[float]], row: Row = SMALL) -> Results:
        """Return results of proxies with these CPU figures in a row."""
        results = Results({name: name for name, _ in cpus} | {"caddy": "Caddy"})
        for name, figures in cpus:
            for cpu in figures:
                results.add(
                    row, name, Sample(cpu=cpu, system=0.75, rate=1e6 / cpu, p50=1.0, p99=2.0, resident=5_000_000)
                )
        return results

    def test_medians(self) -> None:
        """Each figure has its own median; troubles are joined."""
        samples = [Sample(cpu=c, p99=p, trouble=t) for c, p, t in [(1, 9, ""), (3, 1, "x"), (2, 5, "x")]]
        self.assertEqual(medians(samples), Sample(cpu=2, p99=5, trouble="x"))

    def test_table(self) -> None:
        """Columns are as wide as their widest cell; only the first and the note stand left."""
        expected = "| a    |  b | note |\n|------|---:|------|\n| long |  1 | x    |\n| s    | 22 |      |"
        self.assertEqual(table(("a", "b", "note"), [("long", "1", "x"), ("s", "22", "")]), expected)

    def test_row(self) -> None:
        """A row shows medians, spread and the ratio to nginx."""
        text = rowTable(SMALL, self.results(("nginx", [20.0, 19.0, 30.0]), ("us", [50.0])))
        cells = [[cell.strip() for cell in line.split("|")[1:7]] for line in text.splitlines() if "|" in line]
        self.assertEqual(cells[2], ["nginx", "20.0", "75%", "19.0–30.0", "1.00", "50,000"])
        self.assertEqual(cells[3], ["us", "50.0", "75%", "50.0–50.0", "2.50", "20,000"])

    def test_missing(self) -> None:
        """A proxy without samples has a line with the reason, and no proxy has a ratio when nginx is missing."""
        results = self.results(("us", [50.0]))
        results.failures["small-64", "caddy"] = "answers 502"
        text = rowTable(SMALL, results)
        self.assertRegex(text, r"Caddy .*answers 502")
        self.assertRegex(text, r"us +\| +50\.0 \| +75% \| +50\.0–50\.0 \| +– \|")

    def test_idle(self) -> None:
        """An idle row shows kilobytes per connection."""
        results = Results({"us": "us"})
        results.add(IDLE, "us", Sample(perConnection=12_340.0, resident=90_000_000))
        self.assertRegex(
            rowTable(IDLE, results), r"5,000 idle connections, HTTP\n\n.*KB/connection(.*\n)+.*us +\| +12\.3 "
        )

    def test_verdict(self) -> None:
        """A target compares medians; it has no verdict when one side was not measured."""
        results = self.results(("nginx", [20.0]), ("us", [55.0]), ("us5", [80.0]))
        self.assertEqual(Target("us", "small-64", "cpu", 3.0, "nginx").judge(results), "reached, 2.75")
        self.assertEqual(Target("us5", "small-64", "cpu", 3.5, "nginx").judge(results), "missed, 4.00")
        self.assertIsNone(Target("us", "small-64", "cpu", 0.6, "caddy").judge(results))
        self.assertIsNone(Target("us", "idle", "perConnection", 25e3).judge(results))

    def test_drift(self) -> None:
        """A ratio is the median of the runs' ratios, so a machine that slows down between runs does not change it."""
        results = self.results(("nginx", [20.0, 20.0, 40.0]), ("us", [60.0, 120.0, 120.0]))
        self.assertEqual(results.ratio("small-64", "us", "nginx", "cpu"), 3.0)
        results.add(SMALL, "us", Sample(cpu=60.0))
        self.assertEqual(results.ratio("small-64", "us", "nginx", "cpu"), 4.5)

    def test_figures(self) -> None:
        """Numbers have about three digits."""
        self.assertEqual([figure(v) for v in (0.5, 12.345, 123.4, 1234.5)], ["0.50", "12.3", "123", "1,234"])


class CollapsedStackTests(SynchronousTestCase):
    """``selfAndTotal``."""

    def test_counts(self) -> None:
        """A frame's own samples are those where it is last; recursion counts once in the total."""
        main = "thread (7): MainThread;run (a.py)"
        own, total = selfAndTotal([f"{main};read (b.py);read (b.py) 3\n", f"{main} 1\n", "\n"])
        self.assertEqual(own, {"read (b.py)": 3, "run (a.py)": 1})
        self.assertEqual(total, {"run (a.py)": 4, "read (b.py)": 3})

    def test_otherThreads(self) -> None:
        """Stacks of other threads than the reactor's are left out."""
        own, _ = selfAndTotal(["thread (8): PoolThread-0;wait (threading.py) 9\n"])
        self.assertEqual(own, {})


class InstructionTests(SynchronousTestCase):
    """``benchmarks.instructions``: dumps, differences, the table."""

    def outcome(self, before: list[float], after: list[float]) -> Outcome:
        """Return what counts of two trees have shown."""
        return Outcome((before, after), ([80.0, 100.0, 90.0], [88.0, 90.0, 90.0]))

    def test_dump(self) -> None:
        """The last line of totals counts; a dump without one is incomplete."""
        self.assertEqual(parseTotals("events: Ir\nsummary: 12\n\nfn=(1) totals: 9\n1 12\ntotals: 13\n"), 13)
        self.assertRaises(BenchmarkError, parseTotals, "events: Ir\nsummary: 12\n")

    def test_perRequest(self) -> None:
        """What both windows have falls out."""
        self.assertEqual(perRequest(100, 2100, 5_000_000 + 100 * 190_000, 5_000_000 + 2100 * 190_000), 190_000)

    def test_table(self) -> None:
        """A row shows medians, the change, how far counts lie apart, and the median of the pairs' CPU ratios."""
        text = outcomeTable({CASES[0]: self.outcome([200e3, 201e3, 199e3], [202e3, 202e3, 202e3])})
        cells = [cell.strip() for cell in text.splitlines()[2].split("|")[1:-1]]
        self.assertEqual(
            cells, ["in memory", "200,000", "202,000", "+1.00%", "1.00%", "90.0", "90.0", "1.000", "0.90–1.10"]
        )

    def test_countsOnly(self) -> None:
        """Of one count there is no scatter; without pairs there are no figures of CPU time."""
        text = outcomeTable({CASES[0]: Outcome(([1e3], [1e3]))})
        self.assertRegex(text, r"\+0\.00% +\| +– \| +– \| +– \| +– \| +– \|$")

    def test_verdict(self) -> None:
        """Three per cent more are allowed; a row with more than that is named."""
        outcomes = {CASES[0]: self.outcome([100.0], [103.0]), CASES[2]: self.outcome([100.0], [90.0])}
        self.assertEqual(verdict(outcomes), "Instructions per request ≤ +3%: reached in every row")
        outcomes[CASES[3]] = self.outcome([1000.0], [1031.0])
        self.assertEqual(
            verdict(outcomes), "Instructions per request ≤ +3%: missed: process, HTTP, five plugins +3.10%"
        )

    def test_cases(self) -> None:
        """Rows are chosen by name and come in the order of the table."""
        self.assertEqual([case.name for case in chooseCases("tls5, memory")], ["memory", "tls5"])
        self.assertRaises(ValueError, chooseCases, "memory,quic")


class TreeTests(SynchronousTestCase):
    """``benchmarks.trees``."""

    def setUp(self) -> None:
        """A repository with one commit."""
        self.root = Path(self.mktemp())
        self.plugin = self.root / "twisted" / "plugins" / "revproxy_plugin.py"
        self.plugin.parent.mkdir(parents=True)
        self.plugin.write_text("first")
        (self.root / ".gitignore").write_text("var\n")
        self.git("init", "-q")
        self.git("add", ".")
        self.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
        self.trees = Path(self.mktemp())
        self.trees.mkdir()

    def git(self, *arguments: str) -> None:
        """Do something in the repository."""
        subprocess.run(["git", "-C", str(self.root), *arguments], check=True, capture_output=True)

    def test_commit(self) -> None:
        """A commit is copied as it was committed."""
        self.plugin.write_text("second")
        tree = snapshot("HEAD", self.trees / "1", self.root)
        self.assertEqual((tree.path / "twisted" / "plugins" / "revproxy_plugin.py").read_text(), "first")
        self.assertEqual([path.name for path in self.trees.iterdir()], ["1"])

    def test_workingTree(self) -> None:
        """The working tree is copied with new files and without ignored and deleted ones."""
        self.plugin.write_text("second")
        (self.root / "var").write_text("ignored")
        (self.root / "new").write_text("")
        (self.root / "gone").write_text("")
        self.git("add", "gone")
        (self.root / "gone").unlink()
        tree = snapshot(None, self.trees / "1", self.root)
        self.assertEqual((tree.path / "twisted" / "plugins" / "revproxy_plugin.py").read_text(), "second")
        self.assertEqual(sorted(path.name for path in tree.path.iterdir()), [".gitignore", "new", "twisted"])
        self.assertIn("working tree on ", tree.title)

    def test_unknown(self) -> None:
        """What is no commit is said."""
        error = self.assertRaises(BenchmarkError, snapshot, "nowhere", self.trees / "1", self.root)
        self.assertIn("nowhere: git rev-parse: ", str(error))

    def test_before(self) -> None:
        """What is not committed is compared with HEAD; what is, with the commit before."""
        self.assertEqual(usualBefore(self.root), "HEAD~1")
        self.plugin.write_text("second")
        self.assertEqual(usualBefore(self.root), "HEAD")


class CycleTests(SynchronousTestCase):
    """What is timed is a request and an answer, and runs."""

    def test_requests(self) -> None:
        """Each request reaches the origin's connection and is answered, with plugins and without."""
        for plugins in (0, 2):
            edges = Edges(plugins)
            edges.requests(300)
            self.assertEqual((edges.server.served, edges.origins[0].served, len(edges.origins)), (300, 300, 1))

    def test_parts(self) -> None:
        """Every part can be called."""
        for function in parts(Edges()).values():
            function()
