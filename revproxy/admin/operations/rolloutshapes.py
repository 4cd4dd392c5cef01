"""
How rollouts are described: what `revproxy.control.rollouts.Rollouts` tells, as JSON Schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from revproxy.admin.operation import Schema
from revproxy.admin.shapes import COUNT, FLAG, NUMBER, TEXT, TIME, optional, record

_TEXTS: Schema = {"type": "array", "items": TEXT}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_SECONDS: Schema = {"type": "number", "description": "Seconds."}

STATES = (
    "waiting", "preflight", "shadow", "canary", "promoted", "rolled-back", "aborted", "superseded", "refused",
)  # fmt: skip
"""Those that a rollout can be in; the last five end it."""

ENDS = STATES[4:]
"""Those in which it is over."""

ID: Schema = record(version=TEXT, digest=TEXT)

_UNTIL: Schema = record(
    "What ends the step well: so many pairs; or that so large a share of faulty calls would have been found, with "
    "this probability.",
    pairs=optional(COUNT), fault=optional(_SHARE), power=_SHARE,
)  # fmt: skip

STEP: Schema = record(
    kind={"enum": ["preflight", "shadow", "canary"]},
    share={**_SHARE, "description": "Of a shadow, of requests; of a canary, of clients."},
    until=_UNTIL,
    at_least=_SECONDS,
    at_most=optional(_SECONDS),
)

_NOW: Schema = record(
    "The step that it is in.",
    index={**COUNT, "description": "From 1."},
    of=COUNT,
    **STEP["properties"],
    since=TIME,
    have=optional({**NUMBER, "description": "Of what ends the step: so much is there."}),
    need=optional({**NUMBER, "description": "So much of it ends the step; null: nothing that is counted does."}),
    left_seconds=optional({**NUMBER, "description": "Until then, as things go; null: nobody can say."}),
)

VERDICT: Schema = record(
    kind={"enum": ["regression", "no-regression", "undecided", "no-traffic", "broken-measurement"]},
    reason=TEXT,
    family={**TEXT, "description": "What decided; empty: nothing did."},
    odds={**NUMBER, "description": "How much likelier it is if the candidate is worse; 0: no statistics."},
)

FAMILY: Schema = record(
    "One thing that the candidate can be worse in.",
    family=TEXT,
    odds={**NUMBER, "description": "Weighted as the threshold wants it."},
    threshold=NUMBER,
    candidate={**COUNT, "description": "Clients, by bucket, to whom it happened."},
    running=COUNT,
    of_candidate={**COUNT, "description": "Of so many."},
    of_running=COUNT,
)

ARM: Schema = record(
    requests=COUNT,
    warming={**COUNT, "description": "Not judged, for its instance had just begun."},
    testers={**COUNT, "description": "Not judged, for whoever sent them chose the version."},
    faults=COUNT,
    interrupts=COUNT,
    seconds={**NUMBER, "description": "Self time of all together."},
    p50=optional({**NUMBER, "description": "Self time of a call, seconds."}),
    p99=optional(NUMBER),
)

_ARMS: Schema = record(running=ARM, candidate=ARM)

PAIRS: Schema = optional(record(
    "What the shadow compared; null: there was none.",
    compared=COUNT,
    unnamed={**COUNT, "description": "Kinds of differences that were too many to be told."},
    incomparable={"type": "object", "additionalProperties": COUNT, "description": "How many could not be, by why."},
    dropped={**COUNT, "description": "Not tried, for the edge had too much to do."},
    faults={**COUNT, "description": "Of the candidate alone."},
    control_faults={**COUNT, "description": "Of the running version on a copy alone."},
    time=record(
        "Pairs that differ by more than a tenth in self time.", slower=COUNT, faster=COUNT, odds=NUMBER,
    ),
))  # fmt: skip

_EXAMPLE: Schema = record("Redacted.", request=TEXT, real=TEXT, differs=TEXT)

DIFFERENCE: Schema = record(
    "Pairs in which the versions differed in the same way.",
    field=TEXT,
    kind=TEXT,
    candidate={**COUNT, "description": "Pairs in which the candidate alone differs from the real answer."},
    control={**COUNT, "description": "In which the running version on a copy alone does: the noise."},
    both=COUNT,
    odds=NUMBER,
    expected={**FLAG, "description": "Whether `expect` names it."},
    is_noise={**FLAG, "description": "Whether the running version differs from itself as often."},
    accepted={**FLAG, "description": "Whether somebody has seen it and gone on: it decides nothing then."},
    examples={"type": "array", "items": _EXAMPLE, "description": "Empty, too, for whoever may not observe."},
)

TRANSITION: Schema = record(
    at=TIME,
    **{"from": {**TEXT, "description": "A state, or `held`; empty: it was not there."}},
    to={**TEXT, "description": "A state; `held`: it stays where it is until somebody says otherwise."},
    reason=TEXT,
    by={**TEXT, "description": "Who; `edge`: by what was seen."},
)  # fmt: skip

SUMMARY: Schema = record(
    "A rollout: of a plugin, or of several that are tied to each other.",
    plugin={**TEXT, "description": "The plugin, or the first of them."},
    plugins=_TEXTS,
    id=TEXT,
    state={"enum": list(STATES)},
    held={**FLAG, "description": "Whether it stays in its step until somebody says otherwise."},
    since={**TIME, "description": "When it began."},
    ended=optional(TIME),
    running=optional(ID),
    candidate=ID,
    step=optional(_NOW),
    steps={"type": "array", "items": STEP},
    verdict=VERDICT,
    because={
        **TEXT,
        "description": "Why it is as it is: what was judged last; of one that is held or over, what it was held or "
        "ended for.",
    },
    warnings=_TEXTS,
)

_BRIEF = ("plugin", "id", "state", "held", "since", "running", "candidate", "step", "verdict", "because")

BRIEF: Schema = record(
    "The rollout of a plugin that goes on.", **{name: SUMMARY["properties"][name] for name in _BRIEF}
)

ROLLOUT: Schema = {
    **SUMMARY,
    "properties": {
        **SUMMARY["properties"],
        "families": {"type": "array", "items": FAMILY},
        "arms": _ARMS,
        "pairs": PAIRS,
        "differences": {"type": "array", "items": DIFFERENCE},
        "notes": {"type": "array", "items": record(at=TIME, text=TEXT), "description": "What changed meanwhile."},
        "curve": {
            "type": "array", "items": record(at=TIME, odds=NUMBER),
            "description": "The highest of the odds, over time.",
        },
        "transitions": {"type": "array", "items": TRANSITION},
        "can_see": {**TEXT, "description": "What this step can show by now, and what it cannot, in words."},
    },
    "required": [
        *SUMMARY["required"], "families", "arms", "pairs", "differences", "notes", "curve", "transitions", "can_see",
    ],
}  # fmt: skip

FORECAST: Schema = record(
    "How long a rollout would take by the traffic of the last hour, and what it could not show.",
    plugin=TEXT,
    plugins=_TEXTS,
    running=optional(ID),
    candidate=optional(ID),
    by={**TEXT, "description": "What clients are told apart by."},
    requests={**COUNT, "description": "That reached the plugin in the last hour."},
    rate={**NUMBER, "description": "Of these in a second."},
    steps={
        "type": "array",
        "items": {
            **STEP,
            "properties": {
                **STEP["properties"],
                "seconds": optional({**NUMBER, "description": "How long it takes; null: nobody can say."}),
                "text": TEXT,
                "cannot": _TEXTS,
            },
            "required": [*STEP["required"], "seconds", "text", "cannot"],
        },
    },
    seconds=optional({**NUMBER, "description": "All of them together."}),
    on_inconclusive=TEXT,
    cannot={**_TEXTS, "description": "What cannot be shown, in words."},
    warnings=_TEXTS,
)



def told(view: Mapping[str, Any]) -> dict[str, Any]:
    """What control tells of a rollout, and why it is as it is."""
    isDecided = (view["state"] in ENDS or view["held"]) and view["transitions"]
    return {**view, "because": view["transitions"][-1]["reason"] if isDecided else view["verdict"]["reason"]}


def summary(view: Mapping[str, Any], schema: Schema = SUMMARY) -> dict[str, Any]:
    """Of what control tells of a rollout, what a schema has."""
    whole = told(view)
    return {name: whole[name] for name in schema["properties"]}


def goingOn(views: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """In brief, those that are not over."""
    return [summary(view, BRIEF) for view in views if view["state"] not in ENDS]


__all__ = ["BRIEF", "ENDS", "FORECAST", "ROLLOUT", "STATES", "SUMMARY", "goingOn", "summary", "told"]
