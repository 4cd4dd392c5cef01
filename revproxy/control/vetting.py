"""
Where trust meets what is remembered: which versions can be had from the store and may run, and what is kept of those
that do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from revproxy.config.settings import Config
from revproxy.control.planning.choice import Choice
from revproxy.control.state.keeper import StateKeeper
from revproxy.control.state.records import VersionRecord
from revproxy.control.trust.trust import Trust
from revproxy.plan.catalog import CatalogEntry
from revproxy.plan.plan import Plan


class Vetting:
    """That of one coordinator."""

    def __init__(self, trust: Trust, keeper: StateKeeper) -> None:
        self._trust = trust
        self._keeper = keeper

    def choice(
        self, config: Config, others: Iterable[CatalogEntry], choosing: Callable[..., Choice], *arguments: Any
    ) -> Choice:
        """
        A choice, whose signatures are verified here: for a thread, so that it is not done in the loop.

        :param others: what it may come to instead, and what may have been signed anew.
        """
        choice = choosing(*arguments)
        self._trust.prepare(config, (*choice.entries.values(), *others))
        return choice

    async def firstUsable(
        self, name: str, versions: Iterable[VersionRecord], config: Config
    ) -> VersionRecord | None:
        """The first of these versions that can be had from the store, and may run; None if none is."""
        return await self._keeper.firstStored(name, versions, lambda entry: self._trust.whyNot(entry, config))

    async def recorded(self, plan: Plan) -> None:
        """What runs is recorded. It may have been signed anew, while nothing else of it has changed."""
        for name, digest, signature in self._trust.signedAnew(plan):
            await self._keeper.keepSignature(name, digest, signature)
        plugins = self._keeper.records.plugins.items()
        self._trust.looked(plan.config, {(name, known.digest) for name, record in plugins for known in record.versions})


__all__ = ["Vetting"]
