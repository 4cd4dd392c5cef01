"""
What stands in a chain for a required plugin that cannot be had: no request passes.
"""

from __future__ import annotations

from zope.interface import implementer

from revproxy.context import Context
from revproxy.errors import PluginMissing
from revproxy.interfaces import IMiddleware


@implementer(IMiddleware)
class Barrier:
    """
    A middleware that lets nobody pass.

    :ivar name: of the plugin.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def handle(self, context: Context) -> bool:
        """:raises PluginMissing: always."""
        raise PluginMissing(f"{self.name} is required here, and cannot be had")
