"""
What is printed of rollouts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from math import log
from typing import Any

from revproxy.cli.report import Report
from revproxy.durations import durationText

Facts = Mapping[str, Any]

ENDS = ("promoted", "rolled-back", "aborted", "superseded", "refused")
"""States in which a rollout is over."""

_NAMES = {
    "faults": "fails", "interrupts": "stops more requests", "interrupts-more": "stops more requests",
    "interrupts-fewer": "stops fewer requests", "fewer-interrupts": "stops fewer requests",
    "slow90": "among the slowest 10 %", "slow99": "among the slowest 1 %", "slow999": "among the slowest 0.1 %",
    "median": "slow in the middle", "fingerprint": "a new exception", "stall": "holds the event loop",
    "content": "answers differently", "pair-time": "slower on the same requests", "leak": "remains in memory",
}  # fmt: skip

_PAIRED = ("content", "pair-time")
"""Families of which pairs are counted, and not clients."""

_LIST = ("plugin", "from", "to", "state", "step", "odds", "left", "note")
_FAMILIES = ("worse if it", "odds", "evidence", "candidate", "running")
_ARMS = ("arm", "version", "requests", "faults", "interrupts", "p50 ms", "p99 ms", "warming up", "testers")
_DIFFERENCES = ("difference", "kind", "candidate alone", "running alone", "odds", "note")
_PLAN = ("step", "what", "ends well", "takes")

_BAR = 20
"""Characters from even odds to the threshold."""

_MOST = 12
"""Differences that are shown, where not all are asked for."""


def showAll(report: Report, found: Sequence[Facts]) -> None:
    """A line for each rollout."""
    if not found:
        report.lines(["nothing is being rolled out"])
        return
    report.table(_LIST, map(_listRow, found))


def show(report: Report, found: Facts, now: float, isAll: bool = False) -> None:
    """
    All about one.

    :param now: seconds since the epoch.
    :param isAll: whether to show also what differs in the running version as often.
    """
    report.lines(_head(found, now))
    for title, columns, rows in _tables(found, isAll):
        if rows:
            report.lines(["", *([title] if title else [])])
            report.table(columns, rows)
    report.lines(_tail(found, isAll))
    advice = _advice(found)
    if advice:
        report.lines(["", *advice])


def line(found: Facts) -> str:
    """In one line, for where other things are told, too."""
    state, candidate = found["state"], found["candidate"]["version"]
    if state in ENDS:
        return f"{found['plugin']}: {candidate} {_word(state)}: {found['verdict']['reason']}"
    parts = [_what(found), *(["held"] if found["held"] else []), *_oddsText(found), *_leftText(found)]
    return f"{found['plugin']}: {candidate} in place of {_version(found['running'])}: " + ", ".join(parts)


def showPlan(report: Report, found: Facts) -> None:
    """How long one would take, and what it could not show."""
    candidate = found["candidate"]
    to = "the next version" if candidate is None else candidate["version"]
    report.lines([
        f"{', '.join(found['plugins'])}: {_version(found['running'])} → {to}, clients by {found['by']}",
        f"  by the last hour: {found['requests']} requests, {found['rate']:.3g} each second",
        "",
    ])
    report.table(_PLAN, [_planRow(number, step) for number, step in enumerate(found["steps"], 1)])
    seconds = found["seconds"]
    took = "nobody can say how long all of them take" if seconds is None else f"all together about {span(seconds)}"
    report.lines(["", f"{took}; where a step shows nothing: {found['on_inconclusive'].replace('_', ' ')}"])
    cannot = [*(text for step in found["steps"] for text in step["cannot"]), *found["cannot"]]
    report.lines(f"it cannot show: {text}" for text in dict.fromkeys(cannot))
    report.lines(f"warning: {text}" for text in found["warnings"])


def transition(told: Facts) -> str:
    """The line of a step from one state to another."""
    reason = f": {told['reason']}" if told["reason"] else ""
    by = "" if told["by"] in ("", "edge") else f", by {told['by']}"
    return f"{clockTime(told['at'])}  {told['from'] or 'nothing'} → {told['to']}{by}{reason}"


def span(seconds: float) -> str:
    """A length of time in words as short as they can be: ``5.8 min``."""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.2g} {unit}" if seconds < 10 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else "no time"


def clockTime(at: float) -> str:
    """Local time; with the day, unless that is today."""
    when = datetime.fromtimestamp(at)
    return when.strftime("%H:%M:%S" if when.date() == datetime.now().date() else "%Y-%m-%d %H:%M:%S")


def familyName(name: str) -> str:
    """What a family of evidence is called."""
    return _NAMES.get(name, name)


def highest(found: Facts) -> Facts | None:
    """The family with most evidence against the candidate, by how near it is to what decides."""
    return max(found.get("families", ()), key=lambda each: each["odds"] / each["threshold"], default=None)


def bar(odds: float, threshold: float, width: int = _BAR) -> str:
    """Evidence on a scale of orders of magnitude: empty at even odds, full where it decides."""
    part = 0.0 if odds <= 1 else min(1.0, log(odds) / log(threshold))
    full = width if part >= 1 else int(part * width)
    return "█" * full + "░" * (width - full)


def _head(found: Facts, now: float) -> Iterator[str]:
    candidate, verdict, step = found["candidate"], found["verdict"], found["step"]
    tied = [name for name in found["plugins"] if name != found["plugin"]]
    yield (f"{found['plugin']}: {_version(found['running'])} → {candidate['version']} ({candidate['digest'][:12]}): "
           f"{_what(found)}" + (", held" if found["held"] else ""))  # fmt: skip
    if tied:
        yield f"  together  with {', '.join(tied)}: they require each other"
    if found["ended"] is not None:
        yield f"  ended     {clockTime(found['ended'])}, after {span(found['ended'] - found['since'])}"
    yield f"  verdict   {verdict['kind']}: {verdict['reason']}"
    most = highest(found)
    if most is not None:
        yield (f"  evidence  {bar(most['odds'], most['threshold'])} {_odds(most['odds'])} of "
               f"{_odds(most['threshold'])} against it: {familyName(most['family'])}")  # fmt: skip
    if step is not None:
        yield f"  step      {_stepText(step, now)}"
    if found["can_see"]:
        yield f"  can see   {found['can_see']}"


def _tables(found: Facts, isAll: bool) -> Iterator[tuple[str, Sequence[str], list[Sequence[str]]]]:
    yield "", _FAMILIES, [_familyRow(each) for each in found["families"]]
    arms = (("running", found["running"]), ("candidate", found["candidate"]))
    yield "", _ARMS, [_armRow(name, which, found["arms"][name]) for name, which in arms]
    yield "", _DIFFERENCES, [_differenceRow(each) for each in _shown(found, isAll)]


def _shown(found: Facts, isAll: bool) -> list[Facts]:
    """Differences: what was meant, and what is noise, last and only for who wants all."""
    ordered = sorted(found["differences"], key=lambda each: (each["is_noise"], each["expected"], -each["odds"]))
    return ordered if isAll else [each for each in ordered if not each["is_noise"]][:_MOST]


def _left(found: Facts, isAll: bool) -> Iterator[str]:
    """What is not shown of differences."""
    noise = 0 if isAll else sum(each["is_noise"] for each in found["differences"])
    more = len(found["differences"]) - len(_shown(found, isAll)) - noise
    unnamed = 0 if found["pairs"] is None else found["pairs"]["unnamed"]
    for count, text in ((more, "more"), (noise, "in which the running version differs from itself as often")):
        if count:
            yield f"{count} {text}: --all shows them"
    if unnamed:
        yield f"{unnamed} kinds of differences besides, which were too many to be told"


def _tail(found: Facts, isAll: bool) -> Iterator[str]:
    yield from _left(found, isAll)
    if found["pairs"] is not None and (found["pairs"]["compared"] or found["pairs"]["incomparable"]):
        yield from _pairs(found["pairs"])
    yield from (f"warning: {text}" for text in found["warnings"])
    if found["notes"] or found["transitions"]:
        yield ""
    lines = [(each["at"], transition(each)) for each in found["transitions"]]
    lines += [(each["at"], f"{clockTime(each['at'])}  meanwhile: {each['text']}") for each in found["notes"]]
    yield from (text for _, text in sorted(lines))


def _pairs(pairs: Facts) -> Iterator[str]:
    time = pairs["time"]
    yield ""
    yield (f"{pairs['compared']} pairs compared; of those that differ in time the candidate was slower in "
           f"{time['slower']}, faster in {time['faster']}; it alone failed in {pairs['faults']}, the running version "
           f"alone in {pairs['control_faults']}")  # fmt: skip
    left = [f"{count} {why}" for why, count in pairs["incomparable"].items()]
    if left:
        yield f"not comparable: {', '.join(left)}"
    if pairs["dropped"]:
        yield f"not tried, for the edge had too much to do: {pairs['dropped']}"


def _advice(found: Facts) -> list[str]:
    """What may be typed now."""
    name, state, version = found["plugin"], found["state"], found["candidate"]["version"]
    command = f"revproxy rollout {name}"
    if state == "promoted":
        return [f"it runs; to go back: revproxy rollback {name}"]
    if state in ENDS:
        again = f"{command} start {version}"
        return [f"{_version(found['running'])} runs; to try it again: {again}"]
    if found["held"]:
        return [f"it waits for somebody: {command} resume | step | promote | abort"]
    return []


def _what(found: Facts) -> str:
    """State, and where in it."""
    state, step = found["state"], found["step"]
    if step is None or state in ENDS:
        return _word(state)
    share = {"shadow": " of requests", "canary": " of clients"}.get(step["kind"], "")
    at = f" {shareText(step['share'])}{share}" if share else ""
    return f"{_word(state)}{at}, step {step['index']} of {step['of']}"


def _word(state: str) -> str:
    return {"preflight": "pre-flight", "rolled-back": "rolled back"}.get(state, state)


def _stepText(step: Facts, now: float) -> str:
    parts = [f"for {span(max(0.0, now - step['since']))}"]
    if step["need"]:
        parts.append(f"{_number(step['have'] or 0)} of {_number(step['need'])} {_unit(step)}")
    if step["at_least"]:
        parts.append(f"at least {durationText(step['at_least'])}")
    if step["at_most"] is not None:
        parts.append(f"at most {durationText(step['at_most'])}")
    if step["left_seconds"] is not None:
        parts.append(f"about {span(step['left_seconds'])} left")
    return ", ".join(parts)


def _unit(step: Facts) -> str:
    until = step["until"]
    return "pairs" if until["pairs"] is not None else f"faults that {shareText(until['fault'] or 0)} would have shown"


def _oddsText(found: Facts) -> list[str]:
    odds = found["verdict"]["odds"]
    return [f"odds {_odds(odds)} against it"] if odds > 1 else []


def _leftText(found: Facts) -> list[str]:
    step = found["step"]
    left = None if step is None else step["left_seconds"]
    return [] if left is None or found["held"] else [f"about {span(left)} left"]


def _listRow(found: Facts) -> Sequence[str]:
    step = found["step"]
    return (
        found["plugin"] + (f" +{len(found['plugins']) - 1}" if len(found["plugins"]) > 1 else ""),
        _version(found["running"]),
        found["candidate"]["version"],
        f"{_word(found['state'])}{', held' if found['held'] else ''}",
        "" if step is None else f"{step['index']} of {step['of']}"
        + (f", {shareText(step['share'])}" if step["kind"] != "preflight" else ""),
        _odds(found["verdict"]["odds"]) if found["verdict"]["odds"] else "-",
        span(step["left_seconds"]) if step is not None and step["left_seconds"] is not None else "-",
        found["verdict"]["reason"],
    )


def _familyRow(family: Facts) -> Sequence[str]:
    of = "pairs" if family["family"] in _PAIRED else "clients"
    return (
        familyName(family["family"]),
        _odds(family["odds"]),
        bar(family["odds"], family["threshold"]),
        f"{family['candidate']} of {family['of_candidate']} {of}",
        f"{family['running']} of {family['of_running']} {of}",
    )


def _armRow(name: str, which: Facts | None, arm: Facts) -> Sequence[str]:
    counts = [str(arm[key]) for key in ("requests", "faults", "interrupts")]
    times = [_ms(arm[key]) for key in ("p50", "p99")]
    return (name, _version(which), *counts, *times, str(arm["warming"]), str(arm["testers"]))


def _differenceRow(each: Facts) -> Sequence[str]:
    notes = ["meant"] if each["expected"] else ["noise"] if each["is_noise"] else []
    for example in each["examples"][:1]:
        notes.append(f"{example['request']}: {example['real']} → {example['differs']}")
    odds = _odds(each["odds"])
    return each["field"], each["kind"], str(each["candidate"]), str(each["control"]), odds, "; ".join(notes)


def _planRow(number: int, step: Facts) -> Sequence[str]:
    what = {"preflight": "its tests, and replay", "shadow": "shadow, {} of requests", "canary": "canary, {} of clients"}
    until, seconds = step["until"], step["seconds"]
    ends = [f"{until['pairs']} pairs"] if until["pairs"] is not None else []
    if until["fault"] is not None:
        ends.append(f"{shareText(until['fault'])} of errors would have been found with {shareText(until['power'])}")
    ends += [f"{word} {durationText(step[key])}" for key, word in (("at_least", "at least"), ("at_most", "at most"))
             if step[key]]  # fmt: skip
    shown = step["text"] or what[step["kind"]].format(shareText(step["share"]))
    return str(number), shown, ", ".join(ends) or "-", "?" if seconds is None else span(seconds)


def shareText(share: float) -> str:
    """A share of a whole: ``5 %``."""
    return f"{share * 100:.3g} %"


def _odds(odds: float) -> str:
    """As ``20 : 1``, or ``1 : 20`` where that is nearer to how people say it."""
    if odds <= 0:
        return "-"
    return f"{_number(odds)} : 1" if odds >= 1 else f"1 : {_number(1 / odds)}"


def _number(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}" if value < 1e6 else f"{value:.1g}"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.3g}"


def _version(facts: Facts | None) -> str:
    return "nothing" if facts is None else facts["version"] or facts["digest"][:12]


__all__ = ["ENDS", "familyName", "line", "show", "showAll", "showPlan", "transition"]
