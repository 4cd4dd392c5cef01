"""The versions of the demonstration: each loads, and does what it is said to do, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.config.manifest import parseManifest
from revproxy.demo.rollout import configuration, headersOf
from revproxy.demo.rolloutversions import CANDIDATES, FIRST, NAME, PLANS, Candidate
from revproxy.testing import EdgeDouble
from tests.docs.test_tutorial import module


class VersionsTests(SynchronousTestCase):
    """What visitors meet in each of them."""

    def met(self, candidate: Candidate, person: int, number: int) -> tuple[int, str | None]:
        """Status, and what the answer says the plan is."""
        made = module("gate", candidate.source).PluginMain({})
        edge = EdgeDouble(made)
        response = edge.get("/", headers=headersOf(person, number))
        plan = response.headers.get("X-Plan")
        self.flushLoggedErrors()
        return response.status, plan

    def versions(self) -> dict[str, Candidate]:
        """By their titles."""
        return {candidate.title: candidate for candidate in (FIRST, *CANDIDATES)}

    def test_manifests(self) -> None:
        """Each is a plugin of the same name, with a number of its own, in order."""
        found = [parseManifest(each.files()["plugin.json"].encode(), "plugin.json") for each in (FIRST, *CANDIDATES)]
        self.assertEqual({each.name for each in found}, {NAME})
        self.assertEqual(found, sorted(found, key=lambda each: each.version))
        self.assertEqual(len({each.version for each in found}), 6)

    def test_right(self) -> None:
        """What runs, and the one that should, turn away who has no key, and say the plan."""
        for title in ("what runs", "slow", "the right one"):
            candidate = self.versions()[title]
            self.assertEqual(self.met(candidate, 10, 7), (401, None))
            for person in (1, 2, 3):
                self.assertEqual(self.met(candidate, person, 7), (200, PLANS[person % 3]))

    def test_faults(self) -> None:
        """Each of the others is right but for its fault."""
        versions = self.versions()
        self.assertRaises(KeyError, self.met, versions["raises"], 1, 47)
        self.assertEqual(self.met(versions["raises"], 1, 48), (200, PLANS[1]))
        self.assertEqual(self.met(versions["wrong header"], 1, 107), (200, "undefined"))
        self.assertEqual(self.met(versions["wrong header"], 1, 108), (200, PLANS[1]))
        self.assertEqual(self.met(versions["wrong header"], 10, 107), (401, None))
        self.assertEqual(self.met(versions["lets all through"], 10, 1)[0], 200)
        self.assertEqual(self.met(versions["lets all through"], 1, 1), (200, PLANS[1]))

    def test_configuration(self) -> None:
        """The edge's configuration is sound, and has all three kinds of steps."""
        base = Path(self.mktemp()).absolute()
        (base / "plugins").mkdir(parents=True)
        policy = parseConfig(configuration(1, base), "r.yaml", base).plugins.rollout.policyFor(NAME)
        assert policy is not None
        self.assertEqual([step.kind for step in policy.steps], ["preflight", "shadow", "canary", "canary"])
        self.assertEqual(json.loads(configuration(1, base))["state"], str(base / "state"))
