"""How a middleware is announced through Twisted's plugin system.

A module in ``revproxy/plugins/`` (this distribution's or any other's) says::

    MANIFEST = {"name": "request-id", "version": "1.0.0", "config": {"header": "X-Request-Id"}}

    def PluginMain(config):
        return RequestId(config["header"])

    requestId = DropIn(MANIFEST, PluginMain)

The keys of the manifest are those of plugin.json. A drop-in runs only when revproxy.yaml names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.plugin import IPlugin
from zope.interface import implementer

from revproxy.interfaces import IMiddleware, IMiddlewareFactory


@implementer(IPlugin, IMiddlewareFactory)
class DropIn:
    """Announces one middleware.

    :ivar manifest: a mapping with the keys of plugin.json; checked when it is looked up, with the same messages.
    :ivar main: given the effective configuration, returns the middleware; no side effects.
    """

    def __init__(self, manifest: Mapping[str, Any], main: Callable[[Mapping[str, Any]], IMiddleware]) -> None:
        self.manifest = manifest
        self.main = main

    def create(self, config: Mapping[str, Any]) -> IMiddleware:
        """
        Make an instance.

        :raises Exception: whatever ``main`` raises.
        """
        return self.main(config)

    def __repr__(self) -> str:
        return f"<DropIn {self.manifest.get('name', '?')} {self.manifest.get('version', '?')}>"
