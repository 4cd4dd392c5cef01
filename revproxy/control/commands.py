"""
Commands that cannot be carried out.
"""

from __future__ import annotations


class CommandError(Exception):
    """A command cannot be carried out; the text is for whoever gave it."""


class NotThere(CommandError):
    """It is about something that there is not."""


__all__ = ["CommandError", "NotThere"]
