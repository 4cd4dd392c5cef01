"""
The page of what happened in the demonstration of rollouts: one HTML file that needs nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from revproxy.cli.rolloutwords import familyName, oddsText, stateName
from revproxy.demo.rolloutact import Act

_THRESHOLD = 125.0
"""Odds at which a version is taken back."""

_STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#1b1f24, #e6edf3); --soft: light-dark(#57606a, #9da7b3);
  --line: light-dark(#d0d7de, #3d444d); --paper: light-dark(#fff, #0d1117); --fill: light-dark(#f6f8fa, #161b22);
  --good: light-dark(#116329, #4ac26b); --bad: light-dark(#a40e26, #ff7b72); --mark: light-dark(#0a4bff, #6ea8fe) }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin: 0 0 .3rem } h3 { font-size: 1rem; margin: 1rem 0 .3rem }
article { background: var(--fill); border: 1px solid var(--line); border-radius: 8px; padding: 1rem; margin: 1rem 0 }
p { margin: .3rem 0 } .soft { color: var(--soft) } .good { color: var(--good) } .bad { color: var(--bad) }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-size: 14px; width: 100% }
th, td { text-align: left; padding: .15rem 1rem .15rem 0; vertical-align: top; border-bottom: 1px solid var(--line) }
th { color: var(--soft); font-weight: 600 }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
td.number, .when td:nth-child(-n+2) { white-space: nowrap }
svg { display: block; width: 100%; height: auto; max-width: 44rem } svg text { fill: var(--soft); font-size: 11px }
code { font: 14px ui-monospace, monospace; overflow-wrap: anywhere }
"""


def page(acts: Sequence[Act], serves: str) -> str:
    """
    The whole page.

    :param serves: the number of the version that serves in the end.
    """
    requests = sum(act.met.requests for act in acts)
    broken = sum(act.met.broken for act in acts)
    wrong = sum(sum(act.met.wrong.values()) for act in acts)
    return "\n".join((
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Five versions, one serves</title>\n<style>{_STYLE}</style>",
        "<h1>Five versions, one serves</h1>",
        f"<p>Five new versions of one plugin were saved while {requests:,} requests were served. Version "
        f"<b>{escape(serves)}</b> serves now. Of all answers {broken} were broken and {wrong} wrong.</p>",
        _summary(acts),
        *(_article(act) for act in acts),
        "</html>\n",
    ))  # fmt: skip


def _summary(acts: Iterable[Act]) -> str:
    rows = [
        (act.candidate.number, act.candidate.title, stateName(str(act.view["state"])), _last(act), f"{_served(act):,}",
         str(act.met.broken), str(sum(act.met.wrong.values())), f"{act.seconds:.0f} s")
        for act in acts
    ]  # fmt: skip
    head = ("version", "what it is", "became", "in", "requests it answered", "broken", "wrong", "after")
    return _table(head, rows, 4)


def _served(act: Act) -> int:
    figures = act.view["arms"]["candidate"]
    return int(figures["requests"]) + int(figures["warming"])


def _last(act: Act) -> str:
    """The state that it was in before its end."""
    return str(act.view["transitions"][-1]["from"]) if act.view["transitions"] else ""


def _article(act: Act) -> str:
    candidate, view = act.candidate, act.view
    isRight = not act.faults
    verdict = f'<b class="{"good" if isRight else "bad"}">{escape(stateName(str(view["state"])))}</b>'
    parts = [
        f"<h2>{escape(candidate.number)}: {escape(candidate.title)} &rarr; {verdict}</h2>",
        f'<p class="soft">{escape(candidate.fault or "Nothing is wrong with it.")}</p>',
        f"<p>{escape(str(view['verdict']['reason']))}</p>",
        *(f'<p class="bad">{escape(fault)}</p>' for fault in act.faults),
        *(f"<p>Somebody said <code>{escape(command)}</code> when it was held: {escape(why)}</p>"
          for command, why in act.said),
        _transitions(view),
        _curve(view["curve"], view["transitions"]),
        _families(view["families"]),
        _differences(view["differences"]),
        _arms(view["arms"]),
    ]
    return "\n".join(("<article>", *(part for part in parts if part), "</article>"))


def _transitions(view: Mapping[str, Any]) -> str:
    start = view["transitions"][0]["at"] if view["transitions"] else 0.0
    rows = [
        (f"{_seconds(each['at'], start):+.1f} s", f"{stateName(each['from']) or 'saved'} → {stateName(each['to'])}",
         each["reason"], each["by"])
        for each in view["transitions"]
    ]
    table = _table(("when", "from and to", "why", "by"), rows)
    return f'<h3>What happened</h3><div class="when">{table}</div>' if rows else ""


def _seconds(at: Any, start: Any) -> float:
    """Between two times, as the edge tells them: ISO 8601, or seconds."""
    return _instant(at) - _instant(start)


def _instant(at: Any) -> float:
    return float(at) if isinstance(at, (int, float)) else datetime.fromisoformat(str(at)).timestamp()


def _curve(points: Sequence[Mapping[str, Any]], transitions: Sequence[Mapping[str, Any]]) -> str:
    """
    The highest of the odds over time, on a scale of powers of ten, up to where a version is taken back; and when steps
    began.
    """
    if len(points) < 2:
        return ""
    start = points[0]["at"]
    length = max(_seconds(points[-1]["at"], start), 1.0)
    top = math.log10(_THRESHOLD * 4)
    bottom = -2.0

    def across(at: Any) -> float:
        return 40 + 640 * _seconds(at, start) / length

    def place(point: Mapping[str, Any]) -> str:
        height = min(max(math.log10(max(float(point["odds"]), 1e-9)), bottom), top)
        return f"{across(point['at']):.1f},{_height(height, bottom, top):.1f}"

    limit = _height(math.log10(_THRESHOLD), bottom, top)
    even = _height(0.0, bottom, top)
    drawn = " ".join(place(point) for point in points)
    steps = "".join(
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="10" y2="130" stroke="var(--line)"/>'
        f'<text x="{x + 4:.1f}" y="128">{escape(stateName(str(each["to"])))}</text>'
        for each in transitions if each["to"] != "held" and 40 <= (x := across(each["at"])) < 660
    )  # fmt: skip
    return (
        "<h3>Evidence that it is worse</h3>"
        '<svg viewBox="0 0 700 150" role="img" aria-label="Odds over time">'
        f'<line x1="40" x2="680" y1="{limit:.1f}" y2="{limit:.1f}" stroke="var(--bad)" stroke-dasharray="4 3"/>'
        f'<text x="680" y="{limit - 4:.1f}" text-anchor="end">125 to 1: it is taken back, or shown to somebody</text>'
        f'<line x1="40" x2="680" y1="{even:.1f}" y2="{even:.1f}" stroke="var(--line)"/>'
        f'<text x="36" y="{even + 4:.1f}" text-anchor="end">1 to 1</text>'
        f"{steps}"
        f'<polyline points="{drawn}" fill="none" stroke="var(--mark)" stroke-width="2"/>'
        f'<text x="680" y="146" text-anchor="end">{length:.0f} s</text></svg>'
    )


def _height(value: float, bottom: float, top: float) -> float:
    return 130 - 120 * (value - bottom) / (top - bottom)


def _families(families: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (familyName(each["family"]), oddsText(each["odds"]), f"{each['threshold']:g} : 1",
         f"{each['candidate']:,} of {each['of_candidate']:,}", f"{each['running']:,} of {each['of_running']:,}")
        for each in families if each["of_candidate"] or each["of_running"]
    ]  # fmt: skip
    head = ("what", "odds", "decides at", "of the new version", "of the running one")
    return f"<h3>What was counted: groups of clients, or pairs</h3>{_table(head, rows, 1)}" if rows else ""


def _differences(differences: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (each["field"], each["kind"], "; ".join(str(example["differs"]) for example in each["examples"][:1]),
         f"{each['candidate']:,}", f"{each['control']:,}",
         "meant" if each["expected"] else "noise" if each["is_noise"] else oddsText(each["odds"]))
        for each in differences
    ]  # fmt: skip
    head = ("field", "kind", "for example", "new version", "noise", "odds")
    return f"<h3>What differed on copies of requests</h3>{_table(head, rows, 3)}" if rows else ""


def _arms(arms: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (name, f"{arm['requests']:,}", f"{arm['warming']:,}", f"{arm['faults']:,}", f"{arm['interrupts']:,}",
         _milliseconds(arm["p50"]), _milliseconds(arm["p99"]))
        for name, arm in arms.items()
    ]  # fmt: skip
    head = ("version", "requests judged", "while it began", "faults", "interrupts", "p50", "p99")
    return f"<h3>Both versions</h3>{_table(head, rows, 1)}"


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1e3:.2f} ms"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 99) -> str:
    """:param numbers: the column from which on they are numbers."""

    def cell(tag: str, index: int, text: str) -> str:
        kind = ' class="number"' if index >= numbers else ""
        return f"<{tag}{kind}>{escape(text)}</{tag}>"

    lines = ["".join(cell("th", index, text) for index, text in enumerate(head))]
    lines += ["".join(cell("td", index, text) for index, text in enumerate(row)) for row in rows]
    return f'<div class="scroll"><table>{"".join(f"<tr>{line}</tr>" for line in lines)}</table></div>'
