"""
One layer, as it is put on.
"""

from __future__ import annotations

from typing import ClassVar

from revproxy.isolation.lock.layers import OPTIONAL, Layer, Lock


class NotHeld(Exception):
    """
    A layer does not hold, and why, in words for the operator.
    """


class Step:
    """
    Puts one layer on the process that calls it, and tries at once whether it holds. Tried at once, because what is put
    on later would hide it: with the filter of system calls on, no file can be opened, whatever Landlock says.
    """

    name: ClassVar[str]

    def __init__(self, lock: Lock) -> None:
        self.lock = lock

    def reasonAgainst(self) -> str:
        """Why this layer is not even begun; empty: it is."""
        return ""

    def apply(self) -> None:
        """
        Puts it on.

        :raises OSError: if the kernel refuses.
        :raises NotHeld: if it cannot be had for another reason.
        """
        raise NotImplementedError

    def prove(self) -> str:
        """
        Tries it.

        :return: what of it holds, where it has parts.
        :raises NotHeld: if what should be impossible is possible.
        """
        raise NotImplementedError

    def run(self) -> Layer:
        """Puts it on and tries it; whatever goes wrong is a reason why it does not hold."""
        if self.name in OPTIONAL and self.name not in self.lock.use:
            return Layer(self.name, "not to be used")
        if reason := self.reasonAgainst():
            return Layer(self.name, reason)
        try:
            self.apply()
            return Layer(self.name, detail=self.prove())
        except (OSError, NotHeld) as error:
            return Layer(self.name, _words(error))


def demand(holds: bool, otherwise: str) -> None:
    """
    :raises NotHeld: with that text, unless it holds.
    """
    if not holds:
        raise NotHeld(otherwise)


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__
