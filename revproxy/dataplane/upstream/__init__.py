"""
Several origin servers that serve the same, and a request's way to one of them.

In the order of flow:

- `treqclient`: the treq client, through which all requests go, and the agent under it;
- `patience`: how long the request's body is awaited first;
- `outgoing`: one request, over as many targets as it takes;
- `upstream`: several targets; it marks down those that fail;
- `onetarget`: the same, where a plugin has chosen the target;
- `balancing`: which target is next. A new policy goes here;
- `target`: one origin server, and what policies ask of it;
- `pool`: the connections to it;
- `queue`: who waits for one of them.

The connection itself is :mod:`revproxy.dataplane.http1.client`.

Whose turn it is, without a connection to anywhere:

>>> from revproxy.dataplane.upstream.balancing import WeightedRoundRobin
>>> from revproxy.dataplane.upstream.target import Target
>>> pool = None  # of revproxy.dataplane.upstream.pool; not asked here
>>> targets = [Target("http://a", b"a", 2, pool), Target("http://b", b"b", 1, pool)]
>>> policy = WeightedRoundRobin()
>>> [policy.choose(targets, now=0.0).url for _ in range(6)]
['http://a', 'http://b', 'http://a', 'http://a', 'http://b', 'http://a']
>>> targets[0].downUntil = 10.0
>>> [policy.choose(targets, now=0.0).url for _ in range(2)]
['http://b', 'http://b']
"""
