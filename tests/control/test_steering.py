"""What commands answer."""

from __future__ import annotations

from tests.control.test_lifecycle import LifecycleCase


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
        answer = self.call("pin", name="a")
        self.assertEqual([one["plugin"] for one in answer["refused"]], ["a"])

    def test_all(self) -> None:
        """``reload`` is about all of them."""
        self.assertEqual([one["plugin"] for one in self.call("reload")["refused"]], ["b"])
