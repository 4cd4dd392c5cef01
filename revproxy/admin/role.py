"""
What a token may do: each role may all that those before it may.
"""

from __future__ import annotations

from enum import IntEnum


class Role(IntEnum):
    """
    :cvar READ: figures and states; nothing of any request.
    :cvar OBSERVE: also requests, and why they went as they did.
    :cvar OPERATE: also enable, disable, reload, roll back, pin, drain, silence.
    :cvar CONFIGURE: also write the configuration, and revert: whoever may do that can run code.
    :cvar ADMIN: also tokens and the audit records.
    """

    READ = 1
    OBSERVE = 2
    OPERATE = 3
    CONFIGURE = 4
    ADMIN = 5

    @classmethod
    def named(cls, name: str) -> Role:
        """:raises KeyError: there is no such role."""
        return cls[name.upper()]

    def __str__(self) -> str:
        return self.name.lower()
