"""The small languages inside configuration values: endpoints, networks, host names, URLs, header fields.

Pure functions. Each returns the value in the form the data plane wants or raises `ValueError` with a message for the
person who wrote it.
"""

from __future__ import annotations

import ipaddress
import os
import re
from urllib.parse import urlsplit

from revproxy.config.problems import quoted
from revproxy.dataplane.http.limits import METHOD_LENGTH
from revproxy.headers import EDGES_OWN, isFieldValue, isToken

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\Z")

_SYSTEMD = re.compile(r"systemd:domain=(INET|INET6|UNIX):(index=\d{1,4}|name=[^:=]{1,255})\Z")
_AUTHORITY_END = re.compile(r"[/?#]|\{path\}|\{target\}")
"""Path and target begin with a slash."""

_BRACES = re.compile(r"\{[^{}]*\}|[{}]")

SOCKET_PATH_LIMIT = 107
"""Bytes of a Unix socket's path that fit into ``sun_path`` of unix(7)."""

STANDARD_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
"""The methods of RFC 9110 and RFC 5789 that reach a route."""

PLACEHOLDERS = ("host", "hostname", "path", "query", "target")
"""What a redirect's location may take from the request."""


def endpoint(text: str) -> str:
    """A Twisted server endpoint string that can be made; nothing is bound.

    TLS is a listener's ``tls`` section, never a part of the endpoint: Twisted's own ``ssl:`` reads one certificate
    once and knows no SNI.
    """
    kind = text.partition(":")[0]
    if kind in ("ssl", "tls", "txacme", "le", "lets", "autossl"):
        raise ValueError(f'{quoted(text)}: give "tcp:…" here and the certificates in a "tls" section')
    if text.isdigit():
        raise ValueError(f'{quoted(text)} is no endpoint; did you mean "tcp:{text}"?')
    if kind == "systemd":
        # Which sockets there are is known only to the process that systemd has started.
        if not _SYSTEMD.match(text):
            raise ValueError(f"{quoted(text)}: write systemd:domain=INET:name=NAME, with FileDescriptorName= of the "
                             "socket's unit, or systemd:domain=INET:index=0")
        return text
    from twisted.internet.endpoints import serverFromString  # half the time of commands that need none

    try:
        # No endpoint touches its reactor before it listens.
        made = serverFromString(None, text)
    except Exception as error:  # parsers are plugins and raise what they like
        raise ValueError(f"{quoted(text)} is no server endpoint: {_endpointReason(kind, error)}") from None
    port = getattr(made, "_port", None)
    if isinstance(port, int) and kind in ("tcp", "tcp6") and not 0 <= port <= 65535:
        raise ValueError(f"{quoted(text)}: port {port} is not between 0 and 65535")
    size = len(os.fsencode(getattr(made, "_address", ""))) if kind == "unix" else 0
    if size > SOCKET_PATH_LIMIT:
        raise ValueError(f"{quoted(text)}: the path has {size} bytes, and Unix sockets take {SOCKET_PATH_LIMIT}")
    return text


def _endpointReason(kind: str, error: Exception) -> str:
    if "invalid literal for int" in str(error):
        return f"{quoted(str(error).rpartition(': ')[2].strip(chr(39)))} is no port number; write tcp:8080"
    if "Unknown endpoint type" in str(error):
        return f"there is no kind {quoted(kind)}; write tcp:8080, tcp:8080:interface=127.0.0.1, tcp6:8080 or unix:/path"
    if isinstance(error, TypeError):
        return "an argument is missing or unknown; write tcp:8080 or tcp:8080:interface=127.0.0.1"
    return str(error)


def network(text: str) -> str:
    """An address or a network in CIDR form."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        try:
            wider = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ValueError(f"{quoted(text)} is neither an address nor a network such as 10.0.0.0/8") from None
        raise ValueError(f"{quoted(text)} has bits set beyond its prefix; did you mean {wider}?") from None
    return text


def hostName(text: str, wildcard: bool = False) -> str:
    """A host in lower case: a name, an IPv4 address, or an IPv6 address in brackets.

    :param wildcard: whether ``*.example.com`` will do.
    """
    host = text.lower()
    if not host.isascii():
        raise ValueError(f"{quoted(text)}: write the name as it is sent{_punycode(host)}")
    if host.startswith("["):
        return f"[{_address6(host)}]"
    if ":" in host or "/" in host:
        raise ValueError(f"{quoted(text)}: only the name, without scheme, port and path")
    name = host
    if wildcard and host.startswith("*."):
        name = host[2:]
    elif "*" in host:
        hint = "a wildcard is written *.example.com" if wildcard else "no wildcard is possible here"
        raise ValueError(f"{quoted(text)}: {hint}")
    if len(name) > 253 or not _NAME.match(name):
        raise ValueError(f"{quoted(text)} is not a host name")
    if name.rpartition(".")[2].isdigit():
        try:
            ipaddress.IPv4Address(name)
        except ValueError:
            raise ValueError(f"{quoted(text)} is neither a host name nor an IPv4 address") from None
    return host


def _address6(host: str) -> str:
    try:
        return str(ipaddress.IPv6Address(host[1:-1] if host.endswith("]") else ""))
    except ValueError:
        raise ValueError(f"{quoted(host)} is not an IPv6 address in brackets") from None


def _punycode(host: str) -> str:
    try:
        return f': "{host.encode("idna").decode("ascii")}"'
    except UnicodeError:
        return ", in ASCII (punycode)"


def targetURL(text: str) -> tuple[str, str, int]:
    """``http://host[:port]`` or ``https://host[:port]`` as scheme, host (IPv6 without brackets) and port."""
    if any(character <= " " or character == "\x7f" or character == "\\" for character in text):
        raise ValueError(f"{quoted(text)} has a space, backslash or control character in it")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{quoted(text)} is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or "://" not in text:
        raise ValueError(f"{quoted(text)}: a target is http://host:port or https://host:port")
    if "@" in parts.netloc:
        raise ValueError(f"{quoted(text.rpartition('@')[2])}: a target has no user and password")
    if parts.path or "?" in text or "#" in text:
        raise ValueError(f"{quoted(text)}: a target has no path and no query; leave out what follows the port")
    if not host:
        raise ValueError(f"{quoted(text)} has no host")
    if port == 0:
        raise ValueError(f"{quoted(text)}: port 0 cannot be connected to")
    name = hostName(f"[{host}]" if ":" in host else host).strip("[]")
    return parts.scheme, name, port or (443 if parts.scheme == "https" else 80)


def routePath(text: str) -> str:
    """A path prefix. It is compared with the decoded, normalised path, so it must be one itself."""
    if not text.startswith("/"):
        raise ValueError(f"{quoted(text)} does not start with /")
    if "?" in text or "#" in text:
        raise ValueError(f"{quoted(text)}: a path has no query and no fragment")
    if "%" in text:
        raise ValueError(f"{quoted(text)}: write the path decoded, without %-escapes")
    if any(not character.isprintable() for character in text):
        raise ValueError(f"{quoted(text)} has a control character in it")
    segments = text.split("/")[1:]
    if "" in segments[:-1] or "." in segments or ".." in segments:
        raise ValueError(f"{quoted(text)} has empty, . or .. segments; no request would match it")
    if ";" in text or "\\" in text or any(name != name.strip() or name.endswith(".") for name in segments):
        raise ValueError(f"{quoted(text)}: ; and \\, and dots or spaces at the end of a name, are not the same to all "
                         "origins; requests for it would be refused")
    return text


def location(text: str) -> str:
    """What may stand in a Location field: a URL or an absolute path, in visible ASCII, with `PLACEHOLDERS`.

    Clients write what is put in, so it may be put in only where it cannot say where the location leads.
    """
    if not text.isascii() or any(character <= " " or character == "\x7f" for character in text):
        raise ValueError(f"{quoted(text)}: a URL has no spaces and only ASCII; escape the rest with %")
    if "\\" in text:
        raise ValueError(f"{quoted(text)}: browsers read a backslash as a slash; write %5C")
    if not text.startswith(("/", "{path}", "{target}")) and not _SCHEME.match(text):
        raise ValueError(f"{quoted(text)}: write a whole URL, or a path that starts with /")
    for match in _BRACES.findall(text):
        if match[1:-1] not in PLACEHOLDERS:
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise ValueError(f"{quoted(text)}: {match} is not one of {known}")
    _checkPlaces(text)
    return text


def _checkPlaces(text: str) -> None:
    """Where placeholders stand in a location. What names the host must not come from path or query."""
    if text.startswith(("/{path}", "/{target}")):
        raise ValueError(f"{quoted(text)}: leave out the first slash: what is put in begins with one")
    if text.startswith("/{query}"):
        raise ValueError(f"{quoted(text)}: with a query that begins with a slash it leads to another site")
    scheme = _SCHEME.match(text)
    if scheme is None and not text.startswith("//"):
        return
    web = scheme is None or scheme[0].lower() in ("http:", "https:")
    rest = text[scheme.end() :] if scheme else text
    if not rest.startswith("//"):
        if web or "{" in rest:
            raise ValueError(f"{quoted(text)}: write //host behind the scheme")
        return
    authority = _AUTHORITY_END.split(rest[2:], maxsplit=1)[0]
    if not authority and (web or "{" in rest):
        raise ValueError(f"{quoted(text)} has no host; one that is put in would lead to another site")
    if "{query}" in authority:
        raise ValueError(f"{quoted(text)}: the query would be a part of the host; write a slash before it")


def method(text: str) -> str:
    """A method (RFC 9110 §9.1), as it has to be spelled."""
    if text == "*":
        # A token, but nobody means a method of that name.
        raise ValueError(f"{quoted(text)} is not a method: leave methods out for all of them")
    if not _isToken(text):
        raise ValueError(f"{quoted(text)} is not a method: one each, as in [GET, POST]")
    if len(text) > METHOD_LENGTH:
        raise ValueError(f"{quoted(text)}: a method has {METHOD_LENGTH} characters at most")
    if text in ("CONNECT", "PRI"):
        raise ValueError(f"{text} is never taken: this is no forward proxy")
    if text not in STANDARD_METHODS and text.upper() in STANDARD_METHODS:
        raise ValueError(f"{quoted(text)}: case matters in methods; did you mean {text.upper()}?")
    return text


def headerField(name: str, value: str) -> tuple[str, str]:
    """A header field of a fixed answer (RFC 9110 §5.1, §5.5)."""
    if not _isToken(name):
        raise ValueError(f"{quoted(name)} is not the name of a header field")
    if name.lower().encode("ascii") in EDGES_OWN:
        raise ValueError(f"{name} is set by the edge itself")
    value = value.strip(" \t")
    if not _isFieldValue(value):
        raise ValueError(f"{quoted(value)} has characters that a header field cannot carry")
    return name, value


def _isToken(text: str) -> bool:
    return text.isascii() and isToken(text.encode())


def _isFieldValue(text: str) -> bool:
    """Whether a field may have this value, and a person can read it: no tab, and none of the controls of latin-1."""
    if "\t" in text or any("\x80" <= character < "\xa0" or character > "\xff" for character in text):
        return False
    return isFieldValue(text.encode("latin-1"))


def dottedName(text: str) -> str:
    """``package.module.name``."""
    if not _DOTTED.match(text):
        raise ValueError(f"{quoted(text)} is no dotted name such as package.module.name")
    return text
