"""What ``revproxy check`` says of rollouts."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.cli.rolloutcheck import rolloutWarnings
from tests.cli.test_preflight import PreflightCase
from tests.config.test_configfile import START, ConfigTestCase


class WarningsTests(ConfigTestCase):
    """`rolloutWarnings`."""

    def warnings(self, text: str) -> list[str]:
        """Those of a section, where there is a plugin ``quota``."""
        return list(rolloutWarnings(self.parse(f"{START}plugins: {{rollout: {text}}}"), {"quota"}))

    def test_none(self) -> None:
        """Where all is there, nothing is said."""
        (self.base / "a.recording").write_text("")
        self.assertEqual(
            self.warnings("{plugins: {quota: {steps: [{preflight: true, replay: a.recording}]}}}"), [])

    def test_absent(self) -> None:
        """A plugin that is not there, also where it is said to come at once."""
        self.assertEqual(self.warnings("{plugins: {qota: at_once}}"), [
            'r.yaml:3:31: $.plugins.rollout.plugins.qota: no plugin named "qota"; did you mean "quota"?; nothing of '
            "that name takes these steps"])

    def test_recording(self) -> None:
        """A recording that is not there, once, where it is named."""
        [said] = self.warnings("{default: {steps: [{preflight: true, replay: a}]}, plugins: {quota: {by: cookie}}}")
        self.assertTrue(said.startswith("r.yaml:3:"))
        self.assertIn(f"default.steps[0].replay: there is no recording {self.base}/a yet", said)


class CheckTests(PreflightCase, SynchronousTestCase):
    """`preflight` tells them."""

    def test_told(self) -> None:
        """Among its warnings."""
        found = self.check("{}, rollout: {plugins: {gone: at_once}}").warnings
        self.assertIn('no plugin named "gone"', "\n".join(found))
