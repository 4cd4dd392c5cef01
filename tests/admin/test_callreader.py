"""What was sent, read by the schemas of an operation."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.callreader import CallReader
from revproxy.admin.operation import Operation
from revproxy.admin.problem import Problem
from revproxy.admin.role import Role
from revproxy.control.actor import Actor

BODY = {
    "type": "object",
    "properties": {
        "to": {"type": "integer"},
        "maybe": {"type": ["integer", "null"]},
        "share": {"type": "number"},
        "list": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        "any": {},
    },
}


async def _nothing(call: Any) -> None:
    """Does nothing."""


class BodyTests(SynchronousTestCase):
    """Of bodies."""

    def read(self, body: bytes) -> Any:
        operation = Operation("POST", "/x", Role.READ, "x", "X.", _nothing, body=BODY)
        return CallReader(operation).read(Actor("socket"), {}, "", body).body

    def test_whole(self) -> None:
        """1.0 is a whole number to JSON Schema, and is one to whoever is asked; what may be anything stays as it is."""
        read = self.read(b'{"to":1.0,"maybe":2e2,"share":3.0,"list":[{"n":4.0,"m":5.0}],"any":[6.0],"more":7.0}')
        self.assertEqual(
            repr(read),
            "{'to': 1, 'maybe': 200, 'share': 3.0, 'list': [{'n': 4, 'm': 5.0}], 'any': [6.0], 'more': 7.0}",
        )

    def test_notWhole(self) -> None:
        """Others are none."""
        for body in (b'{"to":1.5}', b'{"to":"1"}', b'{"to":true}', b'{"list":[{"n":0.1}]}'):
            self.assertRaises(Problem, self.read, body)
