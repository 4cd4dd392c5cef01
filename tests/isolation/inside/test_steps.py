"""The steps of a plugin's life."""

from __future__ import annotations

import json

from revproxy.isolation.frames import Done, Failed, Logged, SendRequest, Waiting
from tests.isolation.inside.rooms import PASSES, RoomCase

WHOLE = """
    @implementer(IMiddleware, IHosted, ILifecycle, IHealthCheck, IConfigurable, IStateful)
    class PluginMain:
        name = "guest"
        def __init__(self, config): self.config = config
        def handle(self, context): return True
        def attach(self, host): self.host = host
        async def start(self): await self.host.client.get("http://billing/")
        def stop(self): self.host.log.info("stopped")
        def checkHealth(self):
            if self.config: raise RuntimeError("not well")
        def validateConfig(self, config):
            if "wrong" in config: raise ValueError("no wrong ones")
        def updateConfig(self, config): self.config = config
        def exportState(self): return {"config": self.config, "pair": (1, 2)}
        def importState(self, state, version): self.config = [state, version]
"""


class StepTests(RoomCase):
    """`Step`."""

    def test_absent(self) -> None:
        """What a plugin does not provide is done when it is asked for."""
        self.room.load(PASSES)
        for name in ("validateConfig", "attach", "start", "checkHealth", "updateConfig", "exportState", "stop"):
            number = self.room.step(name)  # type: ignore[arg-type]
            self.assertEqual(self.room.take(Done), Done(number))

    def test_waits(self) -> None:
        """A step may wait, and asks for things outside of requests."""
        self.room.load(WHOLE)
        self.room.step("attach")
        self.room.take(Done)
        number = self.room.step("start")
        asked = self.room.take(SendRequest)
        self.assertEqual(asked.request, 0)
        self.assertEqual(self.room.take(Waiting).number, number)
        self.room.reply(asked.number, [200, b"OK", [], b""])
        self.assertEqual(self.room.take(Done), Done(number))

    def test_fails(self) -> None:
        """What a step raises is told; so is what it must not answer."""
        self.room.load(WHOLE, config=b'{"a": 1}')
        number = self.room.step("checkHealth")
        failed = self.room.take(Failed)
        self.assertEqual((failed.number, failed.kind, failed.text), (number, "RuntimeError", "not well"))
        self.room.step("validateConfig", {"wrong": 1})
        self.assertEqual(self.room.take(Failed).text, "no wrong ones")

    def test_nobodyWaits(self) -> None:
        """A step that is not waited for may not answer later."""
        self.room.load(WHOLE.replace("def validateConfig", "async def validateConfig"))
        self.room.step("validateConfig", {})
        self.assertIn("nobody waits for", self.room.take(Failed).text)

    def test_generator(self) -> None:
        """A forgotten inlineCallbacks is told."""
        self.room.load(WHOLE.replace('async def start(self): await', "def start(self): yield"))
        self.room.step("start")
        self.assertIn("write async def, or inlineCallbacks", self.room.take(Failed).text)

    def test_state(self) -> None:
        """State leaves as JSON, and comes with the version that it is of."""
        self.room.load(WHOLE, config=b'{"a": 1}')
        self.room.step("exportState")
        state = json.loads(self.room.take(Done).value)
        self.assertEqual(state, {"config": {"a": 1}, "pair": [1, 2]})
        self.room.step("importState", [state, "0.9"])
        self.room.take(Done)
        self.room.step("exportState")
        self.assertEqual(json.loads(self.room.take(Done).value)["config"], [state, "0.9"])

    def test_stateNotPlain(self) -> None:
        """What JSON would make something else of is refused, as in the edge's own process."""
        self.room.load(WHOLE.replace('"pair": (1, 2)', '"pair": {1: 2}'))
        self.room.step("exportState")
        self.assertIn("is no str", self.room.take(Failed).text)

    def test_update(self) -> None:
        """A configuration is taken in place."""
        self.room.load(WHOLE)
        self.room.step("updateConfig", {"b": 2})
        self.room.take(Done)
        self.room.step("exportState")
        self.assertEqual(json.loads(self.room.take(Done).value)["config"], {"b": 2})

    def test_stop(self) -> None:
        """It is stopped, and its host with it: what it asks for then is refused."""
        self.room.load(WHOLE)
        for name in ("attach", "stop"):
            self.room.step(name)  # type: ignore[arg-type]
        self.room.take(Done)
        self.assertEqual(self.room.take(Logged).text, "stopped")
        self.room.take(Done)
        self.room.step("start")
        self.assertIn("was stopped", self.room.take(Failed).text)

    def test_stopFails(self) -> None:
        """A stop that fails ends its host all the same."""
        self.room.load(WHOLE.replace('self.host.log.info("stopped")', "1 // 0"))
        for name in ("attach", "stop", "start"):
            self.room.step(name)  # type: ignore[arg-type]
        self.room.take(Done)
        self.assertEqual(self.room.take(Failed).kind, "ZeroDivisionError")
        self.assertIn("was stopped", self.room.take(Failed).text)
