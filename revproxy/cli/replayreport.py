"""
What a replay has found, for people and for programs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from revproxy.cli.replaysubjects import Found
from revproxy.cli.report import Report as Lines
from revproxy.config.rolloutpolicy import Expectation
from revproxy.plan.evidence import DifferenceCount
from revproxy.proving.differencegroups import isExpected, isNoise, unexpected
from revproxy.proving.orders import Report

_COLUMNS = ("difference", "kind", "candidate", "by itself", "example")


def asDict(
    found: Report,
    candidate: Found,
    against: Found | None,
    corpus: str,
    expect: Sequence[Expectation],
    notes: Sequence[str],
) -> dict[str, Any]:
    """As JSON can say it."""
    return {
        "plugin": candidate.subject.name,
        "candidate": _version(candidate),
        "running": None if against is None else _version(against),
        "corpus": corpus,
        "calls": found.calls,
        "replayed": found.replayed,
        "incomparable": dict(found.incomparable),
        "differences": [_difference(each, expect) for each in found.differences],
        "unnamed": found.unnamed,
        "unexpected": len(unexpected(found.differences, expect)),
        "problems": list(found.problems),
        "notes": list(notes),
        "output": found.output,
    }


def show(lines: Lines, told: dict[str, Any]) -> None:
    """In lines: what is not expected first."""
    candidate = told["candidate"]
    lines.lines([
        f"{told['plugin']} {candidate['version']} ({candidate['place']}): {told['replayed']} of {told['calls']} "
        f"recorded calls compared"
    ])  # fmt: skip
    if told["problems"]:
        lines.lines([*told["problems"], *told["output"].splitlines()])
    for title, those in _sorted(told["differences"]):
        if those:
            lines.lines(["", title])
            lines.table(_COLUMNS, [_row(each) for each in those])
    lines.lines(_rest(told))


def _sorted(differences: Sequence[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    meant = [each for each in differences if each["is_expected"] and each["candidate"]]
    noise = [each for each in differences if each["is_noise"] and each not in meant]
    yield "not expected:", [each for each in differences if each not in meant and each not in noise]
    yield "expected:", meant
    yield "noise (what runs differs so, too):", noise


def _rest(told: dict[str, Any]) -> Iterator[str]:
    if told["unnamed"]:
        yield f"{told['unnamed']} further differences, of more kinds than are told apart"
    if told["incomparable"]:
        yield ""
        yield "not compared:"
        for why, count in sorted(told["incomparable"].items(), key=lambda each: -each[1]):
            yield f"  {count}: {why}"
    yield from (f"note: {note}" for note in told["notes"])
    if not told["problems"]:
        kinds = told["unexpected"]
        yield f"{kinds} unexpected kind{'' if kinds == 1 else 's'} of differences" if kinds else "nothing unexpected"


def _row(each: dict[str, Any]) -> Sequence[str]:
    itself = each["control"] + each["both"]
    return each["field"], each["kind"], str(each["candidate"]), str(itself), _example(each["examples"])


def _example(examples: Sequence[dict[str, str]]) -> str:
    if not examples:
        return ""
    first = examples[0]
    return f"{first['before'] or '(nothing)'} → {first['after'] or '(nothing)'}  {first['request']}"


def _difference(count: DifferenceCount, expect: Sequence[Expectation]) -> dict[str, Any]:
    return {
        "field": count.field,
        "kind": count.kind,
        "candidate": count.candidate,
        "control": count.control,
        "both": count.both,
        "is_expected": isExpected(count, expect),
        "is_noise": isNoise(count),
        "examples": [
            {"request": request, "before": before, "after": after} for request, before, after in count.examples
        ],
    }


def _version(found: Found) -> dict[str, Any]:
    return {"version": found.version, "digest": found.digest, "place": found.place}


__all__ = ["asDict", "show"]
