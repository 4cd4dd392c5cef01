"""
Makes a plan real in one process; never imports :mod:`revproxy.control`, and decides nothing.

In the order in which a change passes through:

- `worker` puts all this together, and takes each word of control to its place;
- `applier` runs the participants of a change through its steps: `participant` says what each of them offers;
- `routes`: the `routetable`, with what `upstreamfactory` makes;
- `staging`: plugins, as a `stagedchange` until it takes effect and as `running` after it; `stagedtrials` are its
  versions on trial, and :mod:`~revproxy.worker.rollout` has what clients meet of those;
  :mod:`~revproxy.worker.lifecycle` is the life of each version; `lockedplugins` are those in processes of their own,
  whose requests `namedupstreams` sends;
- `listeners`: ports, each `listening` with its `certificates`;
- `rehearsals` try requests that nobody has sent, with `standins` for what is not to be touched;
- `recording`: who wants to know of requests that are over: `requestcounts` counts them, `hostcounts` by
  host, `recordreports` tells of them;
- `accesslogging`: the access log; `logfile` is the thread that writes it, `logoutput` what it writes into;
- `bounds`: limits and time-outs;
- `logform`: the form of the edge's own log, and `stdlibrecords`: what plugins say there by way of Python's `logging`;
- `pluginstores`: what plugins keep over restarts, each in a `storefile`;
- `generations`: what requests go through, as `assembly` builds it; the swap is one assignment here;
- :mod:`~revproxy.worker.guard` watches what runs; `counterreports` tells what it counts, and
  what `edgereports` brings together: listeners, `targetreports`, `processreports`, and by route what is `underway`.
"""
