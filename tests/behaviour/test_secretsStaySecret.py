"""Values that revproxy.yaml only refers to: renewed while requests run, and shown nowhere."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

from twisted.logger import FileLogObserver, globalLogPublisher

from revproxy.admin.operation import Answer, Call, Operation
from revproxy.admin.problem import Problem
from revproxy.admin.table import allOperations
from revproxy.control.actor import EDGE
from revproxy.worker.logform import LogForm
from tests.behaviour.changes import ROUTES, UPSTREAMS, ChangingCase

TELLS = """
    def checkHealth(self):
        if "wrong" in self.mark:
            raise ValueError(f"not with {self.mark!r}")
    def updateConfig(self, config):
        self.__init__(config)
    def validateConfig(self, config):
        if "invalid" in config["mark"]:
            raise ValueError("never with " + config["mark"])
"""


class SecretCase(ChangingCase):
    """Plugins a, b and c, of which a and c are configured with what is in a file; c takes it in place."""

    def setUp(self) -> None:
        super().setUp()
        bench = self.bench
        self.key = bench.root / "key"
        self.key.write_text("Babelfish-one\n")
        bench.stamp("a", "1", TELLS.partition("    def updateConfig")[0], ", IHealthCheck")
        bench.stamp("b", "1")
        bench.stamp("c", "1", TELLS, ", IHealthCheck, IConfigurable")
        self.configure()
        self.log = StringIO()
        observer = FileLogObserver(self.log, LogForm())
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        bench.start()

    def configure(self, *others: str) -> None:
        """Write revproxy.yaml. :param others: plugins that are configured with the same."""
        said = ", ".join(f"{name}: {{mark: {{$file: key}}}}" for name in ("a", "c", *others))
        self.bench.configure(ROUTES, f"{UPSTREAMS}\nplugins: {{directory: plugins, config: {{{said}}}}}")

    def objects(self) -> list[object]:
        """The instances of a, b and c."""
        running = self.bench.worker.staging.running
        assert running is not None
        return [instance.object for name in "abc" for instance in running.of(name)]

    def told(self) -> str:
        """All that somebody could be told."""
        answers = [self.asked(operation) for operation in allOperations(self.bench.control)]
        kept = [path.read_bytes().decode("latin-1") for path in (self.bench.root / "var").rglob("*") if path.is_file()]
        events = [json.dumps(event.asDict()) for event in self.bench.events.latest(100)]
        return "\n".join([*events, *kept, json.dumps(answers), self.log.getvalue(), repr(self.bench.coordinator.plan),
                          repr(self.bench.coordinator.config)])


    def asked(self, operation: Operation) -> Any:
        """What the API answers, to what only shows, and needs to be told nothing."""
        if operation.method != "GET" or operation.streams or any(each.required for each in operation.parameters):
            return None
        values = {each.name: each.schema.get("default") for each in operation.parameters}
        try:
            answer = self.bench.result(operation.handler(Call(EDGE, values)))
        except Problem as problem:
            return problem.asDict()
        return answer.value if isinstance(answer, Answer) else answer


class RenewedTests(SecretCase):
    """The file has something else in it."""

    def test_inForce(self) -> None:
        """It is a change of the configuration: whoever uses it is configured, in place where it can, others stay."""
        a, b, c = self.objects()
        self.assertEqual(self.bench.marks(), {"a": "1Babelfish-one", "b": "1", "c": "1Babelfish-one"})
        self.key.write_text("Babelfish-two\n")
        self.bench.apply()
        self.assertEqual(self.bench.marks(), {"a": "1Babelfish-two", "b": "1", "c": "1Babelfish-two"})
        newA, newB, newC = self.objects()
        self.assertIsNot(newA, a)
        self.assertIs(newB, b)
        self.assertIs(newC, c)

    def test_refused(self) -> None:
        """One that a plugin will not have is refused, and what runs goes on; the right one is in force at once."""
        for wrong in ("Babelfish-wrong", "Babelfish-invalid"):
            before = self.objects()
            self.key.write_text(wrong)
            self.bench.apply()
            self.assertEqual(self.objects(), before)
            self.assertIn("***", self.bench.events.latest(1)[0].text)
        self.key.unlink()
        self.bench.apply()
        self.assertIn("the file key cannot be read", self.bench.events.latest(1)[0].text)
        self.key.write_text("Babelfish-three")
        self.bench.apply()
        self.assertEqual(self.bench.marks()["a"], "1Babelfish-three")


class ShownTests(SecretCase):
    """What is told of the edge."""

    def test_nowhere(self) -> None:
        """No value is in any event, list, log line, file of the state, or in what a plan looks like."""
        self.bench.stamp("d", "1", "    def handle(self, context): raise ValueError(f'it was {self.mark!r}')\n")
        self.configure("d")
        self.bench.apply()
        self.assertIn(b" 500 ", self.bench.ask("/").got)
        for value in ("Babelfish-wrong", "Babelfish-invalid", "Babelfish-two"):
            self.key.write_text(value)
            self.bench.apply()
        told = self.told()
        self.assertIn("not with", told)
        self.assertIn("it was", told)
        self.assertNotIn("Babelfish", told)
        self.flushLoggedErrors()
