r"""
HTTP/1.0 and HTTP/1.1 (RFC 9112) as they are on the wire, towards clients and towards origins.

What is no well-formed message is refused and never repaired:

    >>> from revproxy.dataplane.http1.requesthead import parseRequestHead
    >>> head = parseRequestHead(b"GET /a?b HTTP/1.1\r\nHost: A.example:80\r\n\r\n", maxHeaders=100)
    >>> head.target, head.hostname, head.length, head.keepAlive
    (b'/a?b', b'a.example', 0, True)
    >>> parseRequestHead(b"GET /a?b HTTP/1.1\r\n\r\n", maxHeaders=100)
    Traceback (most recent call last):
    ...
    revproxy.errors.BadRequest: no Host field

In the order in which a request and its answer meet them:

- `server`: the connection to a client; `requestreader` is the half of it that reads, `connectionstate` where it is,
  `connectionview` what others see of it;
- `heads`: what heads of requests and answers have in common;
- `partialhead`: heads that have not come whole, given up early; `requesthead`: those that have;
- `bodycoding`: where a body ends, by its length or in chunks; `chunkgrammar`: chunks as patterns;
- `client`: the connection to an origin; `clientroles`: what it asks of those around it; `keepalive`: how long the
  origin keeps a connection that nobody uses;
- `responsehead`: which answers of an origin may be passed on;
- `responsewriter`: an answer on its way to the client, head first and then piece by piece.
"""
