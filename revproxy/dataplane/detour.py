"""
The chain of a request that was routed anew.

It is made of the links that have let the request pass, and of those of the new route's chain that have not seen it. So
what the plugins of the new route demand is not skipped, and nobody is asked twice: a link is known by its middleware,
which is the same wherever plugin and configuration are, also where a wrapper is around it.
"""

from __future__ import annotations

from revproxy.dataplane.chain import Chain


class Detour(Chain):
    """
    A chain whose first links are passed already.

    It counts nobody itself: who goes through it is counted by its parts.
    """

    __slots__ = ("_parts",)

    def __init__(self, chain: Chain, depth: int, onto: Chain) -> None:
        """
        :param chain: what the request has come through.
        :param depth: how many of its links have let the request pass.
        :param onto: the chain of the new route.
        """
        passed = chain.links[:depth]
        known = {id(link.original) for link in passed}
        ahead = (link for link in onto.links if id(link.original) not in known)
        arms = tuple({met.plugin: met for met in (*chain.arms, *onto.arms)}.values())
        super().__init__((*passed, *ahead), depth, None if onto.explains is None else 0, arms)
        self._parts = chain.parts if onto in chain.parts else (*chain.parts, onto)

    @property
    def parts(self) -> tuple[Chain, ...]:
        """As :attr:`Chain.parts`."""
        return self._parts

    def release(self) -> None:
        """An exchange has ended."""
        for part in self._parts:
            part.release()
