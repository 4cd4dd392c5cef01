"""
Plugins that attack the edge in the steps of their life: what `tests.thorough.test_hostileSteps` loads, one version
after the other.
"""

from __future__ import annotations

from typing import Final

from tests.behaviour.hostiles import HEAD

GOOD: Final = """
@implementer(IMiddleware, IHosted, ILifecycle, IHealthCheck, IConfigurable, IStateful)
class PluginMain:
    name = "moving"
    def __init__(self, config): pass
    def validateConfig(self, config): pass
    def attach(self, host): pass
    def start(self): pass
    def stop(self): pass
    def checkHealth(self): pass
    def updateConfig(self, config): pass
    def exportState(self): return {"version": VERSION}
    def importState(self, state, version): pass
    def handle(self, context): return context.respond(200, "VERSION")
"""

_HOW: Final = {
    "spins": "spin()",
    "sleeps": "time.sleep(3600)",
    "exits": "os._exit(0)",
    "raises": "raise BaseException('on purpose')",
    "system-exit": "raise SystemExit(1)",
    "never": "return Deferred()",
    "memory": "return b'x' * (1 << 34)",
    "kills": "os.kill(os.getppid(), 9)",
    "executes": "os.execv('/bin/sh', ['sh'])",
    "garbage": "raw(os.urandom(100000))",
    "answers-twice": "say(*(frames.Done(n, b'1') for n in range(20)))",
    "no-json": "say(*(frames.Done(n, b'[' * 100000) for n in range(20)))",
    "failed-zero": "say(frames.Failed(0, 'main\\n', 'X\\x1b', 'y\\n2026-01-01 FORGED' * 3000))",
}

_STEPS: Final = ("validateConfig", "attach", "start", "checkHealth")

_STATES: Final = {
    "deep": "state = []\n        for _ in range(100000): state = [state]\n        return state",
    "huge": "return 'x' * (40 << 20)",
    "many": "return [[] for _ in range(3000000)]",
    "raw-many": "say(*(frames.Done(n, b'[' + b'[],' * 5000000 + b'[]]') for n in range(1, 20)))",
    "raw-deep": "say(*(frames.Done(n, b'[' * 5000000 + b']' * 5000000) for n in range(1, 20)))",
    "raw-digits": "say(*(frames.Done(n, b'9' * 5000000) for n in range(1, 20)))",
    "raw-nan": "say(*(frames.Done(n, b'NaN') for n in range(1, 20)))",
    "raw-utf8": "say(*(frames.Done(n, b'\"\\xff\\xfe\"') for n in range(1, 20)))",
    "not-json": "return {1: object()}",
    "spins": "spin()",
    "sleeps": "time.sleep(3600)",
    "never": "return Deferred()",
    "exits": "os._exit(0)",
    "raises": "raise BaseException('on purpose')",
    "garbage": "raw(os.urandom(100000))",
}


def _with(method: str, how: str) -> str:
    lines = GOOD.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith(f"    def {method}("))
    lines[at] = lines[at].partition("):")[0] + f"):\n        {how}"
    return HEAD + "\n".join(lines)


COMING: Final = {
    **{f"import-{name}": HEAD + how.replace("return", "x =") + "\n" + GOOD for name, how in _HOW.items()},
    **{f"main-{name}": _with("__init__", how.replace("return", "x =")) for name, how in _HOW.items()},
    **{f"{step}-{name}": _with(step, how) for step in _STEPS for name, how in _HOW.items()},
    **{f"importState-{name}": _with("importState", how) for name, how in _HOW.items()},
    "no-plugin": "PluginMain = 1\n",
    "other-interfaces": HEAD + "say(frames.Loaded(('IMiddleware', 'X' * 60000)))\n" + GOOD,
    "says-loaded-and-spins": HEAD + "say(frames.Loaded(('IMiddleware',)))\nspin()\n" + GOOD,
    "not-utf8": "\udcff",
    "null": "\0",
    "deep-source": "(" * 10000 + ")" * 10000,
    "huge-source": HEAD + "x = '" + "x" * (5 << 20) + "'\n" + GOOD,
}
"""By name, a version that is not to take the place of the one that serves unless all is well with it."""

LEAVING: Final = {
    **{f"exportState-{name}": _with("exportState", how) for name, how in _STATES.items()},
    **{f"stop-{name}": _with("stop", how) for name, how in _HOW.items()},
}
"""By name, a version that attacks when it is to be replaced."""
