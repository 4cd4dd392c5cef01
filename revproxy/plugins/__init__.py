"""Middleware that come along, one file each, and those of other installed distributions.

- `request_id`: an id for each request, told to the origin and to the client;
- `ip_filter`: who may come in, by address;
- `rate_limit`: how many requests there may be per time;
- `cors`: which web pages of other origins may use a resource;
- `basic_auth`: user names and passwords, with `_passwords` for their hashes;
- `headers`: header fields set, added and removed.

Each module has a `revproxy.dropin.DropIn` at its top level and is found by
``getPlugins(IMiddlewareFactory, revproxy.plugins)``. A distribution of its own adds to them by a module in
``revproxy/plugins/`` below any folder of ``sys.path``, without an ``__init__.py``.
"""

from twisted.plugin import pluginPackagePaths

__path__.extend(pluginPackagePaths(__name__))
__all__: list[str] = []
