"""
The first plan, as conversations; `tests.control.conversations` says how they are written.
"""

from __future__ import annotations

from dataclasses import replace

from revproxy.config.problems import ConfigErrors, Problem
from tests.control.conversations import TranscriptCase
from tests.plan.plans import brokenEntry, entry


class StartTests(TranscriptCase):
    """
    An edge that never ran.
    """

    def test_start(self) -> None:
        """
        Its plan is prepared without starting anything; once the loop runs it is prepared again, and takes effect.
        """
        self.talk.files(entry("a", "1.0"), entry("b", "1.0"))
        self.play("""
            prepare
            control: Prepare 1 without starting (a 1.0, b 1.0)
            worker: prepare done
            end: nothing to tell
            begin
            control: Prepare 1 (a 1.0, b 1.0)
            worker: prepare done
            stored: a 1.0
            stored: b 1.0
            control: Ready 1
            worker: ready done
            control: Commit 1
            worker: commit done
            written: a 1.0, b 1.0
            end: nothing to tell
        """)

    def test_refused(self) -> None:
        """
        Nothing stands in for what fails: all that does so is looked for, and told at once.
        """
        self.talk.files(entry("a", "1.0"), entry("b", "1.0"), entry("c", "1.0"))
        self.play("""
            prepare
            control: Prepare 1 without starting (a 1.0, b 1.0, c 1.0)
            worker: prepare refused: a import: it raised
            control: Prepare 1 without starting (b 1.0, c 1.0)
            worker: prepare refused: c main: it is no middleware;  build: no such folder
            control: Prepare 1 without starting (b 1.0)
            worker: prepare refused:  build: no such folder
            control: Abandon 1
            worker: abandon done
            end: refused: first.yaml: no such folder
            end: refused: plugins/a/plugin.json: it raised (plugin a)
            end: refused: plugins/c/plugin.json: it is no middleware (plugin c)
        """)

    def test_configuration(self) -> None:
        """
        A configuration that cannot be made so is refused, with all that is wrong with it.
        """
        self.play("""
            prepare
            control: Prepare 1 without starting (no plugins)
            worker: prepare refused:  build: no such folder;  listen: no such certificate
            control: Abandon 1
            worker: abandon done
            end: refused: first.yaml: no such folder
            end: refused: first.yaml: no such certificate
        """)

    def test_refusedAtBegin(self) -> None:
        """
        What can only be told once it is started ends the start.
        """
        self.talk.files(entry("a", "1.0"))
        self.play("""
            prepare
            control: Prepare 1 without starting (a 1.0)
            worker: prepare done
            end: nothing to tell
            begin
            control: Prepare 1 (a 1.0)
            worker: prepare refused: a start: no port
            control: Abandon 1
            worker: abandon done
            end: refused: a start: no port
        """)

    def test_refusedLast(self) -> None:
        """
        So does what is refused when all have started.
        """
        self.talk.files(entry("a", "1.0"))
        self.play("""
            prepare
            control: Prepare 1 without starting (a 1.0)
            worker: prepare done
            end: nothing to tell
            begin
            control: Prepare 1 (a 1.0)
            worker: prepare done
            stored: a 1.0
            control: Ready 1
            worker: ready refused:  build: no memory
            control: Abandon 1
            worker: abandon done
            end: refused: build: no memory
        """)

    def test_broken(self) -> None:
        """
        A plugin whose manifest will not do is refused without asking a worker.
        """
        self.talk.files(brokenEntry("a"))
        self.play("""
            prepare
            end: refused: plugins/a/plugin.json:1:1: $: missing "version"
        """)

    def test_noFolder(self) -> None:
        """
        So is a folder of plugins that cannot be read.
        """
        errors = ConfigErrors([Problem("plugins", 0, 0, "", "cannot be read")])
        snapshots = self.talk.snapshots
        snapshots.snapshot = replace(snapshots.snapshot, catalog=None, catalogErrors=errors)
        self.play("""
            prepare
            end: refused: plugins: cannot be read
        """)

    def test_needed(self) -> None:
        """
        Where the others do not go without one that failed, what was prepared is given up, and all is said.
        """
        self.talk.files(entry("a", "1.0"), entry("b", "1.0", requires={"a": ""}))
        self.play("""
            prepare
            control: Prepare 1 without starting (a 1.0, b 1.0)
            worker: prepare refused: a import: it raised
            control: Abandon 1
            worker: abandon done
            end: refused: plugins/a/plugin.json: it raised (plugin a)
            end: refused: plugins/b/plugin.json:5:3: $.requires.a: b 1.0 requires a, \
which is absent or switched off (on the route "/")
        """)

    def test_stopped(self) -> None:
        """
        Stopped while it begins, it never serves.
        """
        self.talk.files(entry("a", "1.0"))
        self.play("""
            prepare
            control: Prepare 1 without starting (a 1.0)
            worker: prepare done
            end: nothing to tell
            begin
            control: Prepare 1 (a 1.0)
            halt
            control: Abandon 1
            worker: prepare refused:  stop: the change was given up
            end: refused: stop: the change was given up
            worker: abandon done
        """)
        self.assertIsNone(self.talk.coordinator.plan)

    def test_stoppedWhenReady(self) -> None:
        """
        Also when everything was ready by then.
        """
        self.talk.files(entry("a", "1.0"))
        self.play("""
            prepare
            control: Prepare 1 without starting (a 1.0)
            worker: prepare done
            end: nothing to tell
            begin
            control: Prepare 1 (a 1.0)
            worker: prepare done
            stored: a 1.0
            control: Ready 1
            halt
            control: Abandon 1
            worker: ready done
            end: nothing to tell
            worker: abandon done
        """)
        self.assertIsNone(self.talk.coordinator.plan)


class RestartTests(TranscriptCase):
    """
    An edge that ran before.
    """

    def setUp(self) -> None:
        super().setUp()
        self.talk.running(entry("a", "1.0"), entry("b", "1.0"))
        self.talk.boot()
        self.talk.files(entry("a", "2.0"), entry("b", "1.0"))

    def test_standIn(self) -> None:
        """
        What ran before stands in for what fails.
        """
        self.play("""
            prepare
            control: Prepare 1 without starting (a 2.0, b 1.0)
            worker: prepare refused: a import: it raised
            control: Prepare 1 without starting (a 1.0, b 1.0)
            worker: prepare done
            end: nothing to tell
            begin
            control: Prepare 1 (a 1.0, b 1.0)
            worker: prepare done
            control: Ready 1
            worker: ready done
            control: Commit 1
            worker: commit done
            event: refused a
            end: nothing to tell
        """)

    def test_standInAtBegin(self) -> None:
        """
        Also for what fails only when it is started.
        """
        self.play("""
            prepare
            control: Prepare 1 without starting (a 2.0, b 1.0)
            worker: prepare done
            end: nothing to tell
            begin
            control: Prepare 1 (a 2.0, b 1.0)
            worker: prepare refused: a start: no port
            control: Prepare 1 (a 1.0, b 1.0)
            worker: prepare done
            control: Ready 1
            worker: ready done
            control: Commit 1
            worker: commit done
            event: refused a
            end: nothing to tell
        """)

    def test_oldFailsToo(self) -> None:
        """
        Where what ran before fails as well, that ends the start.
        """
        self.play("""
            prepare
            control: Prepare 1 without starting (a 2.0, b 1.0)
            worker: prepare refused: a import: it raised
            control: Prepare 1 without starting (a 1.0, b 1.0)
            worker: prepare refused: a import: the old one, too
            control: Prepare 1 without starting (b 1.0)
            worker: prepare done
            control: Abandon 1
            worker: abandon done
            end: refused: /plugins/a/plugin.json: the old one, too (plugin a)
        """)

    def test_newcomer(self) -> None:
        """
        A newcomer that fails is left out, and the edge starts.
        """
        self.talk.files(entry("a", "1.0"), entry("b", "1.0"), entry("c", "1.0"))
        self.play("""
            prepare
            control: Prepare 1 without starting (a 1.0, b 1.0, c 1.0)
            worker: prepare refused: c import: it raised
            control: Prepare 1 without starting (a 1.0, b 1.0)
            worker: prepare done
            end: nothing to tell
        """)

    def test_lost(self) -> None:
        """
        Where what ran before cannot be had, and is needed, it is told why.
        """
        self.talk.state.store.bundles.clear()
        self.talk.boot()
        self.play("""
            prepare
            control: Prepare 1 without starting (a 2.0, b 1.0)
            worker: prepare refused: a import: it raised
            control: Prepare 1 without starting (b 1.0)
            worker: prepare done
            control: Abandon 1
            worker: abandon done
            end: refused: a: what ran before cannot stand in: a: is not stored
            end: refused: plugins/a/plugin.json: it raised (plugin a)
        """)

    def test_gone(self) -> None:
        """
        What is not there any more runs no more, and that is told.
        """
        self.talk.files(entry("b", "1.0"))
        self.play("""
            prepare
            control: Prepare 1 without starting (b 1.0)
            worker: prepare done
            end: nothing to tell
            begin
            control: Prepare 1 (b 1.0)
            worker: prepare done
            control: Ready 1
            worker: ready done
            control: Commit 1
            worker: commit done
            event: removed a
            written: b 1.0
            end: nothing to tell
        """)
