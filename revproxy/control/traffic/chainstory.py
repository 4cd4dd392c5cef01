"""
What became of a request at each plugin of its chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from revproxy.control.traffic.pastplans import PastPlan, PastPlugin
from revproxy.explained import AWAITED, Changes, Explained, Step
from revproxy.requestrecord import ArmMet, RequestRecord
from revproxy.secrets import masked

_BEFORE_THE_CHAIN: Final = ("NotFound", "AmbiguousPath", "MethodNotAllowed", "Misdirected")
"""Errors with which a request is refused before a plugin is asked, unless one has rerouted it."""

_ON_THE_WAY_IN: Final = f"{AWAITED}handle"
_ON_THE_WAY_OUT: Final = f"{AWAITED}handleResponse"

_ENDED: Final = "the request ended before its way in was over"


def chainStory(record: RequestRecord, told: Explained, plan: PastPlan | None) -> list[dict[str, Any]]:
    """
    Each plugin, in the order of the way in: whether it ran, what it decided, and how long it took.

    :param plan: with which the request came in; None: of plugins only what was noted is known.
    """
    route = None if plan is None else plan.routes.byName.get(record.route)
    steps = {(step.plugin, step.call): step for step in told.steps}
    versions = {step.plugin: step.version for step in told.steps}
    chain: list[PastPlugin] = []
    missing: Sequence[str] = ()
    if plan is not None and route is not None and route.group < len(plan.chains):
        chain, missing = list(plan.chainsOf(record.arms)[route.group]), plan.missing.get(route.group, ())
    known = {plugin.name for plugin in chain}
    # What a request came through before it was rerouted, or where its plan is forgotten.
    others = [PastPlugin(name, version, None) for name, version in versions.items() if name not in known]
    story = [_missing(name) for name in missing] + list(_ran([*others, *chain], record, told, steps, bool(missing)))
    arms = {met.plugin: armText(met) for met in record.arms}
    return [{**entry, "arm": arms.get(entry["name"])} for entry in story]


def armText(met: ArmMet) -> str:
    """Which of two versions it is."""
    return "candidate" if met.isCandidate else "running"


def _missing(name: str) -> dict[str, Any]:
    why = "it is required, and cannot be had: nothing passes"
    return _entry(PastPlugin(name, "", None), False, "missing", why, {})


def _ran(
    chain: Sequence[PastPlugin],
    record: RequestRecord,
    told: Explained,
    steps: Mapping[tuple[str, str], Step],
    isStopped: bool,
) -> Iterator[dict[str, Any]]:
    stop = "a required plugin is missing" if isStopped else _refusedBefore(record, told)
    notes: dict[str, list[str]] = {}
    for name, text in told.notes:
        notes.setdefault(name, []).append(text)
    isSampled = any(step.call == "handle" and step.seconds is not None for step in told.steps)
    texts = {text for _, text in told.notes}
    isThrough = record.upstream is not None or record.error is None or _ON_THE_WAY_OUT in texts
    isKnown = _ON_THE_WAY_IN in texts or _stopper(record)
    for plugin in chain:
        name = plugin.name
        wasSeen = (name, "handle") in steps
        if stop and not wasSeen:
            yield _entry(plugin, False, "not asked", stop, steps)
            continue
        decision, why = _decision(name, record, notes.get(name, []))
        if decision == "passed" and not wasSeen and not isThrough and not isKnown:
            decision, why = ("not asked", _ENDED) if isSampled else ("unknown", f"{_ENDED}; where it was, is not known")
        ran = {"unknown": None, "not asked": False, "passed over": False, "refused": False}.get(decision, True)
        yield _entry(plugin, ran, decision, why, steps)
        # A plugin that failed may have done so on the way out.
        if decision in ("answered", "refused", "awaited") or (decision == "failed" and record.upstream is None):
            stop = f"{name} stands before it, and {_did(decision)}"


def _refusedBefore(record: RequestRecord, told: Explained) -> str:
    kind = (record.error or "").partition(":")[0]
    rerouted = any(text.startswith("rerouted") for _, text in told.notes)
    if kind in _BEFORE_THE_CHAIN and not rerouted and not told.steps:
        return f"the request was refused before: {masked(record.error or '')}"
    return ""


def _stopper(record: RequestRecord) -> bool:
    """Whether it is known at which plugin the way in ended."""
    isRefused = (record.error or "").startswith(("PluginQuarantined: ", "PluginMissing: "))
    return record.interruptedBy is not None or bool(record.pluginErrors) or isRefused


def _decision(name: str, record: RequestRecord, notes: Sequence[str]) -> tuple[str, str | None]:
    failed = next((masked(text) for text in notes if "failed: " in text), None)
    if name == record.interruptedBy:
        return "answered", f"it has answered {record.status} itself"
    if (record.error or "").startswith(f"PluginQuarantined: {name} "):
        return "refused", "it is in quarantine, and its on_error is closed: requests get 503"
    if name in record.pluginErrors:
        return "failed", failed or "it failed, and its on_error is closed"
    if name in record.pluginsSkipped:
        if "quarantine" in notes:
            return "passed over", "it is in quarantine, and its on_error is open"
        return "failed open", failed or "it failed, or is in quarantine; its on_error is open, so the request went on"
    if _ON_THE_WAY_IN in notes:
        return "awaited", "the request ended before its answer came"
    if _ON_THE_WAY_OUT in notes:
        return "passed", "the request ended before its answer came, on the way out"
    if any(text.startswith("rerouted") for text in notes):
        return "rerouted", next(text for text in notes if text.startswith("rerouted"))
    return "passed", "it is in quarantine, and this was a probe" if "probe" in notes else None


def _did(decision: str) -> str:
    did = {"answered": "has answered", "failed": "has failed", "refused": "is in quarantine"}
    return did.get(decision, "had not answered")


def _entry(
    plugin: PastPlugin,
    ran: bool | None,
    decision: str,
    why: str | None,
    steps: Mapping[tuple[str, str], Step],
) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "version": plugin.version,
        "digest": plugin.digest,
        "ran": ran,
        "decision": decision,
        "why": why,
        "request": _call(steps.get((plugin.name, "handle"))),
        "response": _call(steps.get((plugin.name, "handleResponse"))),
    }


def _call(step: Step | None) -> dict[str, Any] | None:
    """How long a call took, and what it has done to the fields; None: nobody looked, or there was none."""
    if step is None:
        return None
    return {
        "us": None if step.seconds is None else round(step.seconds * 1e6),
        "waited_us": None if step.waited is None else round(step.waited * 1e6),
        "headers": changesDict(step.changes),
    }


def changesDict(changes: Changes | None) -> dict[str, Any] | None:
    """Names of fields; None: nobody looked."""
    if changes is None:
        return None
    return {
        "added": list(changes.added), "changed": list(changes.changed), "removed": list(changes.removed),
        "more": changes.more,
    }  # fmt: skip
