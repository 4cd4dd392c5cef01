"""Tests for :mod:`tests.progress`, by what trial writes."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from tests.progress import Progress, follow, skips

RULE, LINE = "=" * 79, "-" * 79
SAID = f"""\
Running 4 tests.
tests.dataplane.test_edge
  DrainTests
    test_drain ...                                                         [OK]
    test_two ...                                                         [FAIL]
                                                     [ERROR]
tests.worker.test_x
  XTests
    test_skipped ...                                                  [SKIPPED]
something a process has said
    test_b ...                                                            [OK]

{RULE}
[SKIPPED]
no curl here: apt install curl

tests.worker.test_x.XTests.test_skipped
tests.worker.test_x.XTests.test_other
{RULE}
[FAIL]
Traceback (most recent call last):
    test_b ...                                                            [OK]

tests.dataplane.test_edge.DrainTests.test_two
{LINE}
Ran 4 tests in 1.0s

FAILED (skips=2, failures=1, successes=2)
"""


class ProgressTests(SynchronousTestCase):
    """What is shown of trial's lines."""

    def setUp(self) -> None:
        self.shown: list[str] = []
        self.now = 100.0
        self.progress = Progress(self.shown.append, lambda: self.now)

    def feed(self, text: str) -> None:
        for line in text.splitlines():
            self.progress.feed(line)

    def test_shown(self) -> None:
        """Failures as they come, what is no line of a test, and all that comes after the tests."""
        self.feed(SAID)
        end = SAID.index(RULE)
        self.assertEqual(self.shown[:3], [
            "Running 4 tests.",
            "FAIL tests.dataplane.test_edge.DrainTests.test_two",
            "something a process has said",
        ])
        self.assertEqual(self.shown[3:], SAID[end:].splitlines())
        self.assertEqual((self.progress.done, self.progress.total), (4, 4))

    def test_tell(self) -> None:
        """How far it is, and where; nothing once trial has come to its summary."""
        self.feed(SAID[: SAID.index("something")])
        self.shown.clear()
        self.now = 112.0
        self.progress.tell()
        self.assertEqual(self.shown, ["   12 s      3 of 4  tests.worker.test_x"])
        self.feed(RULE)
        self.shown.clear()
        self.progress.tell()
        self.assertEqual(self.shown, [])

    def test_silence(self) -> None:
        """It is said also while trial says nothing."""
        said = threading.Event()

        def show(line: str) -> None:
            self.shown.append(line)
            if " of " in line:
                said.set()

        def lines() -> Iterator[str]:
            yield "Running 4 tests.\n"
            assert said.wait(60), "nothing was said"
            yield RULE + "\n"

        self.assertEqual(follow(lines(), Progress(show), 0.01), ["Running 4 tests.\n", RULE + "\n"])

    def test_skips(self) -> None:
        """By the reason; failures are none."""
        wanted = ["tests.worker.test_x.XTests.test_skipped", "tests.worker.test_x.XTests.test_other"]
        self.assertEqual(skips(SAID.splitlines(keepends=True)), {"no curl here: apt install curl": wanted})
        self.assertEqual(skips(["Running 1 tests.\n"]), {})
