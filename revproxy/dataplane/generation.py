"""
The running form of a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from revproxy.dataplane.chain import Chain
from revproxy.dataplane.detour import Detour
from revproxy.dataplane.routing import Route, Tree

_MOST_DETOURS = 1024
"""Detours that are kept; there are few, one for each plugin that reroutes and each pair of chains."""


class Generation:
    """
    The running form of a plan: resource tree, compiled chains, upstreams.

    :ivar number: counts up from 1.
    :ivar chains: by the groups of the routes.
    :ivar find: the route for a host and a request target, or None.
    """

    __slots__ = ("_branches", "_detours", "chains", "find", "number", "tree")

    def __init__(self, number: int, tree: Tree, chains: Sequence[Chain]) -> None:
        self.number = number
        self.tree = tree
        self.chains = tuple(chains)
        self._branches = frozenset(branch for chain in self.chains for branch in chain.branches)
        self.find: Callable[[bytes, bytes], Route | None] = tree.find
        self._detours: dict[tuple[Chain, int, Chain], Detour] = {}

    def detour(self, chain: Chain, depth: int, onto: Chain) -> Detour:
        """
        The chain of a request that goes on, from so many links of one chain, to a chain of this generation.

        :param chain: may be one of an earlier generation; then the detour is not kept, for it would keep what is over.
        :param onto: no fork, but one of its branches.
        """
        key = chain, depth, onto
        detour = self._detours.get(key)
        if detour is None:
            detour = Detour(*key)
            if len(self._detours) < _MOST_DETOURS and self._branches.issuperset(detour.parts):
                self._detours[key] = detour
        return detour
