"""
What stands at the end of a route and answers: each kind of leaf in a file of its own.

- `leaf`: what all of them are;
- `fixed`: an answer that the configuration has, or a redirect;
- `static`: files of a folder;
- `conditional`: whether the client has a file already, and what part of it is wanted;
- `mounted`: any resource of ``twisted.web``;
- `forms`: what browsers send to a resource;
- `resourcechannel`: a response, of what a resource writes;
- `proxy`: an upstream; `destinations` has them all, for plugins that choose one;
- `lastrecipient`: the answer to requests that are to go no further.

A leaf is given the exchange, and answers it at once or later:

>>> from revproxy.context import Headers, Response
>>> from revproxy.body import Body
>>> from revproxy.dataplane.leaves.leaf import Leaf
>>> from revproxy.dataplane.routing import Route, Tree
>>> from twisted.web.server import NOT_DONE_YET
>>> class Greeting(Leaf):
...     def render(self, exchange):
...         name = exchange.context.request.path.rpartition("/")[2]
...         exchange.answered(Response(200, None, Headers(), Body.of(b"hello " + name.encode())))
...         return NOT_DONE_YET
>>> tree = Tree([Route("greetings", host=b"", path=b"/greet", leaf=Greeting())])
>>> tree.find(b"www.example.com", b"/greet/you").leaf
<...Greeting object at ...>
"""
