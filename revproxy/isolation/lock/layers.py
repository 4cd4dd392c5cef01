"""
What a process gives up, layer by layer, and the level that this makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Level = Literal["A", "B", "C"]

FLOOR: Final = ("descriptors", "limits", "capabilities", "parent-death", "undumpable", "no-new-privileges", "seccomp")
"""Without any of these a process is not locked: there is no level then."""

ROOMS: Final = ("network", "ipc", "hostname", "root")
"""Namespaces: an own network without a way out, own IPC, an own host name, and an empty read-only root folder."""

OPTIONAL: Final = ("user-namespace", *ROOMS, "user", "landlock", "no-new-code")
"""What some machines do not have, or do not let everybody have."""

NAMES: Final = (*FLOOR, *OPTIONAL)


@dataclass(frozen=True, slots=True)
class Layer:
    """
    :ivar name: one of :data:`NAMES`.
    :ivar reason: why it does not hold; empty: it holds, and was tried.
    :ivar detail: what of it holds, where it has parts.
    """

    name: str
    reason: str = ""
    detail: str = ""

    @property
    def isEnforced(self) -> bool:
        """Whether it holds."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Layers:
    """
    All layers of a process, or of a machine.
    """

    all: tuple[Layer, ...] = ()

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.all)

    def __getitem__(self, name: str) -> Layer:
        """One by its name; one that nobody has tried does not hold."""
        return next((layer for layer in self.all if layer.name == name), Layer(name, "not tried"))

    @property
    def enforced(self) -> frozenset[str]:
        """Names of those that hold."""
        return frozenset(layer.name for layer in self.all if layer.isEnforced)

    @property
    def missing(self) -> tuple[Layer, ...]:
        """Those that do not hold, with the reason."""
        return tuple(layer for layer in map(self.__getitem__, NAMES) if not layer.isEnforced)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why some do not hold, each reason once, with the names: ``network, ipc (unshare: …)``."""
        names: dict[str, list[str]] = {}
        for layer in self.missing:
            names.setdefault(layer.reason, []).append(layer.name)
        whole = len(NAMES)
        return tuple(
            f"{', '.join(those)} ({reason})" if len(those) < whole else reason for reason, those in names.items()
        )

    @property
    def usable(self) -> frozenset[str]:
        """Names of the optional ones that hold: what `Lock.use` is to be on this machine."""
        return self.enforced & frozenset(OPTIONAL)

    @property
    def level(self) -> Level | None:
        """
        ``"A"``: the floor, Landlock, and rooms of its own; ``"B"``: the floor and Landlock; ``"C"``: the floor, which
        is seccomp without opening a file, limits and no privileges. None: not even that.

        An own user, the namespace of users that the rooms may hang on, and ``no-new-code`` make no level; which of
        them hold is told beside it.
        """
        held = self.enforced
        if not held.issuperset(FLOOR):
            return None
        if "landlock" not in held:
            return "C"
        return "A" if held.issuperset(ROOMS) else "B"

    def lacking(self, lock: Lock) -> tuple[Layer, ...]:
        """Those that a lock asks for and that do not hold. What was found to be usable has to hold each time."""
        asked = {*FLOOR, *lock.use} - ({"user"} if lock.uid is None else set())
        return tuple(layer for layer in self.missing if layer.name in asked)

    def asList(self) -> list[dict[str, str]]:
        """As plain data, in the order of the lock."""
        return [{"name": one.name, "reason": one.reason, "detail": one.detail} for one in self.all]

    @classmethod
    def of(cls, said: list[dict[str, str]]) -> Layers:
        """The reverse of :meth:`asList`."""
        return cls(tuple(Layer(one["name"], one["reason"], one["detail"]) for one in said))


@dataclass(frozen=True, slots=True)
class Report:
    """
    What became of a process that has locked itself.

    :ivar holes: what it was still able to do, though it should not be: a sentence each. With a hole there is no level.
    """

    layers: Layers
    holes: tuple[str, ...] = ()

    @property
    def level(self) -> Level | None:
        """As of its layers. None: nobody's code may come into this process."""
        return None if self.holes else self.layers.level

    def asDict(self) -> dict[str, Any]:
        """As plain data, for the one that forked it."""
        return {"layers": self.layers.asList(), "holes": list(self.holes)}

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Report:
        """The reverse of :meth:`asDict`."""
        return cls(Layers.of(said["layers"]), tuple(said["holes"]))


@dataclass(frozen=True, slots=True)
class Lock:
    """
    How a process is to lock itself.

    :ivar memoryBytes: of address space, what it has already included; more is a MemoryError, or its end.
    :ivar parent: the process that forked this one; with that it ends, and if that is gone already, it ends at once.
    :ivar keepFds: the descriptors that stay open; all others are closed.
    :ivar uid: the user and group to become, which nobody else is; None: it stays what it is. Only root can.
    :ivar use: names of the optional layers that are to be used: `detect().usable`.
    """

    memoryBytes: int
    parent: int
    keepFds: tuple[int, ...]
    uid: int | None = None
    use: frozenset[str] = frozenset(OPTIONAL)
