r"""
What every version of HTTP has in common, at both ends of a request.

    >>> from revproxy.dataplane.http.fieldnames import isForwarding
    >>> isForwarding(b"x-forwarded-for"), isForwarding(b"accept")
    (True, False)

In the order in which a request meets them:

- `interfaces`: what a codec and the rest of the data plane ask of each other;
- `limits`: how much and how long a client, or an origin, is put up with;
- `fieldnames`: what the name of a field alone decides;
- `forwarding`: what is believed of proxies before us, and what the origin is told of the client;
- `shares`: what the connections to one target are taken up by;
- `tunnel`: bytes both ways after 101;
- `answerhead`: what the edge itself says in the head of an answer;
- `errorpage`: the answer to an error.
"""
