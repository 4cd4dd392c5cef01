"""
A change that was not made, and why: the one record of a failure, from where it happens to where it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from revproxy.config.problems import Problem, writable
from revproxy.plan.versionid import UNKNOWN, VersionId
from revproxy.secrets import masked

HELD_BY_REQUIREMENT = "required"
HELD_BY_MOUNT = "mount"
HELD = frozenset(("held", HELD_BY_REQUIREMENT, HELD_BY_MOUNT))
"""Stages of removals that are not made: until what came with them works; as the plugin is required; as all are gone."""

UNTRUSTED = "trust"
"""Stage of what nobody who counts vouches for."""

REVOKED = "revoked"
"""Stage of what does not count any more, and does not run on."""

UNGRANTED = "grant"
"""Stage of what asks for more than it is granted."""

OF_TRUST = frozenset((UNTRUSTED, REVOKED, UNGRANTED))
"""Stages that come before any of a plugin's code runs."""

BY_STEPS = "rollout"
"""Stage of what has not come through the steps of a rollout, or waits for another one's."""

OF_OTHERS = frozenset(("files", "order", "store", BY_STEPS, *HELD, *OF_TRUST))
"""Stages at which a change fails because of something else than the plugin's own code."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    A change that was not made. Secrets in its texts are masked; halves of surrogate pairs (of names of files that are
    not UTF-8) are escaped.

    :ivar plugin: its name; empty for the configuration.
    :ivar stage: how far it came: ``files``, ``store``, ``order``, ``import``, ``main``, ``start``, …
    :ivar message: where, what, and what to do; may have several lines.
    :ivar version: what was refused, as far as it is known.
    :ivar traceback: of foreign code, or empty.
    :ivar problems: of the configuration: the same as the message, each with its place.
    """

    plugin: str
    stage: str
    message: str
    version: VersionId = UNKNOWN
    traceback: str = ""
    problems: tuple[Problem, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", writable(masked(self.message)))
        object.__setattr__(self, "traceback", writable(masked(self.traceback)))

    @property
    def digest(self) -> str | None:
        """Of the bundle that was refused, if its files could be read."""
        return self.version.digest

    @property
    def isItsOwn(self) -> bool:
        """Whether it failed by itself, and will again, whatever becomes of other plugins."""
        return self.stage not in OF_OTHERS


__all__ = ["Refusal"]
