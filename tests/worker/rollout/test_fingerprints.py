"""Tests for `revproxy.worker.rollout.fingerprints`: by what exceptions are told apart."""

from __future__ import annotations

from typing import Any

from twisted.python.failure import Failure

from revproxy.errors import WrongAnswer
from revproxy.isolation.remotefailure import RemoteFailure
from revproxy.secrets import hide
from revproxy.worker.lifecycle.instance import Instance
from revproxy.worker.rollout.fingerprints import MOST_SAMPLE, Print, fingerprintOf
from tests.worker.workers import WorkerCase, entry

RAISES = """
    def deep(self, error):
        def inner():
            raise error
        inner()
"""


class FingerprintTests(WorkerCase):
    """A plugin that raises what it is told to."""

    def instance(self, lines: int = 0) -> Instance:
        self.become(self.plan(1, self.config(), entry("a", f"1.{lines}", body="\n" * lines + RAISES)))
        [instance] = self.worker.staging.running.of("a")  # type: ignore[union-attr]
        return instance

    def failureOf(self, instance: Instance, error: BaseException) -> Failure:
        try:
            instance.object.deep(error)
        except BaseException:
            return Failure()
        raise AssertionError

    def test_sameOverEdits(self) -> None:
        """The deepest function of the plugin's own that it came through, whatever the line."""
        found = [fingerprintOf(self.failureOf(self.instance(lines), ValueError("no")), self._last) for lines in (0, 9)]
        self.assertEqual({known for known, _ in found}, {Print("ValueError", "plugin.py", "Stamp.deep.<locals>.inner")})
        samples = {sample for _, sample in found}
        self.assertEqual(len(samples), 2)
        for sample in samples:
            self.assertTrue(sample.startswith("ValueError: no (plugin.py:"), sample)

    @property
    def _last(self) -> Instance:
        [instance] = self.worker.staging.running.of("a")  # type: ignore[union-attr]
        return instance

    def test_otherTypes(self) -> None:
        """By type, too, also where a class is within another."""
        instance = self.instance()

        class Own(ValueError):
            pass

        kinds = {fingerprintOf(self.failureOf(instance, error), instance)[0].kind for error in (ValueError(), Own())}
        self.assertEqual(len(kinds), 2)

    def test_libraries(self) -> None:
        """What a library raises is told by who called it."""
        instance = self.instance()
        names: Any = type(instance.object).deep.__globals__
        exec("def calls(): int('x')", names)
        try:
            names["calls"]()
        except ValueError:
            known, _ = fingerprintOf(Failure(), instance)
        self.assertEqual(known, Print("ValueError", "", ""))  # no code of the plugin's files
        self.assertEqual(fingerprintOf(Failure(WrongAnswer("handle", "7")), instance)[0].function, "Stamp.handle")

    def test_remote(self) -> None:
        """What has failed in a locked process is known by what that tells of it."""
        instance = self.instance()
        bundle = instance.version.entry.bundle
        assert bundle is not None
        steps = ('File "/x/plugin.py", line 3, in handle', 'File "/x/other.py", line 9, in A.inner')
        trace = "\n  ".join(("Traceback:", *steps)) + "\nKeyError: 1"
        error = RemoteFailure("KeyError", "1", f"{bundle.directory}/sub/other.py:9", "", trace)
        known, sample = fingerprintOf(Failure(error), instance)
        self.assertEqual((known, sample), (Print("KeyError", "sub/other.py", "A.inner"), "KeyError: 1 (other.py:9)"))

    def test_sample(self) -> None:
        """Short, and without secrets."""
        hide("correct horse battery")
        instance = self.instance()
        _, sample = fingerprintOf(self.failureOf(instance, ValueError("correct horse battery " + "x" * 5000)), instance)
        self.assertEqual((len(sample), "horse" in sample), (MOST_SAMPLE + 1, False))
