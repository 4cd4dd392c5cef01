"""
Permissions as facades ask them: decided once for a plugin, so that a call costs little more than a look into a set.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from revproxy.errors import NotPermitted
from revproxy.headers import LETTERS_DIGITS_HYPHEN, TOKEN, joined
from revproxy.permissions import ALL, CLIENT, HOST, NAMED_ONLY, PSEUDO, Permissions

_JOINING: Final = sorted(TOKEN - frozenset(LETTERS_DIGITS_HYPHEN))
"""What gateways take for a hyphen, and is none; see `revproxy.headers.isJoined`."""


class FieldNames:
    """
    Which fields some permission is for.

    :ivar names: in lower case, as bytes.
    :ivar isAllBut: whether it is for all but these.
    """

    __slots__ = ("isAllBut", "names")

    def __init__(self, own: frozenset[str], isHost: bool) -> None:
        """
        :param own: as `Permissions` has them.
        :param isHost: whether the field ``Host`` is among them, whatever they say.
        """
        self.isAllBut = ALL in own
        if self.isAllBut:
            hidden = NAMED_ONLY - own if isHost else (NAMED_ONLY - own) | {"host"}
            self.names = frozenset(spelling for name in hidden for spelling in _spellings(name.encode("ascii")))
        else:
            fields = (own - PSEUDO - HOST) | ({"host"} if isHost else frozenset())
            self.names = frozenset(name.encode("latin-1", "replace") for name in fields)

    def has(self, lower: bytes) -> bool:
        """Whether it is for a field of this name. :param lower: in lower case."""
        return (lower in self.names) is not self.isAllBut

    def joined(self) -> FieldNames:
        """The same where names have hyphens only; see `revproxy.headers.JoinedHeaders`."""
        same = FieldNames(frozenset(), False)
        same.isAllBut, same.names = self.isAllBut, frozenset(map(joined, self.names))
        return same


def _spellings(name: bytes) -> Iterable[bytes]:
    """A name, and what a gateway would read as it."""
    yield name
    if b"-" in name:
        for octet in _JOINING:
            yield name.replace(b"-", bytes((octet,)))


class Permit:
    """
    What one plugin may.

    :ivar reads: fields that it sees; ``writes``: that it sets and deletes. Of both there is one for sections whose
        names have hyphens only.
    :ivar isAllFields: whether it may do with header fields whatever it likes.
    """

    __slots__ = ("isAllFields", "joinedReads", "joinedWrites", "permissions", "reads", "writes")

    def __init__(self, permissions: Permissions) -> None:
        self.permissions = permissions
        self.reads = FieldNames(permissions.readHeaders, permissions.seesHost)
        self.writes = FieldNames(permissions.writeHeaders, permissions.changesHost)
        self.joinedReads, self.joinedWrites = self.reads.joined(), self.writes.joined()
        self.isAllFields = all(each.isAllBut and not each.names for each in (self.reads, self.writes))

    def respond(self, what: str) -> None:
        """:raises NotPermitted: it may not answer. :param what: it is about to do."""
        if not self.permissions.respond:
            raise NotPermitted(what, "respond: true")

    def seeHost(self, what: str) -> None:
        """:raises NotPermitted: it may not see the host."""
        if not self.permissions.seesHost:
            raise NotPermitted(what, "read_headers: :authority")

    def changeHost(self, what: str) -> None:
        """:raises NotPermitted: it may not have the request be for another host."""
        if not self.permissions.changesHost:
            raise NotPermitted(what, "write_headers: :authority")

    def seeQuery(self, what: str) -> None:
        """:raises NotPermitted: it may not see the query."""
        if not self.permissions.seesQuery:
            raise NotPermitted(what, "read_headers: :path")

    def seeClient(self, what: str) -> None:
        """:raises NotPermitted: it may not see who the client is."""
        if not self.permissions.seesClient:
            raise NotPermitted(what, "read_headers: X-Forwarded-For")

    def changeClient(self, what: str) -> None:
        """:raises NotPermitted: it may not have the request be another client's."""
        if not any(map(self.permissions.mayWrite, CLIENT)):
            raise NotPermitted(what, "write_headers: X-Forwarded-For")

    def write(self, name: str, what: str) -> None:
        """
        :param name: of a field, or a part of the head, in lower case.
        :raises NotPermitted: it may not change that.
        """
        if not self.permissions.mayWrite(name):
            written = name if name.startswith(":") else "-".join(part.capitalize() for part in name.split("-"))
            raise NotPermitted(what, f"write_headers: {written}")

    def reroute(self, what: str) -> None:
        """:raises NotPermitted: it may change neither of what a route is chosen by."""
        if not (self.permissions.changesHost or self.permissions.mayWrite(":path")):
            raise NotPermitted(what, "write_headers: :path, or :authority")

    def readBody(self, what: str) -> None:
        """:raises NotPermitted: it may not read bodies."""
        if not self.permissions.seesBody:
            raise NotPermitted(what, "body: read")

    def changeBody(self, what: str) -> None:
        """:raises NotPermitted: it may not change bodies."""
        if not self.permissions.changesBody:
            raise NotPermitted(what, "body: write")

    def chooseUpstream(self, name: str | None, what: str) -> None:
        """
        :param name: None: whichever.
        :raises NotPermitted: it may not choose that one.
        """
        granted = self.permissions.upstreams
        if name not in granted and (name is not None or not granted):
            raise NotPermitted(what, f"upstreams: {name or 'NAME'}")
