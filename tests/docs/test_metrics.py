"""docs/metrics.md says which families there are."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.metrics.families import FAMILIES
from revproxy.admin.metrics.family import Family

PAGE = Path(__file__).parent.parent.parent / "docs" / "metrics.md"


def row(family: Family) -> str:
    """Of the table."""
    labels = ", ".join(f"`{label}`" for label in family.labels) or "–"
    return f"| `{family.name}` | {family.kind} | {labels} | {family.help} |"


class MetricsTests(SynchronousTestCase):
    """The page against the code."""

    def test_families(self) -> None:
        """Each family has its row, in their order, with its kind, labels and meaning; and no row is about any other."""
        lines = PAGE.read_text("utf-8").splitlines()
        known = {row(family) for family in FAMILIES}
        self.assertEqual([row(family) for family in FAMILIES if row(family) not in lines], [])
        self.assertEqual([line for line in lines if line.startswith("| `") and "_" in line and line not in known], [])


if __name__ == "__main__":
    print(*map(row, FAMILIES), sep="\n")
