"""
The processes: joins control and worker, starts and ends them, heeds signals.

- `service` is a running edge, as a Twisted service: control with one worker beside it;
- `foreground` runs one as this process: what `revproxy run` does;
- `firstprocess` is what process 1 of a container has to do besides;
- `edgeuser` is whom root becomes, once the ports are bound;
- `ownlog` is where the edge's own log goes;
- `localcrew` hands over the words between the two, in one process;
- `twistdlog` is the edge's own log where twistd opens it;
- `notifier` tells a service manager how far it is;
- `signals` is what the process is told from outside;
- `reloader` restarts a process whose own code has changed, for development.
"""
