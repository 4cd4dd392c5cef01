"""
What a configuration says of rollouts, and most likely does not mean: warnings of ``revproxy check``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from revproxy.config.problems import Step, quoted, suggestion
from revproxy.config.rolloutpolicy import RolloutPolicy
from revproxy.config.settings import Config, documentOf


def rolloutWarnings(config: Config, known: Collection[str]) -> Iterator[str]:
    """
    Steps of plugins that are not there, and recordings that are not there yet.

    :param known: the names of plugins.
    """
    where, rollout = documentOf(config), config.plugins.rollout
    for name in rollout.plugins:
        if name not in known:
            text = f"no plugin named {quoted(name)}{suggestion(name, known)}; nothing of that name takes these steps"
            yield str(where.problem(("plugins", "rollout", "plugins", name), text))
    said: Mapping[tuple[Step, ...], RolloutPolicy | None] = {
        ("plugins", "rollout", "default"): rollout.default,
        **{("plugins", "rollout", "plugins", name): policy for name, policy in rollout.plugins.items()},
    }
    for path, policy in said.items():
        for index, step in enumerate(policy.steps if policy is not None else ()):
            place = (*path, "steps", index, "replay")
            if step.replay is not None and where.has(place) and not step.replay.is_file():
                text = f"there is no recording {step.replay} yet; without it the pre-flight fails: revproxy record"
                yield str(where.problem(place, text))
