"""
Errors that the edge tells by name, as plugins know them from the edge's own process.
"""

from __future__ import annotations

import builtins

from twisted.internet import defer, error

from revproxy import errors
from revproxy.store import StoreError


class EdgeRefused(Exception):
    """The edge has not done what the plugin asked it for; the text says why."""


def errorOf(kind: str, text: str) -> Exception:
    """
    :param kind: the name of a class.
    :returns: one of `revproxy.errors`, of Twisted's for the network, or of Python; else an `EdgeRefused`.
    """
    if kind == "StoreError":
        return StoreError(text)
    for place in (errors, builtins, error, defer):
        found = getattr(place, kind, None)
        if isinstance(found, type) and issubclass(found, Exception):
            try:
                return found(text)
            except Exception:  # one that takes something else
                break
    return EdgeRefused(f"{kind}: {text}" if kind else text)
