"""
The transport that a listening port makes of an accepted socket: plain or TLS, with or without a PROXY header first.

    port = yield serverFromString(EagerReactor(reactor), "tcp:8443").listen(factory)
    port.transport = serverTransport(contexts, trusted)

Between the two lines the loop does not turn, so no connection is accepted with the wrong one.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from revproxy.addresses import AddressSet
from revproxy.dataplane.net.eagerserver import EagerServer, EagerUNIXServer
from revproxy.dataplane.net.proxyprotocol import ProxyHeaders
from revproxy.dataplane.net.tlscontexts import ServerContexts
from revproxy.dataplane.net.tlsserver import TLSServer, TLSUNIXServer


def serverTransport(
    contexts: ServerContexts | None = None, trustedForProxyProtocol: AddressSet | None = None
) -> Callable[..., Any]:
    """
    :param contexts: the listener's hosts; :obj:`None` for plain text.
    :param trustedForProxyProtocol: who must send a PROXY header; :obj:`None` when nobody may.
    :return: for the ``transport`` of TCP and UNIX ports alike.
    """
    tcp = _transportClass(EagerServer if contexts is None else TLSServer, contexts, trustedForProxyProtocol)
    unix = _transportClass(EagerUNIXServer if contexts is None else TLSUNIXServer, contexts, trustedForProxyProtocol)

    def transport(skt: socket.socket, *args: Any) -> Any:
        return (unix if skt.family == socket.AF_UNIX else tcp)(skt, *args)

    return transport


def _transportClass(base: type[EagerServer], contexts: ServerContexts | None, trusted: AddressSet | None) -> Any:
    """What is the same for all connections of a listener belongs to a class of its own, not to each of them."""
    bases: tuple[type, ...] = (base,)
    shared: dict[str, Any] = {}
    if contexts is not None:
        shared["contexts"] = contexts
    if trusted is not None:
        bases = (ProxyHeaders, base)
        shared |= {"trusted": trusted, "refusals": [0]}
    return type(base.__name__, bases, shared) if shared else base


__all__ = ["serverTransport"]
