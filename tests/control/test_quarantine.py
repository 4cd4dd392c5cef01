"""
Versions that fail while they run; `tests.control.conversations` says how transcripts are written.
"""

from __future__ import annotations

from typing import Any

from revproxy.control.changes import ChangeRequest
from revproxy.control.quarantine import Quarantine
from revproxy.control.state.records import Pin
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Counters, Failures, Prepare, Restored, Stalled, Up
from tests.control.conversations import Conversation, TranscriptCase, makeConfig
from tests.plan.plans import entry


class QuarantineCase(TranscriptCase):
    """
    With a quarantine that hears what workers say.
    """

    def setUp(self) -> None:
        super().setUp()
        self.quarantine = Quarantine(self.talk.coordinator, self.talk.clock)
        self.talk.crew.onWord = self.hear

    def hear(self, worker: int, word: Up) -> None:
        """
        As the inbox does.
        """
        if isinstance(word, Failures):
            self.quarantine.failed(worker, word)
        elif isinstance(word, Counters):
            self.quarantine.counted(worker, word)
        elif isinstance(word, Stalled):
            self.quarantine.stalled(word)
        elif isinstance(word, Restored):
            self.quarantine.restored(word)

    def quarantined(self, name: str) -> list[Any]:
        """
        The numbers of versions that were taken out, as they are remembered.
        """
        versions = self.talk.coordinator.records.get(name).versions
        return [known.version for known in versions if known.quarantined is not None]


def upgrade(talk: Conversation) -> None:
    """
    a 1.0 runs, and then a 2.0.
    """
    talk.running(entry("a", "1.0"))
    talk.files(entry("a", "2.0"))
    talk.play("""
        apply
        worker: prepare done
        worker: ready done
        worker: commit done
    """)


class BackTests(QuarantineCase):
    """
    There is a version to go back to.
    """

    def setUp(self) -> None:
        super().setUp()
        upgrade(self.talk)

    def test_back(self) -> None:
        """
        It takes the place of the one that fails, in a change like others, and stays until the folder has something new.
        """
        self.play("""
            worker: 4 of 4 calls of a 2.0 failed
            0 s pass
            worker: 1 of 5 calls of a 2.0 failed
            0 s pass
            control: Prepare 3 (a 1.0)
            worker: prepare done
            stored: a 1.0
            control: Ready 3
            worker: ready done
            control: Commit 3
            worker: commit done
            event: replaced a
            written: a 1.0
            event: quarantined a
        """)
        word = self.talk.words[-3]
        assert isinstance(word, Prepare)
        self.assertTrue(word.withoutState)
        self.assertEqual(self.quarantined("a"), ["2.0"])
        self.play("""
            apply
            end: nothing to tell
        """)
        self.talk.files(entry("a", "3.0"))
        self.play("""
            apply
            control: Prepare 5 (a 3.0)
            worker: prepare done
            stored: a 3.0
            control: Ready 5
            worker: ready done
            control: Commit 5
            worker: commit done
            event: replaced a
            event: unpinned a
            written: a 3.0
            end: a: 1.0 → 3.0; a: its folder has something new: no longer pinned to 1.0 by quarantine
        """)

    def test_refused(self) -> None:
        """
        Where it will not do any more, a gate is put before the one that fails.
        """
        self.play("""
            worker: 5 of 5 calls of a 2.0 failed
            0 s pass
            control: Prepare 3 (a 1.0)
            worker: prepare refused: a start: no port
            control: Abandon 3
            worker: abandon done
            event: refused a
            event: quarantined a
            control: Prepare 4 (a 2.0 behind a gate)
            worker: prepare done
            control: Ready 4
            worker: ready done
            control: Commit 4
            worker: commit done
            written: a 2.0
        """)

    def test_pinned(self) -> None:
        """
        A version that somebody has pinned stays, behind a gate.
        """
        digest = entry("a", "2.0").digest
        assert digest is not None
        request = ChangeRequest("a", lambda records, found: records.pinned("a", Pin(digest, "user")))
        self.talk.play("apply", request)
        self.play("""
            worker: 5 of 5 calls of a 2.0 failed
            0 s pass
            event: quarantined a
            control: Prepare 4 (a 2.0 behind a gate)
            worker: prepare done
            control: Ready 4
            worker: ready done
            control: Commit 4
            worker: commit done
            written: a 2.0
        """)
        self.assertIn("it is pinned", self.talk.events.latest(1)[0].text)

    def test_stopped(self) -> None:
        """
        When the edge is stopped meanwhile, that is the end of it.
        """
        self.play("""
            worker: 5 of 5 calls of a 2.0 failed
            0 s pass
            control: Prepare 3 (a 1.0)
            halt
            control: Abandon 3
            worker: prepare done
            worker: abandon done
        """)

    def test_others(self) -> None:
        """
        What is said of a version that does not run any more, or of a plugin that nobody knows, is nothing.
        """
        self.play("""
            worker: 9 of 9 calls of a 1.0 failed
            worker: 9 of 9 calls of b 1.0 failed
            worker: 1 of 10 calls of a 2.0 failed
            worker: 1 of 20 calls of a 2.0 failed
            worker: 3 of 30 calls of a 2.0 failed
            worker: a 1.0 is restored
            1 s pass
        """)

    def test_goneMeanwhile(self) -> None:
        """
        A version that was replaced before its turn came is left alone.
        """
        self.talk.files(entry("a", "3.0"))
        self.play("""
            apply
            control: Prepare 3 (a 3.0)
            worker: prepare done
            stored: a 3.0
            control: Ready 3
            worker: 5 of 5 calls of a 2.0 failed
            1 s pass
            worker: ready done
            control: Commit 3
            worker: commit done
            event: replaced a
            written: a 3.0
            end: a: 2.0 → 3.0
        """)


class StallTests(QuarantineCase):
    """
    Calls that held the loop.
    """

    def setUp(self) -> None:
        super().setUp()
        upgrade(self.talk)

    def test_ended(self) -> None:
        """
        Three that had to be ended are enough.
        """
        self.play("""
            worker: a call of a 2.0 stalled, and was ended
            worker: a call of a 2.0 stalled, and was ended
            0 s pass
            worker: a call of a 2.0 stalled, and was ended
            0 s pass
            control: Prepare 3 (a 1.0)
        """)

    def test_probes(self) -> None:
        """
        Probes of a version that is out may stall: that they fail is what its gate is for.
        """
        self.play("""
            worker: a probe of a 2.0 stalled, and was ended
            worker: a probe of a 2.0 stalled, and was ended
            worker: a probe of a 2.0 stalled, and was ended
            0 s pass
        """)

    def test_notEnded(self) -> None:
        """
        Those that came back by themselves do not count.
        """
        self.play("\n".join(["worker: a call of a 2.0 stalled"] * 5))


class GateTests(QuarantineCase):
    """
    There is nothing to go back to.
    """

    def setUp(self) -> None:
        super().setUp()
        self.talk.running(entry("a", "1.0"), entry("b", "1.0"))
        self.play("""
            worker: 5 of 5 calls of a 1.0 failed
            0 s pass
            event: quarantined a
            control: Prepare 2 (a 1.0 behind a gate, b 1.0)
            worker: prepare done
            control: Ready 2
            worker: ready done
            control: Commit 2
            worker: commit done
            written: a 1.0, b 1.0
        """)

    def test_gate(self) -> None:
        """
        The version is put behind a gate, and that is remembered.
        """
        self.assertTrue(self.quarantine.isGated("a"))
        self.assertFalse(self.quarantine.isGated("b"))
        self.assertEqual(self.quarantined("a"), ["1.0"])
        self.assertIn("answered 503, until probes succeed", self.talk.events.latest(1)[0].text)

    def test_notYet(self) -> None:
        """
        A gate that cannot be put, or taken away, is told of; what fails on is taken out the next time.
        """
        self.play("""
            worker: 5 of 5 calls of b 1.0 failed
            0 s pass
            event: quarantined b
            control: Prepare 3 (a 1.0 behind a gate, b 1.0 behind a gate)
            worker: prepare refused:  build: no memory
            control: Abandon 3
            worker: abandon done
            event: refused b
            worker: 5 of 10 calls of b 1.0 failed
            0 s pass
            event: quarantined b
            control: Prepare 4 (a 1.0 behind a gate, b 1.0 behind a gate)
        """)

    def test_failsOnMeanwhile(self) -> None:
        """
        Calls that fail until the gate is there are no reason to begin anew.
        """
        self.play("""
            worker: 5 of 5 calls of b 1.0 failed
            0 s pass
            event: quarantined b
            control: Prepare 3 (a 1.0 behind a gate, b 1.0 behind a gate)
            worker: 9 of 14 calls of b 1.0 failed
            0 s pass
            worker: prepare done
            control: Ready 3
            worker: ready done
            control: Commit 3
            worker: commit done
            written: a 1.0, b 1.0
            0 s pass
        """)

    def test_restored(self) -> None:
        """
        The gate goes when the last of its instances has passed its probes.
        """
        self.play("""
            worker: a 1.0 is restored, and 1 instance is not
            worker: a 1.0 is restored
            control: Prepare 3 (a 1.0, b 1.0)
            worker: prepare done
            control: Ready 3
            worker: ready done
            control: Commit 3
            worker: commit done
            written: a 1.0, b 1.0
        """)
        self.assertEqual((self.quarantine.isGated("a"), self.quarantined("a")), (False, []))
        self.play("worker: a 1.0 is restored")

    def test_staysWithCode(self) -> None:
        """
        Other changes leave the gate where it is; another version has none.
        """
        self.talk.files(entry("a", "1.0"), entry("b", "2.0"))
        self.talk.play("apply")
        self.assertEqual(self.talk.lines[-1], "control: Prepare 3 (a 1.0 behind a gate, b 2.0)")
        self.talk.play("""
            worker: prepare refused: b import: it raised
            worker: abandon done
        """)
        self.talk.files(entry("a", "2.0"), entry("b", "1.0"))
        self.talk.play("apply")
        self.assertEqual(self.talk.lines[-1], "control: Prepare 4 (a 2.0, b 1.0)")


class LimitTests(QuarantineCase):
    """
    What is enough is in the configuration file.
    """

    def test_live(self) -> None:
        """
        Other limits hold from the change of the file on, for what failed before, too.
        """
        upgrade(self.talk)
        self.talk.play("worker: 4 of 100 calls of a 2.0 failed")
        config = makeConfig("plugins: {quarantine: {failures: 5, share: 5%, window: 1m}}\n", "second.yaml")
        self.talk.files(entry("a", "2.0"), config=config)
        self.talk.play("""
            apply
            worker: prepare done
            worker: ready done
            worker: commit done
        """)
        self.play("""
            40 s pass
            worker: 1 of 100 calls of a 2.0 failed
            0 s pass
            control: Prepare 4 (a 1.0; second.yaml)
        """)

    def test_overLoop(self) -> None:
        """
        A version that takes too much of the event loop is taken out as one that fails; which one does not run, is not.
        """
        upgrade(self.talk)
        version = self.talk.coordinator.plan.find("a").entry.version  # type: ignore[union-attr]
        self.quarantine.overLoop("a", VersionId("1.0", "b" * 64), "it is old")
        self.quarantine.overLoop("a", version, "9 calls a second")
        self.play("""
            0 s pass
            control: Prepare 3 (a 1.0)
            worker: prepare done
            stored: a 1.0
            control: Ready 3
            worker: ready done
            control: Commit 3
            worker: commit done
            event: replaced a
            written: a 1.0
            event: quarantined a
        """)
        self.assertIn("9 calls a second; back to 1.0", self.talk.events.latest(1)[0].text)

    def test_probes(self) -> None:
        """
        Behind a gate nothing more happens to it.
        """
        self.talk.running(entry("a", "1.0"))
        version = self.talk.coordinator.plan.find("a").entry.version  # type: ignore[union-attr]
        self.quarantine.overLoop("a", version, "9 calls a second")
        self.talk.play("""
            0 s pass
            worker: prepare done
            worker: ready done
            worker: commit done
        """)
        self.quarantine.overLoop("a", version, "9 calls a second")
        self.play("0 s pass")


class SeveralTests(QuarantineCase):
    """
    What several workers say is added up.
    """

    workers = 3

    def setUp(self) -> None:
        super().setUp()
        self.talk.running(entry("a", "1.0"))

    def test_few(self) -> None:
        """
        Failures and calls of all count: of five in fifty nothing follows.
        """
        self.play("""
            worker 0: 2 of 2 calls of a 1.0 failed
            worker 1: 2 of 40 calls of a 1.0 failed
            worker 2: 1 of 8 calls of a 1.0 failed
            1 s pass
        """)

    def test_many(self) -> None:
        """
        Of five in six something does.
        """
        self.play("""
            worker 0: 2 of 2 calls of a 1.0 failed
            worker 1: 2 of 3 calls of a 1.0 failed
            worker 2: 1 of 1 calls of a 1.0 failed
            0 s pass
            event: quarantined a
            control to 0: Prepare 2 (a 1.0 behind a gate)
        """)

    def test_longBefore(self) -> None:
        """
        Calls that were counted before the first failure are not taken for calls since.
        """
        self.play("""
            worker 0: 100 calls of a 1.0 more
            worker 1: 100 calls of a 1.0 more
            60 s pass
            worker 0: 60 calls of a 1.0 more
            worker 1: 60 calls of a 1.0 more
            worker 0: 1 of 161 calls of a 1.0 failed
            worker 0: 1 of 162 calls of a 1.0 failed
            worker 1: 1 of 161 calls of a 1.0 failed
            worker 1: 1 of 162 calls of a 1.0 failed
            worker 0: 1 of 163 calls of a 1.0 failed
            0 s pass
            event: quarantined a
            control to 0: Prepare 2 (a 1.0 behind a gate)
        """)
