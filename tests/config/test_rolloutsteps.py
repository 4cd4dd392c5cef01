"""The steps of a rollout: what they become, and what is said about what is wrong in them."""

from __future__ import annotations

from revproxy.config.rolloutpolicy import Step, Until
from tests.config.test_rolloutconfig import RolloutCase

HOW = "write preflight, {shadow: 20%, until: {pairs: 3000}} or {canary: 5%, until: {fault: 1%}, at_most: 15m}"


class StepsTests(RolloutCase):
    """`stepsOf`."""

    def steps(self, text: str) -> tuple[Step, ...]:
        """Those of a policy."""
        return self.policy(f"{{steps: [{text}]}}").steps

    def assertWrong(self, text: str, *expected: str) -> None:
        """Each problem with its place in ``steps``."""
        found = self.wrong(f"{{default: {{steps: [{text}]}}}}")
        told = [problem.partition("$.plugins.rollout.default.steps")[2] for problem in found]
        self.assertEqual(told, list(expected))
        self.assertTrue(all(problem.startswith("4:") for problem in found), found)

    def test_issue(self) -> None:
        """What most would write."""
        self.assertEqual(
            self.steps("preflight, {shadow: 20%, until: {pairs: 3000}}, {canary: 5%, until: {fault: 1%, power: 0.9}, "
                       "at_least: 60s, at_most: 15m}, {canary: 50%, until: {fault: 1%}, shadow: 0.5%}"),
            (
                Step("preflight"),
                Step("shadow", 0.2, Until(3000)),
                Step("canary", 0.05, Until(None, 0.01, 0.9), 60.0, 900.0, None, 0.2),
                Step("canary", 0.5, Until(None, 0.01, 0.9), 0.0, None, None, 0.005),
            ),
        )  # fmt: skip

    def test_preflight(self) -> None:
        """A pre-flight by its word, or with a recording and a bound; the path starts at the file's folder."""
        self.assertEqual(self.steps("preflight"), self.steps("{preflight: true}"))
        self.assertEqual(self.steps("{preflight: true, replay: a.recording, at_most: 1m}"),
                         (Step("preflight", replay=self.base / "a.recording", atMost=60.0),))

    def test_shadowGoesOn(self) -> None:
        """Where no shadow was, a canary has none unless it says so."""
        self.assertEqual(self.steps("{canary: 1%, at_most: 1m}")[0].shadow, 0.0)
        self.assertEqual(self.steps("{canary: 1%, shadow: 3%, at_most: 1m}")[0].shadow, 0.03)

    def test_equalShares(self) -> None:
        """A share may stay as it is: another step may ask for more."""
        found = self.steps("{canary: 5%, until: {fault: 1%}}, {canary: 5%, until: {fault: 0.1%}}")
        self.assertEqual([step.share for step in found], [0.05, 0.05])

    def test_unknown(self) -> None:
        """What is no step is refused, with those there are."""
        self.assertWrong("flight", f'[0]: "flight": {HOW}')
        self.assertWrong("5", "[0]: expected text or a mapping, not 5")
        self.assertWrong("{cannary: 5%, at_most: 1m}", f"[0]: what is to be done in this step? {HOW}",
                         '[0].cannary: unknown key; did you mean "canary"?')
        self.assertWrong("{preflight: false}", "[0].preflight: write preflight: true, or take the step out")

    def test_order(self) -> None:
        """First what nobody meets, and never fewer clients than before."""
        canary = "{canary: 50%, at_most: 1m}"
        self.assertWrong(f"{canary}, preflight", "[1]: a pre-flight is the first step: it finds what nobody need meet")
        self.assertWrong(f"{canary}, {{shadow: 5%, at_most: 1m}}",
                         "[1]: a shadow comes before the canary; within one, write {canary: 5%, shadow: 20%, …}")
        self.assertWrong(f"{canary}, {{canary: 5%, at_most: 1m}}",
                         "[1].canary: less than the 50% of the step before: clients would go back to the version "
                         "that ran; write the shares in rising order")

    def test_shares(self) -> None:
        """A share is text with %, not nothing, and leaves somebody to compare with."""
        for share, said in (
            ("5", "expected a share, not 5; write a share as 5% or 0.5%, 100% at most"),
            ("0%", '"0%" is less than the least allowed, 0.1%'),
            ("100%", '"100%" would leave nobody to compare with: 95% at most; after the last step the version serves '
                     "everybody"),
        ):  # fmt: skip
            self.assertWrong(f"{{canary: {share}, at_most: 1m}}", f"[0].canary: {said}")

    def test_noEnd(self) -> None:
        """A step that nothing ends is refused."""
        self.assertWrong("{canary: 5%, at_least: 1m}",
                         "[0]: nothing ends this canary: write until: {fault: 1%}, or at_most: 15m, best both")
        self.assertWrong("{shadow: 5%}",
                         "[0]: nothing ends this shadow: write until: {pairs: 3000}, or at_most: 15m, best both")
        self.assertWrong("{shadow: 5%, until: {}}", "[0].until: must not be empty")

    def test_times(self) -> None:
        """The bounds fit each other, and are durations."""
        self.assertWrong("{canary: 5%, at_least: 10m, at_most: 60s}",
                         '[0].at_most: less than at_least, "10m": make it longer')
        self.assertWrong("{canary: 5%, at_most: soon}",
                         '[0].at_most: "soon": write a number of seconds, or 500ms, 30s, 5m, 1h, 7d')
        self.assertWrong("{canary: 5%, at_most: 0}", "[0].at_most: 0 must be more than 0s")

    def test_ofOthers(self) -> None:
        """What belongs to another kind of step says to which."""
        self.assertWrong("{shadow: 5%, until: {fault: 1%}}",
                         "[0].until.fault: fault is about clients of a canary; a shadow ends by pairs: 3000")
        self.assertWrong("{canary: 5%, until: {pairs: 9}}", "[0].until.pairs: pairs are of a shadow; a canary ends by "
                         "fault: 1%")
        self.assertWrong("{canary: 5%, until: {power: 0.9}}", "[0].until.power: the power to find what? write fault: "
                         "1% beside it")
        self.assertWrong("{preflight: true, until: {pairs: 9}}",
                         "[0].until: a pre-flight is over when all of it has been done: only at_most bounds it")
        self.assertWrong("{canary: 5%, at_most: 1m, replay: a}",
                         "[0].replay: what was recorded is tried in a pre-flight: {preflight: true, replay: PATH}")
        self.assertWrong("{preflight: true, canary: 5%, at_most: 1m}",
                         "[0].preflight: a pre-flight is a step by itself: take it out of the canary")

    def test_power(self) -> None:
        """A probability is no share, and neither 0 nor 1."""
        self.assertWrong("{canary: 5%, until: {fault: 1%, power: 90%}}",
                         '[0].until.power: expected a number, not the text "90%"')
        self.assertWrong("{canary: 5%, until: {fault: 1%, power: 1}}", "[0].until.power: 1 must be less than 1")
