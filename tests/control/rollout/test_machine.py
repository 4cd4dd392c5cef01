"""
The life of a rollout.
"""

from __future__ import annotations

from automat import NoTransition
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.rollout.machine import ENDS, Passage, Transition, lifeOf, moveOn

KINDS = ("preflight", "shadow", "canary")


class LifeTests(SynchronousTestCase):
    """
    What may become of it.
    """

    def test_all(self) -> None:
        """
        Through all steps, some of them several times, to its end; each transition is kept.
        """
        passage = Passage(lambda: 7.0)
        passage.enter("waiting", "it is new", "files")
        life = lifeOf(passage)
        way = ("preflight", "shadow", "shadow", "canary", "canary", "promoted")
        for state in way:
            moveOn(life, state, "why", "edge")
            self.assertEqual(passage.state, state)
        self.assertEqual([each.after for each in passage.transitions], ["waiting", *way])
        self.assertEqual(passage.transitions[2], Transition(7.0, "preflight", "shadow", "why", "edge"))

    def test_ends(self) -> None:
        """
        It can be ended at any time, but what has met no request cannot be worse; what is over stays so.
        """
        for state in ("waiting", *KINDS):
            for end in ENDS:
                passage = Passage(lambda: 7.0, state)
                if end == "rolled-back" and state in ("waiting", "preflight"):
                    self.assertRaises(NoTransition, moveOn, lifeOf(passage), end, "", "edge")
                    continue
                moveOn(lifeOf(passage), end, "", "edge")
                for more in (*KINDS, *ENDS):
                    self.assertRaises(NoTransition, moveOn, lifeOf(passage), more, "", "edge")

    def test_never(self) -> None:
        """
        No step comes after one of a later kind.
        """
        for at, later in enumerate(KINDS):
            for earlier in KINDS[: at + (later == "preflight")]:
                self.assertRaises(NoTransition, moveOn, lifeOf(Passage(lambda: 7.0, later)), earlier, "", "edge")
