"""
Who is taken down is served as ever: the same plugins, the same requests, the same answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from revproxy.guardedmiddleware import guardedMiddleware
from revproxy.interfaces import IHosted, ILifecycle
from revproxy.replay.capture import GIVEN_UP
from revproxy.replay.copiedcontext import UNKNOWN_BODY
from revproxy.replay.corpus import CorpusReader, linesOf
from revproxy.replay.difference import differences, incomparable
from revproxy.replay.outcome import Outcome
from revproxy.replay.recordedrequest import PluginCall
from revproxy.replay.remake import Remake
from revproxy.replay.replaytoolbox import UNKNOWN_TARGETS
from revproxy.testing import HostDouble, loadPlugin
from tests.behaviour import test_processTierIsLikeInline as alike
from tests.behaviour.examples import EXAMPLES

KNOWN = {
    "chooses": {UNKNOWN_TARGETS},
    "context": {UNKNOWN_TARGETS},
    "filters": {UNKNOWN_BODY},
    "late": {GIVEN_UP},
    "sets-fields": {"request:authorization", "header:set-cookie"},
}
"""
What cannot be the same: upstreams are not in a recording, nor is all of a large body, or what lets in; and what has
taken too long was given up.
"""


class LikeAlwaysTests(alike.LikeInlineTests):
    """An edge writes down all that its plugins do, another nothing."""

    def test_alike(self) -> None:
        """Whatever the plugin does, the client gets the same, and what was done is there to be read."""
        plain, taken = self.edge("inline"), self.edge("inline")
        self.ask(taken, "POST", "recordings", body={"name": "all", "for": "10m", "share": "100%"})
        different = []
        count = 0
        for name, example in EXAMPLES.items():
            wanted, found = (self.answers(edge, name, example) for edge in (plain, taken))
            for send, one, two in zip(example.sends, wanted, found, strict=True):
                count += 1
                if one != two:
                    different.append(f"{name} {send[0]}:\nplain: {one[:1500]!r}\ntaken: {two[:1500]!r}")
        self.assertEqual(different, [], "\n\n".join(different) + f"\n{taken.said()[-6000:]}")
        self.assertNotIn("while a request was taken down", taken.said())
        self.ask(taken, "POST", "recordings", "all", "stop")
        recording = self.until(
            lambda: next(
                (each for each in self.ask(taken, "GET", "recordings")["items"] if each["state"] == "ended"), None
            )
        )
        self.assertEqual((recording["requests"], recording["dropped"]), (count, 0))
        self.assertEqual(self.replayed(Path(recording["path"]), taken.folder / "plugins"), KNOWN)

    def replayed(self, recording: Path, plugins: Path) -> dict[str, set[str]]:
        """What the same plugins do otherwise when all of it is made again: what in, or why that cannot be said."""
        found: dict[str, set[str]] = {}
        calls: dict[str, list[list[PluginCall]]] = {}
        with open(recording, "rb") as file:
            for record in CorpusReader(recording.name, linesOf(file)):
                for name in {each.plugin for each in record.calls}:
                    calls.setdefault(name, []).append([each for each in record.calls if each.plugin == name])
        self.assertEqual(calls.keys(), EXAMPLES.keys())
        for name, requests in calls.items():
            again = Again(plugins / name)
            for each in requests:
                outcomes, real = again.outcomes(each), [one.outcome for one in each]
                why = incomparable(real) or incomparable(outcomes)
                differs = {why} if why else {difference.field for difference in differences(real, outcomes)}
                if differs:
                    found.setdefault(name, set()).update(differs)
        return found


class Again:
    """A plugin of a folder that makes calls again."""

    def __init__(self, folder: Path) -> None:
        plugin = loadPlugin(folder)
        made = plugin.make({})
        self.clock: Any = Clock()
        middleware = guardedMiddleware(made, plugin.permissions)
        self.remake = Remake(middleware, folder.name, self.clock, 2.0, folder=str(folder))
        self.host: HostDouble | None = None
        if IHosted.providedBy(made):
            self.host = HostDouble(folder.name, permissions=plugin.permissions)
            made.attach(self.host)
        if ILifecycle.providedBy(made):
            made.start()

    def outcomes(self, calls: list[PluginCall]) -> tuple[Outcome, ...]:
        results: list[tuple[Outcome, ...]] = []
        self.remake.again([each.call for each in calls]).addCallback(results.append)
        for _ in range(30):
            if results:
                break
            self.clock.advance(0.1)
            if self.host is not None:
                self.host.clock.advance(0.1)
        return results[0]
