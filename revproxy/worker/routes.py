"""
The route table of a worker, and how it becomes another one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from revproxy.config.problems import ConfigErrors
from revproxy.config.settings import Config
from revproxy.dataplane.leaves.destinations import Destinations
from revproxy.loop.jobthread import DiskSilent, JobThread
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import Prepare, Target
from revproxy.worker.participant import Refused
from revproxy.worker.routetable import RouteTable, makeRouteTable, makeRouteTableWhileServing
from revproxy.worker.upstreamfactory import Parts


class Routes:
    """
    A worker's route table; see `Participant`.

    :ivar table: what requests are routed by; None before the first commit.
    :ivar next: what was prepared; None where nothing is.
    """

    def __init__(
        self, parts: Parts, client: Any, files: JobThread, onFirst: Callable[[], None] = lambda: None
    ) -> None:
        """
        :param client: what requests are sent with.
        :param files: reads them.
        :param onFirst: called once, when the first table is made.
        """
        self.table: RouteTable | None = None
        self.next: RouteTable | None = None
        self._parts = parts
        self._client = client
        self._files = files
        self._onFirst: Callable[[], None] | None = onFirst
        self._steered: dict[tuple[str, str], Target] = {}

    def steer(self, word: Target) -> None:
        """Have a target take requests or not, and how many: in what serves, and in whatever is made later."""
        key = word.upstream, word.url
        if word.inService and word.weight is None:
            self._steered.pop(key, None)
        else:
            self._steered[key] = word
        for table in (self.table, self.next):
            if table is not None:
                _steer(table, word)

    async def prepare(self, word: Prepare) -> None:
        """Make what the configuration says, or take what there is. :raises Refused: with all that is wrong."""
        config = word.plan.config
        previous = self._previous(config)
        try:
            if self.table is None or previous is None:
                self.next = makeRouteTable(config, self._parts, self._client, previous)
            else:
                self.next = await makeRouteTableWhileServing(
                    config, self._parts, self._client, previous, self._files.do
                )
        except ConfigErrors as errors:
            raise Refused(Refusal("", "build", str(errors), problems=errors.problems)) from None
        except DiskSilent as silent:
            raise Refused(Refusal("", "files", f"the files cannot be looked at: {silent}")) from None
        finally:
            if self._onFirst is not None:
                onFirst, self._onFirst = self._onFirst, None
                onFirst()
        for steered in self._steered.values():
            _steer(self.next, steered)

    def _previous(self, config: Config) -> RouteTable | None:
        """
        The table that another one shares as much as possible with: the one of an earlier try with the same
        configuration, or the one that serves. What was made for a configuration that was refused has nothing to give.
        """
        if self.next is not None and (self.table is None or self.next.config is config):
            return self.next
        return self.table

    def destinations(self) -> Destinations:
        """
        The upstreams there are, for plugins that ask for them.

        :raises ValueError: there are none yet.
        """
        table = self.table or self.next
        if table is None:
            raise ValueError("no upstream is configured yet")
        return table.destinations

    async def ready(self) -> None:
        """Nothing comes last."""

    def commit(self) -> None:
        """The table before gives up its upstream connections that this one does not share, as they become idle."""
        if self.next is not None:
            before, self.table, self.next = self.table, self.next, None
            if before is not None:
                before.close(self.table)

    async def abandon(self) -> None:
        """Nothing has been connected yet."""
        self.next = None

    def end(self) -> None:
        """Give up all upstream connections as they become idle."""
        if self.table is not None:
            self.table.close()


def _steer(table: RouteTable, word: Target) -> None:
    known = table.upstreams.get(word.upstream)
    if known is not None:
        known[1].steer(word.url, word.inService, word.weight)
