"""
What requests were is taken down with all that each plugin did in them, and nothing of it is different for anybody: not
for clients, not for plugins, not over changes. What lets in is not in it, and without a recording nothing is done.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.actor import Actor
from revproxy.control.recordings import GRACE, Wanted
from revproxy.replay.corpus import CorpusReader
from revproxy.replay.recordedrequest import RecordedRequest
from tests.behaviour.changes import UPSTREAMS, Changing

ANN = Actor("socket", "ann")

GUARD = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

@implementer(IMiddleware)
class Guard:
    name = "guard"

    async def handle(self, context):
        if context.request.path == "/fails":
            raise ValueError("no such tenant")
        token = context.request.headers.get("Authorization")
        if token is None:
            return context.respond(401, "who?")
        answer = await context.client.get("http://127.0.0.1:9000/auth")
        context.values["user"] = {"id": 7, "token": token}
        context.request.headers.set("X-User", str(answer.code))
        return True

def PluginMain(config):
    return Guard()
"""

MARK = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware, IResponseMiddleware

@implementer(IMiddleware, IResponseMiddleware)
class Mark:
    name = "mark"

    def handle(self, context):
        return True

    async def handleResponse(self, context):
        data = await context.response.body.read(1000)
        context.response.body.replace(data + b" marked")
        context.response.headers.set("X-Mark", "VALUE")

def PluginMain(config):
    return Mark()
"""

ROUTES = "[{name: shop, upstream: app}, {name: other, path: /other, upstream: app}]"


class RecordingsTests(SynchronousTestCase):
    """An edge with one plugin that asks others, and one that changes answers."""

    def setUp(self) -> None:
        self.bench = Changing(self, ROUTES, UPSTREAMS)
        self.bench.write("guard", GUARD, priority=10)
        self.bench.write("mark", MARK.replace("VALUE", "1"), priority=20)
        self.bench.start()

    def begin(self, **more: Any) -> Path:
        """A recording of the route ``shop``."""
        wanted = Wanted(600.0, **{"routes": ("shop",), "name": "r-1", **more})
        return Path(self.bench.result(self.bench.control.recordings.begin(ANN, wanted))["path"])

    def end(self) -> None:
        self.bench.result(self.bench.control.recordings.stop("r-1"))
        self.bench.wait(GRACE + 1)

    def read(self, path: Path) -> list[RecordedRequest]:
        reader = CorpusReader("r-1", path.read_bytes().splitlines(True))
        found = list(reader)
        assert reader.end is not None
        self.assertEqual((reader.end.requests, reader.end.dropped), (len(found), 0))
        return found

    def asked(self, path: str, token: str = "Bearer opensesame") -> bytes:
        """What the client gets."""
        client = self.bench.ask(path, headers={"Authorization": token} if token else {})
        self.bench.settle()
        return client.got

    def test_whole(self) -> None:
        """Calls in order, what plugins were told and did, the origin's answer as it was, and what the client got."""
        path = self.begin()
        told = self.asked("/a")
        self.assertIn(b"X-Mark: 1", told)
        self.end()
        (found,) = self.read(path)
        self.assertEqual((found.route, found.status), ("shop", 200))
        calls = [(each.plugin, each.call.phase) for each in found.calls]
        self.assertEqual(calls, [("guard", "handle"), ("mark", "handle"), ("mark", "handleResponse")])
        guard, _, out = found.calls
        self.assertEqual([(each.method, each.status) for each in guard.call.told], [("GET", 200)])
        self.assertEqual(guard.outcome.verdict, True)
        self.assertIn((b"X-User", b"200"), guard.outcome.headers)
        self.assertEqual(guard.outcome.values["user"]["id"], 7)
        assert found.origin is not None and out.outcome.response is not None
        self.assertNotIn(b"X-Mark", dict(found.origin.headers))
        self.assertIn((b"X-Mark", b"1"), out.outcome.response.headers)
        self.assertTrue((out.outcome.response.body or b"").endswith(b" marked"))

    def test_secrets(self) -> None:
        """What lets in is nowhere in the file: neither where it came, nor where plugins have put it."""
        path = self.begin()
        self.asked("/a?token=tellnobody")
        self.end()
        data = path.read_bytes()
        for secret in (b"opensesame", b"tellnobody"):
            self.assertNotIn(secret, data)
        self.assertEqual(len(self.read(path)), 1)

    def test_same(self) -> None:
        """The client gets the same with and without: answers, refusals, failures."""
        def all_() -> list[bytes]:
            return [_plain(self.asked(*each)) for each in (("/a",), ("/b", ""), ("/fails",), ("/other/x",))]

        before = all_()
        path = self.begin()
        self.assertEqual(all_(), before)
        self.end()
        self.assertEqual(all_(), before)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 3)
        found = {each.calls[0].call.target: each for each in self.read(path)}
        self.assertEqual(sorted(found), [b"/a", b"/b", b"/fails"])
        refused = found[b"/b"].calls[0].outcome
        assert refused.response is not None and found[b"/fails"].calls[0].outcome.raised is not None
        self.assertEqual((refused.verdict, refused.response.status), (False, 401))
        self.assertIsNone(found[b"/b"].origin)
        self.assertEqual(found[b"/fails"].calls[0].outcome.raised.kind, "ValueError")

    def test_overChanges(self) -> None:
        """A plugin that is replaced meanwhile is recorded before and after, each with its version."""
        path = self.begin()
        self.asked("/a")
        self.bench.write("mark", MARK.replace("VALUE", "2"), version="2.0.0", priority=20)
        self.bench.apply()
        self.assertIn(b"X-Mark: 2", self.asked("/b"))
        self.end()
        versions = [[each.version for each in found.calls if each.plugin == "mark"] for found in self.read(path)]
        self.assertEqual(versions, [["1.0.0"] * 2, ["2.0.0"] * 2])

    def test_nothingBefore(self) -> None:
        """Without one, requests go through the very chains as ever; afterwards, too."""
        chain = self.bench.chainAt("/")
        self.begin()
        self.assertIsNot(self.bench.chainAt("/"), chain)
        self.end()
        self.asked("/a")
        self.assertEqual(type(self.bench.chainAt("/")), type(chain))
        now = self.bench.chainAt("/")
        self.assertEqual([link.instance for link in now.links], [link.instance for link in chain.links])
        self.assertEqual([link.handle for link in now.links], [link.handle for link in chain.links])


def _plain(answer: bytes) -> bytes:
    """Without the id and the date, which are others each time."""
    return re.sub(rb"(?i)\n(?:(?:x-request-id:|request) [0-9a-f]+|date: [^\r]+)(?=\r?\n)", b"", answer)
