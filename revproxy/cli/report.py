"""
What the commands print about a running edge: tables for terminals, plain columns for everything else.

Texts come from plugins, too: control characters are shown, not sent to the terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from revproxy.cli.rolloutwords import rolloutLine
from revproxy.cli.trustreport import trustLines
from revproxy.errors import printable
from revproxy.plan.refusal import BY_STEPS, HELD

Row = Sequence[str]
Facts = Mapping[str, Any]

_COLUMNS = (
    "name", "version", "state", "pinned", "calls", "errors", "time-outs", "interrupts", "self ms/call", "alive"
)  # fmt: skip
_NUMBERS = frozenset((
    "kept", "calls", "errors", "time-outs", "interrupts", "self ms/call", "alive",
    "weight", "in flight", "queued", "connections", "req/s", "4xx", "5xx", "p50 ms", "p95 ms", "p99 ms", "days",
    "waiting", "given up", "firing", "no traffic",
    "ms", "requests", "requests 1 h", "4xx 1 h", "5xx 1 h", "p50 ms 1 h", "p99 ms 1 h", "oldest", "age", "under way",
    "waited ms", "judged", "faults", "candidate alone", "running alone", "odds", "left", "takes",
    "warming up", "testers",
))
_HEADS = {"time-outs": "time-\nouts", "interrupts": "inter-\nrupts", "self ms/call": "self ms\n/call",
          "in flight": "in\nflight", "connections": "connec-\ntions", "requests 1 h": "requests\n1 h",
          "candidate alone": "candidate\nalone", "running alone": "running\nalone", "warming up": "warming\nup",
          "4xx 1 h": "4xx\n1 h", "5xx 1 h": "5xx\n1 h", "p50 ms 1 h": "p50 ms\n1 h", "p99 ms 1 h": "p99 ms\n1 h"}
_LONG = frozenset(("text", "note", "request", "ends well"))
_LONG_AT_LEAST = 24
_STYLES = {
    "running": "green", "failed": "red", "quarantined": "yellow", "off": "dim", "removed": "dim",
    "up": "green", "down": "red", "drained": "yellow",
    "promoted": "green", "rolled back": "red", "aborted": "yellow", "superseded": "dim",
    "firing": "red", "pending": "yellow", "no-traffic": "yellow", "silenced": "dim",
}
_DIGEST = 12
_MOST_FIGURES = 40
"""Lines that figures of a plugin's own take at most."""


class Report:
    """
    Lines on standard output.

    :param terminal: whether it is a terminal: then with tables and colours.
    :param width: columns of the terminal; None finds out.
    """

    def __init__(self, terminal: bool, width: int | None = None) -> None:
        self._terminal = terminal
        self._console = Console(
            force_terminal=terminal, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True
        )

    def plugins(self, plugins: Sequence[Facts]) -> None:
        """A line for each plugin, and below them their failures."""
        if not plugins:
            self._line("no plugins")
            return
        removed = [plugin for plugin in plugins if plugin["state"] == "removed"]
        self._table(_COLUMNS, [_row(plugin) for plugin in plugins if plugin["state"] != "removed"])
        self._removed(removed)
        rollouts = {each["id"]: each for plugin in plugins if (each := plugin.get("rollout")) is not None}
        self.lines(f"rollout: {rolloutLine(each)}" for each in rollouts.values())
        for plugin in plugins:
            if plugin["failure"] is not None:
                self._line("")
                self._line(f"{plugin['name']}: {_failed(plugin['failure'])}")

    def _removed(self, plugins: Sequence[Facts]) -> None:
        """Those that are not there any more, and what is left of them."""
        if not plugins:
            return
        self._line("")
        self._table(("name", "version", "removed", "note", "kept"), [_removedRow(plugin) for plugin in plugins])
        self._line("what is kept runs again by `revproxy rollback NAME`, or `enable NAME` if that was switched off")

    def configuration(self, configuration: Facts) -> None:
        """What keeps the configuration file from being in force, if anything does."""
        if configuration["failure"] is not None:
            self._line("")
            self._line(f"{configuration['source']}: as it is now, not in force: {_failed(configuration['failure'])}")

    def plugin(self, plugin: Facts) -> None:
        """Everything about a plugin."""
        calls = plugin["calls"]
        counts = ((calls, "call"), (plugin["errors"], "error"), (plugin["timeouts"], "time-out"),
                  (plugin["interrupts"], "interrupt"), (plugin["stalls"], "stall"))  # fmt: skip
        self._line(f"{plugin['name']} {_version(plugin)}".rstrip() + f": {plugin['state']}")
        self._line(f"  origin    {plugin['origin']}")
        if plugin.get("required"):
            self._line("  required  runs until `disable` or revproxy.yaml says otherwise")
        if plugin.get("rollout") is not None:
            self._line(f"  rollout   {rolloutLine(plugin['rollout'])}")
        if plugin["pinned"] is not None:
            self._line(f"  pinned    to {_version(plugin['pinned'])}, by {plugin['pinned']['by']}")
        if plugin.get("trust") is not None:
            self.lines(trustLines(plugin["trust"]))
        self._line("  counted   " + ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts))
        self._line(f"  self time {_perCall(plugin)} ms per call, {plugin['self_seconds']:.3f} s in total")
        self._line(f"  alive     {plugin['generations_alive']}")
        if plugin["threads"] is not None:
            self._line(f"  threads   {_threads(plugin['threads'])}")
        if plugin["versions"]:
            self._line("")
            self._table(("version", "digest", "ran at", "note"), map(_versionRow, plugin["versions"]))
        self._figures(plugin.get("figures", ()))
        for line, failure in _failures(plugin):
            self._line("")
            self._line(f"{_time(failure['at'])}: {line}")
            if failure["traceback"]:
                self._line("")
                self._line(failure["traceback"].rstrip("\n"))

    def _figures(self, figures: Sequence[Facts]) -> None:
        """What a plugin counts by itself."""
        rows = [row for figure in figures for row in _figureRows(figure)]
        if rows:
            self._line("")
            self._table(("figure", "value"), rows[:_MOST_FIGURES])
        if len(rows) > _MOST_FIGURES:
            self._line(f"… {len(rows) - _MOST_FIGURES} more: --json has all")

    def events(self, events: Sequence[Facts]) -> None:
        """A line for each event, the latest last."""
        if not events:
            self._line("nothing has happened")
            return
        self._table(("time", "what", "plugin", "text"), map(_eventRow, events))

    def event(self, event: Facts) -> str:
        """The line of one, where others come later."""
        time, kind, plugin, text = _eventRow(event)
        return f"{time}  {kind:<16}  {plugin}  {text}"

    def table(self, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """A line for each row, below the names of the columns."""
        self._table(columns, rows)

    def lines(self, lines: Iterable[str]) -> None:
        """Lines as they are."""
        for line in lines:
            self._line(line)

    def _line(self, text: str) -> None:
        self._console.print(Text(printable(text)))

    def _table(self, columns: Sequence[str], rows: Iterable[Row]) -> None:
        safe = [tuple(printable(cell) for cell in row) for row in rows]
        heads = [_HEADS.get(column, column) for column in columns]
        needed = _needed(columns, heads, safe)
        room = self._console.width - needed
        if not self._terminal or room < len(columns):
            self.lines(_aligned(columns, safe))
            return
        table = Table(box=None, pad_edge=False, collapse_padding=room < 2 * len(columns), header_style="bold")
        for column, head in zip(columns, heads, strict=True):
            table.add_column(
                head, justify="right" if column in _NUMBERS else "left", no_wrap=column not in _LONG, overflow="fold"
            )
        for row in safe:
            table.add_row(*(Text(cell, _STYLES.get(cell, "")) for cell in row))
        # Tables fold their cells themselves; soft wrapping is for lines.
        self._console.print(table, soft_wrap=False)


def refusal(refused: Facts) -> str:
    """The line about a refused change: whose it is, at which step it was refused, and why."""
    who = f"{refused['plugin']}: " if refused["plugin"] else ""
    return printable(f"refused: {who}{refused['stage']}: {refused['message']}")


def _aligned(columns: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Columns two spaces apart; an empty cell is a hyphen, a line feed a space: one line each."""
    flat = [[" ".join(cell.split("\n")) or "-" for cell in row] for row in (columns, *rows)]
    widths = [max(len(row[index]) for row in flat) for index in range(len(columns))]
    return [
        "  ".join(
            cell.rjust(width) if column in _NUMBERS else cell.ljust(width)
            for column, cell, width in zip(columns, row, widths, strict=True)
        ).rstrip()
        for row in flat
    ]


def _needed(columns: Sequence[str], heads: Sequence[str], rows: Sequence[Row]) -> int:
    """The columns of the terminal that a table's cells take at least, if only long texts are folded."""
    total = 0
    for column, *cells in zip(columns, heads, *rows, strict=True):
        widest = max(len(line) for cell in cells for line in cell.split("\n"))
        total += min(widest, _LONG_AT_LEAST) if column in _LONG else widest
    return total


def _row(plugin: Facts) -> Row:
    pinned = plugin["pinned"]
    return (
        plugin["name"],
        plugin["version"],
        plugin["state"],
        "" if pinned is None else pinned["version"] or pinned["digest"][:_DIGEST],
        str(plugin["calls"]),
        str(plugin["errors"]),
        str(plugin["timeouts"]),
        str(plugin["interrupts"]),
        _perCall(plugin),
        str(plugin["generations_alive"]),
    )


def _removedRow(plugin: Facts) -> Row:
    kept = str(len(plugin["versions"]))
    at, because = plugin.get("removed_at"), plugin.get("removed_because")
    return plugin["name"], plugin["version"], _time(at), because or "", kept


def _eventRow(event: Facts) -> Row:
    about = f"{event['plugin']} {event['version']}".strip() or "-"
    return _time(event["at"]), event["kind"], about, event["text"]


def _versionRow(version: Facts) -> Row:
    notes = ["running"] if version["running"] else []
    if version["quarantined"]:
        notes.append(f"quarantined: {version['quarantined']}")
    if version.get("trial"):
        notes.append(_trialText(version["trial"]))
    return version["version"], version["digest"][:_DIGEST], _time(version["ran_at"]), "; ".join(notes)


def _trialText(trial: Facts) -> str:
    """What became of a version that never ran for all."""
    if trial["state"] == "going":
        return "on trial"
    return f"{trial['state'].replace('-', ' ')}: {trial['reason']}"


def _perCall(plugin: Facts) -> str:
    calls = plugin["calls"]
    return f"{plugin['self_seconds'] * 1000 / calls:.3f}" if calls else "-"


def _threads(threads: Facts) -> str:
    text = f"{threads['busy']} of {threads['most']} busy, {threads['queued']} waiting, {threads['rejected']} rejected"
    return text + (f"; {threads['left']} left behind by versions that ended" if threads["left"] else "")


def _version(facts: Facts) -> str:
    digest = f"({facts['digest'][:_DIGEST]})" if facts["digest"] else ""
    return f"{facts['version']} {digest}".strip()


def _failed(failure: Facts) -> str:
    version = _version(failure)
    if failure["stage"] in HELD:
        return f"{version} runs on: {failure['message']}"
    if failure["stage"] == BY_STEPS:
        return f"{version} does not run: {failure['message']}"
    return f"{version + ' ' if version else ''}failed at {failure['stage']}: {failure['message']}"


def _figureRows(figure: Facts) -> Iterator[Row]:
    for series in figure["series"]:
        labels = ", ".join(f'{name}="{value}"' for name, value in series["labels"].items())
        name = f"{figure['name']}{{{labels}}}" if labels else figure["name"]
        if figure["kind"] == "counter":
            yield name, f"{series['value']:.15g}"
        else:
            mean = series["sum"] / max(1, series["count"])
            yield name, f"{series['count']}, {mean:.4g} on average"


def _failures(plugin: Facts) -> Iterator[tuple[str, Facts]]:
    """What there is to say of failures of a plugin: of each version at work; and, last, of what was refused."""
    for version in plugin["versions"] or [plugin]:
        failure = version["last_failure"]
        if failure is not None:
            how = f" in {failure['function']}" if failure["function"] else ""
            where = f" at {failure['where']}" if failure["where"] else ""
            yield f"{_version(version)} failed{how}{where}: {failure['message']}", failure
    if plugin["failure"] is not None:
        yield _failed(plugin["failure"]), plugin["failure"]


def _time(at: float | None) -> str:
    """Local time."""
    return "" if not at else datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


__all__ = ["Report", "printable", "refusal"]
