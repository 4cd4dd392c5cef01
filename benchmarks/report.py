"""Samples to medians, tables in Markdown, and how we stand against what we set out to reach."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.measure import Sample
from benchmarks.rows import Kind, Row

REFERENCE = "nginx"


@dataclass(slots=True)
class Results:
    """All samples and all failures, by row and proxy.

    :ivar titles: what each proxy is called, in the order of the table.
    :ivar samples: the samples of a row (by name) and a proxy (by name), in the order of the runs.
    :ivar failures: why a proxy has no or fewer samples in a row.
    :ivar absent: why a proxy is not there at all.
    """

    titles: dict[str, str]
    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def add(self, row: Row, name: str, sample: Sample) -> None:
        """Keep a sample."""
        self.samples.setdefault((row.name, name), []).append(sample)

    def middle(self, row: str, name: str) -> Sample | None:
        """Return the medians of a proxy in a row; ``None`` when it has no samples."""
        samples = self.samples.get((row, name))
        return medians(samples) if samples else None

    def ratio(self, row: str, name: str, against: str, attribute: str) -> float | None:
        """Return how many times the other proxy's figure a proxy's is; ``None`` when one was not measured.

        It is the median of the runs' ratios: in one run both are measured within a minute, while over the whole
        benchmark the machine may have become a third slower. If one has failed in a run, the ratio of the medians.
        """
        ours, theirs = self.samples.get((row, name)), self.samples.get((row, against))
        if not ours or not theirs:
            return None
        if len(ours) != len(theirs):
            ours, theirs = [medians(ours)], [medians(theirs)]
        pairs = [(getattr(a, attribute), getattr(b, attribute)) for a, b in zip(ours, theirs, strict=True)]
        return statistics.median(a / b for a, b in pairs) if all(b > 0 for _, b in pairs) else None


def medians(samples: Sequence[Sample]) -> Sample:
    """Return a sample made of each figure's median; troubles are joined, each once."""
    figures = {
        field.name: statistics.median(getattr(sample, field.name) for sample in samples)
        for field in dataclasses.fields(Sample)
        if field.name != "trouble"
    }
    trouble = "; ".join(dict.fromkeys(sample.trouble for sample in samples if sample.trouble))
    return Sample(**figures | {"resident": int(figures["resident"])}, trouble=trouble)


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Lay out a Markdown table whose columns are aligned for the terminal, too.

    The first column and one called ``note`` are aligned left, the others right.
    """
    cells = [list(head), *(list(line) for line in lines)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    aligned = [str.ljust if i == 0 or head[i] == "note" else str.rjust for i in range(len(head))]

    def lay(line: Sequence[str]) -> str:
        return f"| {' | '.join(a(c, w) for c, w, a in zip(line, widths, aligned, strict=True))} |"

    ends = ["-" if a is str.ljust else ":" for a in aligned]
    rule = "|".join("-" * (width + 1) + end for width, end in zip(widths, ends, strict=True))
    return "\n".join([lay(cells[0]), f"|{rule}|", *map(lay, cells[1:])])


def rowTable(row: Row, results: Results) -> str:
    """Return the title and the table of one row, with a line for every proxy, measured or not."""
    idle = row.kind is Kind.IDLE
    head = _IDLE_HEAD if idle else _LOAD_HEAD
    lines = []
    for name, title in results.titles.items():
        sample = results.middle(row.name, name)
        note = "; ".join(filter(None, [results.failures.get((row.name, name), ""), sample.trouble if sample else ""]))
        if sample is None:
            reason = "absent, see below" if name in results.absent else note or "not measured"
            lines.append([title, *("–" for _ in head[2:]), reason])
        elif idle:
            lines.append([title, *_idleCells(row, name, sample, results), note])
        else:
            lines.append([title, *_loadCells(row, name, sample, results), note])
    return f"### {row.title if not idle else f'{row.connections:,} {row.title}'}\n\n{table(head, lines)}\n"


_LOAD_HEAD = (
    "proxy",
    "CPU µs/request",
    "kernel",
    "lowest–highest",
    "× nginx",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "resident MB",
    "core used",
    "note",
)
_IDLE_HEAD = ("proxy", "KB/connection", "lowest–highest", "× nginx", "resident MB", "note")


def _loadCells(row: Row, name: str, sample: Sample, results: Results) -> list[str]:
    all_ = [s.cpu for s in results.samples[row.name, name]]
    return [
        figure(sample.cpu),
        f"{sample.system:.0%}",
        f"{figure(min(all_))}–{figure(max(all_))}",
        _ratio(row.name, name, "cpu", results),
        f"{sample.rate:,.0f}",
        figure(sample.p50),
        figure(sample.p99),
        f"{sample.resident / 1e6:.0f}",
        f"{sample.busy:.0%}",
    ]


def _idleCells(row: Row, name: str, sample: Sample, results: Results) -> list[str]:
    all_ = [s.perConnection / 1e3 for s in results.samples[row.name, name]]
    return [
        figure(sample.perConnection / 1e3),
        f"{figure(min(all_))}–{figure(max(all_))}",
        _ratio(row.name, name, "perConnection", results),
        f"{sample.resident / 1e6:.0f}",
    ]


def _ratio(row: str, name: str, attribute: str, results: Results) -> str:
    ratio = results.ratio(row, name, REFERENCE, attribute)
    return "–" if ratio is None else f"{ratio:.2f}"


def figure(value: float) -> str:
    """Write a number with about three digits."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


@dataclass(frozen=True, slots=True)
class Target:
    """Something to reach: one of our figures, at most so many times another's.

    :param subject: the proxy of ours.
    :param row: where.
    :param attribute: which figure of the sample.
    :param limit: times the figure of ``against``, or bytes when that is empty.
    :param against: the peer to compare with.
    """

    subject: str
    row: str
    attribute: str
    limit: float
    against: str = ""

    def describe(self) -> str:
        """Say what is to be reached."""
        what = {"cpu": "CPU per request", "p99": "p99", "perConnection": "memory per connection"}[self.attribute]
        than = f"{self.limit:g} × {self.against}" if self.against else f"{self.limit / 1e3:g} KB"
        return f"{self.subject}, {self.row}: {what} ≤ {than}"

    def judge(self, results: Results) -> str | None:
        """Return ``reached, 2.7`` or ``missed, 3.4``; ``None`` when it was not measured."""
        if self.against:
            value, unit = results.ratio(self.row, self.subject, self.against, self.attribute), 1.0
        else:
            ours = results.middle(self.row, self.subject)
            value, unit = getattr(ours, self.attribute, None), 1e3
        if value is None:
            return None
        return f"{'reached' if value <= self.limit else 'missed'}, {value / unit:.2f}"


TARGETS = (
    Target("us", "small-64", "cpu", 3.0, "nginx"),
    Target("us5", "small-64", "cpu", 3.5, "nginx"),
    Target("us", "small-64", "cpu", 0.6, "caddy"),
    Target("us", "small-64", "cpu", 0.4, "aiohttp"),
    Target("us", "small-64", "p99", 3.0, "nginx"),
    Target("us", "tls-64", "cpu", 2.5, "nginx"),
    Target("us", "1m", "cpu", 1.5, "nginx"),
    Target("us", "idle", "perConnection", 25e3),
)


def targetTable(results: Results) -> str:
    """Return the table of the targets that were measured; empty when none was."""
    judged = [(target.describe(), verdict) for target in TARGETS if (verdict := target.judge(results))]
    return f"### To reach\n\n{table(('target', 'measured'), judged)}\n" if judged else ""
