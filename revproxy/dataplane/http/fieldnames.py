"""
What the name of a field alone decides: whether the connection, or the edge itself, has to do with it.

Three kinds are told apart. *Plain* names are those that most traffic consists of and that concern nobody here; they are
found in one look, as they are usually written, so that everything below costs only the unusual. *Noted* names belong to
the connection, delimit the body or say whom the request is for. *Forwarding* names tell who the client is, or what it
asked for, in place of what can be seen: only a proxy in front has a reason to send them, so they are believed of
trusted proxies and dropped of everybody else. docs/reference.md publishes them. Beside these there are two names that
tell to which trace a request belongs (:mod:`~revproxy.dataplane.http.tracing`).
"""

from __future__ import annotations

NOTED = frozenset(
    (
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"http2-settings",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)

FORWARDING_PREFIXES = (
    b"x-forwarded-",
    b"x-amzn-mtls-",
    b"x-amzn-oidc-",
    b"x-auth-request-",
    b"x-goog-authenticated-user-",
    b"x-ms-client-principal",
    b"x-ssl-client-",
    b"ssl-client-",
)
"""How names begin that only a proxy in front has a reason to send."""

FORWARDING = frozenset(
    (
        # RFC 7239, RFC 9440
        b"forwarded",
        b"client-cert",
        b"client-cert-chain",
        # The client's address
        b"cf-connecting-ip",
        b"cf-connecting-ipv6",
        b"cf-pseudo-ipv4",
        b"client-ip",
        b"fastly-client-ip",
        b"fly-client-ip",
        b"forwarded-for",
        b"forwarded-for-ip",
        b"proxy-client-ip",
        b"true-client-ip",
        b"wl-proxy-client-ip",
        b"x-appengine-user-ip",
        b"x-azure-clientip",
        b"x-azure-socketip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-envoy-external-address",
        b"x-forward-for",
        b"x-forwarded",
        b"x-originating-ip",
        b"x-proxyuser-ip",
        b"x-real-ip",
        b"x-remote-addr",
        b"x-remote-ip",
        # What was asked for, and how
        b"front-end-https",
        b"x-envoy-original-path",
        b"x-host",
        b"x-http-host-override",
        b"x-original-forwarded-for",
        b"x-original-host",
        b"x-original-method",
        b"x-original-uri",
        b"x-original-url",
        b"x-rewrite-url",
        b"x-scheme",
        b"x-url-scheme",
        # Who the client has proved to be
        b"cf-access-authenticated-user-email",
        b"cf-access-jwt-assertion",
        b"remote-email",
        b"remote-groups",
        b"remote-name",
        b"remote-user",
        b"x-arr-clientcert",
        b"x-client-cert",
        b"x-client-cert-chain",
        b"x-goog-iap-jwt-assertion",
        b"x-remote-user",
        b"x-ssl-cert",
        b"x-webauth-user",
    )
)
"""Further names of that kind, each known from a product that believes it."""

PROXY = b"proxy"
"""CGI makes ``HTTP_PROXY`` of it, which HTTP clients take for their own setting (CVE-2016-5385): nobody may send it."""


def isForwarding(lower: bytes) -> bool:
    """Whether only a proxy in front has a reason to send a field of this (lower-case) name."""
    return lower in FORWARDING or lower.startswith(FORWARDING_PREFIXES)


_PLAIN = """
accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-credentials
access-control-allow-headers access-control-allow-methods access-control-allow-origin access-control-expose-headers
access-control-max-age access-control-request-headers access-control-request-method age allow alt-svc authorization
baggage cache-control content-disposition content-encoding content-language content-location content-range
content-security-policy content-type cookie cross-origin-embedder-policy cross-origin-opener-policy
cross-origin-resource-policy date dnt etag expires from if-match if-modified-since if-none-match if-range
if-unmodified-since last-modified link location max-forwards origin permissions-policy pragma priority range referer
referrer-policy retry-after save-data sec-ch-ua sec-ch-ua-arch sec-ch-ua-bitness sec-ch-ua-full-version-list
sec-ch-ua-mobile sec-ch-ua-model sec-ch-ua-platform sec-ch-ua-platform-version sec-fetch-dest sec-fetch-mode
sec-fetch-site sec-fetch-user sec-gpc sec-websocket-accept sec-websocket-extensions sec-websocket-key
sec-websocket-protocol sec-websocket-version server server-timing set-cookie strict-transport-security
timing-allow-origin upgrade-insecure-requests user-agent vary via www-authenticate x-api-key
x-content-type-options x-correlation-id x-csrf-token x-frame-options x-powered-by x-request-id x-requested-with
x-xss-protection
"""

_CAPITALS = (b"ETag", b"DNT", b"WWW-Authenticate", b"X-XSS-Protection")

PLAIN = {spelling.encode(): name.encode() for name in _PLAIN.split() for spelling in (name, name.title())}
PLAIN.update((name, name.lower()) for name in _CAPITALS)
"""
Names that concern nobody here, as they are usually written, to lower case. None of them is of the kinds above. Requests
add to it what they are written with (:func:`learn`).
"""

plainName = PLAIN.get
"""The name in lower case, if it is one of them; None for any other."""

_MOST_LEARNT = len(PLAIN) + 1024
_LONGEST_LEARNT = 40


def learn(name: bytes, lower: bytes) -> None:
    """
    A request has this name, and it concerns nobody: look no closer the next time.

    Strangers write names, so there is an end to it. Who fills it up with rubbish makes others pay half a microsecond.
    """
    if len(PLAIN) < _MOST_LEARNT and len(name) <= _LONGEST_LEARNT:
        PLAIN[name] = lower
