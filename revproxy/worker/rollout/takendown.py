"""
Requests that are taken down: what each plugin in them was asked, and did.

A share of requests takes a chain whose middleware are wrapped. To the chain, to the plugin and to the request nothing
is different: what is written down is copied, and nothing that goes wrong here is anybody's failure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from revproxy.context import Context
from revproxy.replay.recordedrequest import RecordedRequest
from revproxy.worker.lifecycle.instance import Instance

Taker = Callable[["TakenRequest"], None]
"""Is given a request that was taken down, once its answer is on its way: the shadow of a trial, or a recording."""


class TakenRequest:
    """
    A request as it was taken down.

    :ivar calls: of plugins, in the order in which they were made, each with its instance.
    """

    def recorded(self) -> RecordedRequest:
        """As a value."""
        raise NotImplementedError


class TakenDown:
    """
    Of one worker.
    """

    def wrap(self, instance: Instance, middleware: Any) -> Any:
        """
        A middleware that is taken down; the same one for the same middleware, as long as anybody has it.

        Detours know a link by its middleware: a request that goes through a taken-down chain has to be rerouted onto
        taken-down chains, or plugins are asked twice.

        :param middleware: what stands in the chain: the instance's object, or what guards it. What is returned provides
            what it does.
        """
        raise NotImplementedError

    def begin(self, context: Context, takers: tuple[Taker, ...]) -> None:
        """
        A request goes through a taken-down chain. To be called before it enters; the end comes by itself, with
        ``context.over()``. Without this, wrapped middleware take nothing down.
        """
        raise NotImplementedError
