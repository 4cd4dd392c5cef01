"""
Recorded requests replayed with another version, in a process.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from revproxy.proving.orders import Order, Report, Subject
from revproxy.proving.provingprocess import ProvingProcess
from revproxy.replay.corpus import End, Header, endLine, headerLine, requestLine
from revproxy.replay.recordedcall import RecordedCall, RecordedExchange, RecordedResponse
from revproxy.replay.recordedrequest import PluginCall, RecordedRequest
from tests.proving.subjects import plugin, subject
from tests.proving.test_provingprocess import unlockable
from tests.replay.recordings import call, outcome, request


def recorded(number: int = 1, more: Sequence[PluginCall] = (), **members: Any) -> RecordedRequest:
    """A request that ``shop`` let through. :param members: of the call."""
    of = call(id=f"r-{number}", **members)
    return request(PluginCall("shop", "1.0.0", "", of, outcome(of)), *more)


def did(of: RecordedCall, **more: Any) -> RecordedRequest:
    """A request in which ``shop`` did something. :param more: of the outcome."""
    return request(PluginCall("shop", "1.0.0", "", of, outcome(of, **more)))


class ReplayTests(SynchronousTestCase):
    """What comes of it."""

    def corpus(self, requests: Sequence[RecordedRequest], end: bytes | None = None) -> Path:
        path = Path(self.mktemp()).absolute()
        last = endLine(End(1.0, "over", len(requests))) if end is None else end
        path.write_bytes(headerLine(Header("r", 1.0)) + b"".join(map(requestLine, requests)) + last)
        return path

    def replay(
        self, candidate: Subject, requests: Sequence[RecordedRequest], running: Subject | None = None, **more: Any
    ) -> Report:
        path = self.corpus(requests, more.pop("end", None))
        order = Order("replay", candidate, running, seconds=60.0, corpus="shop.jsonl", **more)
        return ProvingProcess(order, path).run()

    def test_same(self) -> None:
        """A version that does what was recorded differs in nothing."""
        report = self.replay(subject(), [recorded(number) for number in range(20)])
        self.assertEqual(report, Report(calls=20, replayed=20))

    def test_different(self) -> None:
        """What it does otherwise is counted by kind, with examples."""
        body = """
if context.request.path == "/bad":
    return context.respond(503)
context.request.headers.set("X-Seen", "1")
return True"""
        report = self.replay(subject(plugin(body.strip("\n"))), [recorded(1), recorded(2, target=b"/bad")])
        found = {(each.field, each.kind): each for each in report.differences}
        seen = found["request:x-seen", "added"]
        self.assertEqual((seen.candidate, seen.control), (1, 0))
        self.assertEqual(seen.examples, (("GET shop.example/ (r-1)", "", "1"),))
        self.assertIn(("verdict", "changed"), found)
        self.assertEqual(report.replayed, 2)

    def test_raises(self) -> None:
        """A failure is a difference, with where it was."""
        report = self.replay(subject(plugin("return 1 / 0")), [recorded()])
        (raised,) = [each for each in report.differences if each.field == "raised"]
        self.assertIn("ZeroDivisionError", raised.examples[0][2])

    def test_answers(self) -> None:
        """Both phases are replayed, the second on the answer that was recorded."""
        files = plugin()
        files["plugin.py"] = files["plugin.py"].replace(
            b"import IMiddleware", b"import IMiddleware, IResponseMiddleware"
        ).replace(b"@implementer(IMiddleware)", b"@implementer(IMiddleware, IResponseMiddleware)") + (
            b"\n    async def handleResponse(self, context):\n"
            b"        data = await context.response.body.read(1000)\n"
            b"        context.response.body.replace(data.upper())\n"
        )
        inward = call()
        outward = call(phase="handleResponse", response=RecordedResponse(200, (), b"hello"))
        made = (
            PluginCall("shop", "1.0.0", "", inward, outcome(inward)),
            PluginCall("shop", "1.0.0", "", outward, outcome(outward, response=RecordedResponse(200, (), b"HELLO"))),
        )
        report = self.replay(subject(files), [request(*made)])
        self.assertEqual([each for each in report.differences if each.field == "body"], [], report)
        self.assertEqual((report.calls, report.replayed), (2, 2))

    def test_told(self) -> None:
        """What it asks others is answered as it was; what was not asked then cannot be compared."""
        body = """
async def asks():
    answer = await context.client.get("http://auth/" + context.request.path[1:])
    return context.respond(403) if answer.code != 200 else True
return asks()"""
        told = (RecordedExchange("GET", "http://auth/a", 200, (), b"yes"),)
        requests = [recorded(1, target=b"/a", told=told), recorded(2, target=b"/b", told=told)]
        report = self.replay(subject(plugin(body.strip("\n"))), requests)
        self.assertEqual((report.calls, report.replayed, report.differences), (2, 1, ()))
        self.assertEqual(sum(report.incomparable.values()), 1)

    def test_noise(self) -> None:
        """What the version that runs does differently, too, is counted apart."""
        body = "import random\ncontext.request.headers.set('X-Id', str(random.random()))\nreturn True"
        requests = [did(of := call(id=f"r-{number}"), headers=(*of.headers, (b"X-Id", b"0.5"))) for number in range(6)]
        report = self.replay(subject(plugin(body)), requests, subject(plugin(body)))
        (different,) = report.differences
        self.assertEqual((different.field, different.candidate, different.both), ("request:x-id", 0, 6))

    def test_redacted(self) -> None:
        """Who looks at what was redacted is held against the version that runs; without it, against nothing."""
        body = "return context.respond(401) if context.request.headers.get('Authorization') != 'Bearer abc' else True"
        fields = ((b"host", b"a"), (b"Authorization", b"Bearer redacted-0123456789ab"))
        requests = [recorded(1, headers=fields), recorded(2)]
        alone = self.replay(subject(plugin(body)), requests[:1])
        self.assertEqual(alone.incomparable, {"it looks at what was redacted: authorization": 1})
        beside = self.replay(subject(plugin(body)), requests[:1], subject(plugin(body)))
        self.assertEqual((beside.replayed, beside.differences), (1, ()))
        lets = self.replay(subject(plugin("context.request.headers.get('Authorization')\nreturn True")), requests[:1],
                           subject(plugin(body)))  # fmt: skip
        self.assertEqual([each.candidate for each in lets.differences if each.field == "verdict"], [1])

    def test_configurations(self) -> None:
        """Each route has the configuration that the version would have there."""
        body = "return context.respond(self.config['status'])"
        candidate = subject(plugin(body), configs=({"status": 401}, {"status": 402}), routes={"shop": 0, "blog": 1})
        requests = [
            did(call(id="r-1", route=route), verdict=False, response=RecordedResponse(status, ()))
            for route, status in (("shop", 401), ("blog", 402), ("shop", 401))
        ]
        report = self.replay(candidate, requests)
        self.assertEqual([each for each in report.differences if each.field in ("status", "verdict")], [], report)

    def test_others(self) -> None:
        """The calls of other plugins are none of its business; without its own there is nothing to compare."""
        report = self.replay(subject(), [request()])
        self.assertEqual(report, Report())

    def test_incomparable(self) -> None:
        """What was not taken down whole is not compared."""
        requests = [did(call(), incomparable="its body was too long"), recorded(2)]
        report = self.replay(subject(), requests)
        self.assertEqual((report.replayed, report.incomparable), (1, {"its body was too long": 1}))

    def test_hosted(self) -> None:
        """What lives beside requests is started, on a host that reaches nobody; its timers and threads work."""
        files = plugin(body="""
def waits():
    return self.host.callInThread(len, "abc").addCallback(lambda length: length == 3 and self.ticks >= 0)
return waits()""".strip("\n"))
        files["plugin.py"] = files["plugin.py"].replace(
            b"import IMiddleware", b"import IHosted, ILifecycle, IMiddleware"
        ).replace(b"@implementer(IMiddleware)", b"@implementer(IMiddleware, IHosted, ILifecycle)") + (
            b"\n    ticks = -1\n"
            b"\n    def attach(self, host):\n        self.host = host\n"
            b"\n    def start(self):\n        self.ticks = 0\n"
            b"\n    def stop(self):\n        pass\n"
        )
        report = self.replay(subject(files), [recorded()])
        self.assertEqual((report.problems, report.replayed, report.differences), ((), 1, ()))

    def test_doesNotStart(self) -> None:
        """One that cannot be started has a problem."""
        files = plugin()
        files["plugin.py"] = files["plugin.py"].replace(b"IMiddleware\n", b"ILifecycle, IMiddleware\n", 1).replace(
            b"@implementer(IMiddleware)", b"@implementer(IMiddleware, ILifecycle)"
        ) + b"\n    def start(self):\n        raise OSError('nobody there')\n\n    def stop(self):\n        pass\n"
        report = self.replay(subject(files), [recorded()])
        self.assertIn("/plugins/shop/plugin.py: start raised OSError: nobody there", report.problems[0])

    def test_hangs(self) -> None:
        """A call that does not come back is waited for so long, and the process no longer than it may take."""
        body = "from twisted.internet.defer import Deferred\nreturn Deferred()"
        report = self.replay(subject(plugin(body)), [recorded()], callSeconds=0.2)
        (raised,) = [each for each in report.differences if each.field == "raised"]
        self.assertIn("0.2 s", raised.examples[0][2])

    def test_spins(self) -> None:
        """One that holds its process is ended with it."""
        path = self.corpus([recorded()])
        order = Order("replay", subject(plugin("while True: pass")), seconds=4.0, corpus="shop.jsonl")
        self.assertEqual(ProvingProcess(order, path).run().problems, ("it has not come to an end within 4 s",))

    def test_cut(self) -> None:
        """One that was cut off is replayed as far as it goes, and that is told."""
        report = self.replay(subject(), [recorded(1), recorded(2)], end=b'{"id"')
        self.assertEqual((report.replayed, report.cut), (2, "shop.jsonl:4: the last line is cut off, and passed over"))

    def test_damaged(self) -> None:
        """One that is none is a problem, with its place; so is one that is not there."""
        report = self.replay(subject(), [recorded(1)], end=b"nonsense\n")
        self.assertIn("shop.jsonl:3: it is no recorded request", report.problems[0])
        order = Order("replay", subject(), corpus="nowhere")
        report = ProvingProcess(order, Path("/nowhere.jsonl")).run()
        self.assertEqual(report.problems, ("/nowhere.jsonl: cannot be read: No such file or directory",))

    def test_neverUnlocked(self) -> None:
        """A version that runs in a locked process is not run here to know what is noise, if this is none."""
        place = Path(self.mktemp()).absolute()
        leaves = plugin(f"open({str(place)!r}, 'w').close()\nreturn True")
        report = self.replay(subject(), [recorded()], subject(leaves, isLocked=True))
        self.assertEqual(report, Report(calls=1, replayed=1))
        self.assertFalse(place.exists())

    def test_locked(self) -> None:
        """A version for a locked process is replayed in one, with what it may touch and no more."""
        if unlockable():
            raise SkipTest(unlockable())
        body = "context.request.headers.set('X-Seen', '1')\nreturn True"
        may = subject(plugin(body), isLocked=True, permissions={"write_headers": ["x-seen"]})
        report = self.replay(may, [recorded()])
        self.assertEqual([each.field for each in report.differences], ["request:x-seen"], report)
        opens = subject(plugin("open('/etc/passwd')\nreturn True"), isLocked=True)
        (raised,) = [each for each in self.replay(opens, [recorded()]).differences if each.field == "raised"]
        self.assertIn("PermissionError", raised.examples[0][2])
