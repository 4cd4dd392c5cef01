"""Versions before they are imported: large ones are compiled while requests are served."""

from __future__ import annotations

from pathlib import Path
from types import CodeType

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import Bundle
from revproxy.worker.lifecycle import compiling, instance
from revproxy.worker.lifecycle.stages import StageLimits
from tests.coordinators import PLUGIN, Bench
from tests.worker.workers import entry

FILES = 10
LINES = 16 * 1024 // len("VALUE = 1\n")


class CompileTests(SynchronousTestCase):
    """A plugin of 160 KB that is replaced."""

    def setUp(self) -> None:
        self.bench = Bench(Path(self.mktemp()))
        self.compiled: list[str] = []

        def compileFile(bundle: Bundle, path: str) -> CodeType | None:
            self.compiled.append(path)
            return compiler(bundle, path)

        compiler = compiling.compileFile
        self.patch(compiling, "compileFile", compileFile)

    def write(self, version: int, last: str = "", files: int = FILES) -> None:
        folder = self.bench.write("large", self.code(f"v{version}", files), f"{version}.0")
        for number in range(files):
            text = f"VALUE = {version}\n" * LINES + (last if number == files - 1 else "")
            (folder / f"part{number}.py").write_text(text)

    def code(self, says: str, files: int) -> str:
        imports = "".join(f"from . import part{number}\n" for number in range(files))
        return imports + PLUGIN.format(name="large", says=says)

    def change(self) -> None:
        """Make the change, while others want their turns; each of theirs is noted between what was compiled."""
        done: list[object] = []

        def turn() -> None:
            if not done:
                self.compiled.append("-")
                self.assertLess(len(self.compiled), 100)
                self.bench.clock.callLater(0, turn)

        change: Deferred[object] = self.bench.later(self.bench.coordinator.apply())
        change.addBoth(done.append)
        turn()
        self.bench.clock.advance(0)
        self.assertEqual(len(done), 1)

    def version(self) -> instance.Version:
        current = self.bench.worker.staging.running
        assert current is not None
        [version] = current.versions.values()
        return version

    def test_turns(self) -> None:
        """Of its files, two are compiled in one turn; it runs afterwards, and only then."""
        self.write(1)
        self.bench.start()
        before = self.version()
        self.compiled.clear()
        self.write(2)
        self.change()
        turns = [turn.split() for turn in " ".join(self.compiled).split("-")]
        files = ["plugin.py", *(f"part{number}.py" for number in range(FILES))]
        self.assertEqual(sorted(path for turn in turns for path in turn), sorted(files))
        self.assertEqual(max(map(len, turns)), 2)
        self.assertIsNot(self.version(), before)
        self.assertEqual(self.version().id.number, "2.0")
        module = self.version().module
        assert module is not None
        self.assertEqual(module.main.part9.VALUE, 2)

    def test_small(self) -> None:
        """A small one is compiled by its import."""
        self.write(1, files=1)
        self.bench.start()
        self.write(2, files=1)
        self.change()
        self.assertEqual(({*self.compiled}, self.version().id.number), ({"-"}, "2.0"))

    def test_locked(self) -> None:
        """What is to run in a locked process is compiled there, and its code is nothing to this process."""
        code = "VALUE = 1\n" * LINES * FILES
        for isolation, compiled in (("inline", ["plugin.py"]), ("process", [])):
            self.compiled.clear()
            version = instance.Version(
                entry("large", code=code), StageLimits(), isolation=isolation  # type: ignore[arg-type]
            )
            waiting = Deferred.fromCoroutine(version.compile(self.bench.clock))
            self.bench.clock.advance(0)
            self.successResultOf(waiting)
            self.assertEqual(self.compiled, compiled)

    def test_wrong(self) -> None:
        """A mistake is told as always: by its import, with file and line; what is never imported may be wrong."""
        self.write(1)
        self.bench.start()
        self.write(2, "VALUE = = 2\n")
        self.change()
        self.assertEqual(self.version().id.number, "1.0")
        refusal = self.bench.coordinator.refused.of("large")
        assert refusal is not None
        self.assertEqual(refusal.stage, "import")
        self.assertIn(f"large/part9.py:{LINES + 1}:9: SyntaxError: invalid syntax", refusal.message)
        self.write(3)
        (self.bench.plugins / "large" / "unused.py").write_text("VALUE = = 2\n")
        self.change()
        self.assertEqual(self.version().id.number, "3.0")
