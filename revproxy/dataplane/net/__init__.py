"""
Connections: bytes between a socket and a protocol, written at once, in plain text or TLS, behind a PROXY header or not.

A reactor of this package is given to any of Twisted's endpoints, and a port is told what to make of accepted sockets::

    port = await serverFromString(EagerReactor(reactor), "tcp:8443").listen(factory)
    port.transport = serverTransport(ServerContexts({}, HostTLS(serverContext(chain, key))))

In the order in which a connection meets them:

- `eagerreactor`: ports that accept and connectors that connect, and survive scarcity;
- `servertransport`: which transport a port makes of an accepted socket;
- `proxyprotocol`: who the client of the proxy before us is;
- `clienthello`: the host that a client asks for, read before OpenSSL sees it;
- `tlscontexts`: the hosts of a listener, each with its certificate, and whom a client trusts;
- `tlsserver`, `tlsclient`: the handshake, as the accepting and as the connecting end;
- `sockettls`: what both do then: OpenSSL on the socket itself;
- `eagerconnection`, with `eagerserver` and `eagerclient`: connections whose writes go out at once, which all of these
  are.
"""
