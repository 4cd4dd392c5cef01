"""Alerts by the API: the operations are called as the router calls them."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.operation import Call, Operation
from revproxy.admin.operations.alerts import alertOperations
from revproxy.admin.problem import Problem
from revproxy.admin.role import Role
from revproxy.control.actor import Actor
from revproxy.control.alerts.sender import Answer, NotSent
from tests.control.alerts.test_alerts import AlertsCase

ANN = Actor("http", "ann", "t1", "operate")


class Recorded:
    """Stands for the audit records."""

    def __init__(self) -> None:
        self.records: list[tuple[str, str, str, str]] = []

    def record(self, actor: Actor, action: str, target: str, result: str = "done", **_: Any) -> None:
        self.records.append((actor.name, action, target, result))


class AlertOperationsTests(AlertsCase):
    """Each of them."""

    def setUp(self) -> None:
        super().setUp()
        self.audit = Recorded()
        self.operations: dict[str, Operation] = {each.name: each for each in alertOperations(self)}  # type: ignore

    def ask(self, name: str, body: Any = None, /, **values: Any) -> Any:
        """The answer, which is as its schema says."""
        operation = self.operations[name]
        answer = self.successResultOf(self.asking(name, body, **values))
        Draft202012Validator(operation.answer).validate(answer)
        self.assertEqual(set(operation.answer["properties"]), set(answer) - {"silenced_by"})
        return answer

    def asking(self, name: str, body: Any = None, /, **values: Any) -> Deferred[Any]:
        operation = self.operations[name]
        if operation.body is not None:
            Draft202012Validator(operation.body).validate(body)
        return Deferred.fromCoroutine(operation.handler(Call(ANN, values, body)))  # type: ignore[arg-type]

    def refused(self, name: str, body: Any = None, /, **values: Any) -> Problem:
        problem: Problem = self.failureResultOf(self.asking(name, body, **values), Problem).value
        self.assertIn(problem.status, self.operations[name].problems)
        return problem

    def test_all(self) -> None:
        """What fires, is silenced, waits and is over; rules; receivers."""
        self.goesDown()
        self.events.add("stalled", "held", "auth")
        self.passes(70)
        self.goesDown("http://b")
        self.alerts.silence(["target=http://a"], 60, "ann", "")
        found = self.ask("listAlerts")
        self.assertEqual([len(found[kind]) for kind in ("firing", "silenced", "pending", "resolved")], [0, 1, 1, 1])
        self.assertEqual([rule["name"] for rule in found["rules"]], ["down", "refused", "stalled", "errors"])
        self.assertEqual(found["receivers"][0]["name"], "pager")

    def test_silences(self) -> None:
        """Who has said so, until when; each is an audit record, also what is refused."""
        body = {"matchers": ["upstream=api"], "for": "2h", "reason": "it moves"}
        made = self.ask("silenceAlerts", body)
        self.assertEqual((made["by"], made["reason"], made["until"] - made["at"]), ("ann", "it moves", 7200))
        self.ask("unsilenceAlerts", id=made["id"])
        self.assertEqual(self.refused("unsilenceAlerts", id=made["id"]).status, 404)
        self.assertIn("no matcher", self.refused("silenceAlerts", {"matchers": ["?"], "for": 60}).detail)
        self.assertIn("30d at most", self.refused("silenceAlerts", {"matchers": ["a=b"], "for": "31d"}).detail)
        self.assertEqual(self.audit.records, [
            ("ann", "silence", made["id"], "done"), ("ann", "unsilence", made["id"], "done"),
            ("ann", "unsilence", made["id"], "refused"), ("ann", "silence", "?", "refused"),
            ("ann", "silence", "a=b", "refused")])

    def test_test(self) -> None:
        """What came of it: taken, refused, no answer, no such receiver."""
        self.sender.says(Answer(204))
        self.assertEqual(self.ask("testReceiver", name="pager"), {"is_delivered": True, "status": 204, "text": ""})
        self.sender.says(Answer(403, "who are you?"))
        self.assertEqual(self.ask("testReceiver", name="pager"),
                         {"is_delivered": False, "status": 403, "text": "who are you?"})
        self.sender.says(NotSent("its name is not known"))
        self.assertEqual(self.ask("testReceiver", name="pager"),
                         {"is_delivered": False, "status": None, "text": "its name is not known"})
        self.assertIn('there is "pager"', self.refused("testReceiver", name="nobody").detail)
        self.assertEqual([result for *_, result in self.audit.records], ["done", "failed", "failed"])

    def test_redeliver(self) -> None:
        """How many are tried again."""
        self.assertEqual(self.ask("redeliverAlerts", name="pager"), {"messages": 0})
        self.assertEqual(self.refused("redeliverAlerts", name="x").status, 404)


class RoleTests(SynchronousTestCase):
    """Who may what."""

    def test_roles(self) -> None:
        """Whoever may read sees alerts; whoever operates the edge has them silent."""

        class NoControl:
            alerts = audit = None

        roles = {each.name: each.role for each in alertOperations(NoControl())}  # type: ignore[arg-type]
        self.assertEqual(roles, {
            "listAlerts": Role.READ, "silenceAlerts": Role.OPERATE, "unsilenceAlerts": Role.OPERATE,
            "testReceiver": Role.OPERATE, "redeliverAlerts": Role.OPERATE})
