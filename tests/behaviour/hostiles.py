"""
Plugins that attack the edge from a locked process: what `test_hostilePluginsStayApart` runs. Each is code, what it asks
for, what a client sends, and what must not come of it.

Some say what no code of ours would: `say` and `raw` write to the stream behind the loop's back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

HEAD: Final = """
import asyncio, ctypes, gc, json, logging, os, signal, struct, sys, time
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from zope.interface import implementer
from revproxy.errors import Refused
from revproxy.interfaces import *
from revproxy.isolation import frames

def raw(data):
    reactor.send(data)
    reactor.flush()
def say(*told):
    raw(b"".join(map(frames.encode, told)))
def now():
    return reactor._holding.current
def runtime():
    return next(each for each in gc.get_objects() if type(each).__name__ == "Runtime")
def request():
    return max(runtime().calls.requests)
def spin():
    while True:
        pass
def again():
    while True:
        try:
            time.sleep(0.001)
            spin()
        except BaseException:
            pass
"""

LITTLE: Final[dict[str, Any]] = {"respond": True}
"""What a plugin may that asks for nothing."""

MUCH: Final[dict[str, Any]] = {
    "read_headers": ["*", ":path", ":authority"],
    "write_headers": ["*", ":path", ":authority", ":method", "Set-Cookie"],
    "body": "write",
    "respond": True,
    "upstreams": ["app"],
    "store": True,
    "figures": True,
}
"""Nearly everything; not the upstream ``other``, and not the cookies and passwords of clients."""

GET: Final = (("GET /", "", b""),)
POST: Final = (("POST /", "", b"a body of some length"),)


@dataclass(frozen=True)
class Hostile:
    """
    One of them.

    :ivar code: methods of the middleware.
    :ivar sends: requests: method and target, fields, body.
    :ivar statuses: that the client may get; 0: the end of the connection, before an answer or within it.
    :ivar never: what is nowhere in the answer, nor in what an origin got.
    :ivar said: what the edge has to have told of it, in its log or its events; empty: nothing that matters.
    :ivar megabytes: by which the edge may grow meanwhile.
    """

    code: str
    sends: tuple[tuple[str, str, bytes], ...] = GET
    statuses: tuple[int, ...] = (500,)
    interfaces: str = "IMiddleware"
    permissions: dict[str, Any] = field(default_factory=lambda: LITTLE)
    never: tuple[bytes, ...] = ()
    said: str = ""
    megabytes: int = 120
    limits: dict[str, Any] = field(default_factory=dict)

    def files(self, name: str) -> tuple[dict[str, Any], str]:
        """Its plugin.json and plugin.py."""
        lines = "\n".join(f"    {line}" for line in self.code.strip("\n").splitlines())
        manifest = {
            "name": name, "version": "1.0.0", "enabled": True, "permissions": self.permissions,
            "limits": {"timeout_ms": 200, "memory_mb": 64, **self.limits}, "isolation": "process",
        }  # fmt: skip
        return manifest, (
            f"{HEAD}\n@implementer({self.interfaces})\nclass PluginMain:\n    name = {name!r}\n"
            f"    def __init__(self, config): self.config = config\n{lines}\n"
        )


BOTH: Final = "IMiddleware, IResponseMiddleware"
HOSTED: Final = "IMiddleware, IHosted"

_ATTACH = """
def attach(self, host):
    self.host = host
"""

# What holds its process, and what takes its memory

_HOLDS = {
    "spins": Hostile("def handle(self, context): spin()", statuses=(504, 500)),
    "spins-for-ever": Hostile("def handle(self, context): again()"),
    "sleeps": Hostile("def handle(self, context): time.sleep(3600)"),
    "stops-itself": Hostile("def handle(self, context): os.kill(os.getpid(), signal.SIGSTOP)\n"),
    "regex": Hostile("""
def handle(self, context):
    import re
    re.match(r"(a+)+$", "a" * 60 + "b")
"""),
    "computes-in-c": Hostile("def handle(self, context): sum(range(10 ** 12))"),
    "spins-later": Hostile("""
async def handle(self, context):
    await deferLater(reactor, 0.01)
    spin()
"""),
    "spins-in-response": Hostile("""
def handle(self, context): return True
def handleResponse(self, context): spin()
""", interfaces=BOTH),
    "spins-at-end": Hostile("""
def handle(self, context): return True
def finished(self, context): spin()
""", interfaces="IMiddleware, IObserver", statuses=(200,)),
    "spins-in-timer": Hostile("""
def handle(self, context):
    reactor.callLater(0.001, spin)
    return True
""", statuses=(200,)),
    "spins-in-filter": Hostile("""
def handle(self, context):
    context.request.body.addFilter(lambda data, last: spin())
    return True
""", POST, permissions=MUCH, statuses=(500, 502)),
    "spins-in-answers-filter": Hostile("""
def handle(self, context): return True
def handleResponse(self, context):
    context.response.body.addFilter(lambda data, last: spin())
""", interfaces=BOTH, permissions=MUCH, statuses=(500, 0)),
    "spins-in-piece": Hostile("""
def handle(self, context): return context.respond(200, self.pieces())
def pieces(self):
    yield b"first"
    spin()
""", statuses=(200, 0, 500)),
    "spins-in-del": Hostile("""
def handle(self, context):
    class Late:
        def __del__(self): spin()
    Late()
    return True
"""),
    "spins-in-repr": Hostile("""
def handle(self, context):
    class Bad(Exception):
        def __str__(self): spin()
    raise Bad()
"""),
    "spins-and-lies": Hostile("""
def handle(self, context):
    page = reactor._holding._page
    while True:
        page.leave()
"""),
    "blames-others": Hostile("""
def handle(self, context):
    page = reactor._holding._page
    while True:
        page.enter(now() + 1000)
"""),
    "always-just-now": Hostile("""
def handle(self, context):
    page = reactor._holding._page
    while True:
        page.enter(now())
"""),
    "says-it-waits-and-spins": Hostile("""
def handle(self, context):
    say(frames.Waiting(now()))
    reactor._holding._page.leave()
    spin()
""", statuses=(500, 504)),
    "never-answers": Hostile("def handle(self, context): return Deferred()", statuses=(500, 504)),
    "memory-fast": Hostile("""
def handle(self, context):
    kept = b"x" * (1 << 30)
    return True
"""),
    "memory-slow": Hostile("""
kept = []
async def handle(self, context):
    while True:
        self.kept.append(bytearray(1 << 20))
        await deferLater(reactor, 0.0005)
"""),
    "memory-small": Hostile("""
def handle(self, context):
    kept = []
    while True:
        kept.append(object())
"""),
    "timers": Hostile("""
def tick(self):
    reactor.callLater(0, self.tick)
    reactor.callLater(0, self.tick)
def handle(self, context):
    self.tick()
    return True
""", statuses=(200, 500)),
    "recursion": Hostile("""
def handle(self, context):
    def down(): return down()
    sys.setrecursionlimit(10 ** 9)
    down()
"""),
}

# How it ends

_ENDS = {
    name: Hostile(f"def handle(self, context): {how}")
    for name, how in {
        "exits": "os._exit(0)",
        "sys-exit": "raise SystemExit(3)",
        "interrupts": "raise KeyboardInterrupt",
        "generator-exit": "raise GeneratorExit",
        "base-exception": "raise BaseException('on purpose')",
        "group": "raise BaseExceptionGroup('many', [SystemExit(1), ValueError('x')])",
        "aborts": "os.abort()",
        "kills-itself": "os.kill(os.getpid(), signal.SIGKILL)",
        "segfault": "ctypes.string_at(0)",
        "closes-stream": "os.close(reactor._fd)",
        "forks": "os.fork()",
        "executes": "os.execv('/bin/sh', ['sh'])",
        "kills-parent": "os.kill(os.getppid(), 9)",
        "opens": "open('/etc/passwd')",
        "connects": "__import__('socket').create_connection(('127.0.0.1', 1))",
        "thread": "__import__('threading').Thread(target=spin).start()",
        "stops-loop": "reactor.stop()",
    }.items()
}

# What it says on the stream

_SAYS = {
    name: Hostile(f"def handle(self, context):\n    {how}\n    return True", statuses=statuses)
    for name, how, statuses in (
        ("garbage", "raw(os.urandom(65536))", (500,)),
        ("zeros", "raw(bytes(1 << 20))", (500,)),
        ("huge-frame", "raw(struct.pack('<I', 0xffffffff) + b'x' * 100000)", (500,)),
        ("just-too-large", "raw(struct.pack('<I', frames.MOST_UP + 1) + b'x' * 100000)", (500,)),
        ("truncated", "raw(struct.pack('<I', 1 << 20) + b'x' * 100); spin()", (500,)),
        ("truncated-then-ends", "raw(struct.pack('<I', 1 << 20) + b'x' * 100); os._exit(1)", (500,)),
        ("no-msgpack", "raw(struct.pack('<I', 5) + b'\\xc1' * 5)", (500,)),
        ("deep-msgpack", "raw(struct.pack('<I', 1 << 20) + b'\\x91' * (1 << 20))", (500,)),
        ("down-frame", "say(frames.Cancel(now()))", (500,)),
        ("answers-twice", "say(frames.Answered(now(), True), frames.Answered(now(), True))", (200,)),
        ("answers-others", "say(*(frames.Answered(n, True) for n in range(now() + 1, now() + 9)))", (500,)),
        ("answers-huge-number", "say(frames.Answered(2 ** 53, True))", (500,)),
        ("replays", "say(*(frames.Answered(1, True) for n in range(100000)))", (200, 500)),
        ("loaded-again", "say(*[frames.Loaded(('IObserver', 'IStateful'))] * 5)", (200, 500)),
        ("failed-zero", "say(frames.Failed(0, 'import', 'X' * 60000, 'y' * 60000))", (200, 500)),
        ("done-for-call", "say(frames.Done(now(), b'[1'))", (500,)),
        ("piece-for-call", "say(frames.Piece(now(), b'x'))", (500,)),
        ("verdict-none", "say(frames.Answered(now(), None))", (500,)),
        ("false-and-no-answer", "say(frames.Answered(now(), False))", (500,)),
        ("waits-flood", "say(*(frames.Waiting(n) for n in range(300000))); spin()", (500,)),
        ("asks-flood", "say(*(frames.UseStore(n, 'get', 'k') for n in range(100000))); spin()", (500,)),
        ("fails-flood", "say(*[frames.FailedOutside('E' * 300, 'x' * 65000, 'f')] * 500); spin()", (500,)),
        ("reads-others", "say(*(frames.ReadBody(n, n, False, 100) for n in range(1000)))", (200,)),
        ("counts-unasked", "say(*(frames.Counted(()) for n in range(1000)))", (200,)),
        ("many-fields", "say(frames.Answered(now(), True, tuple((b'x%d' % n, ()) for n in range(300000))))", (500,)),
        ("bomb-of-nothings", "raw(struct.pack('<I', 16 << 20) + b'\\xa8Answered'.join([b'\\x93', b'\\x01\\xc3'])"
         " + b'\\xdd\\x00\\xff\\xff\\xff' + b'\\x92\\xc4\\x00\\x90' * (4 << 20))", (500,)),
    )
}  # fmt: skip

_UNHEARD = {
    "never-reads": Hostile("""
def handle(self, context):
    time.sleep(3600)
""", tuple([("POST /", "", b"x" * 100_000)] * 20), permissions=MUCH, statuses=(500, 503, 504)),
    "writes-and-never-reads": Hostile("""
def handle(self, context):
    while True:
        say(*(frames.UseStore(n, "keys", "") for n in range(900)))
        time.sleep(0.01)
""", permissions=MUCH, statuses=(500,)),
    "large-frames": Hostile("""
def handle(self, context):
    while True:
        say(frames.SendRequest(1, 1, b"POST", "none", b"/", (), bytes(1 << 24)))
"""),
}

# What it writes and counts

_WRITES = {
    "stderr-flood": Hostile("""
def handle(self, context):
    while True:
        os.write(2, b"flood " * 10000)
"""),
    "forges-log": Hostile("""
def handle(self, context):
    fake = "2026-01-01T00:00:00+0000 [revproxy#info] FORGED: all is well"
    os.write(2, f"a\\n{fake}\\r{fake}\\x1b[2K\\x1b[1A{fake}\\n".encode() + b"\\xff\\xfe\\n")
    logging.getLogger("x\\n" + fake).warning("a\\n" + fake + "\\u2028" + fake + "\\u202e\\x1b]0;x\\x07")
    print("b\\n" + fake)
    say(frames.Logged("info", "c\\n" + fake, "n\\n" + fake, fake + "\\n" + fake))
    context.fields["x"] = "d\\n" + fake
    raise ValueError("e\\n" + fake)
"""),
    "logs-flood": Hostile("""
def handle(self, context):
    for n in range(15000):
        logging.error("line %d %s", n, "x" * 5000)
    return True
""", statuses=(200, 500), said="log"),
    "labels": Hostile("""
def attach(self, host): self.host = host
def handle(self, context):
    counter = self.host.figures.counter("bomb_total", "", ["who"])
    for n in range(5000):
        counter.inc(who="v%d\\n" % n)
    return True
""", interfaces=HOSTED, permissions=MUCH, statuses=(200,), said="labels"),
    "raw-labels": Hostile("""
def handle(self, context):
    series = tuple((("v%d" % n,), (1.0,)) for n in range(100000))
    say(frames.Counted((frames.FigureCounted("bomb_total", "", ("who",), (), series),)))
    for n in range(1000):
        say(frames.Counted((frames.FigureCounted("f%d" % n, "", (), (), (((), (1.0,)),)),)))
    return True
""", permissions=MUCH, statuses=(200, 500)),
    "no-numbers": Hostile("""
def handle(self, context):
    for n, bad in enumerate((float("nan"), float("inf"), -float("inf"), -1.0, 1e308)):
        say(frames.Counted((frames.FigureCounted("c%d" % n, "", (), (), (((), (bad,)),)),)))
        say(frames.Counted((frames.FigureCounted("h%d" % n, "", (), (1.0,), (((), (bad, 1.0, 1.0)),)),)))
        say(frames.Counted((frames.FigureCounted("g%d" % n, "", (), (bad,), (((), (1.0, 1.0, 1.0)),)),)))
    return True
""", permissions=MUCH, statuses=(200,), never=(b"nan", b"inf")),
    "logged-fields": Hostile("""
def handle(self, context):
    say(frames.Answered(now(), True, logged={"status\\n%d" % n: "x" * 1000 for n in range(10000)}))
"""),
    "values-nested": Hostile("""
def handle(self, context):
    deep = []
    for _ in range(100000): deep = [deep]
    context.values["deep"] = deep
    return True
""", statuses=(200, 500)),
    "values-raw": Hostile("""
def handle(self, context):
    say(frames.Answered(now(), True, values=b"\\x81\\xa1x" + b"\\x91" * 200000 + b"\\xc0"))
"""),
    "values-large": Hostile("""
def handle(self, context):
    for n in range(10000): context.values["v%d" % n] = "x" * 100
    return True
""", statuses=(200, 500)),
    "values-extension": Hostile("""
def handle(self, context):
    say(frames.Answered(now(), True, values=b"\\x81\\xa1x\\xd6\\xff\\x00\\x00\\x00\\x00"))
"""),
}

# What it does with requests and answers

_INJECTED = (
    ("crlf", "(b'x-a', b'1\\r\\nX-Injected: 1')"),
    ("lf", "(b'x-a', b'1\\nX-Injected: 1')"),
    ("nul", "(b'x-injected', b'1\\x00')"),
    ("name-with-colon", "(b'x-injected: 1\\r\\nx', b'1')"),
    ("empty-name", "(b'', b'x-injected')"),
    ("space-in-name", "(b'x-injected ', b'1')"),
    ("pseudo", "(b':x-injected', b'1')"),
    ("connection", "(b'connection', b'x-injected')"),
    ("content-length", "(b'content-length', b'31337')"),
    ("transfer-encoding", "(b'transfer-encoding', b'x-injected')"),
    ("underscores", "(b'transfer_encoding', b'x-injected')"),
    ("te", "(b'te', b'x-injected')"),
    ("upgrade", "(b'upgrade', b'x-injected')"),
    ("keep-alive", "(b'keep-alive', b'x-injected')"),
    ("proxy-connection", "(b'proxy-connection', b'x-injected')"),
    ("trailer", "(b'trailer', b'x-injected')"),
    ("host", "(b'host', b'x-injected')"),
    ("cookie", "(b'cookie', b'x-injected')"),
    ("authorization", "(b'authorization', b'x-injected')"),
)

_NEVER = (b"X-Injected", b"x-injected", b"31337")
_FIELDS = {
    f"request-{name}": Hostile(
        f"def handle(self, context): say(frames.Answered(now(), True, (({each}[0], ({each},)),)))",
        permissions=MUCH,
        never=_NEVER,
    )
    for name, each in _INJECTED
}
_FIELDS |= {
    f"answer-{name}": Hostile(
        f"def handle(self, context):\n    say(frames.Answered(now(), False, response="
        f"frames.NewResponse(200, None, ({each},), b'x')))",
        permissions=MUCH,
        statuses=(200, 500) if name == "host" else (500,),
        never=() if name == "host" else _NEVER,
    )
    for name, each in _INJECTED
    if name not in ("cookie", "authorization")
}
_FIELDS |= {
    "ten-thousand-fields": Hostile("""
def handle(self, context):
    fields = tuple((b"x-%d" % n, b"1") for n in range(10000))
    say(frames.Answered(now(), False, response=frames.NewResponse(200, None, fields, b"x")))
"""),
    "megabyte-field": Hostile("""
def handle(self, context):
    say(frames.Answered(now(), False, response=frames.NewResponse(200, None, ((b"x", b"y" * (1 << 20)),), b"x")))
"""),
    "reason": Hostile("""
def handle(self, context):
    say(frames.Answered(now(), False, response=frames.NewResponse(200, b"OK\\r\\nX-Injected: 1", (), b"x")))
""", never=_NEVER),
    "id": Hostile("""
def handle(self, context):
    say(frames.Answered(now(), True, id="a\\r\\nX-Injected: 1"))
""", never=_NEVER),
    "not-granted-field": Hostile("""
def handle(self, context):
    say(frames.Answered(now(), True, ((b"x-injected", ((b"x-injected", b"1"),)),)))
""", never=_NEVER),
    "not-granted-path": Hostile("""
def handle(self, context):
    say(frames.Answered(now(), True, target=b"/x-injected"))
""", never=_NEVER),
    "target": Hostile("""
def handle(self, context):
    say(frames.Answered(now(), True, target=b"/ HTTP/1.1\\r\\nX-Injected: 1\\r\\n\\r\\nGET /"))
""", permissions=MUCH, never=_NEVER),
    "host-name": Hostile("""
def handle(self, context):
    say(frames.Answered(now(), True, host=b"a\\r\\nX-Injected: 1"))
""", permissions=MUCH, never=_NEVER),
    "method": Hostile("""
def handle(self, context):
    say(frames.Answered(now(), True, method=b"GET / HTTP/1.1\\r\\nX-Injected: 1\\r\\n\\r\\nGET"))
""", permissions=MUCH, never=_NEVER),
    "not-granted-body": Hostile("""
def handle(self, context):
    say(frames.Answered(now(), True, body=frames.BodyChanged(b"x-injected")))
""", POST, never=_NEVER),
    "not-granted-upstream": Hostile("""
def handle(self, context):
    say(frames.Answered(now(), True, upstream="other"))
""", permissions=MUCH, never=(b"name: other",)),
    "foreign-origin": Hostile("""
def handle(self, context):
    say(frames.Answered(now(), True, upstream="app", origin="http://127.0.0.1:1"))
""", permissions=MUCH),
    "reroutes-for-ever": Hostile("""
def handle(self, context):
    context.request.path = context.request.path + "x"
    context.reroute()
    return True
""", permissions=MUCH, statuses=(200, 500, 508, 404)),
    "informational-flood": Hostile("""
def handle(self, context):
    while True:
        say(*[frames.Waiting(now(), ((103, ((b"link", b"x" * 60000),)),) * 16)] * 10)
"""),
    "bad-informational": Hostile("""
def handle(self, context):
    say(frames.Waiting(now(), ((101, ()),)), frames.Waiting(now(), ((200, ()),)),
        frames.Waiting(now(), ((103, ((b"x-injected", b"1\\r\\n\\r\\n"),)),)))
    return True
""", statuses=(200, 500), never=(*_NEVER, b"HTTP/1.1 101")),
}  # fmt: skip
_FIELDS |= {
    f"status-{status}".lower().replace("--", "-minus-"): Hostile(f"""
def handle(self, context):
    say(frames.Answered(now(), False, response=frames.NewResponse({status}, None, (), b"x")))
""")
    for status in (0, -1, 99, 100, 101, 199, 600, 1000, True)
}
_FIELDS |= {
    f"body-with-{status}": Hostile(f"""
def handle(self, context):
    say(frames.Answered(now(), False, response=frames.NewResponse({status}, None, (), b"HTTP/1.1 200 x-injected")))
""", never=_NEVER, statuses=(status,))
    for status in (204, 304)
}
_FIELDS |= {
    "body-for-head": Hostile("""
def handle(self, context): return context.respond(200, b"HTTP/1.1 200 x-injected")
""", (("HEAD /", "", b""),), statuses=(200,), never=_NEVER),
    "answers-upgrade": Hostile("""
def handle(self, context): return context.respond(200, b"hello")
""", (("GET /", "Upgrade: websocket\r\nConnection: Upgrade\r\n", b""),), statuses=(200,)),
    "answers-connect": Hostile("""
def handle(self, context): return context.respond(200, b"hello")
""", (("CONNECT connects.example:443", "", b""),), statuses=(200, 400, 405, 500, 501)),
    "get-becomes-head": Hostile("""
def handle(self, context):
    context.request.method = "HEAD"
    return True
""", permissions=MUCH, statuses=(200, 500, 502)),
    "get-becomes-connect": Hostile("""
def handle(self, context):
    context.request.method = "CONNECT"
    return True
""", permissions=MUCH, statuses=(200, 500, 502, 405, 501)),
    "answer-becomes-304": Hostile("""
def handle(self, context): return True
def handleResponse(self, context): context.response.status = 304
""", permissions=MUCH, interfaces=BOTH, statuses=(304, 500)),
}

# Bodies

_BODIES = {
    "not-granted-read": Hostile("""
async def handle(self, context):
    say(frames.ReadBody(1 << 40, request(), False, 1000))
    await deferLater(reactor, 0.05)
    return True
""", POST, statuses=(200,)),
    "reads-and-does-not-wait": Hostile("""
def handle(self, context):
    say(frames.ReadBody(1 << 40, request(), False, 1 << 24))
    return True
""", POST * 5, permissions=MUCH, statuses=(200,)),
    "reads-too-late": Hostile("""
def handle(self, context):
    return True
def handleResponse(self, context):
    say(frames.ReadBody(1 << 40, request(), False, 1 << 24), frames.ReadBody(1 << 41, request(), True, 1 << 24))
""", POST, interfaces=BOTH, permissions=MUCH, statuses=(200,)),
    "filter-of-a-gigabyte": Hostile("""
def handle(self, context):
    context.request.body.addFilter(lambda data, last: b"x" * (1 << 30))
    return True
""", POST, permissions=MUCH, statuses=(500, 502)),
    "filter-of-17-megabytes": Hostile("""
def handle(self, context): return True
def handleResponse(self, context):
    context.response.body.addFilter(lambda data, last: b"x" * (17 << 20))
""", interfaces=BOTH, permissions=MUCH, statuses=(500, 0), limits={"memory_mb": 256}),
    "answer-of-17-megabytes": Hostile("""
def handle(self, context): return context.respond(200, b"x" * (17 << 20))
""", limits={"memory_mb": 256}),
    "endless-nothing": Hostile("""
def handle(self, context): return context.respond(200, self.pieces())
async def pieces(self):
    while True:
        yield b""
""", statuses=(0, 200, 500)),
    "endless-pieces": Hostile("""
def handle(self, context): return context.respond(200, self.pieces())
def pieces(self):
    while True:
        yield b"x" * 100000
""", statuses=(0, 200)),
    "pieces-unasked": Hostile("""
def handle(self, context):
    say(*(frames.Piece(n, b"x" * 1000) for n in range(5000)))
    return True
""", statuses=(500,)),
}

# What it asks for

_ASKS = {
    "upstream-not-granted": Hostile("""
async def handle(self, context):
    answer = await context.client.get("http://other/x")
    return context.respond(200, await answer.content())
""", permissions=MUCH, never=(b"name: other",)),
    "raw-upstreams": Hostile("""
async def handle(self, context):
    for n, name in enumerate(("other", "", "../other", "app/../other", "127.0.0.1:22", "http://other", "app\\x00")):
        say(frames.SendRequest(n, request(), b"GET", name, b"/x-injected", (), b""))
    await deferLater(reactor, 0.1)
    return True
""", permissions=MUCH, statuses=(200,), never=_NEVER),
    "raw-targets": Hostile("""
async def handle(self, context):
    for n, target in enumerate((b"http://other/x-injected", b"//other/x-injected y", b"x-injected", b"*", b"",
            b"/ HTTP/1.1\\r\\nX-Injected: 1\\r\\n\\r\\n", b"/x-injected\\x00", b"/x-injected y")):
        say(frames.SendRequest(n, request(), b"GET", "app", target, (), b""))
    for n, fields in enumerate(((b"x-injected\\r\\n", b""), (b"a", b"1\\r\\nx-injected: 1"), (b"host", b"x-injected"),
            (b"content-length", b"31337"), (b"transfer-encoding", b"x-injected"), (b"connection", b"x-injected"))):
        say(frames.SendRequest(100 + n, request(), b"GET", "app", b"/", (fields,), b""))
    for n, method in enumerate((b"", b"G T", b"GET / HTTP/1.1\\r\\nX-Injected: 1\\r\\n\\r\\n")):
        say(frames.SendRequest(200 + n, request(), method, "app", b"/", (), b""))
    await deferLater(reactor, 0.1)
    return True
""", permissions=MUCH, statuses=(200,), never=_NEVER),
    "asks-connect": Hostile("""
async def handle(self, context):
    say(frames.SendRequest(1 << 40, request(), b"CONNECT", "app", b"/", (), b""))
    await deferLater(reactor, 0.1)
    return True
""", permissions=MUCH, statuses=(200,)),
    "asks-thousands": Hostile("""
async def handle(self, context):
    for n in range(5000):
        say(frames.SendRequest(n, request(), b"GET", "app", b"/", (), b""))
    await deferLater(reactor, 0.2)
    return True
""", permissions=MUCH, statuses=(200, 500), said="calls"),
    "asks-with-bodies": Hostile("""
async def handle(self, context):
    data = bytes(16 << 20)
    for n in range(200):
        say(frames.SendRequest(n, request(), b"POST", "slow", b"/", (), data))
    await deferLater(reactor, 0.1)
    return True
""", permissions={**MUCH, "upstreams": ["slow"]}, statuses=(200, 500), limits={"timeout_ms": 1500}, megabytes=300),
    "asks-for-large-answers": Hostile("""
async def handle(self, context):
    for n in range(200):
        say(frames.SendRequest(n, request(), b"GET", "large", b"/", (), b""))
    await deferLater(reactor, 1)
    return True
""", permissions={**MUCH, "upstreams": ["large"]}, statuses=(200, 500), limits={"timeout_ms": 1500}, megabytes=300),
    "store-not-granted": Hostile("""
async def handle(self, context):
    say(frames.UseStore(1 << 40, "set", "k", b'"v"'))
    await deferLater(reactor, 0.02)
    return True
""", statuses=(200,)),
    "store-of-others": Hostile("""
async def handle(self, context):
    found = []
    for key in ("witness", "../witness/count", "witness/count", "count", "\\x00", "", "x" * 60000):
        try:
            found.append(await self.host.store.get(key))
        except Exception as error:
            found.append(None)
    assert not any(found), found
    assert "count" not in await self.host.store.keys()
    return True
def attach(self, host): self.host = host
""", permissions=MUCH, interfaces=HOSTED, statuses=(200,)),
    "store-bomb": Hostile("""
async def handle(self, context):
    bomb = b"[" + b"[],"  * (5 << 20) + b"[]]"
    for n in range(5):
        say(frames.UseStore(n, "set", "bomb%d" % n, bomb))
    say(frames.UseStore(9, "set", "deep", b"[" * 1000000 + b"]" * 1000000))
    say(frames.UseStore(10, "set", "digits", b"9" * 1000000))
    await deferLater(reactor, 0.2)
    return True
""", permissions=MUCH, statuses=(200, 500), limits={"timeout_ms": 1500}),
    "store-fills": Hostile("""
async def handle(self, context):
    for n in range(900):
        say(frames.UseStore(n, "set", "k%d" % n, b'"' + b"x" * 60000 + b'"'))
    await deferLater(reactor, 0.2)
    return True
""", permissions=MUCH, statuses=(200, 500), limits={"timeout_ms": 1500}),
}

ATTACKS: Final = {**_HOLDS, **_ENDS, **_SAYS, **_UNHEARD, **_WRITES, **_FIELDS, **_BODIES, **_ASKS}
"""By name."""
