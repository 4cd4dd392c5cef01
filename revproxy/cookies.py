"""
Cookies of a request, and ``Set-Cookie`` for an answer (RFC 6265; the prefixes and SameSite of its successor, 6265bis).

::

    cookies = Cookies.of(context.request.headers)
    session = cookies.get("session")
    cookies.remove("tracking")
    cookies.writeTo(context.request.headers)        # the origin gets the rest

    context.response.headers.add("Set-Cookie", setCookie("seen", "1", maxAge=3600, sameSite="Lax"))

Names are compared exactly, and the same name may be there more than once: browsers send cookies of several paths and
domains, and say of none whose it is. A plugin that decides by a cookie refuses a request that has it twice
(:meth:`Cookies.getAll`), or makes sure that the origin gets the one that it looked at (:meth:`Cookies.set`).
"""

from __future__ import annotations

from revproxy.headers import Headers, isToken

__all__ = ["Cookies", "setCookie"]

_OCTETS = frozenset(range(0x21, 0x7F)) - frozenset(b'",;\\')
"""What a value is made of (RFC 6265 §4.1.1)."""

_ATTRIBUTE = frozenset(range(0x20, 0x7F)) - frozenset(b";")
"""What Path and Domain are made of."""

_SAME_SITE = ("Strict", "Lax", "None")


class Cookies:
    """
    The cookies of one request, in their order.

    :ivar pairs: names and values as they were sent; the quotes around a value belong to it (RFC 6265 §5.4).
    """

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, str]] | None = None) -> None:
        self.pairs: list[tuple[str, str]] = [] if pairs is None else pairs

    @classmethod
    def of(cls, headers: Headers) -> Cookies:
        """
        Those of a header section, whatever is in it: pieces without ``=`` are cookies without a name, as browsers have
        it (6265bis §5.6), and empty ones are none.
        """
        pairs = []
        for line in headers.getAll("Cookie"):
            for piece in line.split(";"):
                name, equals, value = piece.partition("=")
                if not equals:
                    name, value = "", piece
                name, value = name.strip(" \t"), value.strip(" \t")
                if name or value:
                    pairs.append((name, value))
        return cls(pairs)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The value of the first of this name: browsers send that of the longest path first."""
        return next((value for known, value in self.pairs if known == name), default)

    def getAll(self, name: str) -> list[str]:
        """The values of all of this name."""
        return [value for known, value in self.pairs if known == name]

    def set(self, name: str, value: str) -> None:
        """
        Exactly one of this name, at the place of the first; at the end if there was none.

        :raises ValueError: as :func:`setCookie`, for the name or the value.
        """
        _check(name, value)
        places = [index for index, (known, _) in enumerate(self.pairs) if known == name]
        if not places:
            self.pairs.append((name, value))
            return
        self.pairs[places[0]] = name, value
        for index in reversed(places[1:]):
            del self.pairs[index]

    def remove(self, name: str) -> None:
        """None of this name."""
        self.pairs = [(known, value) for known, value in self.pairs if known != name]

    def keep(self, *names: str) -> None:
        """None but those of these names."""
        self.pairs = [(known, value) for known, value in self.pairs if known in names]

    def __contains__(self, name: str) -> bool:
        return any(known == name for known, _ in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def writeTo(self, headers: Headers) -> None:
        """Put them into a header section in the place of those that are there: in one field, or none."""
        headers.remove("Cookie")
        if self.pairs:
            headers.set("Cookie", "; ".join(f"{name}={value}" if name else value for name, value in self.pairs))


def setCookie(
    name: str,
    value: str,
    *,
    maxAge: int | None = None,
    path: str | None = "/",
    domain: str | None = None,
    secure: bool = True,
    httpOnly: bool = True,
    sameSite: str | None = "Lax",
    partitioned: bool = False,
) -> str:
    """
    The value of a ``Set-Cookie`` field. *Add* it to the headers: there may be several.

    :param value: printable ASCII without space, quotes, comma, semicolon and backslash; encode anything else.
    :param maxAge: seconds; 0 deletes it, None lets it end with the browser.
    :param path: None for the folder of the page.
    :param domain: it and all below; None for this very host.
    :param sameSite: ``"Strict"``, ``"Lax"``, ``"None"``, or None to leave it to the browser.
    :param partitioned: one for each site that the page is embedded in (CHIPS); needs ``secure``.
    :raises ValueError: for what browsers would not take: a bad name or value, ``__Host-`` or ``__Secure-`` without what
        they promise, ``SameSite=None`` without Secure.
    """
    _check(name, value)
    if maxAge is not None and (isinstance(maxAge, bool) or not isinstance(maxAge, int)):
        raise ValueError(f"Max-Age is a whole number of seconds, not {maxAge!r}")
    for word, text in (("Path", path), ("Domain", domain)):
        if text is not None and not _ATTRIBUTE.issuperset(text.encode("utf-8")):
            raise ValueError(f"{word} is printable ASCII without a semicolon, not {text!r}")
    if sameSite is not None and sameSite not in _SAME_SITE:
        raise ValueError(f"SameSite is one of {', '.join(_SAME_SITE)}, not {sameSite!r}")
    if not secure and (sameSite == "None" or partitioned):
        raise ValueError("browsers take SameSite=None and Partitioned only of secure cookies")
    _checkPrefix(name, path, domain, secure)
    parts = [
        f"{name}={value}",
        None if maxAge is None else f"Max-Age={maxAge}",
        None if path is None else f"Path={path}",
        None if domain is None else f"Domain={domain}",
        "Secure" if secure else None,
        "HttpOnly" if httpOnly else None,
        None if sameSite is None else f"SameSite={sameSite}",
        "Partitioned" if partitioned else None,
    ]
    return "; ".join(part for part in parts if part is not None)


def _check(name: str, value: str) -> None:
    if not isinstance(name, str) or not isToken(name.encode("utf-8")):
        raise ValueError(f"not the name of a cookie: {name!r} (RFC 6265 §4.1.1)")
    inner = value[1:-1] if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"' else value
    if not isinstance(value, str) or not _OCTETS.issuperset(inner.encode("utf-8")):
        raise ValueError(f"the value of cookie {name} is not printable ASCII, or has one of these: space \" , ; \\")


def _checkPrefix(name: str, path: str | None, domain: str | None, secure: bool) -> None:
    """What the prefixes promise, which browsers compare in any case (6265bis §5.7)."""
    lower = name.lower()
    if lower.startswith("__secure-") and not secure:
        raise ValueError(f"{name}: a cookie of this name is secure")
    if lower.startswith("__host-") and not (secure and path == "/" and domain is None):
        raise ValueError(f"{name}: a cookie of this name is secure, has the path / and no domain")
