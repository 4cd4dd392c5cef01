"""
A request's path, from the accepted socket to the origin and back: moves bytes, knows no files and no plugin by name.

In the order in which a request meets them:

- :mod:`~revproxy.dataplane.net` is the connection: sockets, PROXY header, TLS;
- `listener` lets it in; `clientcounts` says how many connections its client has;
- :mod:`~revproxy.dataplane.http1` makes requests of its bytes; :mod:`~revproxy.dataplane.http` is what further versions
  would have in common with it;
- `edge` is what all connections share, the current generation first of all; `generation` the running form of a plan;
- `exchange` is the life of one request;
- `routing` finds its route by host and path, `readings` what else the path may mean to an origin, `admission`
  whether it may take that route;
- `chain` takes it through the middleware, forth and back; a `link` is one of them in its place; `counters` has what
  each has done, `sampling` says which requests are timed;
- where a version is on trial, a `fork` stands in the place of the chain: it has one for what runs and one for each
  version on trial; a `draw` says which clients meet that, and some stay there by an `armcookie`;
- `story` is what a request notes of itself for whoever asks why; of a sample every call is (`sampledcalls`), and
  `explainer` says at the end what is told of it;
- `rerouting` chooses a route once more, and a `detour` is the chain of both;
- :mod:`~revproxy.dataplane.leaves` stand at the end of a route, and :mod:`~revproxy.dataplane.upstream` is where a
  proxied request goes: targets, the pool of connections, the queue before it;
- `exchangerecord` makes a :class:`revproxy.requestrecord.RequestRecord` of what is over, `recorder` collects them;
- `querymask` takes out what nobody is to read of it;
- `accesslog` has one line for each, an `accessline`.
"""
