"""
Plugins that are to behave alike in the edge's own process and in a locked one: what `test_processTierIsLikeInline`
runs. Each is code, what it asks for, and what a client sends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

HEAD = """
import json
import logging
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from zope.interface import implementer
from revproxy.errors import Refused
from revproxy.interfaces import *

"""

ALL = {
    "read_headers": ["*", ":path", ":authority", "Cookie", "Authorization", "Set-Cookie"],
    "write_headers": ["*", ":path", ":authority", ":method", "Cookie", "Authorization", "Set-Cookie"],
    "body": "write",
    "respond": True,
    "upstreams": ["app", "other"],
    "store": True,
    "figures": True,
}
"""Everything there is."""


@dataclass(frozen=True)
class Example:
    """
    :ivar body: methods of the middleware, or a whole module if it has a PluginMain.
    :ivar sends: requests: method and target, fields, body.
    :ivar more: of plugin.json.
    :ivar files: beside plugin.py.
    """

    body: str
    sends: tuple[tuple[str, str, bytes], ...] = (("GET /", "", b""),)
    interfaces: str = "IMiddleware"
    more: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    permissions: dict[str, Any] | None = field(default_factory=lambda: ALL)

    def code(self, name: str) -> str:
        """Its plugin.py."""
        if "PluginMain" in self.body:
            return HEAD + self.body.replace("NAME", name)
        lines = "\n".join(f"    {line}" for line in self.body.strip("\n").splitlines())
        return (
            f"{HEAD}@implementer({self.interfaces})\nclass PluginMain:\n    name = {name!r}\n"
            f"    def __init__(self, config): self.config = config\n{lines}\n"
        )


BODY = ("POST /", "", b"a body of some length")

EXAMPLES: dict[str, Example] = {
    "sets-fields": Example(
        """
def handle(self, context):
    headers = context.request.headers
    headers.set("X-Set", "set %s" % headers.get("X-In"))
    headers.add("X-Many", "three")
    headers.remove("X-Gone")
    headers.set("Authorization", "Basic no")
    return True
def handleResponse(self, context):
    headers = context.response.headers
    headers.set("X-Count", str(len(headers.getAll("X-Origin"))))
    headers.add("Set-Cookie", "b=2")
    headers.remove("Server")
""",
        (("GET /a?b=c", "X-In: in\r\nX-Gone: 1\r\nX-Many: one\r\nX-Many: two\r\nCookie: a=b\r\n", b""),),
        "IMiddleware, IResponseMiddleware",
    ),
    "responds": Example(
        """
def handle(self, context):
    path = context.request.path
    if path == "/text":
        return context.respond(200, "grüße", {"X-Own": "1"})
    if path == "/bytes":
        return context.respond(418, b"\\x00\\x01")
    if path == "/json":
        return context.respond(201, json.dumps({"query": context.request.query}), {"Content-Type": "application/json"})
    if path == "/empty":
        return context.respond(204)
    if path == "/large":
        return context.respond(200, b"x" * 300_000)
    return True
""",
        tuple((f"GET /{path}", "", b"") for path in ("text", "bytes", "json?a=b%20c", "empty", "large", "on")),
    ),
    "replaces": Example(
        """
def handle(self, context):
    return True
def handleResponse(self, context):
    if context.request.path == "/other":
        return context.respond(203, "instead of %d" % context.response.status)
    context.response.status = 202
    context.response.reason = "As it is"
""",
        (("GET /", "", b""), ("GET /other", "", b"")),
        "IMiddleware, IResponseMiddleware",
    ),
    "raises": Example(
        """
def handle(self, context):
    if context.request.path == "/later":
        return self.later()
    if context.request.path == "/wrong":
        return "nonsense"
    if context.request.path == "/refused":
        raise Refused(429, "slower", {"Retry-After": "3"})
    if context.request.path == "/bare":
        return False
    raise ValueError("on purpose")
async def later(self):
    raise KeyError("later")
""",
        tuple((f"GET /{path}", "", b"") for path in ("", "later", "wrong", "refused", "bare")),
    ),
    "raises-open": Example(
        """
def handle(self, context):
    raise ValueError("on purpose")
def handleResponse(self, context):
    raise KeyError("here, too")
""",
        (("GET /", "", b""),),
        "IMiddleware, IResponseMiddleware",
        {"on_error": "open"},
    ),
    "waits": Example(
        """
def attach(self, host):
    self.host = host
async def handle(self, context):
    await deferLater(self.host, 0.01)
    if context.request.path == "/deferred":
        waiting = Deferred()
        self.host.callLater(0.01, waiting.callback, None)
        await waiting
    context.request.headers.set("X-Waited", "yes")
    return True
async def handleResponse(self, context):
    await deferLater(self.host, 0.01)
    context.response.headers.set("X-Waited", "twice")
""",
        (("GET /", "", b""), ("GET /deferred", "", b"")),
        "IMiddleware, IResponseMiddleware, IHosted",
    ),
    "late": Example(
        """
def handle(self, context):
    return Deferred()
""",
        (("GET /", "", b""),),
        more={"limits": {"timeout_ms": 200}},
    ),
    "reads-body": Example(
        """
async def handle(self, context):
    data = await context.request.body.read(1000)
    context.request.headers.set("X-Length", str(len(data)))
    return True
async def handleResponse(self, context):
    data = await context.response.body.read(100_000)
    context.response.headers.set("X-Length", str(len(data)))
""",
        (BODY, ("GET /", "", b"")),
        "IMiddleware, IResponseMiddleware",
    ),
    "too-large": Example(
        """
async def handle(self, context):
    try:
        await context.request.body.read(10)
    except Exception as error:
        context.request.headers.set("X-Error", type(error).__name__)
    return True
""",
        (BODY,),
    ),
    "replaces-body": Example(
        """
async def handle(self, context):
    data = await context.request.body.read(1000)
    context.request.body.replace(data.upper() + b"!")
    return True
async def handleResponse(self, context):
    data = await context.response.body.read(100_000)
    context.response.body.replace(b"<" + data + b">")
""",
        (BODY,),
        "IMiddleware, IResponseMiddleware",
    ),
    "filters": Example(
        """
def handle(self, context):
    context.request.body.addFilter(lambda data, last: data.upper())
    return True
def handleResponse(self, context):
    self.seen = 0
    def count(data, last):
        self.seen += len(data)
        return data + (b" (%d)" % self.seen if last else b"")
    context.response.body.addFilter(count)
""",
        (BODY, ("POST /", "", b"x" * 200_000)),
        "IMiddleware, IResponseMiddleware",
    ),
    "filters-later": Example(
        """
def attach(self, host):
    self.host = host
def handle(self, context):
    return True
def handleResponse(self, context):
    async def slowly(data, last):
        await deferLater(self.host, 0.005)
        return data.swapcase()
    context.response.body.addFilter(slowly)
""",
        (("GET /", "", b""),),
        "IMiddleware, IResponseMiddleware, IHosted",
    ),
    "filter-raises": Example(
        """
def handle(self, context):
    return True
def handleResponse(self, context):
    def broken(data, last):
        raise Refused(415, "not this")
    context.response.body.addFilter(broken)
""",
        (("GET /", "", b""),),
        "IMiddleware, IResponseMiddleware",
    ),
    "pieces": Example(
        """
def attach(self, host):
    self.host = host
def handle(self, context):
    if context.request.path == "/sync":
        return context.respond(200, (b"%d," % n for n in range(100)), {"Content-Type": "text/plain"})
    if context.request.path == "/broken":
        return context.respond(200, self.broken())
    return context.respond(200, self.slowly())
async def slowly(self):
    for n in range(5):
        await deferLater(self.host, 0.001)
        yield "piece %d\\n" % n
async def broken(self):
    yield b"first"
    raise ValueError("no second")
""",
        (("GET /sync", "", b""), ("GET /async", "", b"")),
        "IMiddleware, IHosted",
    ),
    "rewrites": Example(
        """
def handle(self, context):
    request = context.request
    request.method = "PUT"
    request.path = "/rewritten" + request.path
    request.query = "x=1"
    request.host = "b.example"
    context.id = "my-own-id"
    context.fields["tenant"] = "t"
    return True
""",
        (("GET /a?b=c", "", b""),),
    ),
    "chooses": Example(
        """
def handle(self, context):
    if context.request.path == "/origin":
        context.upstream = "other"
        context.origin = context.origins[0]
    elif context.request.path == "/none":
        context.upstream = "nowhere"
    else:
        context.upstream = "other"
    return True
""",
        (("GET /", "", b""), ("GET /origin", "", b""), ("GET /none", "", b"")),
    ),
    "reroutes": Example(
        """
def handle(self, context):
    if context.request.path == "/old":
        context.request.path = "/elsewhere/new"
        context.reroute()
    return True
""",
        (("GET /old", "", b""), ("GET /", "", b"")),
    ),
    "interim": Example(
        """
def attach(self, host):
    self.host = host
async def handle(self, context):
    context.sendInformational(103, {"Link": "</a.css>; rel=preload"})
    await deferLater(self.host, 0.01)
    return True
""",
        (("GET /", "", b""),),
        "IMiddleware, IHosted",
    ),
    "remembers": Example(
        """
def handle(self, context):
    context.values["mine"] = {"list": [1, 2.5, None, True], "text": "ü", "bytes": b"b"}
    self.own = getattr(self, "own", 0) + 1
    return True
def handleResponse(self, context):
    context.response.headers.set("X-Mine", json.dumps(context.values["mine"], default=repr, sort_keys=True))
    context.response.headers.set("X-Own", str(self.own))
    context.response.headers.set("X-Path", context.request.path)
""",
        (("GET /a", "", b""), ("GET /b", "", b"")),
        "IMiddleware, IResponseMiddleware",
    ),
    "asks": Example(
        """
async def handle(self, context):
    answer = await context.client.post("http://other/asked?x=1", data=b"question", headers={"X-Asking": "yes"})
    text = await answer.text()
    return context.respond(200, "%d %s" % (answer.code, text))
""",
    ),
    "keeps": Example(
        """
def attach(self, host):
    self.host = host
async def handle(self, context):
    store = self.host.store
    before = await store.get("count", 0)
    await store.set("count", before + 1)
    keys = await store.keys()
    await store.delete("nothing")
    return context.respond(200, json.dumps([before, keys, await store.get("none")]))
""",
        (("GET /", "", b""), ("GET /", "", b"")),
        "IMiddleware, IHosted",
    ),
    "ticks": Example(
        """
def attach(self, host):
    self.host, self.ticks, self.waiting = host, 0, []
def start(self):
    self.host.callEvery(0.01, self.tick)
def tick(self):
    self.ticks += 1
    if self.ticks == 3:
        raise ValueError("a tick")
    waiting, self.waiting = self.waiting, []
    for each in waiting:
        each.callback(None)
def stop(self):
    pass
async def handle(self, context):
    waiting = Deferred()
    self.waiting.append(waiting)
    await waiting
    return context.respond(200, "ticked")
""",
        (("GET /", "", b""),),
        "IMiddleware, IHosted, ILifecycle",
    ),
    "reads-files": Example(
        """
def handle(self, context):
    from importlib.resources import files
    from . import second
    import lib
    return context.respond(200, files(__package__).joinpath("words.txt").read_text() + second.WORD + lib.WORD)
""",
        files={"words.txt": "in a file ", "second.py": "WORD = 'and a module '\n", "vendor/lib.py": "WORD = 'lib'\n"},
    ),
    "configured": Example(
        """
def handle(self, context):
    return context.respond(200, json.dumps(self.config, sort_keys=True))
""",
        more={"config": {"a": 1, "b": ["x", None, {"c": 2.5}]}},
    ),
    "context": Example(
        """
def handle(self, context):
    request = context.request
    told = [request.method, request.path, request.query, request.host, request.scheme, request.version, context.route]
    told += [context.upstream, request.peer.host, request.hasBody, list(context.origins) != []]
    return context.respond(200, json.dumps(told))
""",
        (("GET /p/q?r=s", "", b""), BODY),
    ),
    "nothing": Example(
        """
def handle(self, context):
    return True
def handleResponse(self, context):
    pass
def finished(self, context):
    pass
""",
        (("GET /", "", b""), BODY),
        "IMiddleware, IResponseMiddleware, IObserver",
    ),
}
"""By name."""
