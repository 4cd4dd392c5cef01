"""
A programmable edge: a TLS-terminating reverse proxy whose middleware are plugins.

The map, in the order a request meets the rooms:

- :mod:`revproxy.dataplane` moves bytes: listener, TLS, HTTP codec, resource tree, chain, upstream client;
- :mod:`revproxy.control` decides what the data plane is, and replaces it while requests run: configuration, plugins,
  certificates, generations;
- :mod:`revproxy.plugins` holds the middleware that come along;
- :mod:`revproxy.tap` and :mod:`revproxy.cli.main` are the doors: ``twistd revproxy`` and ``revproxy``.

Plugin authors import from :mod:`revproxy.interfaces`, :mod:`revproxy.context`, :mod:`revproxy.body`,
:mod:`revproxy.errors`, :mod:`revproxy.dropin`, :mod:`revproxy.addresses` and :mod:`revproxy.testing`. What they get
through :class:`revproxy.interfaces.IHost` is :mod:`revproxy.host` and :mod:`revproxy.hostclient`.
"""

__version__ = "0.1.0"
