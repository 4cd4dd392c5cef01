"""
Decides what the edge is to be; never imports :mod:`revproxy.worker`, and makes nothing real itself.

In the order in which a change passes through:

- :mod:`~revproxy.control.watch` notices that files have changed; `revproxy.service` then calls the coordinator;
- `snapshot` reads them: `catalogreader` the folder of plugins, `certificatefiles` the certificates;
- `coordinator` makes one transaction of it, and `startup` the first one; `changes` is what somebody may ask for beside;
- :mod:`~revproxy.control.planning` chooses versions and finds out what goes together; `attempt` is what one transaction
  still tries, `refusalbook` what was refused and still stands;
- `turns` has one change after the other made, `precedence` says which goes before which;
- `crew` speaks to the workers, and makes one answer of theirs;
- `recorder` takes each transaction that is over to :mod:`~revproxy.control.history`, with its `actor`; `lifetime` tells
  of beginning and end;
- `configfile` reads and writes revproxy.yaml for others: `configedit` is a new text, which `configwriting` has written
  with the change, `configview` what is shown of it; `granting` gives plugins what they ask for, `reverting` goes back
  to how things stood;
- :mod:`~revproxy.control.state` remembers, over restarts too;
- `statewatch` sees to it that the state folder stays there, and ours;
- `inbox` takes what workers say by themselves to its place: `quarantine` (with `breaker`) takes out versions that fail,
  `slowplugins` (with `loopshare`) tells of those that hold the event loop again and again;
- :mod:`~revproxy.control.rollout` says how new versions earn their place: `rolling` is the part of a change that is
  about that, `candidates` what is remembered of them; `rolloutdriver` leads those that are in `rolloutbook` through
  their steps, `rolloutchecks` has `preflights` look at versions before; `rollouts` is what people may know
  (`rolloutview`, `rolloutforecast`) and do;
- `controlsocket`, at a `socketfile`, is how commands come in, `commands` what they may be, `steering` who carries them
  out;
- :mod:`~revproxy.control.trust` says whose code may run, `vetting` what of what is stored, and `trustview`
  shows it;
- `custody` says who else could change what runs;
- `control` puts all this together.
"""
