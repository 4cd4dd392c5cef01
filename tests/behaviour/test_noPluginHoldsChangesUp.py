"""
Whatever a plugin raises or answers outside of requests, its own change is refused under its own name, all that is told
of it can be written, and the next change is taken.
"""

from __future__ import annotations

import gc

from revproxy.plan.encoding import decode, encode
from revproxy.plan.plan import Plan
from revproxy.plan.words import Abandon, Answer, Down, Prepare, Ready
from tests.worker.workers import WorkerCase, entry

NASTY = """
from zope.interface import implementer
from revproxy.interfaces import *

class Odd(BaseException): pass

class Mute(Exception):
    def __str__(self): raise KeyboardInterrupt
    __repr__ = __str__

class Unpaired(Exception):
    def __str__(self): return "half a pair: \\ud800"

class Nothing:
    def __getattr__(self, name): raise Mute(name)
    def __repr__(self): raise Mute
    __str__ = __bool__ = __eq__ = __iter__ = __await__ = __repr__
    __hash__ = None

def nasty(what):
    if what == "deep":
        return nasty(what)
    if what == "nothing":
        return Nothing()
    raise {{
        "exit": SystemExit(3), "interrupt": KeyboardInterrupt, "generator": GeneratorExit, "odd": Odd("x"),
        "mute": Mute("x"), "unpaired": Unpaired(), "controls": ValueError("\\ud800\\0\\x1b[1m" * 9000),
        "stop": StopIteration(5), "group": BaseExceptionGroup("g", [Odd()]),
    }}[what]

@implementer(IMiddleware, IHosted, ILifecycle, IHealthCheck, IConfigurable, IStateful)
class Hostile:
    name = "x"
    def handle(self, context): return True
{methods}

PluginMain = Hostile
"""
WHAT = (
    "exit", "interrupt", "generator", "odd", "mute", "unpaired", "controls", "stop", "group", "deep", "nothing",
)
METHODS = {
    "__init__": "self, config",
    "attach": "self, host",
    "start": "self",
    "stop": "self",
    "checkHealth": "self",
    "validateConfig": "self, config",
    "updateConfig": "self, config",
    "importState": "self, state, version",
    "exportState": "self",
}


def hostile(hook: str, what: str, isAsync: bool) -> str:
    """A plugin that is nasty in one of its methods, each time it is called."""
    lines = []
    for method, parameters in METHODS.items():
        awaited = "async " if isAsync and method in ("start", "stop", "checkHealth", "updateConfig") else ""
        does = f"return nasty({what!r})" if method == hook else "return {}" if method == "exportState" else "pass"
        lines.append(f"    {awaited}def {method}({parameters}): {does}")
    return NASTY.format(methods="\n".join(lines))


class HostileCase(WorkerCase):
    """A worker whose words can all be written, and who blames the right one."""

    def setUp(self) -> None:
        # As an edge does it before it loads plugins. Hundreds of versions come and go: each time the collector looks
        # through all that is not frozen, the other tests' modules, too.
        gc.freeze()
        self.addCleanup(gc.unfreeze)
        super().setUp()

    def answer(self, word: Down) -> Answer:
        """What a word is answered."""
        self.told.clear()
        answer = self.say(word)
        assert answer is not None
        for told in self.told:
            self.assertEqual(decode(encode(told)), told)
        if isinstance(answer, Answer):
            self.assertEqual({refusal.plugin for refusal in answer.refusals} - {"x"}, set())
        return answer


class HookTests(HostileCase):
    """Each method raises and answers all sorts of things."""

    def tryOut(self, plan: Plan) -> bool:
        """Go with a plan as far as it goes, and give it up. :returns: whether it was prepared."""
        self.transaction += 1
        answer = self.answer(Prepare(self.transaction, plan))
        if answer.isAccepted:
            self.answer(Ready(self.transaction))
        self.answer(Abandon(self.transaction))
        return answer.isAccepted

    def judge(self, hook: str, what: str, isAsync: bool) -> None:
        settings, steady, later = self.config(), entry("a"), entry("a", "2.0")
        code = hostile(hook, what, isAsync)
        bad = entry("x", "1.0", code=code)
        self.become(self.plan(1, settings, steady))
        if self.tryOut(self.plan(2, settings, steady, bad)):
            self.become(self.plan(3, settings, steady, bad))
            for successor in (entry("x", "2.0", code=hostile("", "", isAsync)), entry("x", code=code, config={"n": 1})):
                self.tryOut(self.plan(4, settings, steady, successor))
        self.become(self.plan(5, settings, later))
        self.settle(15)
        self.assertEqual(self.seen(), ["a 2.0"], (hook, what))

    def test_plain(self) -> None:
        """Methods that answer at once."""
        for hook in METHODS:
            for what in WHAT:
                self.judge(hook, what, False)

    def test_async(self) -> None:
        """Coroutines."""
        for hook in ("start", "stop", "checkHealth", "updateConfig"):
            for what in WHAT:
                self.judge(hook, what, True)


TURNS = """
from zope.interface import implementer
from revproxy.interfaces import *

@implementer(IMiddleware, ILifecycle)
class Turning:
    name = "x"
    started = False
    def __init__(self, config): pass
    def start(self): self.started = True
    def stop(self): pass
    {method}

PluginMain = Turning
"""
"""Is another thing once it is started."""


class TurningTests(HostileCase):
    """Objects that are not what they were when they were verified."""

    def test_plain(self) -> None:
        """Whatever is found only when the chain is made is the plugin's, too."""
        for raises in ("raise GeneratorExit", "raise ValueError(7)", "return 7"):
            method = (
                "@property\n    def handle(self):\n"
                f"        if self.started: {raises}\n        return lambda context: True"
            )
            settings, steady = self.config(), entry("a")
            self.become(self.plan(1, settings, steady))
            bad = entry("x", code=TURNS.format(method=method))
            self.transaction += 1
            self.answer(Prepare(self.transaction, self.plan(2, settings, steady, bad)))
            answer = self.answer(Ready(self.transaction))
            self.assertEqual(answer.isAccepted, raises == "return 7")
            self.answer(Abandon(self.transaction))
            self.become(self.plan(3, settings, entry("a", "2.0")))
            self.settle(15)
            self.assertEqual(self.seen(), ["a 2.0"])
