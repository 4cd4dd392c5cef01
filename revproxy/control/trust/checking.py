"""
What trust would say of a configuration and its plugins, for who only looks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from revproxy.config.problems import Problem
from revproxy.config.settings import Config
from revproxy.control.planning.tiers import tierOf
from revproxy.control.state.directory import StateFolder
from revproxy.control.state.records import PluginRecords
from revproxy.control.trust.memory import Memory
from revproxy.control.trust.policy import Answers, Policy
from revproxy.control.trust.sieve import boundsOf, heldText
from revproxy.control.trust.trustfiles import TrustFiles
from revproxy.plan.catalog import Selected


def trustProblems(config: Config, selected: Sequence[Selected], records: PluginRecords) -> list[Problem]:
    """
    Why plugins would not be taken, and what is wrong with keys and files that the section ``trust`` names. Blocks.

    :param records: of the edge that may run by this configuration: what runs of it already is asked less.
    """
    policy = policyOf(config)
    problems = list(dict.fromkeys((*policy.problems, *policy.lists.problems)))
    for each in selected if not policy.problems else ():
        entry = each.entry
        runs = entry.digest is not None and records.get(each.name).running == entry.digest
        judgement = policy.judge(entry, runs)
        text = "" if judgement.mayRun else str(judgement)
        if not text and not runs:
            text = heldText(each.name, tierOf(entry, config.plugins, boundsOf(judgement, policy)), judgement)
        if text:
            problems.append(Problem(entry.source, 0, 0, "", f"{text} (plugin {each.name})"))
    return problems


def withoutGrants(config: Config, selected: Sequence[Selected], records: PluginRecords) -> Iterator[str]:
    """What runs, and would go on without something that it asks for. Blocks."""
    policy = policyOf(config)
    for each in selected:
        judgement = policy.judge(each.entry, records.get(each.name).running == each.entry.digest)
        tier = tierOf(each.entry, config.plugins, boundsOf(judgement, policy))
        if tier.missing:
            text = f"plugin {each.name} runs without {'; '.join(tier.missing)}"
            yield f"{each.entry.source}: {text}: it asks for that, and plugins.grants.{each.name} does not have it"


def policyOf(config: Config) -> Policy:
    """What holds under a configuration, with what the edge remembers that may run by it. Blocks."""
    files = TrustFiles()
    files.read(config.trust)
    memory = Memory.peek(StateFolder(config.state).trustPath)
    return Policy(config, files.of(config.trust), memory, time.time(), Answers(), lambda name, digest: None)


__all__ = ["policyOf", "trustProblems", "withoutGrants"]
