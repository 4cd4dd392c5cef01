"""What is answered, as it is sent."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.operation import Answer
from revproxy.admin.problem import Problem
from revproxy.admin.reply import encoded, jsonReply, problemReply

NAME = "plugins/\udcff/plugin.json"
"""A file's, as Python has what is not UTF-8."""

SHOWN = "plugins/\\udcff/plugin.json"


class ReplyTests(SynchronousTestCase):
    """JSON, whatever there is to say."""

    def answered(self, value: Any) -> Any:
        """Sent, and read."""
        reply = self.successResultOf(Deferred.fromCoroutine(jsonReply(Answer(value), lambda: succeed(None))))
        return json.loads(b"".join(reply.pieces))

    def test_names(self) -> None:
        """Names of files that are not UTF-8 are told with escapes, wherever they are."""
        value = {NAME: [{"source": NAME}, [NAME]], "plain": 1, "none": None}
        self.assertEqual(self.answered(value), {SHOWN: [{"source": SHOWN}, [SHOWN]], "plain": 1, "none": None})
        self.assertEqual(json.loads(encoded((NAME, 1))), [SHOWN, 1])

    def test_problem(self) -> None:
        """Also in a problem: else nothing at all would be answered."""
        (piece,) = problemReply(Problem(409, NAME)).pieces
        self.assertEqual(json.loads(piece)["detail"], SHOWN)
