"""
The section ``plugins.rollout``: by which steps new versions come into service.

What a plugin leaves out is as ``default`` has it, key by key, where that is a mapping. So is what a call leaves out
(``revproxy rollout NAME start``), of what the plugin has.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from revproxy.config.document import documentFromValue
from revproxy.config.problems import ConfigErrors
from revproxy.config.rolloutkeys import clientKey, expectation, testersOf
from revproxy.config.rolloutpolicy import (
    USUAL,
    Expectation,
    OnInconclusive,
    OnNewer,
    RolloutConfig,
    RolloutPolicy,
)
from revproxy.config.rolloutsteps import stepsOf
from revproxy.config.schema import checkAgainst, publishedSchema
from revproxy.config.section import Section

NOTHING = RolloutPolicy(())
"""What is over where nobody says anything."""


def rolloutOf(section: Section) -> RolloutConfig:
    """
    :param section: ``plugins.rollout``; what is wrong in it is added to its problems.
    """
    default = _policyAt(section, "default", None)
    names = section.section("plugins")
    plugins = {name: _policyAt(names, name, default) for name in names.value}
    return RolloutConfig(default, section.flag("config", False), plugins)


def policyOfCall(value: Mapping[str, Any], usual: RolloutPolicy | None, base: Path, source: str) -> RolloutPolicy:
    """
    The policy of one rollout, which somebody asks for.

    :param value: as a mapping under ``plugins.rollout``, without ``testers``: a token does not travel in a call.
    :param usual: the plugin's own, for what is left out; None: that of who says nothing, with the usual steps.
    :param base: the folder relative paths start at.
    :param source: what messages call the call.
    :raises ConfigErrors: with all problems.
    """
    document = documentFromValue(value, source)
    schema = publishedSchema("revproxy")
    policy = schema["properties"]["plugins"]["properties"]["rollout"]["properties"]["default"]
    own = {key: inner for key, inner in policy["properties"].items() if key != "testers"}
    allowed = {**policy, "type": "object", "properties": own, "$defs": schema["$defs"]}
    for key, inner in own.items():
        # To look at each of thousands would hold up whoever is asked, and everybody may ask.
        most, given = inner.get("maxItems"), value.get(key)
        if most is not None and isinstance(given, list) and len(given) > most:
            raise ConfigErrors((document.problem((key,), f"{len(given)} of them, and {most} is the most"),))
    problems = checkAgainst(allowed, value, document.problem)
    said = {key: inner for key, inner in value.items() if key in own}
    found = _policyOf(Section(document, said, base, problems), usual or USUAL)
    if problems:
        raise ConfigErrors(problems)
    return found


def _policyAt(section: Section, key: str, usual: RolloutPolicy | None) -> RolloutPolicy | None:
    """None: at once."""
    if not isinstance(section.value.get(key), Mapping):
        return None
    return _policyOf(section.section(key), usual or NOTHING)


def _policyOf(section: Section, usual: RolloutPolicy) -> RolloutPolicy:
    steps = stepsOf(section) if section.has("steps") else usual.steps
    if not steps and not section.has("steps"):
        how = "steps: [preflight, {canary: 5%, until: {fault: 1%}, at_most: 15m}]"
        section.refuse(f"no steps: write {how}, or at_once in its place")
    return RolloutPolicy(
        steps,
        cast(OnInconclusive, section.text("on_inconclusive", usual.onInconclusive)),
        section.checked("by", clientKey, usual.by),
        testersOf(section.section("testers")) if section.has("testers") else usual.testers,
        _expected(section) if section.has("expect") else usual.expect,
        cast(OnNewer, section.text("on_newer", usual.onNewer)),
    )


def _expected(section: Section) -> tuple[Expectation, ...]:
    given, found = section.value.get("expect"), []
    for index, text in enumerate(given if isinstance(given, list) else ()):
        if not isinstance(text, str):
            continue  # the schema has said so
        try:
            found.append(expectation(text))
        except ValueError as error:
            section.refuse(str(error), "expect", index)
    return tuple(found)


__all__ = ["policyOfCall", "rolloutOf"]
