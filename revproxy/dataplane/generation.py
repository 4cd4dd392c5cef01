"""
The running form of a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from revproxy.dataplane.chain import Chain
from revproxy.dataplane.routing import Route, Tree


class Generation:
    """
    The running form of a plan: resource tree, compiled chains, upstreams.

    :ivar number: counts up from 1.
    :ivar chains: by the groups of the routes.
    :ivar find: the route for a host and a request target, or None.
    """

    __slots__ = ("chains", "find", "number", "tree")

    def __init__(self, number: int, tree: Tree, chains: Sequence[Chain]) -> None:
        self.number = number
        self.tree = tree
        self.chains = tuple(chains)
        self.find: Callable[[bytes, bytes], Route | None] = tree.find
