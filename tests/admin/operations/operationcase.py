"""Operations called without a door: over control, with a crew that nobody is in."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.callreader import CallReader
from revproxy.admin.operation import Answer
from revproxy.admin.table import allOperations
from revproxy.config.settings import Config
from revproxy.control.actor import Actor
from revproxy.control.control import Control
from revproxy.control.crew import Crew
from revproxy.control.state.records import PluginRecords
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan
from revproxy.plan.words import Ask, Counters, Down
from tests.control.conversations import FakeLink, FakeStateFolder

ANN = Actor("socket", "ann")
NOW = 1_700_000_000.0


class OperationCase(SynchronousTestCase):
    """
    A control whose workers answer what they are asked.

    :ivar words: what the worker was told.
    :ivar audited: what was recorded: action, target, reason, result.
    :ivar counted: what the worker tells when it is asked.
    """

    def begin(self, config: Config) -> None:
        """There is a control, and a plan with this configuration is in force."""
        self.clock = Clock()
        self.clock.advance(NOW)
        self.words: list[Down] = []
        self.counted: dict[str, Any] = {}
        self.crew = Crew(self.clock)
        self.events = EventLog(self.clock.seconds)
        state: Any = FakeStateFolder(lambda line: None)
        self.control = Control(
            config, None, self.crew, state, PluginRecords(), self.events, self.clock, maybeDeferred, maybeDeferred
        )
        self.crew.employ([FakeLink(self._told)])
        self.audited: list[tuple[str, str, str, str]] = []
        record = self.control.audit.record

        def audit(actor: Actor, action: str, target: str = "", **more: Any) -> None:
            self.audited.append((action, target, more.get("reason", ""), more.get("result", "done")))
            record(actor, action, target, **more)

        self.control.audit.record = audit  # type: ignore[method-assign]
        self.addCleanup(self.control.stop)
        self.commit(config)
        self.operations = {operation.name: operation for operation in allOperations(self.control)}

    def commit(self, config: Config) -> None:
        """A plan with this configuration is in force."""
        coordinator = self.control.coordinator
        before, coordinator.config = coordinator.plan, config
        coordinator.plan = Plan(1, config, {}, (), ())
        for committed in coordinator.onCommitted:
            committed(before, coordinator.plan)

    def _told(self, word: Down) -> None:
        self.words.append(word)
        if isinstance(word, Ask):
            self.crew.heard(0, Counters(asked=word.number, **self.counted))

    def call(self, operation: str, /, body: Any = None, query: str = "", **path: str) -> Any:
        """What an operation answers, which its schema must allow."""
        reader = CallReader(self.operations[operation])
        call = reader.read(ANN, path, query, b"" if body is None else json.dumps(body).encode())
        answer = self.successResultOf(self._over(operation, call))
        value = answer.value if isinstance(answer, Answer) else answer
        Draft202012Validator(self.operations[operation].answer).validate(json.loads(json.dumps(value)))
        return value

    def _over(self, operation: str, call: Any) -> Deferred[Any]:
        """Call it, and turn the loop for as long as it asks for turns: a slow machine makes it pause anywhere."""
        called: Deferred[Any] = Deferred.fromCoroutine(self._called(operation, call))
        while not called.called and any(due.getTime() <= self.clock.seconds() for due in self.clock.getDelayedCalls()):
            self.clock.advance(0)
        return called

    async def _called(self, operation: str, call: Any) -> Any:
        return await self.operations[operation].handler(call)

    def refused(self, operation: str, error: type[Exception], /, body: Any = None, **path: str) -> str:
        """Why an operation is refused."""
        reader = CallReader(self.operations[operation])
        try:
            call = reader.read(ANN, path, "", b"" if body is None else json.dumps(body).encode())
        except error as refusal:
            return str(refusal)
        failure = self.failureResultOf(self._over(operation, call), error)
        return str(failure.value)
