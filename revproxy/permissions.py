"""
What a plugin may touch: one shape for what it asks for (``permissions`` in plugin.json), what it is granted
(``plugins.grants`` in revproxy.yaml), and what a signer may have granted (``trust.signers``).

    >>> asked = Permissions.of({"read_headers": ["X-Tenant", "Cookie"], "respond": True})
    >>> granted = Permissions.of({"read_headers": ["x-tenant"], "respond": True})
    >>> granted.lacks(asked)
    ('read_headers: Cookie',)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

ALL: Final = "*"
"""In a list of fields: each but those of `NAMED_ONLY`."""

NAMED_ONLY: Final = frozenset(("authorization", "cookie", "proxy-authorization", "set-cookie"))
"""Fields that are seen and changed only where they are named: they have what lets people in."""

PSEUDO: Final = frozenset((":authority", ":method", ":path"))
"""
Parts of a request's head, as HTTP/2 calls them (RFC 9113 §8.3.1), which stand in lists of fields: to read
``:authority`` is to see the host, to read ``:path`` is to see the query, too. Method and path are always seen.
"""

HOST: Final = frozenset((":authority", "host"))
"""Two names of one thing. ``*`` is the field, which is seen then, and not the host, which is not changed by it."""

CLIENT: Final = ("x-forwarded-for", "forwarded")
"""Fields that have the client's address: whoever may see one of them sees who the client is."""

Body = Literal["none", "read", "write"]
_BODIES: Final = ("none", "read", "write")


@dataclass(frozen=True, slots=True)
class Permissions:
    """
    Names of fields are in lower case.

    :ivar readHeaders: fields of requests and responses that are seen.
    :ivar writeHeaders: fields that are set and deleted.
    :ivar body: whether bodies are read; ``"write"``: and changed.
    :ivar respond: whether it may answer in the place of the origin.
    :ivar upstreams: names of those it may send requests to by itself, and choose among.
    :ivar store: whether it may keep values over restarts.
    :ivar figures: whether it may count, for the metrics.
    :ivar environment: variables that its configuration may refer to.
    :ivar files: files that its configuration may refer to, as revproxy.yaml has their paths.
    """

    readHeaders: frozenset[str] = frozenset()
    writeHeaders: frozenset[str] = frozenset()
    body: Body = "none"
    respond: bool = False
    upstreams: frozenset[str] = frozenset()
    store: bool = False
    figures: bool = False
    environment: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Permissions:
        """From what users write, which a schema has looked at: keys as ``read_headers``; what is left out is none."""
        return cls(
            _lower(value.get("read_headers", ())),
            _lower(value.get("write_headers", ())),
            value.get("body", "none"),
            value.get("respond", False),
            frozenset(value.get("upstreams", ())),
            value.get("store", False),
            value.get("figures", False),
            frozenset(value.get("environment", ())),
            frozenset(value.get("files", ())),
        )

    def asDict(self) -> dict[str, Any]:
        """As users write it; every key is there."""
        return {key: sorted(value) if isinstance(value, frozenset) else value for key, value in self._items()}

    def _items(self) -> Iterable[tuple[str, Any]]:
        for each in fields(self):
            yield _KEYS.get(each.name, each.name), getattr(self, each.name)

    def mayRead(self, name: str) -> bool:
        """Whether a field is seen. :param name: in lower case."""
        return _has(self.readHeaders, name)

    def mayWrite(self, name: str) -> bool:
        """Whether a field may be set and deleted. :param name: in lower case."""
        return _has(self.writeHeaders, name)

    @property
    def seesHost(self) -> bool:
        """Whether the host that a request is for is seen, and what is known of the TLS session, which names it."""
        return self.mayRead("host")

    @property
    def changesHost(self) -> bool:
        """Whether the host that a request is for is changed, and its field."""
        return self.mayWrite(":authority")

    @property
    def seesQuery(self) -> bool:
        """Whether the query is seen."""
        return _has(self.readHeaders, ":path")

    @property
    def seesClient(self) -> bool:
        """Whether the client's address is seen."""
        return any(map(self.mayRead, CLIENT))

    @property
    def seesValues(self) -> bool:
        """Whether, in a locked process, it sees what others left in ``context.values``: who reads some field does."""
        return bool(self.readHeaders)

    @property
    def changesValues(self) -> bool:
        """Whether what it leaves there is for others, too: of whoever may change some field."""
        return bool(self.writeHeaders)

    @property
    def seesBody(self) -> bool:
        """Whether bodies are read."""
        return self.body != "none"

    @property
    def changesBody(self) -> bool:
        """Whether bodies are changed."""
        return self.body == "write"

    def lacks(self, asked: Permissions) -> tuple[str, ...]:
        """What is asked for and not in these, in words: ``read_headers: Cookie``."""
        missing = []
        for (key, own), (_, wanted) in zip(self._items(), asked._items(), strict=True):
            if isinstance(wanted, frozenset):
                isFields = key.endswith("_headers")
                lacking = sorted(name for name in wanted if not (_has(own, name) if isFields else name in own))
                missing += [f"{key}: {_written(name) if isFields else name}" for name in lacking]
            elif key == "body":
                if _BODIES.index(wanted) > _BODIES.index(own):
                    missing.append(f"body: {wanted}")
            elif wanted and not own:
                missing.append(key)
        return tuple(missing)

    def within(self, bound: Permissions) -> Permissions:
        """Of these, what a bound has, too."""
        return Permissions(
            _both(self.readHeaders, bound.readHeaders),
            _both(self.writeHeaders, bound.writeHeaders),
            min(self.body, bound.body, key=_BODIES.index),
            self.respond and bound.respond,
            self.upstreams & bound.upstreams,
            self.store and bound.store,
            self.figures and bound.figures,
            self.environment & bound.environment,
            self.files & bound.files,
        )


NOTHING: Final = Permissions()
"""What nobody has to ask for, and no more."""

UNASKED: Final = Permissions(respond=True)
"""What a plugin in a locked process may that asks for nothing: it sees method and path, and may answer."""

_KEYS: Final = {"readHeaders": "read_headers", "writeHeaders": "write_headers"}


def _lower(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


def _has(own: frozenset[str], name: str) -> bool:
    if name in HOST and not HOST.isdisjoint(own):
        return True
    return name in own or (ALL in own and name not in NAMED_ONLY and name not in PSEUDO)


def _both(own: frozenset[str], bound: frozenset[str]) -> frozenset[str]:
    return frozenset(name for name in own if _has(bound, name)) | frozenset(
        name for name in bound if _has(own, name)
    )


def _written(name: str) -> str:
    return name if name == ALL or name.startswith(":") else "-".join(part.capitalize() for part in name.split("-"))
