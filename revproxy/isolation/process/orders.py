"""
What edge and template process say to each other: packets with descriptors, over one socket.

::

    edge                                             template
      the path of modules, as JSON ────────────────▶  (it can import nothing yet)
      Begin ───────────────────────────────────────▶  imports, tries what this machine has
      ◀──────────────────────────────────── Standing
      ◀─────────────────────────────────────── Tried  what must end a process has been tried
      Fork 1 + stream, output, page ───────────────▶
      ◀─────────────────────── Forked 1, pid + pidfd  or NotForked
      ◀──────────────────────────────────── Ended pid
      Reap pid ────────────────────────────────────▶  the number may be another's from now on

The template is ours, and so is all that runs in it: nothing here is hostile.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

MOST: Final = 1 << 16
"""Bytes of a packet."""


class Order(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Anything that is said."""


class Begin(Order, frozen=True):
    """
    :ivar inside: the module whose ``serve`` each process is to call.
    :ivar parent: the edge's process number.
    :ivar uid: a user that processes may become; None: there is none.
    :ivar without: names of optional layers that are not to be used.
    """

    inside: str
    parent: int
    uid: int | None = None
    without: tuple[str, ...] = ()


class Fork(Order, frozen=True):
    """
    With it come three descriptors: the stream, where stdout and stderr go, and the page.

    :ivar addressBytes: of its address space.
    :ivar uid: as whom it runs; None: as the edge.
    :ivar cgroup: the folder of the cgroup that it enters; empty: none.
    """

    number: int
    addressBytes: int
    uid: int | None = None
    cgroup: str = ""


class Reap(Order, frozen=True):
    """Nobody needs the number of one that has ended any more."""

    pid: int


class Standing(Order, frozen=True):
    """
    All is imported.

    :ivar layers: of this machine, as `revproxy.isolation.lock.layers.Layers.asList` has them.
    :ivar addressBytes: of the template's own address space.
    """

    layers: list[dict[str, str]]
    addressBytes: int


class Tried(Order, frozen=True):
    """
    Canaries have done what must end a locked process.

    :ivar survived: which have survived it, a sentence each.
    """

    survived: tuple[str, ...]


class Forked(Order, frozen=True):
    """With it comes the process as a descriptor (pidfd_open(2))."""

    number: int
    pid: int


class NotForked(Order, frozen=True):
    """:ivar text: why."""

    number: int
    text: str


class Ended(Order, frozen=True):
    """
    A process has ended. Until it is reaped, its number is nobody else's.

    :ivar status: the signal as a negative number, or what it has exited with.
    """

    pid: int
    status: int


AnyOrder = Begin | Fork | Reap | Standing | Tried | Forked | NotForked | Ended

_decoder: msgspec.msgpack.Decoder[AnyOrder] = msgspec.msgpack.Decoder(AnyOrder)


def encodeOrder(order: AnyOrder) -> bytes:
    """:returns: a packet."""
    return msgspec.msgpack.encode(order)


def decodeOrder(data: bytes) -> Any:
    """:raises msgspec.DecodeError: it is none."""
    return _decoder.decode(data)
