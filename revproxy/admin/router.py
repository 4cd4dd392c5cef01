"""
Which operation a request is for: by the table, and nothing beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from revproxy.admin.callreader import CallReader
from revproxy.admin.operation import Operation
from revproxy.admin.problem import Problem
from revproxy.config.problems import quoted
from revproxy.errors import printable

PREFIX = "/api/v1/"
"""Below this are all operations."""

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Found:
    """
    :ivar texts: what the path has for each of its parameters.
    """

    reader: CallReader
    texts: Mapping[str, str]

    @property
    def operation(self) -> Operation:
        """Which it is."""
        return self.reader.operation


class Router:
    """
    The table of all operations.

    :ivar operations: in the order of the table.
    """

    def __init__(self, operations: Iterable[Operation]) -> None:
        """:raises ValueError: two of them have one place, or one name."""
        self.operations = tuple(operations)
        # By what is fixed in the path, None for a parameter; what is fixed comes before parameters.
        self._places: dict[tuple[str | None, ...], dict[str, CallReader]] = {}
        names: set[str] = set()
        for operation in self.operations:
            methods = self._places.setdefault(_fixed(operation.path), {})
            if operation.method in methods or operation.name in names:
                raise ValueError(f"{operation.name} ({operation.method} {operation.path}) is there twice")
            names.add(operation.name)
            methods[operation.method] = CallReader(operation)
        self._places = dict(sorted(self._places.items(), key=lambda place: [part is None for part in place[0]]))

    def find(self, method: str, path: str) -> Found:
        """
        :param path: as it was sent, without the query.
        :raises Problem: there is no such place (404), or the place has no such method (405).
        """
        parts = _parts(path)
        if parts is None:
            raise _nothing(path)
        methods = next((ways for fixed, ways in self._places.items() if _fits(fixed, parts)), None)
        if methods is None:
            raise _nothing(path)
        reader = methods.get("GET" if method == "HEAD" else method)
        if reader is None:
            allowed = ", ".join((*methods, *(("HEAD",) if "GET" in methods else ())))
            text = f"{printable(method, 20)} does not go with {printable(path, _SHOWN)}: {allowed} do"
            raise Problem(405, text, headers={"Allow": allowed})
        named = zip(reader.operation.path.strip("/").split("/"), parts, strict=True)
        return Found(reader, {name[1:-1]: part for name, part in named if name.startswith("{")})


def _fixed(path: str) -> tuple[str | None, ...]:
    return tuple(None if part.startswith("{") else part for part in path.strip("/").split("/"))


def _fits(fixed: tuple[str | None, ...], parts: list[str]) -> bool:
    return len(fixed) == len(parts) and all(own in (None, part) for own, part in zip(fixed, parts, strict=True))


def _parts(path: str) -> list[str] | None:
    """
    The parts of a path below the prefix; None where one is no name: a slash or a dot in disguise is never taken for one
    that leads elsewhere.
    """
    if not path.startswith(PREFIX):
        return None
    parts = []
    for raw in path[len(PREFIX):].split("/"):
        try:
            part = unquote_to_bytes(raw).decode()
        except UnicodeDecodeError:
            return None
        if part in ("", ".", "..") or "/" in part or not part.isprintable():
            return None
        parts.append(part)
    return parts


def _nothing(path: str) -> Problem:
    return Problem(404, f"there is nothing at {quoted(printable(path, _SHOWN))}; GET /openapi.json lists what there is")


__all__ = ["PREFIX", "Found", "Router"]
