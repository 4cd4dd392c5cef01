"""Records of operations that make none."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.audited import audited
from revproxy.admin.operation import Call, Operation, Parameter
from revproxy.admin.role import Role


class Recorded:
    """Notes what is recorded."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    async def around(self, actor: Any, action: str, target: str, reason: str, do: Any) -> Any:
        self.said.append((action, target))
        return await do(actor)


class AuditedTests(SynchronousTestCase):
    """What such a record is called."""

    def test_action(self) -> None:
        """As those that operations make themselves: token-new, test-receiver."""

        async def handler(call: Call) -> Any:
            return {}

        operation = Operation("POST", "/receivers/{name}/test", Role.OPERATE, "testReceiver", "", handler,
                              (Parameter("name", "", {"type": "string"}, place="path"),))
        audit: Any = Recorded()
        call: Any = Call(actor=None, values={"name": "pager"})  # type: ignore[arg-type]
        handled: Any = audited(operation, audit).handler(call)
        self.successResultOf(Deferred.fromCoroutine(handled))
        self.assertEqual(audit.said, [("test-receiver", "pager")])
