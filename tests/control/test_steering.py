"""What commands answer."""

from __future__ import annotations

import shutil

from revproxy.control.commands import CommandError
from tests.control.test_coordinator import LifecycleCase, code


class AnswerTests(LifecycleCase):
    """What was done, and what was not."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.start()
        self.bench.write("b", "1 / 0")

    def test_others(self) -> None:
        """What is wrong with others is no failure of a command about one plugin."""
        for command in ("pin", "unpin", "disable", "enable"):
            answer = self.call(command, name="a")
            self.assertEqual((answer["refused"], len(answer["text"]) > 0), ([], True), command)
        self.assertIn("ZeroDivisionError", self.bench.failure("b"))

    def test_itself(self) -> None:
        """What is wrong with the plugin is."""
        (self.bench.plugins / "a" / "plugin.json").write_text("{")
        answer = self.call("enable", name="a")
        self.assertEqual([one["plugin"] for one in answer["refused"]], ["a"])

    def test_severalOfOneNumber(self) -> None:
        """A number that several versions have names none of them: nothing is done, and their digests are told."""
        self.bench.write("a", says="another")
        self.bench.apply()
        for command in ("rollback", "pin"):
            error = self.assertRaises(CommandError, self.call, command, name="a", version="1.0.0")
            digests = [one.digest[:12] for one in self.bench.coordinator.records.get("a").versions]
            self.assertEqual(len(digests), 2)
            self.assertEqual(
                str(error),
                "a: 1.0.0: several versions have this number, name one by its digest; kept are: "
                + ", ".join(f"1.0.0 ({digest})" for digest in digests),
            )
            self.assertIsNone(self.bench.coordinator.records.get("a").pin)

    def test_outcome(self) -> None:
        """What somebody asked for and cannot be done has its outcome among the events, too."""
        self.assertRaises(CommandError, self.call, "rollback", name="a", version="0.0")
        asked, refused = self.bench.events.latest(2)
        self.assertEqual((asked.kind, refused.kind, refused.plugin), ("asked", "refused", "a"))
        self.assertIn("0.0", refused.text)

    def test_stateThatStays(self) -> None:
        """A change that is refused because state cannot be handed over is refused with the command that makes it."""
        body = "    def exportState(self): return {1}\n    def importState(self, state, version): pass"
        for version in ("1.0.0", "2.0"):
            self.bench.write("c", code(body=body, interfaces="IStateful"), version=version)
            self.bench.apply()
        self.assertRegex(self.bench.failure("c"), r"; `revproxy reload --without-state` replaces it without its state, "
                         "and so does a rollback$")
        self.call("reload", without_state=True)
        self.assertEqual(self.bench.failure("c"), "")

    def test_lastChange(self) -> None:
        """``reload`` that finds nothing to do tells of what was done without it a moment ago, and not of older."""
        for name in "cd":
            self.bench.write(name)
        shutil.rmtree(self.bench.plugins / "b")
        self.bench.apply()
        (text,) = self.call("reload")["text"]
        self.assertRegex(text, r"^nothing had to change; the last change was at \d\d:\d\d:\d\d: "
                         r"c: 1\.0\.0 \(\w+\) runs; d: 1\.0\.0 \(\w+\) runs$")
        self.bench.clock.advance(11)
        self.assertEqual(self.call("reload")["text"], ["nothing had to change"])

    def test_all(self) -> None:
        """``reload`` is about all of them."""
        self.assertEqual([one["plugin"] for one in self.call("reload")["refused"]], ["b"])
