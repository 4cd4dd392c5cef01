"""
One attack, and the world that it is made on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class NotHere(Exception):
    """This kernel or machine does not have what the attack would use, and why."""


@dataclass(frozen=True, slots=True)
class World:
    """
    What there is to attack. All of it belongs to the process that has forked the attacker.

    :ivar folder: with the files ``secret`` and ``doomed``, and a Unix socket ``socket``.
    :ivar inherited: the descriptor of ``secret``, which the attacker is not to have.
    :ivar stream: the one that it is to have, connected to its parent.
    :ivar parent: the process itself.
    :ivar memory: where in its memory :data:`SECRET` stands.
    """

    folder: Path
    inherited: int
    stream: int
    parent: int
    memory: int
    tcpPort: int
    udpPort: int
    abstract: str

    @property
    def secret(self) -> Path:
        """A file with :data:`SECRET`."""
        return self.folder / "secret"

    @property
    def doomed(self) -> Path:
        """A file that is missed if it is gone."""
        return self.folder / "doomed"


SECRET = b"what only the edge may know"


@dataclass(frozen=True, slots=True)
class Attack:
    """
    :ivar act: after the lock; returns if it has worked, raises if not.
    :ivar prepare: before the lock, by the same process: what an attacker could have found there. Its result is given
        to `act`.
    :ivar keep: whether what `prepare` returns is a descriptor that the lock leaves open.
    :ivar deadly: whether nothing but the death by SIGSYS is enough.
    :ivar unproven: why it is not made without a lock.
    """

    act: Callable[..., Any]
    prepare: Callable[[World], Any] | None = None
    keep: bool = False
    deadly: bool = False
    unproven: str = ""

    @property
    def name(self) -> str:
        """As its function is called."""
        return self.act.__name__

    def run(self, world: World, prepared: Any) -> None:
        """Makes it."""
        if self.prepare is None:
            self.act(world)
        else:
            self.act(world, prepared)


def attack(
    prepare: Callable[[World], Any] | None = None, keep: bool = False, deadly: bool = False, unproven: str = ""
) -> Callable[[Callable[..., Any]], Attack]:
    """Makes an attack of a function."""
    return lambda act: Attack(act, prepare, keep, deadly, unproven)


def inChild(pid: int) -> None:
    """For what has forked: the child is gone at once, and the parent has made one."""
    if pid == 0:
        os._exit(0)
