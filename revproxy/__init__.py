"""
A programmable edge: a TLS-terminating reverse proxy whose middleware are plugins.

One half decides what the edge is to be, the other makes it real; they never import each other.

- :mod:`revproxy.control` decides: it notices files, chooses versions, remembers, and answers commands;
- :mod:`revproxy.plan` is what passes between the halves: frozen values, made of what :mod:`revproxy.config` (what users
  write) and :mod:`revproxy.bundles` (plugin code as bytes) have read;
- :mod:`revproxy.worker` makes a plan real: it loads plugins, wires them together, and sees off what was replaced;
- :mod:`revproxy.dataplane` moves bytes: a request's path from the listener by way of the chain to an origin;
- :mod:`revproxy.plugins` holds the built-in middleware;
- :mod:`revproxy.loop` is the event loop, and what waits on it;
- :mod:`revproxy.service` joins the halves into a process; :mod:`revproxy.tap` and :mod:`revproxy.cli` are the doors:
  ``twistd revproxy`` and ``revproxy``. :mod:`revproxy.demo` is something to try it on.

Plugin authors import the files directly in this folder: :mod:`revproxy.interfaces`, :mod:`revproxy.context`,
:mod:`revproxy.body`, :mod:`revproxy.headers`, :mod:`revproxy.errors`, :mod:`revproxy.dropin`,
:mod:`revproxy.addresses`, :mod:`revproxy.regularfile` and :mod:`revproxy.testing`. What they get through
:class:`revproxy.interfaces.IHost` is :mod:`revproxy.host` and :mod:`revproxy.hostclient`.
"""

__version__ = "0.1.0"
