"""Middleware that come along, one file each, and those of other installed distributions.

Each module has a `revproxy.dropin.DropIn` at its top level and is found by
``getPlugins(IMiddlewareFactory, revproxy.plugins)``. A distribution of its own adds to them by a module in
``revproxy/plugins/`` below any folder of ``sys.path``, without an ``__init__.py``.
"""

from twisted.plugin import pluginPackagePaths

__path__.extend(pluginPackagePaths(__name__))
__all__: list[str] = []
