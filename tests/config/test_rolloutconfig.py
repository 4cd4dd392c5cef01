"""The section ``plugins.rollout``: what it becomes, and what is said about what is wrong in it."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.problems import ConfigErrors
from revproxy.config.rolloutconfig import policyOfCall
from revproxy.config.rolloutpolicy import (
    AT_ONCE,
    USUAL,
    ClientKey,
    Expectation,
    RolloutConfig,
    RolloutPolicy,
    Step,
    Testers,
    Until,
)
from revproxy.secrets import Secret
from tests.config.test_configfile import START, ConfigTestCase

STEPS = "[preflight, {canary: 5%, at_most: 15m}]"


class RolloutCase(ConfigTestCase):
    """A configuration that is all but this section; what follows is at line 4."""

    START = f"{START}plugins: {{rollout: \n"

    def rollout(self, text: str) -> RolloutConfig:
        """The section."""
        return self.parse(f"{self.START}{text}}}\n").plugins.rollout

    def policy(self, text: str) -> RolloutPolicy:
        """``default`` of it."""
        found = self.rollout(f"{{default: {text}}}").default
        assert found is not None
        return found

    def wrong(self, text: str) -> list[str]:
        """What is wrong, without the file."""
        return [problem.removeprefix("r.yaml:") for problem in self.refused(f"{self.START}{text}}}\n")]


class RolloutTests(RolloutCase):
    """`rolloutOf`."""

    def test_nothing(self) -> None:
        """Versions come at once where nobody says otherwise."""
        self.assertEqual(self.parse(START).plugins.rollout, AT_ONCE)
        found = self.rollout("{default: at_once, plugins: {a: at_once}}")
        self.assertEqual(found, RolloutConfig(None, False, {"a": None}))

    def test_policyFor(self) -> None:
        """A plugin that is named has its own; all others the default."""
        found = self.rollout(f"{{default: {{steps: {STEPS}}}, plugins: {{a: at_once}}}}")
        self.assertIsNone(found.policyFor("a"))
        self.assertEqual(found.policyFor("b"), found.default)

    def test_leftOut(self) -> None:
        """What a plugin leaves out is as the default has it."""
        found = self.rollout(
            f"{{default: {{steps: {STEPS}, by: cookie:id, on_newer: refuse, expect: [status]}}, plugins: "
            "{a: {on_inconclusive: promote}, b: {steps: [preflight], by: address, expect: []}}}"
        )
        assert found.default is not None
        steps, byId = found.default.steps, ClientKey("cookie", "id")
        status = (Expectation("status"),)
        self.assertEqual(found.plugins["a"], RolloutPolicy(steps, "promote", byId, None, status, "refuse"))
        self.assertEqual(found.plugins["b"], RolloutPolicy((Step("preflight"),), "hold", onNewer="refuse"))

    def test_noSteps(self) -> None:
        """Where nobody says which steps, that is wrong, and told where it is."""
        self.assertEqual(self.wrong("{plugins: {a: {by: cookie}}}"), [
            "4:12: $.plugins.rollout.plugins.a: no steps: write steps: [preflight, {canary: 5%, until: {fault: 1%}, "
            "at_most: 15m}], or at_once in its place"])
        [said] = self.wrong("{default: {steps: []}}")
        self.assertEqual(said, "4:12: $.plugins.rollout.default.steps: must not be empty")

    def test_words(self) -> None:
        """Unknown words are refused where they are, with those there are."""
        for text, said in (
            ("{default: later}", '4:2: $.plugins.rollout.default: "later": write at_once, or a mapping with steps'),
            (f"{{default: {{steps: {STEPS}, on_inconclusive: wait}}}}",
             '$.plugins.rollout.default.on_inconclusive: "wait" is not one of "hold", "promote", "roll_back"'),
            (f"{{default: {{steps: {STEPS}, on_newer: wait}}}}", '"wait" is not one of "supersede", "refuse"'),
            (f"{{defaults: {{steps: {STEPS}}}}}", 'unknown key; did you mean "default"?'),
            (f"{{default: {{step: {STEPS}}}}}", 'unknown key; did you mean "steps"?'),
            ("{config: 1}", "4:2: $.plugins.rollout.config: expected true or false, not 1"),
            (f"{{plugins: {{A: {{steps: {STEPS}}}}}}}", "a plugin's name has lower-case letters, digits"),
            (f"{{default: {{steps: {STEPS}, expect: [header]}}}}", "$.plugins.rollout.default.expect[0]: "),
            (f"{{default: {{steps: {STEPS}, expect: status}}}}", "expected a list"),
        ):  # fmt: skip
            self.assertIn(said, "\n".join(self.wrong(text)))


class TestersTests(RolloutCase):
    """Their token."""

    def with_(self, token: str, header: str = "X-Arm") -> str:
        return f"{{default: {{steps: {STEPS}, testers: {{header: {header}, token: {token}}}}}}}"

    def test_secret(self) -> None:
        """It is a secret, and shown nowhere."""
        found = self.rollout(self.with_("{$file: token}"))
        assert found.default is not None and found.default.testers is not None
        self.assertEqual(found.default.testers, Testers("X-Arm", "0123456789abcdef"))
        self.assertIsInstance(found.default.testers.token, Secret)
        self.assertNotIn("0123456789abcdef", repr(found))

    def test_shown(self) -> None:
        """Who is shown the document sees the reference; a file with another token is a change."""
        config = self.parse(f"{self.START}{self.with_('{$file: token}')}}}\n")
        assert config.document is not None
        self.assertNotIn("0123456789abcdef", str(config.document.value))
        self.assertEqual(list(config.referredFiles.values()), ["0123456789abcdef"])

    def test_plain(self) -> None:
        """In plain text it is refused, and not repeated."""
        [said] = self.wrong(self.with_("0123456789abcdef"))
        self.assertTrue(said.startswith("4:"), said)
        self.assertIn("testers.token: the token stands here in plain text", said)
        self.assertIn("{$file: PATH}", said)
        self.assertNotIn("0123456789abcdef", said)

    def test_unfit(self) -> None:
        """Too short, too long, or not to be sent in a header."""
        for token, said in (("short", "has 5 characters; it needs 16"), ("a" * 600, "has 600 characters"),
                            ("0123456789 abcdef", "no space"), ("0123456789äabcdef", "visible ASCII")):
            (self.base / "token").write_text(token)
            [found] = self.wrong(self.with_("{$file: token}"))
            self.assertIn(said, found)
            self.assertIn("openssl rand -hex 16", found)
            self.assertNotIn(token, found)

    def test_gone(self) -> None:
        """A file that is not there is told once."""
        [said] = self.wrong(self.with_("{$file: nothing}"))
        self.assertIn("the file nothing cannot be read", said)

    def test_header(self) -> None:
        """A header that means something else would be taken off requests."""
        for header, said in (("Authorization", "means something else already"), ("Host", "means something else"),
                             ("Connection", "means something else"), ("'X Arm'", "is not the name of a header field")):
            self.assertIn(said, self.wrong(self.with_("{$file: token}", header))[0])
        self.assertIn('missing "token"', self.wrong(f"{{default: {{steps: {STEPS}, testers: {{header: X-Arm}}}}}}")[0])


class CallTests(SynchronousTestCase):
    """`policyOfCall`."""

    BASE = Path("/etc/edge")

    def test_usual(self) -> None:
        """What a call leaves out is as the plugin's own, or as is usual."""
        self.assertEqual(policyOfCall({}, None, self.BASE, "call"), USUAL)
        own = RolloutPolicy((Step("preflight"),), "promote", testers=Testers("X-Arm", "t"))
        found = policyOfCall({"by": "cookie", "expect": ["status"]}, own, self.BASE, "call")
        self.assertEqual(found, RolloutPolicy(
            own.steps, "promote", ClientKey("issued"), own.testers, (Expectation("status"),)))
        steps = [{"canary": "5%", "until": {"fault": "1%"}}]
        self.assertEqual(
            policyOfCall({"steps": steps}, own, self.BASE, "call").steps, (Step("canary", 0.05, Until(fault=0.01)),))
        paths = policyOfCall({"steps": [{"preflight": True, "replay": "a"}]}, own, self.BASE, "call").steps
        self.assertEqual(paths[0].replay, self.BASE / "a")

    def test_tooMany(self) -> None:
        """Of lists that are too long nothing is looked at: that could take as long as somebody likes."""
        for key, given in (("steps", [{"canary": 7}] * 3000), ("expect", [7] * 3000)):
            (problem,) = self.assertRaises(
                ConfigErrors, policyOfCall, {key: given}, None, self.BASE, "call").problems
            self.assertIn(f"$.{key}: 3000 of them", str(problem))

    def test_wrong(self) -> None:
        """All that is wrong is told; a token does not travel in a call."""
        for value, said in (
            ({"steps": []}, ["call: $.steps: must not be empty"]),
            ({"steps": ["canary"], "by": "name"}, ["call: $.steps[0]: ", "call: $.by: "]),
            ({"testers": {"header": "X-Arm", "token": "t" * 20}}, ["call: $.testers: unknown key"]),
        ):  # fmt: skip
            problems = self.assertRaises(ConfigErrors, policyOfCall, value, None, self.BASE, "call").problems
            self.assertEqual(len(problems), len(said), problems)
            for problem, start in zip(problems, said, strict=True):
                self.assertTrue(str(problem).startswith(start), problem)

    def test_usualSteps(self) -> None:
        """They are such as a file could have."""
        kinds = [step.kind for step in USUAL.steps]
        self.assertEqual(kinds, ["preflight", "shadow", "canary", "canary"])
        self.assertTrue(all(step.atMost is not None for step in USUAL.steps[1:]))
