"""
Whoever changes what the edge is, by whatever way, leaves exactly one audit record; and from the records, one after the
other, what is in force can be made again. What was changed can be taken back, all of it or nothing.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.operation import Answer, Call
from revproxy.admin.operations.configuration import UNSHOWN
from revproxy.admin.problem import Problem
from revproxy.admin.table import allOperations
from revproxy.control.actor import Actor
from revproxy.control.commands import CommandError
from revproxy.control.history.standing import NOTHING, Standing, applied
from revproxy.control.history.verification import verify
from revproxy.plan.words import Failures
from tests.coordinators import Bench

ROOT = Actor("socket", "root")
ANN = Actor("http", "ann", "t1", "configure", "192.0.2.1")
UPSTREAMS = "upstreams: {o: {targets: ['http://127.0.0.1:1', 'http://127.0.0.1:2']}}\n"
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "additionalProperties": False}


class Recorded(Bench):
    """A bench that records."""

    def begin(self) -> None:
        """As a process does."""
        self.prepare()
        self.worker.counters.start()
        self.control.audit.begin()
        self.control.history.begin()
        self.result(self.control.startup.begin())
        self.operations = {operation.name: operation for operation in allOperations(self.control)}

    def end_(self) -> None:
        """It ends as it should."""
        self.control.stop()
        self.result(self.end())
        self.result(self.control.end())
        self.state.release()

    def ask(
        self, operation: str, actor: Actor = ROOT, body: Any = None, ifMatch: str | None = None, **values: Any
    ) -> Any:
        """What an operation answers; the text of a problem where it refuses."""
        found = self.operations[operation]
        given = {parameter.name: parameter.schema.get("default") for parameter in found.parameters}
        call = Call(actor, {**given, **values}, {} if body is None else body, ifMatch)
        try:
            answer = self.result(found.handler(call))
        except (Problem, CommandError) as error:
            return error
        return answer.value if isinstance(answer, Answer) else answer

    def records(self) -> list[dict[str, Any]]:
        """All of them, the oldest first."""
        self.clock.advance(0)
        found: list[dict[str, Any]] = self.result(self.control.audit.page(None, 100_000))
        return found[::-1]

    def standing(self) -> Standing:
        """How things stand."""
        plan = self.coordinator.plan
        assert plan is not None
        return Standing.of(plan, self.coordinator.records, self.control.snapshots.textOf(plan.config))

    def failing(self, name: str) -> None:
        """What runs of a plugin fails until it is taken out."""
        plan = self.coordinator.plan
        selected = None if plan is None else plan.find(name)
        if selected is not None:
            self.control.inbox.receive(0, Failures(name, selected.entry.version, 50, 50))
        for _ in range(20):
            self.clock.advance(0.1)


class RecordedCase(SynchronousTestCase):
    """With an edge of three plugins."""

    def setUp(self) -> None:
        self.bench = Recorded(Path(self.mktemp()), "[{upstream: o}]", UPSTREAMS)
        for name in "abc":
            self.bench.write(name, version="1.0", config_schema=SCHEMA)
        self.bench.begin()
        self.addCleanup(self._end)

    def _end(self) -> None:
        if not self.bench.coordinator.hasEnded:
            self.bench.end_()

    def text(self) -> str:
        """Of the configuration file."""
        return self.bench.file.read_text()

    def etag(self) -> str:
        """Of the configuration file."""
        etag: str = self.bench.ask("readConfig")["etag"]
        return etag


class AllWaysTests(RecordedCase):
    """Changes by socket, HTTP, files, and the edge itself."""

    def test_each(self) -> None:
        """Two hundred, at random, with restarts between them: one record each; replayed, they give what is in force."""
        dice = random.Random(20261128)
        count = total = 0
        while count < 200:
            before = len(self.bench.records())
            expected = self._change(dice, count)
            made = len(self.bench.records()) - before
            self.assertEqual(made, expected, [record["action"] for record in self.bench.records()[-3:]])
            count += expected
            total += 1
            if total % 60 == 0:
                self.bench.end_()
                self.bench.begin()
        records = self.bench.records()
        self.assertGreaterEqual({record["actor"]["via"] for record in records}, {"socket", "http", "files", "edge"})
        replayed = NOTHING
        for record in records:
            if isinstance(record["diff"], dict):
                self.assertEqual(record["before_hash"], replayed.hash)
                replayed = applied(replayed, record["diff"])
                self.assertEqual(record["after_hash"], replayed.hash)
        self.assertEqual(replayed, self.bench.standing())
        verdict = verify(self.bench.root / "var" / "audit", self.bench.control.audit.head)
        self.assertEqual((verdict.problems, verdict.count), ((), len(records)))

    def _change(self, dice: random.Random, number: int) -> int:
        """Something is changed. :returns: how many records there should be."""
        name, actor = dice.choice("abc"), dice.choice([ROOT, ANN])
        way = dice.choice(["command", "command", "files", "config", "plugin-config", "target", "edge"])
        if way == "command":
            command = dice.choice(["enablePlugin", "disablePlugin", "pinPlugin", "unpinPlugin", "rollbackPlugin"])
            self.bench.ask(command, actor, {"reason": str(number)}, name=name)
        elif way == "config":
            text = f"{self.text().partition('timeouts')[0]}timeouts: {{idle: {100 + number}}}\n"
            if dice.random() < 0.3:
                text += "nonsense: 1\n"
            self.bench.ask("writeConfig", actor, {"text": text}, self.etag())
        elif way == "plugin-config":
            value = {"x": dice.choice([number, "wrong"])}
            self.bench.ask("writePluginConfig", actor, {"config": value}, name=name)
        elif way == "target":
            command = dice.choice(["drainTarget", "undrainTarget", "weighTarget"])
            more = {"weight": 2 + number} if command == "weighTarget" else {}
            self.bench.ask(command, actor, {"target": "http://127.0.0.1:1", **more}, name="o")
        else:
            return self._byItself(dice, name, number, way)
        return 1

    def _byItself(self, dice: random.Random, name: str, number: int, way: str) -> int:
        """What the files and the edge do changes something, or is refused, or neither."""
        standing, told = self.bench.standing(), len(self.bench.events.latest(10_000))
        if way == "edge":
            self.bench.failing(name)
        else:
            kind = dice.choice(["version", "broken", "text"])
            if kind == "version":
                self.bench.write(name, version=f"1.{number + 1}", config_schema=SCHEMA)
            elif kind == "broken":
                self.bench.write(name, f"raise ValueError({number})", version=f"1.{number + 1}", config_schema=SCHEMA)
            else:
                self.bench.file.write_text(self.text() + f"# {number}\n")
            self.bench.apply()
        happened = self.bench.events.latest(10_000)[told:]
        news = [event for event in happened if event.kind in ("refused", "quarantined")]
        return 1 if news or standing != self.bench.standing() else 0

    def test_late(self) -> None:
        """A rollback that is answered before the store has said what there is is recorded once, as it ended."""
        self.bench.write("a", version="2.0", config_schema=SCHEMA)
        self.bench.apply()
        for isThere in (False, True):
            stored, found = Deferred[Any](), self.bench.coordinator.records.goodBefore("a", "")[-1]
            self.patch(self.bench.coordinator.keeper, "firstStored", lambda *_, stored=stored: stored)
            before = len(self.bench.records())
            self.bench.ask("rollbackPlugin", ANN, {"reason": "why"}, name="a")
            self.assertEqual(len(self.bench.records()), before)
            stored.callback(found if isThere else None)
            records = self.bench.records()
            shown = [(record["action"], record["result"], record["reason"]) for record in records[before:]]
            self.assertEqual(shown, [("rollback", "done" if isThere else "refused", "why")])

    def test_expiry(self) -> None:
        """What ends by itself is recorded as done by the edge."""
        self.bench.ask("drainTarget", ANN, {"target": "http://127.0.0.1:1", "for": 60}, name="o")
        self.bench.clock.advance(61)
        last = self.bench.records()[-1]
        self.assertEqual((last["actor"]["via"], last["result"]), ("edge", "done"))

    def test_refused(self) -> None:
        """Who was refused is recorded: with a plugin that there is not, with an old text, with a wrong one."""
        self.bench.ask("disablePlugin", ANN, {"reason": "why"}, name="nobody")
        self.bench.ask("writeConfig", ANN, {"text": ""}, "0" * 64)
        self.bench.ask("writeConfig", ANN, {"text": "a: [\n"}, self.etag())
        shown = [(record["action"], record["result"], record["reason"]) for record in self.bench.records()[-3:]]
        self.assertEqual(shown, [("disable", "refused", "why"), ("config", "refused", ""), ("config", "refused", "")])

    def test_dryRun(self) -> None:
        """What is only tried is no change."""
        before = len(self.bench.records())
        value = self.bench.ask("writePluginConfig", ANN, {"config": {"x": 7}}, name="a", dry_run=True)
        self.assertEqual(value["dry_run"], True)
        self.assertIn("+", value["diff"])
        self.assertEqual(len(self.bench.records()), before)
        self.assertNotIn("x: 7", self.text())


class RevertTests(RecordedCase):
    """``POST /revert``."""

    def number(self) -> int:
        """Of the last change."""
        number: int = self.bench.ask("listChanges")["items"][0]["number"]
        return number

    def running(self) -> dict[str, str]:
        """Version of each plugin."""
        return {name: version["version"] for name, version in self.bench.standing().plugins.items()}

    def test_all(self) -> None:
        """The file, versions, pins and switches of then, as one change; and that taken back."""
        first, then = self.number(), self.text()
        self.bench.write("a", version="2.0", config_schema=SCHEMA)
        self.bench.write("d", version="1.0")
        self.bench.apply()
        self.bench.ask("writePluginConfig", ANN, {"config": {"x": 7}}, name="b")
        self.bench.ask("disablePlugin", ROOT, {}, name="c")
        self.bench.ask("pinPlugin", ROOT, {}, name="b")
        last, now, ran = self.number(), self.text(), self.running()
        self.assertEqual(ran, {"a": "2.0", "b": "1.0", "d": "1.0"})
        before = len(self.bench.records())
        told = self.bench.ask("revert", ANN, {"to": first, "reason": "bad day"})
        self.assertEqual(self.running(), {"a": "1.0", "b": "1.0", "c": "1.0"})
        self.assertEqual(self.text(), then)
        self.assertIn("d: switched off, for it did not run then", told["text"])
        self.assertEqual(self.bench.coordinator.records.get("a").pinnedTo.number, "1.0")
        self.assertEqual(len(self.bench.records()), before + 1)
        self.bench.ask("revert", ANN, {"to": last})
        self.assertEqual((self.running(), self.text()), (ran, now))
        self.assertEqual(self.bench.standing().pins["b"]["by"], "user")
        self.assertEqual(self.bench.standing().switches["c"], False)

    def test_untilSomethingNew(self) -> None:
        """A version that was gone back to runs until the folder has something new."""
        first = self.number()
        self.bench.write("a", version="2.0")
        self.bench.apply()
        self.bench.ask("revert", ANN, {"to": first})
        self.bench.apply()
        self.assertEqual(self.running()["a"], "1.0")
        self.bench.write("a", version="3.0")
        self.bench.apply()
        self.assertEqual(self.running()["a"], "3.0")

    def test_lost(self) -> None:
        """A version that is not stored any more refuses all of it, and is named."""
        first = self.number()
        digest = self.bench.standing().plugins["a"]["digest"]
        for version in ("2.0", "3.0"):
            self.bench.write("a", version=version)
            self.bench.apply()
        self.bench.ask("writePluginConfig", ANN, {"config": {"x": 7}}, name="b")
        now, ran = self.text(), self.running()
        folder = self.bench.root / "var" / "versions" / "a" / digest
        folder.rename(folder.with_name("elsewhere"))
        problem = self.bench.ask("revert", ANN, {"to": first})
        self.assertEqual(problem.status, 409)
        self.assertEqual([text[:20] for text in problem.extra["missing"]], [f"a 1.0 ({digest[:12]})"[:20]])
        self.assertEqual((self.text(), self.running()), (now, ran))

    def test_editor(self) -> None:
        """While somebody saves in the same moment, that stays, and nothing is changed."""
        first = self.number()
        self.bench.ask("writePluginConfig", ANN, {"config": {"x": 7}}, name="b")
        ran, theirs = self.bench.standing(), "# theirs\n"
        real = self.bench.control.configFile._read

        def read(path: Path) -> Any:
            found = real(path)
            self.bench.file.write_text(theirs)
            return found

        self.patch(self.bench.control.configFile, "_read", read)
        problem = self.bench.ask("revert", ANN, {"to": first})
        self.assertEqual((problem.status, self.text()), (412, theirs))
        self.assertEqual(self.bench.standing(), ran)

    def test_dryRun(self) -> None:
        """It says what would come of it, and changes nothing."""
        first = self.number()
        self.bench.write("a", version="2.0")
        self.bench.apply()
        ran, count = self.bench.standing(), self.number()
        told = self.bench.ask("revert", ANN, {"to": first, "dry_run": True})
        self.assertTrue(any(line.startswith("a: 2.0") for line in told["text"]), told)
        self.assertEqual((self.bench.standing(), self.number()), (ran, count))

    def test_dryRunOfPins(self) -> None:
        """Nor does it where only a pin would be another, so that the plan would be the same."""
        first = self.number()
        self.bench.ask("pinPlugin", ANN, {}, name="a")
        pinned, count = self.bench.standing(), self.number()
        told = self.bench.ask("revert", ANN, {"to": first, "dry_run": True})
        self.assertEqual(told["refused"], [])
        self.assertEqual((self.bench.standing(), self.number()), (pinned, count))
        self.bench.ask("revert", ANN, {"to": first})
        self.assertEqual(self.bench.standing().pins, {})

    def test_failing(self) -> None:
        """A version that does not start any more refuses all of it."""
        flag = self.bench.root / "flag"
        flag.touch()
        code = (
            "import os\nfrom zope.interface import implementer\nfrom revproxy.interfaces import IMiddleware\n"
            "@implementer(IMiddleware)\nclass PluginMain:\n    name = 'a'\n"
            f"    def __init__(self, config):\n        os.stat({str(flag)!r})\n"
            "    def handle(self, context):\n        return True\n"
        )
        self.bench.write("a", code, version="2.0")
        self.bench.apply()
        number = self.number()
        self.bench.write("a", version="3.0")
        self.bench.apply()
        self.bench.ask("writePluginConfig", ANN, {"config": {"x": 7}}, name="b")
        flag.unlink()
        ran, now = self.bench.standing(), self.text()
        problem = self.bench.ask("revert", ANN, {"to": number})
        self.assertIn("No such file", str(problem))
        self.assertEqual((self.bench.standing(), self.text()), (ran, now))

    def test_afterRestart(self) -> None:
        """What was changed before a restart can be gone back to after it."""
        first, then = self.number(), self.text()
        self.bench.ask("writePluginConfig", ANN, {"config": {"x": 7}}, name="b")
        self.bench.end_()
        self.bench.begin()
        self.bench.ask("revert", ANN, {"to": first})
        self.assertEqual(self.text(), then)

    def test_diff(self) -> None:
        """Two of them are compared, or one and now; what does not exist is told."""
        first = self.number()
        self.bench.write("a", version="2.0")
        self.bench.apply()
        self.bench.ask("writePluginConfig", ANN, {"config": {"x": 7}}, name="b")
        told = self.bench.ask("compareChanges", **{"from": first, "to": None})
        self.assertEqual([one["plugin"] for one in told["plugins"]], ["a"])
        self.assertIn("+", told["config"])
        one = self.bench.ask("compareChanges", **{"from": first, "to": self.number()})
        self.assertEqual({**one, "to": None}, told)
        self.assertEqual(self.bench.ask("compareChanges", **{"from": 999, "to": None}).status, 404)
        shown = self.bench.ask("showChange", number=first)
        self.assertEqual(sorted(shown["stood"]["plugins"]), ["a", "b", "c"])

    def test_whoMayNotReadTheFile(self) -> None:
        """Texts of the configuration, and differences of them, are for who may read it."""
        first = self.number()
        self.bench.ask("writePluginConfig", ANN, {"config": {"x": 7}}, name="b")
        secret = "plugins: {config: {zap: {password: Slartibartfast-9}}}\n"
        self.bench.file.write_text(self.text() + secret)
        for role in ("read", "observe", "operate"):
            eve = Actor("http", "eve", "t2", role, "192.0.2.2")
            self.assertIs(self.bench.ask("showChange", eve, number=first)["config_text"], None)
            told = self.bench.ask("compareChanges", eve, **{"from": first, "to": None})
            self.assertEqual(told["config"], UNSHOWN)
            self.assertEqual(self.bench.ask("compareChanges", eve, **{"from": first, "to": first})["config"], "")
            self.assertEqual(self.bench.ask("showDrift", eve)["diff"], UNSHOWN)
        self.assertTrue(self.bench.ask("showChange", ANN, number=first)["config_text"])
        self.assertIn("+", self.bench.ask("compareChanges", ANN, **{"from": first, "to": None})["config"])
        self.assertIn("Slarti", self.bench.ask("showDrift", ANN)["diff"])


class WritingTests(RecordedCase):
    """``PUT /config``."""

    def test_refusedByAPlugin(self) -> None:
        """A text that a plugin does not start with is never in the file."""
        self.bench.write("a", (
            "from zope.interface import implementer\nfrom revproxy.interfaces import IMiddleware\n"
            "@implementer(IMiddleware)\nclass PluginMain:\n    name = 'a'\n"
            "    def __init__(self, config):\n        assert config.get('x') != 7, 'no seven'\n"
            "    def handle(self, context):\n        return True\n"
        ), version="2.0", config_schema=SCHEMA)  # fmt: skip
        self.bench.apply()
        now, ran = self.text(), self.bench.standing()
        problem = self.bench.ask("writePluginConfig", ANN, {"config": {"x": 7}}, name="a")
        self.assertIn("no seven", str(problem))
        self.assertEqual((self.text(), self.bench.standing()), (now, ran))
        self.bench.ask("writePluginConfig", ANN, {"config": {"x": 8}}, name="a")
        self.assertEqual(self.bench.standing().config, self.bench.control.history.entries[-1]["config"])

    def test_refusedAfterComments(self) -> None:
        """A save that is refused changes nothing of what is in force, not even to the comments of before."""
        self.bench.file.write_text(self.text() + "# more\n")
        self.bench.apply()
        now = self.bench.standing()
        self.bench.write("a", (
            "from zope.interface import implementer\nfrom revproxy.interfaces import IMiddleware\n"
            "@implementer(IMiddleware)\nclass PluginMain:\n    name = 'a'\n"
            "    def __init__(self, config):\n        assert config.get('x') != 7, 'no seven'\n"
            "    def handle(self, context):\n        return True\n"
        ), version="2.0", config_schema=SCHEMA)  # fmt: skip
        self.bench.apply()
        good = self.text()
        config = self.bench.standing().config
        self.assertEqual(config, now.config)
        self.bench.file.write_text(good.replace("directory: plugins", "directory: plugins, config: {a: {x: 7}}"))
        self.bench.apply()
        self.assertEqual((self.bench.records()[-1]["result"], self.bench.standing().config), ("refused", config))
        self.assertEqual(self.bench.control.history.entries[-1]["config"], config)
        count = len(self.bench.records())
        self.bench.file.write_text(good)
        self.bench.apply()
        self.assertEqual((len(self.bench.records()), self.bench.standing().config), (count, config))

    def test_seenByTheWatcher(self) -> None:
        """When the watcher tells of it afterwards, nothing is to be done."""
        self.bench.ask("writeConfig", ANN, {"text": self.text() + "timeouts: {idle: 7}\n"}, self.etag())
        plan, count = self.bench.coordinator.plan, len(self.bench.records())
        self.bench.apply()
        self.assertIs(self.bench.coordinator.plan, plan)
        self.assertEqual(len(self.bench.records()), count)

    def test_comments(self) -> None:
        """A change of comments alone is written, recorded, and can be taken back."""
        first, then = self.bench.ask("listChanges")["items"][0]["number"], self.text()
        plan = self.bench.coordinator.plan
        self.bench.ask("writeConfig", ANN, {"text": then + "# more\n"}, self.etag())
        self.assertIs(self.bench.coordinator.plan, plan)
        self.assertTrue(self.text().endswith("# more\n"))
        self.bench.ask("revert", ANN, {"to": first})
        self.assertEqual(self.text(), then)

    def test_whileItDidNotRun(self) -> None:
        """What was written into the file while no edge ran is told of the start, and not with nothing."""
        self.bench.end_()
        self.bench.file.write_text(self.text() + "# as it was found\n")
        self.bench.begin()
        last = self.bench.control.history.entries[-1]
        self.assertEqual((last["action"], last["text"]), ("start", [f"{self.bench.file} has another text"]))
        self.assertIn("has another text", self.bench.records()[-1]["text"])

    def test_unwatched(self) -> None:
        """Where files are not watched, what was written is in force, and stays so with the next command."""
        self.bench.ask("writeConfig", ANN, {
            "text": self.text().replace("directory: plugins", "directory: plugins, watch: false"),
        }, self.etag())  # fmt: skip
        self.bench.ask("writeConfig", ANN, {"text": self.text() + "timeouts: {idle: 7}\n"}, self.etag())
        self.assertEqual(self.bench.coordinator.config.timeouts.idle, 7)
        self.bench.ask("enablePlugin", ANN, {}, name="a")
        self.assertEqual(self.bench.coordinator.config.timeouts.idle, 7)

    def test_drift(self) -> None:
        """What the file says and is not in force is told, with why."""
        self.assertEqual(self.bench.ask("showDrift")["same"], True)
        self.bench.file.write_text(self.text() + "nonsense: 1\n")
        self.bench.apply()
        told = self.bench.ask("showDrift")
        self.assertEqual((told["same"], told["diff"].splitlines()[-1]), (False, "+nonsense: 1"))
        self.assertIn("$.nonsense", told["failure"])

    def test_unwritable(self) -> None:
        """Where the file cannot be written, the path is told."""
        other = self.bench.root / "other"
        other.hardlink_to(self.bench.file)
        problem = self.bench.ask("writeConfig", ANN, {"text": self.text() + "# x\n"}, self.etag())
        self.assertEqual((problem.status, problem.extra["path"]), (409, str(self.bench.file)))
        self.assertEqual(self.bench.ask("readConfig")["is_writable"], False)
