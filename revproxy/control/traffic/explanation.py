"""
Why a request went as it did: worked out from its record, what it has noted, and what its plan had.

What nobody can know is said to be unknown, and never guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from revproxy.control.traffic.chainstory import chainStory, changesDict
from revproxy.control.traffic.contest import Loser, losers
from revproxy.control.traffic.pastplans import PastPlan, PastRoute
from revproxy.explained import Explained, decodeExplained
from revproxy.requestrecord import RequestRecord
from revproxy.secrets import masked

_NOTHING: Final = Explained("")


def explanation(record: RequestRecord, plan: PastPlan | None, current: int) -> dict[str, Any]:
    """
    As JSON can say it.

    :param plan: with which it came in; None if that is not remembered.
    :param current: the number of the plan in force.
    """
    notes: list[str] = []
    told = _NOTHING
    if record.explained:
        try:
            told = decodeExplained(record.explained)
        except msgspec.MsgspecError:
            notes.append("what was noted of it cannot be read")
    if not told.because:
        how = "the edge itself did not fail, and it" if record.status >= 500 else "it went well and"
        notes.append(f"{how} was not in the sample: times of plugins and names of fields were not noted")
    if plan is None:
        notes.append(f"plan {record.generation} is not remembered any more: only what the record says is known")
    return {
        "because": told.because or None,
        "plan": {"number": record.generation, "is_current": record.generation == current, "is_known": plan is not None},
        "route": routeStory(plan, record.host, record.target, record.route, told),
        "plugins": chainStory(record, told, plan),
        "request_headers": changesDict(told.request),
        "response_headers": changesDict(told.response),
        "upstream": _upstream(record, told),
        "answered_by": _answeredBy(record, plan),
        "phases": _phases(record, told),
        "error": None if record.error is None else masked(record.error),
        "notes": [*notes, *_reroutings(told)],
    }


def routeStory(
    plan: PastPlan | None, host: bytes, target: bytes, chosen: str, told: Explained = _NOTHING
) -> dict[str, Any]:
    """
    The route that was chosen, and those that were not.

    :param host: as the client wrote it.
    :param chosen: its name; empty: none was.
    :param told: what else is known: whether a plugin has had it chosen anew.
    """
    route = None if plan is None else plan.routes.byName.get(chosen)
    others = [] if plan is None else _others(plan, hostname(host), target, chosen, told)
    return {
        "name": chosen or None,
        **routeFacts(route),
        "others": [{"name": each.route.name, **routeFacts(each.route), "why": each.why} for each in others],
    }


def _others(plan: PastPlan, host: str, target: bytes, chosen: str, told: Explained) -> list[Loser]:
    """What the client wrote has led to the first route; where that was left, nobody knows what led to the second."""
    plugin, first = _left(plan, told)
    if first is None or first.name == chosen:
        return losers(plan.routes, host, target, chosen)
    why = f"it was taken first: {plugin} has had the route chosen anew"
    found = losers(plan.routes, host, target, first.name)
    return [Loser(first, why), *(each for each in found if each.route.name != chosen)]


def _left(plan: PastPlan, told: Explained) -> tuple[str, PastRoute | None]:
    """The plugin that first had the route chosen anew, and which it was before."""
    for plugin, text in told.notes:
        if text.startswith("rerouted from "):
            names = (name for name in plan.routes.byName if text.startswith(f"rerouted from {name} to "))
            return plugin, plan.routes.byName.get(next(names, ""))
    return "", None


def routeFacts(route: PastRoute | None) -> dict[str, Any]:
    """What is known of a route."""
    if route is None:
        return {"host": None, "path": None, "answers": None}
    return {"host": route.host or None, "path": route.path, "answers": route.answers}


def hostname(host: bytes) -> str:
    """In lower case, without port."""
    end = host.rfind(b":")
    if end > 0 and host[end + 1 :].isdigit():
        host = host[:end]
    return host.decode("latin-1").lower()


def _upstream(record: RequestRecord, told: Explained) -> dict[str, Any] | None:
    if record.upstream is None:
        return None
    tries: list[dict[str, str | None]] = [
        {"target": each.url, "outcome": "lost", "why": masked(each.reason)} for each in told.tries
    ]
    if record.upstreamSeconds is not None:
        tries.append({"target": record.upstream, "outcome": "answered", "why": None})
    elif not tries or tries[-1]["target"] != record.upstream:
        tries.append({"target": record.upstream, "outcome": "not answered", "why": record.error})
    return {
        "name": record.pool,
        "attempts": record.attempts,
        "tries": tries,
        "chosen_upstream": told.upstream or None,
        "chosen_target": told.origin or None,
    }


def _answeredBy(record: RequestRecord, plan: PastPlan | None) -> dict[str, Any]:
    if record.status == 499:
        return {"kind": "nobody", "name": None}
    if record.interruptedBy is not None:
        return {"kind": "plugin", "name": record.interruptedBy}
    if record.error is not None:
        return {"kind": "edge", "name": record.error.partition(":")[0]}
    if record.upstreamSeconds is not None:
        return {"kind": "upstream", "name": record.upstream}
    route = None if plan is None else plan.routes.byName.get(record.route)
    if route is not None and not route.answers.startswith("upstream"):
        return {"kind": "route", "name": route.answers}
    return {"kind": "edge", "name": None}


def _phases(record: RequestRecord, told: Explained) -> dict[str, int | None]:
    """Microseconds until it was sent on, until the head of the answer, and until its end."""
    sent, waited = told.sent, record.upstreamSeconds
    rest = None if sent is None or waited is None else max(0.0, record.duration - sent - waited)
    return {
        "before_us": microseconds(sent), "upstream_us": microseconds(waited), "after_us": microseconds(rest),
        "duration_us": microseconds(record.duration),
    }  # fmt: skip


def microseconds(seconds: float | None) -> int | None:
    """Whole ones."""
    return None if seconds is None else round(seconds * 1e6)


def _reroutings(told: Explained) -> Sequence[str]:
    return [f"{plugin}: {text}" for plugin, text in told.notes if text.startswith("rerouted")]
