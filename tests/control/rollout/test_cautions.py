"""
What is to be known of a rollout before it begins.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.rolloutpolicy import USUAL, RolloutPolicy, Step
from revproxy.control.rollout.cautions import cautions
from tests.plan.plans import entry

ALIVE = "from revproxy.interfaces import ILifecycle\n"
COUNTS = """
def handle(self, context):
    return self.left(context) > 0 or context.respond(429)
"""
TELLS = '''
"""Tells of the quota: answers 429 come from elsewhere."""

class Quota:
    name = "quota"

    def handleResponse(self, context):
        # rate limit by route
        context.response.headers.set("X-Quota-Left", "100")
'''


class CautionTests(SynchronousTestCase):
    """
    By what is in a plugin's files.
    """

    def count(self, code: str, policy: RolloutPolicy = USUAL, isolation: str = "inline", **manifest: object) -> int:
        """How many there are."""
        return len(cautions({"a": entry("a", code=code, **manifest)}, policy, {"a": isolation}))

    def test_alive(self) -> None:
        """
        What has a life of its own is not shadowed, unless it says that it may, or is locked in.
        """
        self.assertEqual(self.count(ALIVE), 1)
        self.assertEqual(self.count(ALIVE, isolation="process"), 0)
        self.assertEqual(self.count(ALIVE, shadow_safe=True), 0)
        self.assertEqual(self.count(ALIVE, RolloutPolicy((Step("canary", 0.05),))), 0)

    def test_counts(self) -> None:
        """
        What counts for all clients counts apart, unless that is not judged.
        """
        (text,) = cautions({"a": entry("a", code=COUNTS)}, USUAL, {})
        self.assertIn('"judge": {"interrupts": false}', text)
        self.assertEqual(self.count(COUNTS, judge={"interrupts": False}), 0)
        self.assertEqual(self.count(COUNTS, RolloutPolicy((Step("shadow", 0.2),))), 0)

    def test_notJudged(self) -> None:
        """
        A version that has its own interrupts left out, and does not seem to have to, is told of.
        """
        code = "def handle(self, context):\n    return True\n"
        (text,) = cautions({"a": entry("a", code=code, judge={"interrupts": False})}, USUAL, {})
        self.assertIn("lets all through", text)

    def test_onlyTells(self) -> None:
        """
        What has such a name, and says such words, but stops nobody, counts for nobody.
        """
        self.assertEqual(self.count(TELLS), 0)

    def test_stopsOtherwise(self) -> None:
        """
        Nor does what stops requests for another reason, or cannot be read.
        """
        self.assertEqual(self.count("def handle(self, context):\n    return context.respond(403)  # quota\n"), 0)
        self.assertEqual(self.count("\'\'\'429 respond("), 0)

    def test_limiters(self) -> None:
        """
        Those that count are seen, however they are written.
        """
        for line in ("context.respond(HTTPStatus.TOO_MANY_REQUESTS)", "self.tokenBucket.take() or False",
                     "rate_limit(context) or context.respond(503)"):  # fmt: skip
            self.assertEqual(self.count(f"def handle(self, context):\n    return {line}\n"), 1, line)

    def test_none(self) -> None:
        """
        Of most there is nothing to say.
        """
        self.assertEqual(self.count("pass\n"), 0)
