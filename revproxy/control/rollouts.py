"""
The rollouts of an edge: how new versions come into service by steps.
"""

from __future__ import annotations

from typing import Any

from revproxy.config.rolloutpolicy import RolloutPolicy
from revproxy.control.coordinator import Coordinator
from revproxy.control.steering import Asker


class Rollouts:
    """
    Those of one edge. What a command answers is as `revproxy.control.telling.Telling` says: ``text`` and ``refused``.
    """

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def views(self) -> list[dict[str, Any]]:
        """Those that go on, and of each other plugin its last; the latest first."""
        raise NotImplementedError

    def view(self, name: str) -> dict[str, Any]:
        """
        All about the rollout of a plugin that goes on, or was its last.

        :raises NotThere: there is no such plugin, or it has none.
        """
        raise NotImplementedError

    async def plan(self, name: str, version: str | None = None, policy: RolloutPolicy | None = None) -> dict[str, Any]:
        """
        How long a rollout would take by the traffic of the last hour, and what it could not show.

        :param version: None: what its folder has.
        :raises NotThere: there is no such plugin. :raises CommandError: there is nothing to roll out.
        """
        raise NotImplementedError

    def isStored(self, name: str, version: str | None) -> bool:
        """Whether a version that somebody means has run here, be it for some clients."""
        raise NotImplementedError

    async def start(
        self, asker: Asker, name: str, version: str | None = None, policy: RolloutPolicy | None = None
    ) -> dict[str, Any]:
        """
        Roll a version out: a stored one, or what the folder has.

        :param policy: for this time; None: the plugin's, or the usual one.
        :raises NotThere: there is no such plugin. :raises CommandError: it cannot be rolled out.
        """
        raise NotImplementedError

    async def step(self, asker: Asker, name: str) -> dict[str, Any]:
        """Go on to the next step, whatever was seen. :raises CommandError: it has no rollout that goes on."""
        raise NotImplementedError

    async def hold(self, asker: Asker, name: str) -> dict[str, Any]:
        """Stay in this step; a candidate that is worse still goes back. :raises CommandError: as :meth:`step`."""
        raise NotImplementedError

    async def resume(self, asker: Asker, name: str) -> dict[str, Any]:
        """Go on by what is seen. :raises CommandError: as :meth:`step`, or it is not held."""
        raise NotImplementedError

    async def promote(self, asker: Asker, name: str) -> dict[str, Any]:
        """Have the candidate serve everybody. :raises CommandError: as :meth:`step`."""
        raise NotImplementedError

    async def abort(self, asker: Asker, name: str) -> dict[str, Any]:
        """Have the candidate serve nobody. A rescue. :raises CommandError: as :meth:`step`."""
        raise NotImplementedError
