"""
Middleware in a locked process: to the chain it is one like any other.

In the order in which a call passes through, on the edge's side:

- `guest` is the middleware: it tells the request, and what comes of it; `visits` are the requests it has to do with;
- `sight`: what of a request the plugin sees; `plainvalues`: what it is told of ``context.values``;
- `tenancy`: the processes of one instance, one after the other;
- `cell`: one process with the plugin in it, how long its code may hold it, and its end; `line` is what it was asked,
  `cpushare` what it takes over a minute;
- `edits`: what a call has changed, put into the context; `fieldchecks` looks at header fields;
- `frontdesk`: what a process says by itself: `brokering` does what it asks for, `guestfigures` adds what it counts;
- `guestlimits`: how much it may take, and `remotefailure`: how its failures are called;
- `tier` puts one together.

What edge and process have in common are `frames`, the words that they speak, and `holdpage`. Locked processes are
:mod:`~revproxy.isolation.process`, what they give up is :mod:`~revproxy.isolation.lock`, and what runs in them is
:mod:`~revproxy.isolation.inside`.
"""
