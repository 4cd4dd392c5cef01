"""
What the two kinds of envelope have in common.
"""

from __future__ import annotations

from typing import Literal, Protocol

Kind = Literal["sshsig", "minisig"]


class Key(Protocol):
    """A public key."""

    @property
    def blob(self) -> bytes:
        """By which envelopes name it."""

    @property
    def keyId(self) -> str:
        """As its own tool shows it: ``SHA256:…``, or 16 hexadecimal digits."""

    @property
    def kind(self) -> str:
        """``ssh-ed25519``, and so on; ``minisign``."""

    @property
    def line(self) -> str:
        """As users write it, without a comment."""


class Envelope(Protocol):
    """One signature, read."""

    @property
    def kind(self) -> Kind:
        """Which of the two it is."""

    @property
    def identity(self) -> bytes:
        """By which it names its key. It proves nothing."""

    @property
    def keyId(self) -> str:
        """The id of that key."""

    def check(self, key: Key, message: bytes) -> None:
        """
        That a key has signed a message, and for this purpose.

        :raises Untrusted: it has not.
        """
