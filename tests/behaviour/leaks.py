"""
Plugins that do all that one in a locked process can, and one that counts what the edge holds: for
`tests.thorough.test_hostileClients`.
"""

from __future__ import annotations

from typing import Any, Final

BUSY: Final = """
import gc, json, os, resource
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from zope.interface import implementer
from revproxy.interfaces import *

class Common:
    name = "NAME"
    def __init__(self, config): pass
    def attach(self, host): self.host = host
    def exportState(self): return {"version": "VERSION"}
    def importState(self, state, version): pass
    async def handle(self, context):
        path = context.request.path.partition("/")[2].partition("/")[0]
        return await getattr(self, "on" + path.capitalize(), self.onPass)(context)
    async def onPass(self, context):
        return True
    async def onWait(self, context):
        await deferLater(reactor, 0.005)
        return True
    async def onNever(self, context):
        await Deferred()
    async def onRead(self, context):
        data = await context.request.body.read(1 << 20)
        context.request.headers.set("X-Length", str(len(data)))
        return True
    async def onForget(self, context):
        context.request.body.read(1 << 20).addErrback(lambda failure: None)
        return True
    async def onFilter(self, context):
        context.request.body.addFilter(lambda data, last: data.upper())
        context.values["a"] = [context.id]
        return True
    async def onAsk(self, context):
        answer = await context.client.get("http://app/asked")
        context.request.headers.set("X-Asked", str(len(await answer.content())))
        return True
    async def onPieces(self, context):
        async def pieces():
            for n in range(20):
                await deferLater(reactor, 0.001)
                yield b"x" * 5000
        return context.respond(200, pieces())
    async def onEcho(self, context):
        token = context.request.headers.get("X-Token")
        await deferLater(reactor, 0.001)
        data = await context.request.body.read(1 << 20)
        return context.respond(200, "%d" % len(data), {"X-Token": token})
    async def onAnswer(self, context):
        return context.respond(200, "hi")
    async def onFail(self, context):
        raise ValueError("on purpose")
    async def onInterim(self, context):
        context.sendInformational(103, {"Link": "</a>"})
        await deferLater(reactor, 0.002)
        return True
    async def onSpin(self, context):
        while True: pass
    async def onDie(self, context):
        os._exit(1)
    async def onCount(self, context):
        gc.collect()
        run = next(each for each in gc.get_objects() if type(each).__name__ == "Runtime")
        kinds = {}
        for each in gc.get_objects():
            kinds[type(each).__name__] = kinds.get(type(each).__name__, 0) + 1
        calls = run.calls
        return context.respond(200, json.dumps({
            "requests": len(calls.requests), "filterings": len(calls._filterings), "pullings": len(calls._pullings),
            "pending": len(run._pending._deferreds) + len(run._pending._requests), "asks": len(run._asks._waiting),
            "waiting": len(reactor._holding._waiting), "timers": len(reactor.getDelayedCalls()),
            "contexts": kinds.get("Context", 0), "bodies": kinds.get("Body", 0),
            "coroutines": kinds.get("coroutine", 0), "deferreds": kinds.get("Deferred", 0),
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        }))

@implementer(IMiddleware, IHosted, IStateful)
class Brief(Common): pass

@implementer(IMiddleware, IHosted, IStateful, IResponseMiddleware, IObserver)
class Whole(Common):
    async def handleResponse(self, context):
        path = context.request.path
        context.response.headers.set("X-Token", context.request.headers.get("X-Token") or "")
        if path.startswith("/wait"):
            await deferLater(reactor, 0.005)
        elif path.startswith("/filter"):
            context.response.body.addFilter(lambda data, last: data.lower())
        elif path.startswith("/read"):
            data = await context.response.body.read(1 << 20)
            context.response.headers.set("X-Length", str(len(data)))
        elif path.startswith("/forget"):
            context.response.body.read(1 << 20).addErrback(lambda failure: None)
    async def finished(self, context):
        if context.request.path.startswith("/wait"):
            await deferLater(reactor, 0.005)

PluginMain = KIND
"""

COUNTING: Final = """
import gc, json, os
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

KINDS = ("KnownRequest", "Context", "Request", "Response", "Body", "Ask", "PluginProcess", "Bounded", "Deferred",
         "LockedProcess", "Link", "Output", "LockedMiddleware", "Succession", "Broker", "Exchange", "coroutine",
         "async_generator", "DelayedCall", "Made", "Instance", "Failure", "Reading", "_Share", "traceback", "frame")

@implementer(IMiddleware)
class PluginMain:
    name = "counting"
    def __init__(self, config): pass
    def handle(self, context):
        gc.collect()
        counts = dict.fromkeys(KINDS, 0)
        for each in gc.get_objects():
            name = type(each).__name__
            if name in counts:
                counts[name] += 1
        counts["descriptors"] = len(os.listdir("/proc/self/fd"))
        return context.respond(200, json.dumps(counts))
"""

PERMISSIONS: Final[dict[str, Any]] = {
    "read_headers": ["*", ":path"],
    "write_headers": ["*"],
    "body": "write",
    "respond": True,
    "upstreams": ["app"],
    "store": True,
}
