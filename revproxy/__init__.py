"""
A programmable edge: a TLS-terminating reverse proxy whose middleware are plugins.

The files in this folder are what plugins' authors import: :mod:`revproxy.interfaces`, :mod:`revproxy.context`,
:mod:`revproxy.body`, :mod:`revproxy.headers`, :mod:`revproxy.errors`, :mod:`revproxy.dropin`,
:mod:`revproxy.durations`, :mod:`revproxy.addresses`, :mod:`revproxy.hostport`, :mod:`revproxy.casefolding`,
:mod:`revproxy.regularfile`, :mod:`revproxy.secrets` and :mod:`revproxy.testing`. What they get through
:class:`revproxy.interfaces.IHost` is :mod:`revproxy.host`, :mod:`revproxy.hostclient`, :mod:`revproxy.figures`
and :mod:`revproxy.store`; what they reach through the context, :mod:`revproxy.toolbox`, :mod:`revproxy.destination` and
:mod:`revproxy.logfields`. Plugins with permissions (:mod:`revproxy.permissions`) reach it through
:mod:`revproxy.guardedcontext`, and what that is made of. `bodydoubles` and `hostdoubles` are parts of `testing`;
`bookedclient` is a former name of `hostclient`, and `requestrecord` is what is known of a request when it is over.

The folders, in the order in which one stands on the other:

- `loop`: the event loop and what waits on it;
- `dataplane`: a request's path, from the listener to the origin and back;
- `plugins`: the middleware that come along;
- `config`: what users write, as frozen values;
- `bundles`: plugin code as bytes: read, and kept version by version;
- `loading`: a bundle becomes modules, and a middleware; `isolation`: the same in a locked process;
- `plan`: what the edge is to be, and the words in which `control` and `worker` speak;
- `worker`: makes a plan real in one process; `control`: decides what the plan is. They never import each other;
- `service`: the processes, which join the two;
- `cli` and `demo`, with :mod:`revproxy.tap`: the doors, ``revproxy`` and ``twistd revproxy``.

A plugin in a test:

>>> from revproxy.interfaces import IMiddleware
>>> from revproxy.testing import EdgeDouble
>>> from zope.interface import implementer
>>> @implementer(IMiddleware)
... class Greeter:
...     name = "greeter"
...     def handle(self, context):
...         if context.request.path != "/hello":
...             return True
...         return context.respond(200, "hello " + context.request.peer.host)
>>> edge = EdgeDouble(Greeter())
>>> edge.get("/hello").body
b'hello 192.0.2.1'
>>> edge.get("/other").forwarded.path
'/other'
"""

__version__ = "0.2.0"
