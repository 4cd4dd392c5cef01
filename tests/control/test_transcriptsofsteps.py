"""
Steps of a change that fail, and the end in the midst of one, as conversations; `tests.control.conversations` says how
they are written.
"""

from __future__ import annotations

from tests.control.conversations import TranscriptCase
from tests.plan.plans import entry


class StepTests(TranscriptCase):
    """
    Each step can fail, but for the last.
    """

    def setUp(self) -> None:
        super().setUp()
        self.talk.running(entry("a", "1.0"))
        self.talk.files(entry("a", "2.0"))

    def test_ready(self) -> None:
        """
        What is refused when all is prepared and stored is dropped as well.
        """
        self.play("""
            apply
            control: Prepare 2 (a 2.0)
            worker: prepare done
            stored: a 2.0
            control: Ready 2
            worker: ready refused: a update: it raised
            event: refused a
            control: Abandon 2
            worker: abandon done
            end: not a update: it raised
        """)

    def test_store(self) -> None:
        """
        A disk that is full holds no change up; that it would not outlive a restart is told.
        """
        self.talk.state.store.isFull = True
        self.play("""
            apply
            control: Prepare 2 (a 2.0)
            worker: prepare done
            event: store-failed a
            control: Ready 2
            worker: ready done
            control: Commit 2
            worker: commit done
            event: replaced a
            event: store-failed
            end: a: 1.0 → 2.0; unwritten: /nowhere/plugins.json: cannot be written: No \
space left on device; the disk is full
        """)
        self.talk.state.store.isFull = False
        self.play("""
            60 s pass
            stored: a 2.0
            written: a 2.0
            event: written
        """)

    def test_silentDisk(self) -> None:
        """
        Nor does a disk that does not answer, for longer than it may take.
        """
        self.talk.silent.add("disk")
        self.play("""
            apply
            control: Prepare 2 (a 2.0)
            worker: prepare done
            29 s pass
            1 s pass
            event: store-failed a
            control: Ready 2
            worker: ready done
            control: Commit 2
            worker: commit done
            event: replaced a
            event: store-failed a
            event: store-failed
            end: a: 1.0 → 2.0; unwritten: /nowhere/plugins.json: cannot be written: the disk has not answered for \
30 s; the disk has not answered for 30 s
        """)

    def test_silentFiles(self) -> None:
        """
        Files that cannot be read are no change, and no worker hears of it.
        """
        self.talk.silent.add("files")
        self.play("""
            apply
            120 s pass
            event: refused
            end: refused: files: the files cannot be looked at: the disk has not answered for 120 s
        """)

    def test_commit(self) -> None:
        """
        The commit cannot fail: what a worker says against it changes nothing.
        """
        self.play("""
            apply
            control: Prepare 2 (a 2.0)
            worker: prepare done
            stored: a 2.0
            control: Ready 2
            worker: ready done
            control: Commit 2
            worker: commit refused: a commit: this is never said
            event: replaced a
            written: a 2.0
            end: a: 1.0 → 2.0
        """)

    def test_lateAnswers(self) -> None:
        """
        An answer to another transaction, or to a step that nobody waits for, is nobody's.
        """
        self.play("""
            apply
            control: Prepare 2 (a 2.0)
            worker: prepare of 1 refused: a import: late
            worker: ready done
            worker: commit done
            worker: prepare done
            stored: a 2.0
            control: Ready 2
            worker: prepare done
            worker: ready done
            control: Commit 2
            worker: commit done
            event: replaced a
            written: a 2.0
            end: a: 1.0 → 2.0
        """)


class StopTests(TranscriptCase):
    """
    The edge is stopped in the middle of a change.
    """

    def setUp(self) -> None:
        super().setUp()
        self.talk.running(entry("a", "1.0"))
        self.talk.files(entry("a", "2.0"))

    def test_prepare(self) -> None:
        """
        What is being prepared is given up at once, and not tried again.
        """
        self.play("""
            apply
            control: Prepare 2 (a 2.0)
            halt
            control: Abandon 2
            worker: prepare refused:  stop: the change was given up
            event: refused
            end: refused: stop: the edge is being stopped
            worker: abandon done
        """)

    def test_prepared(self) -> None:
        """
        Also if the worker had prepared it by then.
        """
        self.play("""
            apply
            control: Prepare 2 (a 2.0)
            halt
            control: Abandon 2
            worker: prepare done
            event: refused
            end: refused: stop: the edge is being stopped
            worker: abandon done
        """)

    def test_storing(self) -> None:
        """
        Nothing more is said to the worker about what was given up while a slow disk took it.
        """
        self.talk.silent.add("disk")
        self.play("""
            apply
            control: Prepare 2 (a 2.0)
            worker: prepare done
            halt
            control: Abandon 2
            worker: abandon done
            5 s pass
            event: store-failed a
            event: refused
            end: refused: stop: the edge is being stopped
        """)

    def test_ready(self) -> None:
        """
        What is ready takes no effect any more.
        """
        self.play("""
            apply
            control: Prepare 2 (a 2.0)
            worker: prepare done
            stored: a 2.0
            control: Ready 2
            halt
            control: Abandon 2
            worker: ready done
            event: refused
            end: refused: stop: the edge is being stopped
            worker: abandon done
        """)
        assert self.talk.coordinator.plan is not None
        self.assertEqual(self.talk.coordinator.plan.entries["a"].version.number, "1.0")

    def test_commit(self) -> None:
        """
        What was committed is recorded: the halt comes after it.
        """
        self.play("""
            apply
            control: Prepare 2 (a 2.0)
            worker: prepare done
            stored: a 2.0
            control: Ready 2
            worker: ready done
            control: Commit 2
            halt
            worker: commit done
            event: replaced a
            written: a 2.0
            end: a: 1.0 → 2.0
        """)

    def test_after(self) -> None:
        """
        After that nothing changes.
        """
        self.play("""
            halt
            apply
            end: nothing to tell
        """)
