"""
Changes as conversations; `tests.control.conversations` says how they are written. How steps fail is in
`test_transcriptsofsteps`, several workers are in `test_crew`, the first plan is in `test_startup`.
"""

from __future__ import annotations

from revproxy.control.changes import ChangeRefused, ChangeRequest
from revproxy.control.state.records import Pin, PluginRecords
from revproxy.plan.catalog import Catalog
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import Prepare
from tests.control.conversations import TranscriptCase, makeConfig
from tests.plan.plans import entry


class ChangeTests(TranscriptCase):
    """
    One worker, and changes of plugins.
    """

    def setUp(self) -> None:
        super().setUp()
        self.talk.running(entry("a", "1.0"), entry("b", "1.0"))

    def test_change(self) -> None:
        """
        A new version is prepared, stored, readied, and takes effect; that is told and written down.
        """
        self.talk.files(entry("a", "2.0"), entry("b", "1.0"))
        self.play("""
            apply
            control: Prepare 2 (a 2.0, b 1.0)
            worker: prepare done
            stored: a 2.0
            control: Ready 2
            worker: ready done
            control: Commit 2
            worker: commit done
            event: replaced a
            written: a 2.0, b 1.0
            end: a: 1.0 → 2.0
        """)

    def test_nothing(self) -> None:
        """
        Where the files say what runs already, nothing is said.
        """
        self.talk.files(entry("a", "1.0"), entry("b", "1.0"))
        self.play("""
            apply
            end: nothing to tell
        """)

    def test_refused(self) -> None:
        """
        The change of a plugin that is refused is dropped, and the others are prepared in the same transaction.
        """
        self.talk.files(entry("a", "2.0"), entry("b", "2.0"))
        self.play("""
            apply
            control: Prepare 2 (a 2.0, b 2.0)
            worker: prepare refused: b import: it raised
            control: Prepare 2 (a 2.0, b 1.0)
            worker: prepare done
            stored: a 2.0
            control: Ready 2
            worker: ready done
            control: Commit 2
            worker: commit done
            event: replaced a
            written: a 2.0, b 1.0
            event: refused b
            end: a: 1.0 → 2.0; not b import: it raised
        """)
        first, *_, last = [word.plan for word in self.talk.words[-4:] if isinstance(word, Prepare)]
        self.assertIsNot(first.entries["b"], last.entries["b"])
        self.assertIs(first.entries["a"], last.entries["a"])

    def test_notAgain(self) -> None:
        """
        What failed by itself is not tried again as long as its files stay; what would do now is.
        """
        self.test_refused()
        self.play("""
            apply
            end: nothing to tell
        """)
        self.talk.files(entry("a", "2.0"), entry("b", "3.0"))
        self.play("""
            apply
            control: Prepare 4 (a 2.0, b 3.0)
            worker: prepare done
            stored: b 3.0
            control: Ready 4
            worker: ready done
            control: Commit 4
            worker: commit done
            event: replaced b
            written: a 2.0, b 3.0
            end: b: 1.0 → 3.0
        """)

    def test_nothingLeft(self) -> None:
        """
        With the last change dropped there is nothing to do, and what was prepared is given up.
        """
        self.talk.files(entry("a", "2.0"), entry("b", "1.0"))
        self.play("""
            apply
            control: Prepare 2 (a 2.0, b 1.0)
            worker: prepare refused: a start: no port
            event: refused a
            control: Abandon 2
            worker: abandon done
            end: not a start: no port
        """)

    def test_newcomer(self) -> None:
        """
        A newcomer that is refused is left out.
        """
        self.talk.files(entry("a", "1.0"), entry("b", "1.0"), entry("c", "1.0"))
        self.play("""
            apply
            control: Prepare 2 (a 1.0, b 1.0, c 1.0)
            worker: prepare refused: c main: it raised
            event: refused c
            control: Abandon 2
            worker: abandon done
            end: not c main: it raised
        """)

    def test_renamed(self) -> None:
        """
        What goes in the same change runs on: it may be the newcomer, under another name.
        """
        self.talk.files(entry("b", "1.0"), entry("c", "1.0"))
        self.play("""
            apply
            control: Prepare 2 (b 1.0, c 1.0)
            worker: prepare refused: c main: it raised
            event: refused c
            event: refused a
            control: Abandon 2
            worker: abandon done
            end: not c main: it raised; not a held: it was removed when c came, which was refused; it runs on until \
that is mended
        """)

    def test_asked(self) -> None:
        """
        Somebody who asked for the change that is refused is told so; nothing else is changed either.
        """
        self.talk.files(entry("a", "2.0"), entry("b", "2.0"))
        request = ChangeRequest("a", force=True)
        self.play(
            """
            apply
            control: Prepare 2 (a 2.0, b 2.0)
            worker: prepare refused: a import: it raised
            control: Abandon 2
            worker: abandon done
            event: refused a
            end: refused: a import: it raised
            """,
            request,
        )

    def test_pinned(self) -> None:
        """
        What a command does to the records takes effect with its change, with a version from the store.
        """
        old = entry("a", "1.0").digest
        assert old is not None
        self.test_change()
        self.play(
            """
            apply
            control: Prepare 3 (a 1.0, b 1.0)
            worker: prepare done
            stored: a 1.0
            control: Ready 3
            worker: ready done
            control: Commit 3
            worker: commit done
            event: replaced a
            written: a 1.0, b 1.0
            end: a: 2.0 → 1.0
            """,
            ChangeRequest("a", lambda records, found: records.pinned("a", Pin(old, "user"))),
        )
        self.assertEqual(self.talk.written.get("a").pin, Pin(old, "user"))


class DependenceTests(TranscriptCase):
    """
    Plugins that need each other.
    """

    def setUp(self) -> None:
        super().setUp()
        self.talk.running(entry("a", "1.0"), entry("b", "1.0", requires={"a": "<2"}), entry("c", "1.0"))
        self.talk.files(entry("a", "2.0"), entry("b", "2.0", requires={"a": ">=2"}), entry("c", "2.0"))

    def test_both(self) -> None:
        """
        They change together.
        """
        self.play("""
            apply
            control: Prepare 2 (a 2.0, b 2.0, c 2.0)
            worker: prepare done
            stored: a 2.0
            stored: b 2.0
            stored: c 2.0
            control: Ready 2
            worker: ready done
            control: Commit 2
            worker: commit done
            event: replaced a
            event: replaced b
            event: replaced c
            written: a 2.0, b 2.0, c 2.0
            end: a: 1.0 → 2.0; b: 1.0 → 2.0; c: 1.0 → 2.0
        """)

    def test_oneRefused(self) -> None:
        """
        When one of them is refused, both stay as they are; a third that needs neither is changed.
        """
        self.play("""
            apply
            control: Prepare 2 (a 2.0, b 2.0, c 2.0)
            worker: prepare refused: b import: it raised
            control: Prepare 2 (a 1.0, b 1.0, c 2.0)
            worker: prepare done
            stored: c 2.0
            control: Ready 2
            worker: ready done
            control: Commit 2
            worker: commit done
            event: replaced c
            written: a 1.0, b 1.0, c 2.0
            event: refused b
            event: refused a
            end: c: 1.0 → 2.0; not b import: it raised; not a order: \
plugins/b/plugin.json:5:3: $.requires.a: b 1.0 requires a <2; there is a 2.0 (on the route "/")
        """)

    def test_otherRefused(self) -> None:
        """
        Whichever it is, and at whatever step.
        """
        self.play("""
            apply
            control: Prepare 2 (a 2.0, b 2.0, c 2.0)
            worker: prepare done
            stored: a 2.0
            stored: b 2.0
            stored: c 2.0
            control: Ready 2
            worker: ready refused: a state: it cannot be handed over
            control: Prepare 2 (a 1.0, b 1.0, c 2.0)
            worker: prepare done
            stored: c 2.0
            control: Ready 2
            worker: ready done
            control: Commit 2
            worker: commit done
            event: replaced c
            written: a 1.0, b 1.0, c 2.0
            event: refused a
            event: refused b
            end: c: 1.0 → 2.0; not a state: it cannot be handed over; not b order: \
plugins/b/plugin.json:5:3: $.requires.a: b 2.0 requires a >=2; there is a 1.0 (on the route "/")
        """)


class ConfigurationTests(TranscriptCase):
    """
    Changes of the configuration file.
    """

    def setUp(self) -> None:
        super().setUp()
        self.talk.running(entry("a", "1.0"))
        self.second = makeConfig("timeouts: {drain: 1}\n", "second.yaml")

    def test_change(self) -> None:
        """
        Another configuration is a change like others.
        """
        self.talk.files(entry("a", "1.0"), config=self.second)
        self.play("""
            apply
            control: Prepare 2 (a 1.0; second.yaml)
            worker: prepare done
            control: Ready 2
            worker: ready done
            control: Commit 2
            worker: commit done
            event: configured
            end: second.yaml is in force
        """)

    def test_refused(self) -> None:
        """
        One that is refused is left, and plugins are prepared again with the one that is in force.
        """
        self.talk.files(entry("a", "2.0"), config=self.second)
        self.play("""
            apply
            control: Prepare 2 (a 2.0; second.yaml)
            worker: prepare refused:  listen: tcp:1 is in use
            control: Prepare 2 (a 2.0)
            worker: prepare done
            stored: a 2.0
            control: Ready 2
            worker: ready done
            control: Commit 2
            worker: commit done
            event: replaced a
            written: a 2.0
            event: refused
            end: a: 1.0 → 2.0; not listen: tcp:1 is in use
        """)

    def test_refusedForGood(self) -> None:
        """
        What would be refused again is not tried with every change of a plugin, until somebody asks for it.
        """
        self.talk.files(entry("a", "1.0"), config=self.second)
        self.play("""
            apply
            control: Prepare 2 (a 1.0; second.yaml)
            worker: prepare refused:  build: no such folder
            event: refused
            control: Abandon 2
            worker: abandon done
            end: not build: no such folder
        """)
        self.play("""
            apply
            end: not build: no such folder
        """)
        self.play(
            """
            apply
            control: Prepare 4 (a 1.0; second.yaml)
            worker: prepare done
            control: Ready 4
            worker: ready done
            control: Commit 4
            worker: commit done
            event: configured
            end: second.yaml is in force
            """,
            ChangeRequest(force=True),
        )

    def test_withPlugin(self) -> None:
        """
        A plugin that runs, and fails with the new configuration, is no change of its own: the configuration is left.
        """
        self.talk.files(entry("a", "1.0"), config=self.second)
        self.play("""
            apply
            control: Prepare 2 (a 1.0; second.yaml)
            worker: prepare refused: a configure: it does not take that
            event: refused
            control: Abandon 2
            worker: abandon done
            end: not configure: second.yaml: with it, plugin a 1.0: it does not take that
        """)

    def test_seenByOthers(self) -> None:
        """
        With another configuration, what failed is worth another try; also when a command that could not be carried out
        was the first to see it.
        """
        self.talk.files(entry("a", "2.0"))
        self.talk.play("""
            apply
            worker: prepare refused: a start: no port
            worker: abandon done
        """)
        self.talk.files(entry("a", "2.0"), config=self.second)
        self.play(
            """
            apply
            event: refused
            end: refused: rollback: there is no such version
            """,
            ChangeRequest(mutate=self.refuse),
        )
        self.play("""
            apply
            control: Prepare 4 (a 2.0; second.yaml)
        """)

    def refuse(self, records: PluginRecords, found: Catalog) -> PluginRecords:
        """
        What a command would do.
        """
        raise ChangeRefused(Refusal("", "rollback", "there is no such version"))

    def test_wrong(self) -> None:
        """
        What is wrong with the file is told, and the plugins change under the configuration that is in force.
        """
        self.talk.files(entry("a", "2.0"), wrong="unknown key")
        self.play("""
            apply
            control: Prepare 2 (a 2.0)
            worker: prepare done
            stored: a 2.0
            control: Ready 2
            worker: ready done
            control: Commit 2
            worker: commit done
            event: replaced a
            written: a 2.0
            event: refused
            end: a: 1.0 → 2.0; not files: first.yaml:1:1: unknown key
        """)
