"""
The pages for whoever changes the edge agree with the code, and say nothing that only we could understand.
"""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.test_architecture import MAY

DOCS = Path(__file__).parents[2] / "docs"

HEADINGS = ["Context", "Choice", "What was measured", "What would change our mind"]

PRIVATE = re.compile(r"\bissues? #?\d|(?<!\w)#\d+\b|\bthe (issue|card|brief)\b|\bcontracts?\b", re.IGNORECASE)
"""What points to a paper that a stranger does not have."""


def pages() -> list[Path]:
    """
    All pages, README and CONTRIBUTING among them.
    """
    written = [path for path in DOCS.rglob("*.md") if "_build" not in path.parts]
    return sorted([*written, DOCS.parent / "README.md", DOCS.parent / "CONTRIBUTING.md"])


def rows(text: str) -> list[list[str]]:
    """
    The cells of all rows of all tables.
    """
    lines = re.findall(r"(?m)^\| (.+) \|$", text)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


class PackagesTests(SynchronousTestCase):
    """
    The table of packages in docs/architecture.md.
    """

    def setUp(self) -> None:
        text = (DOCS / "architecture.md").read_text(encoding="utf-8")
        self.rows = rows(text[text.index("\n## Packages\n") : text.index("\n## Processes")])

    def test_everyPackage(self) -> None:
        """
        Each package has its row, once, and says in one sentence what it is.
        """
        named = [cells[0].strip("`") for cells in self.rows if cells[0].startswith("`")]
        self.assertEqual(sorted(named), sorted(MAY))
        for cells in self.rows:
            if cells[0].startswith("`"):
                self.assertRegex(cells[1], r"^[A-Z].{10,}\.$")

    def test_imports(self) -> None:
        """
        What each may import is what the test of the imports allows.
        """
        told = {cells[0].strip("`"): cells[2] for cells in self.rows if cells[0].startswith("`")}
        for name, may in MAY.items():
            expected = ", ".join(f"`{item}`" for item in may) or "nothing of ours"
            self.assertEqual(told[name], "everything" if may == ("*",) else expected, name)


class DecisionsTests(SynchronousTestCase):
    """
    The records in docs/decisions.
    """

    def setUp(self) -> None:
        self.records = sorted((DOCS / "decisions").glob("[0-9]*.md"))

    def test_index(self) -> None:
        """
        Each record is in the index with its number, its title and its date, in order; and no other is.
        """
        expected = []
        for path in self.records:
            lines = path.read_text(encoding="utf-8").splitlines()
            expected.append([path.name[:4], f"[{lines[0].removeprefix('# ')}]({path.name})", lines[2]])
        index = (DOCS / "decisions" / "index.md").read_text(encoding="utf-8")
        self.assertEqual([cells for cells in rows(index) if cells[0].isdigit()], expected)
        self.assertEqual([int(number) for number, *_ in expected], list(range(1, len(expected) + 1)))

    def test_form(self) -> None:
        """
        Each has a date, and something under each of the four headings.
        """
        for path in self.records:
            head, *parts = re.split(r"(?m)^## (.+)$", path.read_text(encoding="utf-8"))
            self.assertRegex(head, r"^# .+\n\n\d{4}-\d\d-\d\d\n\n$", path.name)
            self.assertEqual(parts[::2], HEADINGS, path.name)
            self.assertTrue(all(part.strip() for part in parts[1::2]), path.name)


class GlossaryTests(SynchronousTestCase):
    """
    docs/glossary.md.
    """

    def test_oneMeaning(self) -> None:
        """
        No word stands there twice.
        """
        words = [cells[0] for cells in rows((DOCS / "glossary.md").read_text(encoding="utf-8")) if cells[0] != "word"]
        self.assertGreater(len(words), 50)
        self.assertEqual(sorted(words), sorted(set(words)))


class PagesTests(SynchronousTestCase):
    """
    All pages.
    """

    def test_nothingPrivate(self) -> None:
        """
        None refers to a paper that its reader does not have.
        """
        for path in pages():
            found = PRIVATE.search(path.read_text(encoding="utf-8"))
            self.assertIsNone(found, f"{path}: {found and found[0]}")

    def test_nothingFromElsewhere(self) -> None:
        """
        Our pictures and style sheets load nothing over the network.
        """
        files = [*DOCS.glob("pictures/*.svg"), *DOCS.glob("_static/*.css")]
        self.assertTrue(files)
        for path in files:
            text = path.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
            self.assertNotRegex(text, r"https?:|@import|url\(", str(path))

    def test_filesAreThere(self) -> None:
        """
        Where CONTRIBUTING.md sends people, there is a file.
        """
        text = (DOCS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
        named = re.findall(r"`((?:revproxy|tests|docs|benchmarks)/[\w/.]+)`", text)
        self.assertTrue(named)
        self.assertEqual([name for name in named if not (DOCS.parent / name).exists()], [])
