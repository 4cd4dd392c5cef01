"""What becomes of each frame: the plugin's life, its calls, and how it fails."""

from __future__ import annotations

import gc
import json
from weakref import ref

from revproxy.isolation.frames import (
    Answered,
    Cancel,
    Done,
    Failed,
    FailedOutside,
    Loaded,
    Logged,
    NewResponse,
    SendRequest,
    Unchanged,
    UseStore,
    Waiting,
)
from tests.isolation.inside.rooms import ALL, HEAD, OUTCOME, PASSES, RoomCase, answerHead, changed, load


class LoadTests(RoomCase):
    """`Load`."""

    def test_loaded(self) -> None:
        """What the plugin provides is told."""
        self.room.tell(load("""
            @implementer(IMiddleware, IObserver, IStateful)
            class PluginMain:
                name = "guest"
                def __init__(self, config): pass
                def handle(self, context): return True
                def finished(self, context): pass
                def exportState(self): return None
                def importState(self, state, version): pass
        """))
        self.assertEqual(self.room.take(Loaded).interfaces, ("IMiddleware", "IObserver", "IStateful"))

    def test_importFails(self) -> None:
        """What its top level raises is told with its line, and what it is not is said."""
        self.room.tell(load("import absent_library"))
        failed = self.room.take(Failed)
        self.assertEqual((failed.number, failed.stage, failed.where), (0, "import", "/plugins/guest/plugin.py:5"))
        self.assertIn("no module named absent_library", failed.text)
        self.assertIn("what plugin.json names under dependencies", failed.text)

    def test_syntax(self) -> None:
        """A line that cannot be compiled is named."""
        self.room.tell(load("def broken(:"))
        failed = self.room.take(Failed)
        self.assertEqual((failed.stage, failed.where[:30]), ("import", "/plugins/guest/plugin.py:5:12"[:30]))

    def test_exits(self) -> None:
        """A plugin that exits at its import has failed, and the process goes on."""
        self.room.tell(load("raise SystemExit(0)"))
        self.assertIn("SystemExit", self.room.take(Failed).text)

    def test_mainFails(self) -> None:
        """So is what its entry point raises."""
        self.room.tell(load("def PluginMain(config): return config['absent']"))
        failed = self.room.take(Failed)
        self.assertEqual((failed.stage, failed.where), ("main", "/plugins/guest/plugin.py:5"))
        self.assertIn("KeyError", failed.text)
        self.assertIn('File "/plugins/guest/plugin.py', failed.traceback)

    def test_noMiddleware(self) -> None:
        """And what is no middleware."""
        self.room.tell(load("def PluginMain(config): return 5"))
        failed = self.room.take(Failed)
        self.assertEqual(failed.stage, "main")
        self.assertIn("does not provide IMiddleware", failed.text)

    def test_config(self) -> None:
        """It is given its configuration."""
        self.handles("return context.respond(200, self.config['text'])", config=json.dumps({"text": "hello"}).encode())
        self.room.call()
        made = self.room.take(Answered).response
        assert made is not None
        self.assertEqual(made.body, b"hello")

    def test_libraries(self) -> None:
        """What it depends on is importable from the bytes that were sent, as a distribution; its vendor/ wins."""
        libraries = {"Tiny-Library": {
            "tiny_library/__init__.py": b"from tiny_library.inner import VALUE",
            "tiny_library/inner.py": b"VALUE = 5",
            "tiny_library-2.1.dist-info/METADATA": b"Metadata-Version: 2.1\nName: Tiny-Library\nVersion: 2.1\n",
        }, "other": {"other.py": b"VALUE = 1"}}
        loading = load("""
            import tiny_library, other
            from importlib.metadata import version

            @implementer(IMiddleware)
            class PluginMain:
                name = "guest"
                def __init__(self, config): pass
                def handle(self, context):
                    found = tiny_library.VALUE, other.VALUE, version("tiny-library")
                    return context.respond(200, repr(found))
        """, libraries=libraries)
        loading.files["vendor/other.py"] = b"VALUE = 7"
        self.room.tell(loading)
        self.room.take(Loaded)
        self.room.call()
        made = self.room.take(Answered).response
        assert made is not None
        self.assertEqual(made.body, b"(5, 7, '2.1')")

    def test_files(self) -> None:
        """Its other files are read by `importlib.resources`, from memory."""
        loading = load(PASSES)
        loading.files["words.txt"] = b"one two"
        loading.files["plugin.py"] += b"""
import importlib.resources
def _PluginMain(config):
    raise ValueError(importlib.resources.files(__package__).joinpath("words.txt").read_text())
PluginMain = _PluginMain
"""
        self.room.tell(loading)
        self.assertIn("one two", self.room.take(Failed).text)


class CallTests(RoomCase):
    """`Call`."""

    def test_passes(self) -> None:
        """One that changes nothing tells nothing."""
        self.room.load(PASSES)
        number = self.room.call()
        self.assertEqual(self.room.take(Unchanged), Unchanged(number, True))

    def test_responds(self) -> None:
        """An answer of its own goes with the verdict."""
        self.handles("return context.respond(403, 'no', {'X-Why': 'because'})")
        number = self.room.call()
        fields = ((b"X-Why", b"because"), (b"Content-Type", b"text/plain; charset=utf-8"))
        self.assertEqual(
            self.room.take(Answered), Answered(number, False, response=NewResponse(403, None, fields, b"no"))
        )

    def test_raises(self) -> None:
        """What it raises is told with line and traceback, and the next call is made as ever."""
        self.handles("if context.request.method == 'GET': raise ValueError('wrong')\nreturn True")
        number = self.room.call()
        failed = self.room.take(Failed)
        self.assertEqual((failed.number, failed.kind, failed.text), (number, "ValueError", "wrong"))
        self.assertRegex(failed.where, r"/plugins/guest/plugin.py:\d+$")
        self.assertIn("raise ValueError('wrong')", failed.traceback)
        self.room.call(request=2, head=changed(HEAD, method=b"POST"))
        self.assertTrue(self.room.take(Unchanged).verdict)

    def test_exits(self) -> None:
        """So is `SystemExit`."""
        self.handles("raise SystemExit(5)")
        self.room.call()
        self.assertEqual(self.room.take(Failed).kind, "SystemExit")

    def test_refuses(self) -> None:
        """`Refused` is an answer, with its fields and body."""
        self.handles("raise Refused(429, b'later', {'Retry-After': '5'})")
        number = self.room.call()
        failed = self.room.take(Failed)
        self.assertEqual((failed.number, failed.status, failed.body), (number, 429, b"later"))
        self.assertEqual(failed.fields, ((b"Retry-After", b"5"),))

    def test_nonsense(self) -> None:
        """What is no verdict is said in the words of the edge's own process."""
        self.handles("return 5")
        self.room.call()
        failed = self.room.take(Failed)
        self.assertEqual(failed.kind, "WrongAnswer")
        self.assertEqual(failed.text, "handle answered 5: it must be True or False, or a Deferred or coroutine of that")

    def test_laterNonsense(self) -> None:
        """Later, too."""
        self.handles("await context.client.get('http://billing/')\nreturn None")
        self.room.call()
        self.room.reply(self.room.take(SendRequest).number, [200, b"OK", [], b""])
        self.room.take(Waiting)
        self.assertEqual(self.room.take(Failed).text, "handle answered None, which is neither True nor False")

    def test_waits(self) -> None:
        """A coroutine that waits says so, and answers when it has what it waits for; others are called meanwhile."""
        self.handles("""
answer = await context.client.get('http://billing/price')
context.request.headers.set('X-Price', await answer.text())
return True
""")
        first = self.room.call()
        asked = self.room.take(SendRequest)
        self.assertEqual((asked.request, asked.upstream, asked.target), (1, "billing", b"/price"))
        self.assertEqual(self.room.take(Waiting), Waiting(first))
        second = self.room.call(request=2)
        other = self.room.take(SendRequest)
        self.assertEqual(other.request, 2)
        self.room.take(Waiting)
        self.room.reply(other.number, [200, b"OK", [], b"7"])
        self.assertEqual(self.room.take(Answered).number, second)
        self.room.reply(asked.number, [200, b"OK", [], b"5"])
        answered = self.room.take(Answered)
        self.assertEqual((answered.number, answered.fields), (first, ((b"x-price", ((b"X-Price", b"5"),)),)))

    def test_letGo(self) -> None:
        """Nothing of a request is kept when it is over, and the garbage collector need not look for it."""
        self.handles("""
import weakref
class Mark: pass
context.values["mark"] = Mark()
self.seen = weakref.ref(context.values["mark"])
context.request.body.addFilter(lambda data, last: data)
return True
""")
        self.room.call(head=changed(HEAD, length=5))
        self.room.take(Answered)
        seen = self.room.runtime.plugin.object.seen
        body = ref(self.room.runtime.calls.requests[1].requestBody)
        gc.disable()
        self.addCleanup(gc.enable)
        self.assertIsNotNone(seen())
        self.assertIsNotNone(body())
        self.room.over()
        self.assertIsNone(seen())
        self.assertIsNone(body())

    def test_holds(self) -> None:
        """Whose code runs is written into the page: also what goes on with a reply."""
        self.room.load("""
            from twisted.internet.task import deferLater
            @implementer(IMiddleware, IHosted)
            class PluginMain:
                name = "guest"
                def __init__(self, config): pass
                def attach(self, host): self.host = host
                async def handle(self, context):
                    await context.client.get("http://billing/")
                    return True
        """)
        self.room.step("attach")
        number = self.room.call()
        asked = next(frame for frame in self.room.said if isinstance(frame, SendRequest))
        self.room.page.said.clear()
        self.room.reply(asked.number, [200, b"OK", [], b""])
        self.assertEqual(self.room.page.said, [number, 0])

    def test_cancelled(self) -> None:
        """What nobody waits for is cancelled and not answered; what it asked for comes to nobody."""
        self.handles("""
try:
    await context.client.get('http://billing/')
finally:
    context.log.info('given up')
return True
""")
        number = self.room.call()
        asked = self.room.take(SendRequest)
        self.room.take(Waiting)
        self.room.tell(Cancel(number))
        self.assertEqual(self.room.take(Logged).text, "given up")
        self.room.reply(asked.number, [200, b"OK", [], b""])
        self.room.tell(Cancel(number))
        self.assertEqual(self.room.said, [])

    def test_ownCancel(self) -> None:
        """A Deferred that the plugin itself has cancelled is a failure of its."""
        self.handles("""
from twisted.internet.defer import Deferred
waiting = Deferred()
waiting.cancel()
return waiting
""")
        self.room.call()
        self.assertEqual(self.room.take(Failed).text, "the middleware's own Deferred was cancelled")

    def test_informational(self) -> None:
        """1xx answers leave when the call waits, and the rest with its answer."""
        self.handles("""
context.sendInformational(103, {'Link': '</a.css>'})
await context.client.get('http://billing/')
context.sendInformational(103, {'Link': '</b.css>'})
return True
""")
        number = self.room.call()
        asked = self.room.take(SendRequest)
        self.assertEqual(self.room.take(Waiting), Waiting(number, ((103, ((b"Link", b"</a.css>"),)),)))
        self.room.reply(asked.number, [200, b"OK", [], b""])
        self.assertEqual(self.room.take(Answered).informational, ((103, ((b"Link", b"</b.css>"),)),))

    def test_phases(self) -> None:
        """Both ways and the end are of one context; the answer is what it is on its way out."""
        self.room.load("""
            @implementer(IMiddleware, IResponseMiddleware, IObserver)
            class PluginMain:
                name = "guest"
                def __init__(self, config): pass
                def handle(self, context):
                    self.context = context
                    context.values["secret"] = object()
                    return True
                def handleResponse(self, context):
                    assert context == self.context and context.values["secret"]
                    context.response.status = 404
                    context.response.headers.remove("Server")
                def finished(self, context):
                    assert context == self.context
                    outcome = context.outcome
                    context.log.info(f"{outcome.status} {outcome.bytesOut} {outcome.error}")
        """)
        self.room.call()
        self.room.take(Unchanged)
        number = self.room.call("handleResponse", head=None, response=answerHead(fields=[(b"Server", b"x")]))
        self.assertEqual(
            self.room.take(Answered), Answered(number, status=404, responseFields=((b"server", ()),))
        )
        number = self.room.call("finished", head=None, outcome=OUTCOME)
        self.assertEqual(self.room.take(Logged).text, "200 5 it broke")
        self.assertEqual(self.room.take(Unchanged), Unchanged(number))
        self.room.over()
        self.assertEqual(self.room.runtime.calls.requests, {})

    def test_otherAnswer(self) -> None:
        """An answer may be put in the place of another."""
        self.room.load("""
            @implementer(IMiddleware, IResponseMiddleware)
            class PluginMain:
                name = "guest"
                def __init__(self, config): pass
                def handle(self, context): return True
                def handleResponse(self, context): return context.respond(503, b"")
        """)
        number = self.room.call("handleResponse", response=answerHead(500))
        self.assertEqual(self.room.take(Answered), Answered(number, response=NewResponse(503, None, (), b"")))

    def test_notPermitted(self) -> None:
        """What it may not is said at the line that does it."""
        self.handles("return context.respond(200)", permissions=json.dumps({**ALL, "respond": False}).encode())
        self.room.call()
        failed = self.room.take(Failed)
        self.assertEqual(failed.kind, "NotPermitted")
        self.assertIn("respond: true", failed.text)


class FileTests(RoomCase):
    """What is not there says why."""

    def test_open(self) -> None:
        """A file that cannot be opened: the text says that there are none, and what to do; so does the traceback."""
        self.handles("raise PermissionError(1, 'Operation not permitted', '/etc/passwd')")
        self.room.call()
        failed = self.room.take(Failed)
        self.assertIn("[Errno 1] Operation not permitted: '/etc/passwd'; a locked process has no files", failed.text)
        self.assertIn("importlib.resources", failed.text)
        self.assertTrue(failed.traceback.endswith(f"{failed.text.partition('; ')[2]}\n"))

    def test_thread(self) -> None:
        """So with threads."""
        self.handles("raise RuntimeError(\"can't start new thread\")")
        self.room.call()
        self.assertIn("a locked process has one thread", self.room.take(Failed).text)

    def test_services(self) -> None:
        """And with what other plugins provide."""
        self.handles("return context.services[IMiddleware]")
        self.room.call()
        self.assertIn("cannot be had in a locked process", self.room.take(Failed).text)

    def test_hostile(self) -> None:
        """An exception whose text cannot be had is told all the same."""
        self.handles("""
class Evil(Exception):
    def __str__(self): raise SystemExit
raise Evil
""")
        self.room.call()
        self.assertEqual(self.room.take(Failed).kind, "Evil")


class OutsideTests(RoomCase):
    """What fails where nobody waits for it."""

    SOURCE = """
        @implementer(IMiddleware, IHosted, ILifecycle)
        class PluginMain:
            name = "guest"
            def __init__(self, config): pass
            def handle(self, context): return True
            def attach(self, host): self.host = host
            def start(self): self.host.callLater(5, self.tick)
            def tick(self): raise ValueError("ticked")
            def stop(self): pass
    """

    def test_timer(self) -> None:
        """A timer's failure is told by the function's name; what begins later is on the account of its step."""
        self.room.load(self.SOURCE)
        self.room.step("attach")
        self.room.step("start")
        self.room.said.clear()
        self.room.clock.advance(5)
        failed = self.room.take(FailedOutside)
        self.assertEqual((failed.kind, failed.text, failed.function), ("ValueError", "ticked", "PluginMain.tick"))

    def test_stopped(self) -> None:
        """With the plugin its timers end."""
        self.room.load(self.SOURCE)
        for name in ("attach", "start", "stop"):
            self.room.step(name)  # type: ignore[arg-type]
            self.room.take(Done)
        self.room.clock.advance(10)
        self.assertEqual(self.room.said, [])

    def test_store(self) -> None:
        """What a timer asks for is of no request."""
        self.room.load(self.SOURCE.replace('raise ValueError("ticked")', 'return self.host.store.set("key", [1])'))
        self.room.step("attach")
        self.room.step("start")
        self.room.said.clear()
        self.room.clock.advance(5)
        self.assertEqual(self.room.take(UseStore), UseStore(1, "set", "key", b"[1]"))
