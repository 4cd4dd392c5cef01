"""
The ``steps`` of a rollout: a list of ``preflight``, ``{shadow: SHARE, …}`` and ``{canary: SHARE, …}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from revproxy.config.problems import quoted
from revproxy.config.rolloutpolicy import Step, StepKind, Until
from revproxy.config.section import Section

_KINDS: tuple[StepKind, ...] = ("canary", "shadow", "preflight")
"""A canary may have a shadow besides; so its name counts first."""

MOST_CANARY = 0.95
"""More would leave nobody to compare with."""

_WHAT = "write preflight, {shadow: 20%, until: {pairs: 3000}} or {canary: 5%, until: {fault: 1%}, at_most: 15m}"


def stepsOf(section: Section) -> tuple[Step, ...]:
    """
    Those that a policy has, as far as they can be read; what is wrong is noted.

    :param section: the policy.
    """
    found: list[Step] = []
    for each in section.items("steps", textKey="preflight"):
        step = _stepOf(each, _shadowBefore(found))
        if step is not None:
            _checkOrder(each, step, found)
            found.append(step)
    return tuple(found)


def _shadowBefore(steps: Sequence[Step]) -> float:
    """In a canary the trying goes on, or what no client complains of is never seen again."""
    return next((step.share for step in reversed(steps) if step.kind == "shadow"), 0.0)


def _stepOf(section: Section, shadow: float) -> Step | None:
    if section.value.get("preflight", True) not in (True, "preflight"):
        if section.value["preflight"] is False:
            section.refuse("write preflight: true, or take the step out", "preflight")
        return None  # what else it may be, the schema has refused
    kind = next((each for each in _KINDS if section.has(each)), None)
    if kind is None:
        section.refuse(f"what is to be done in this step? {_WHAT}")
        return None
    if kind != "preflight" and section.has("preflight"):
        section.refuse(f"a pre-flight is a step by itself: take it out of the {kind}", "preflight")
    share = section.share(kind, 0.0) if kind != "preflight" else 0.0
    if kind == "canary" and share > MOST_CANARY:
        section.refuse(
            f"{quoted(section.text(kind))} would leave nobody to compare with: {MOST_CANARY:.0%} at most; after the "
            "last step the version serves everybody", kind
        )  # fmt: skip
    _checkKeys(section, kind)
    return Step(
        kind,
        share,
        _untilOf(section.section("until"), kind),
        section.seconds("at_least", 0.0),
        section.seconds("at_most", 0.0) or None,
        section.pathAt("replay") if kind == "preflight" else None,
        section.share("shadow", shadow) if kind == "canary" else 0.0,
    )


def _checkKeys(section: Section, kind: StepKind) -> None:
    """What a step of this kind cannot have, and what it needs."""
    if kind == "preflight":
        for key in ("until", "at_least"):
            if section.has(key):
                section.refuse("a pre-flight is over when all of it has been done: only at_most bounds it", key)
        return
    if section.has("replay"):
        section.refuse("what was recorded is tried in a pre-flight: {preflight: true, replay: PATH}", "replay")
    least, most = section.seconds("at_least", 0.0), section.seconds("at_most", 0.0)
    if section.has("at_most") and most < least:
        section.refuse(f"less than at_least, {quoted(section.value.get('at_least'))}: make it longer", "at_most")
    if not section.has("until") and not section.has("at_most"):
        end = "{pairs: 3000}" if kind == "shadow" else "{fault: 1%}"
        section.refuse(f"nothing ends this {kind}: write until: {end}, or at_most: 15m, best both")


def _untilOf(section: Section, kind: StepKind) -> Until:
    plain = Until()
    pairs = section.integer("pairs", 0) or None
    fault = section.share("fault", 0.0) or None
    if kind == "shadow":
        for key in ("fault", "power"):
            if section.has(key):
                section.refuse(f"{key} is about clients of a canary; a shadow ends by pairs: 3000", key)
        return Until(pairs)
    if kind == "canary":
        if pairs is not None:
            section.refuse("pairs are of a shadow; a canary ends by fault: 1%", "pairs")
        if section.has("power") and not section.has("fault"):
            section.refuse("the power to find what? write fault: 1% beside it", "power")
        power = section.value.get("power")
        isNumber = isinstance(power, (int, float)) and not isinstance(power, bool) and 0 < power < 1
        return Until(None, fault, float(cast(float, power)) if isNumber else plain.power)
    return plain


def _checkOrder(section: Section, step: Step, before: Sequence[Step]) -> None:
    canaries = [each for each in before if each.kind == "canary"]
    if step.kind == "preflight" and before:
        section.refuse("a pre-flight is the first step: it finds what nobody need meet")
    elif step.kind == "shadow" and canaries:
        section.refuse("a shadow comes before the canary; within one, write {canary: 5%, shadow: 20%, …}")
    elif step.kind == "canary" and canaries and 0 < step.share < canaries[-1].share:
        section.refuse(
            f"less than the {canaries[-1].share * 100:g}% of the step before: clients would go back to the version "
            "that ran; write the shares in rising order", "canary"
        )  # fmt: skip
