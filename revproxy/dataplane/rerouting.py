"""
A route that is chosen once more, because a plugin has changed host or path and asked for it.

By what serves now, which may be another generation than the one that the request began with: the chains of that one may
have been given up meanwhile, and with them the plugins that are to be asked. A target that origins may read differently
is refused here as it is when it comes from a client.
"""

from __future__ import annotations

from twisted.python.failure import Failure

from revproxy.context import Context
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.routing import Route
from revproxy.dataplane.story import note
from revproxy.destination import Goal
from revproxy.errors import NotFound, PluginFailed

MOST_REROUTES = 5
"""How often the route of one request may be chosen anew."""


def chosenAnew(
    generation: Generation, context: Context, goal: Goal, chain: Chain, hostname: bytes
) -> tuple[Route, Chain]:
    """
    The new route, and the chain to go on in; they know of the request from here on.

    :param generation: the one that serves.
    :param chain: what the request has come through. Its last link that was passed has asked for another route.
    :raises NotFound: if there is none.
    :raises AmbiguousPath: if an origin may take the target for one of another route.
    :raises PluginFailed: if there were too many.
    """
    _leave(context, goal, chain)
    route = generation.find(hostname, context._request._rawTarget)
    if route is None:
        raise NotFound(f"no route for the host and path that {chain.links[context._depth - 1].name} has set")
    onto = generation.chains[route.group].armFor(context)
    detour = generation.detour(chain, context._depth, onto)
    if onto not in chain.parts:
        onto.active += 1
    name = chain.links[context._depth - 1].name
    note(context, name, f"rerouted from {context._route.name} to {route.name}", "rerouted")
    context._route = route
    return route, detour


def _leave(context: Context, goal: Goal, chain: Chain) -> None:
    """
    The request leaves its route for another.

    :param chain: its last link that was passed has asked for it.
    :raises PluginFailed: if that was asked for too often; also if that link's failures are passed over otherwise, for
        where the request should go then nobody knows.
    """
    goal.isRerouting = False
    goal.via += (context.route,)
    if len(goal.via) > MOST_REROUTES:
        link = chain.links[context._depth - 1]
        way = " → ".join(goal.via)
        try:
            raise RuntimeError(f"the request was rerouted more than {MOST_REROUTES} times: {way} → …")
        except RuntimeError as error:
            link.failed(context, Failure())
            raise PluginFailed(f"{link.name} {link.version}: {error}") from None
