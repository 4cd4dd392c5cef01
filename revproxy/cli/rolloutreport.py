"""
What is printed of rollouts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from revproxy.cli.report import Report
from revproxy.cli.rolloutwords import (
    ENDS,
    bar,
    clockTime,
    evidenceText,
    familyName,
    numberText,
    oddsText,
    shareText,
    span,
    stateName,
    transition,
    versionName,
    waitsFor,
    whereabouts,
)
from revproxy.durations import durationText

Facts = Mapping[str, Any]

_PAIRED = ("content", "pair-time")
"""Families of which pairs are counted, and not groups of clients."""

_LIST = ("plugin", "from", "to", "state", "step", "odds", "left", "note")
_FAMILIES = ("worse if it", "odds", "evidence", "candidate", "running")
_ARMS = ("arm", "version", "judged", "faults", "interrupts", "p50 ms", "p99 ms", "warming up", "testers")
_DIFFERENCES = ("difference", "kind", "candidate alone", "running alone", "odds", "note")
_PLAN = ("step", "what", "takes", "at least", "at most", "ends well")

_MOST = 12
"""Differences that are shown, where not all are asked for."""


def showAll(report: Report, found: Sequence[Facts]) -> None:
    """A line for each rollout."""
    if not found:
        report.lines(["no rollouts: `revproxy rollout NAME start` begins one, and so does what is saved, where "
                      "plugins.rollout says so"])  # fmt: skip
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


def showPlan(report: Report, found: Facts) -> None:
    """How long one would take, and what it could not show."""
    candidate = found["candidate"]
    to = "the next version" if candidate is None else candidate["version"]
    report.lines([
        f"{', '.join(found['plugins'])}: {versionName(found['running'])} → {to}, clients by {found['by']}",
        f"  by the last hour: {found['requests']} request{'' if found['requests'] == 1 else 's'}, "
        f"{found['rate']:.3g} each second",
        "",
    ])
    report.table(_PLAN, [_planRow(number, step) for number, step in enumerate(found["steps"], 1)])
    seconds = found["seconds"]
    took = "nobody can say how long all of them take" if seconds is None else f"all together about {span(seconds)}"
    report.lines(["", f"{took}; where a step shows nothing: {found['on_inconclusive'].replace('_', ' ')}"])
    cannot = [*(text for step in found["steps"] for text in step["cannot"]), *found["cannot"]]
    report.lines(f"it cannot show: {text}" for text in dict.fromkeys(cannot))
    report.lines(f"warning: {text}" for text in found["warnings"])


def _head(found: Facts, now: float) -> Iterator[str]:
    candidate, verdict, step = found["candidate"], found["verdict"], found["step"]
    tied = [name for name in found["plugins"] if name != found["plugin"]]
    yield (f"{found['plugin']}: {versionName(found['running'])} → {candidate['version']} ({candidate['digest'][:12]}): "
           f"{whereabouts(found)}" + (", held" if found["held"] else ""))  # fmt: skip
    if tied:
        yield f"  together  with {', '.join(tied)}: they require each other"
    if found["ended"] is not None:
        yield f"  ended     {clockTime(found['ended'])}, after {span(max(0.0, found['ended'] - found['since']))}"
    if found["because"] != verdict["reason"]:
        yield f"  because   {found['because']}"
    yield f"  verdict   {verdict['kind']}: {verdict['reason']}"
    evidence = evidenceText(found)
    if evidence:
        yield f"  evidence  {evidence}"
    if step is not None:
        yield f"  step      {_stepText(step, now, found['held'])}"
    if found["can_see"] and found["can_see"] != verdict["reason"]:
        yield f"  can see   {found['can_see']}"


def _tables(found: Facts, isAll: bool) -> Iterator[tuple[str, Sequence[str], list[Sequence[str]]]]:
    yield "", _FAMILIES, [_familyRow(each) for each in found["families"] if _saysSomething(each)]
    arms = (("running", found["running"]), ("candidate", found["candidate"]))
    yield "", _ARMS, [_armRow(name, which, found["arms"][name]) for name, which in arms]
    yield "", _DIFFERENCES, [_differenceRow(each) for each in _shown(found, isAll)]


def _saysSomething(family: Facts) -> bool:
    """Whether both versions came so far that it could happen to them, or it has."""
    return bool((family["of_candidate"] and family["of_running"]) or family["candidate"])


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
    yield f"{pairs['compared']} pair{'' if pairs['compared'] == 1 else 's'} compared"
    if differing := time["slower"] + time["faster"]:
        yield (f"  time    the candidate took longer, by more than 20 µs or 2 %, in {time['slower']} of {differing} "
               "that differ")  # fmt: skip
    yield f"  faults  the candidate alone in {pairs['faults']}, the running version alone in {pairs['control_faults']}"
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
        return [f"to try it again: {command} start {version}; what runs: revproxy plugins {name}"]
    if found["held"]:
        return [waitsFor(name)]
    return [f"to stop it here: {command} hold; to end it: {command} abort"]


def _stepText(step: Facts, now: float, isHeld: bool) -> str:
    parts = [f"for {span(max(0.0, now - step['since']))}"]
    if step["need"]:
        parts.append(f"{numberText(step['have'] or 0)} of {numberText(step['need'])} {_unit(step)}")
    if step["at_least"]:
        parts.append(f"at least {durationText(step['at_least'])}")
    if step["at_most"] is not None:
        parts.append(f"at most {durationText(step['at_most'])}")
    if step["left_seconds"] and not isHeld:
        parts.append(f"about {span(step['left_seconds'])} left")
    return ", ".join(parts)


def _unit(step: Facts) -> str:
    until = step["until"]
    if until["pairs"] is not None:
        return "pairs"
    return f"faults by now, had {shareText(until['fault'] or 0)} of its calls failed"


def _listRow(found: Facts) -> Sequence[str]:
    step = found["step"]
    return (
        found["plugin"] + (f" +{len(found['plugins']) - 1}" if len(found["plugins"]) > 1 else ""),
        versionName(found["running"]),
        found["candidate"]["version"],
        stateName(found["state"])
        + (f" {shareText(step['share'])}" if step is not None and step["kind"] == found["state"] != "preflight" else "")
        + (", held" if found["held"] else ""),
        "-" if step is None else f"{step['index']} of {step['of']}",
        oddsText(found["verdict"]["odds"]) if found["verdict"]["odds"] else "-",
        span(step["left_seconds"]) if step is not None and step["left_seconds"] and not found["held"] else "-",
        found["because"],
    )


def _familyRow(family: Facts) -> Sequence[str]:
    of = "pairs" if family["family"] in _PAIRED else "groups"
    return (
        familyName(family["family"]),
        oddsText(family["odds"]) if family["candidate"] or family["running"] else "-",
        bar(family["odds"], family["threshold"]),
        f"{family['candidate']} of {family['of_candidate']} {of}",
        # Of times, less is as good as the same.
        "-" if family["family"] == "pair-time" else f"{family['running']} of {family['of_running']} {of}",
    )


def _armRow(name: str, which: Facts | None, arm: Facts) -> Sequence[str]:
    counts = [str(arm[key]) for key in ("requests", "faults", "interrupts")]
    times = [_ms(arm[key]) for key in ("p50", "p99")]
    return (name, versionName(which), *counts, *times, str(arm["warming"]), str(arm["testers"]))


def _differenceRow(each: Facts) -> Sequence[str]:
    notes = ["meant"] if each["expected"] else ["noise"] if each["is_noise"] else []
    notes += ["seen, and gone on"] if each.get("accepted") else []
    for example in each["examples"][:1]:
        notes.append(f"{example['request']}: {example['real']} → {example['differs']}")
    odds = oddsText(each["odds"])
    return each["field"], each["kind"], str(each["candidate"]), str(each["control"]), odds, "; ".join(notes)


def _planRow(number: int, step: Facts) -> Sequence[str]:
    what = {"preflight": "pre-flight", "shadow": "shadow, {} of requests", "canary": "canary, {} of clients"}
    seconds = step["seconds"]
    bounds = [durationText(step[key]) if step[key] else "-" for key in ("at_least", "at_most")]
    shown = what[step["kind"]].format(shareText(step["share"]))
    ends = step["text"] or _ends(step["until"]) or "-"
    return str(number), shown, "?" if seconds is None else span(seconds), *bounds, ends


def _ends(until: Facts) -> str:
    """What ends a step well."""
    if until["pairs"] is not None:
        return f"{until['pairs']} pairs"
    if until["fault"] is None:
        return ""
    fault, power = shareText(until["fault"]), shareText(until["power"])
    return f"faults in {fault} of calls would be found with a probability of {power}"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.3g}"


__all__ = ["show", "showAll", "showPlan"]
