"""Tests for `revproxy.cli.locate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.cli import locate as statepath
from revproxy.cli.locate import LONG, statePath
from revproxy.config.document import parseYAML
from revproxy.config.problems import ConfigErrors


class StatePathTests(SynchronousTestCase):
    """Files, sound and broken."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def state(self, text: str) -> Path:
        """What a file with this text says."""
        path = self.folder / "r.yaml"
        path.write_text(text)
        return statePath(path)

    def test_sound(self) -> None:
        """Relative to the file; absolute; left out."""
        self.assertEqual(self.state("state: ./x\n"), self.folder / "x")
        self.assertEqual(self.state("{state: /srv/x, listeners: []}"), Path("/srv/x"))
        self.assertEqual(self.state("listeners: []\n"), self.folder / "var")
        self.assertEqual(self.state(""), self.folder / "var")

    def test_long(self) -> None:
        """Of a long file only the line is parsed; all of it if that line alone does not say it."""
        parsed: list[int] = []

        def counted(text: str, source: str) -> Any:
            parsed.append(len(text))
            return parseYAML(text, source)

        self.patch(statepath, "parseYAML", counted)
        rest = "listeners: []\n" + "# long\n" * LONG
        self.assertEqual(self.state(f"{rest}state: './x y' # here\n"), self.folder / "x y")
        self.assertEqual(self.state(f"state: ./x\n# there\n\n{rest}"), self.folder / "x")
        self.assertLess(max(parsed), 100)
        for text in ("state: ./a\n  b", "state: >-\n  ./a b", "state:\n  ./a b"):
            self.assertEqual(self.state(f"{rest}{text}\n"), self.folder / "a b", text)
        self.assertEqual(self.state(f"limits: &x ./a\n{rest}state: *x\n"), self.folder / "a")
        self.assertEqual(self.state(rest), self.folder / "var")

    def test_broken(self) -> None:
        """Unknown keys, wrong kinds, and what is no YAML at all do not hide it."""
        for rest in ("nonsense: 1\n", "listeners: [\n", "a: 1\na: 2\n", "x: !tag y\n", "\tlisteners\n"):
            self.assertEqual(self.state(f"{rest}state: 'a b'  # here\n"), self.folder / "a b", rest)
            self.assertEqual(self.state(f"state: x\n{rest}"), self.folder / "x", rest)

    def test_useless(self) -> None:
        """A state that is no path is as good as none; so is one deeper inside."""
        for text in ("state: 7\n", "state: [\n", "state:\n", "a:\n  state: x\n", "[]", 'state: "\\0"\n'):
            self.assertEqual(self.state(text), self.folder / "var", text)

    def test_unreadable(self) -> None:
        """A file that is not there."""
        error = self.assertRaises(ConfigErrors, statePath, self.folder / "none.yaml")
        self.assertIn("none.yaml: cannot be read: No such file", str(error))
