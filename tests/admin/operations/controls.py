"""
A control whose workers say what a test says, and operations of it, called by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.operation import Answer, Call, Operation
from revproxy.config.configfile import parseConfig
from revproxy.control.actor import Actor
from revproxy.control.control import Control
from revproxy.control.crew import Crew
from revproxy.control.state.records import PluginRecords
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan
from revproxy.plan.words import Ask, Connections, Counters, Down, Up
from tests.control.conversations import FakeStateFolder, makeConfig

NOW = 1_700_000_000.0


class WorkerDouble:
    """
    One worker.

    :ivar silent: whether it answers no question.
    :ivar connections: what it says of its connections.
    """

    def __init__(self, number: int, crew: Crew) -> None:
        self.silent = False
        self.connections = Connections(0, 0, ())
        self._number = number
        self._crew = crew

    def send(self, word: Down) -> None:
        """Control says something."""
        if not isinstance(word, Ask) or self.silent:
            return
        if word.what == "connections":
            self.says(Connections(word.number, self.connections.count, self.connections.items))
        else:
            self.says(Counters(asked=word.number))

    def says(self, word: Up) -> None:
        """It says something."""
        self._crew.heard(self._number, word)


class ControlCase(SynchronousTestCase):
    """
    With a control, and some workers.

    :ivar operations: by name; to be filled by :meth:`offer`.
    """

    workerCount = 2

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = NOW
        self.crew = Crew(self.clock)
        self.workers = [WorkerDouble(number, self.crew) for number in range(self.workerCount)]
        self.crew.employ(self.workers)
        state: Any = FakeStateFolder(lambda line: None)
        self.control = Control(
            makeConfig(), None, self.crew, state, PluginRecords(), EventLog(self.clock.seconds), self.clock,
            maybeDeferred, maybeDeferred,
        )  # fmt: skip
        self.operations: dict[str, Operation] = {}

    def commit(self, text: str, source: str = "") -> None:
        """
        A configuration is in force.

        :param text: what it has beside the usual.
        :param source: all of it, instead.
        """
        config = parseConfig(source, "first.yaml", Path("/")) if source else makeConfig(text)
        plan = Plan(3, config, {}, (), ())
        coordinator = self.control.coordinator
        coordinator.plan = plan
        for committed in coordinator.onCommitted:
            committed(None, plan)

    def offer(self, subject: Callable[[Control], Iterable[Operation]]) -> None:
        """These can be asked."""
        self.operations |= {operation.name: operation for operation in subject(self.control)}

    def begin(self, operationId: str, /, **values: Any) -> Deferred[Any]:
        """Ask; what is left out is as it is by default."""
        operation = self.operations[operationId]
        defaults = {parameter.name: parameter.schema.get("default") for parameter in operation.parameters}
        self.assertLessEqual(values.keys(), defaults.keys())
        call = Call(Actor("socket"), {**defaults, **values})
        return Deferred.fromCoroutine(operation.handler(call))  # type: ignore[arg-type]

    def ask(self, operationId: str, /, **values: Any) -> Any:
        """The answer, which is as its schema says."""
        asked = self.begin(operationId, **values)
        while not asked.called and (waiting := self.clock.getDelayedCalls()):
            # Pauses take no time: a slow machine makes it pause anywhere.
            isDue = any(call.getTime() <= self.clock.seconds() for call in waiting)
            self.clock.advance(0 if isDue else 0.1)
        answer = self.successResultOf(asked)
        value = answer.value if isinstance(answer, Answer) else answer
        Draft202012Validator(self.operations[operationId].answer).validate(value)
        return value
