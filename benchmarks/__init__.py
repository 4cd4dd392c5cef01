"""What a request costs, beside the peers; not installed with the package.

In the order in which a benchmark flows:

``edge``
    the command line: which rows, which proxies, how often.
``rows``
    the rows of the table: what is asked, over what, by how many connections.
``origin``, ``peers``
    the nginx behind everybody, and each proxy: its configuration and how it is started.
    ``peer_aiohttp`` and ``peer_twisted`` are the peers that had to be programmed.
``processes``
    starting on a core, CPU time and memory of a process tree, ending by process id.
``load``
    the load: wrk and its output, full handshakes, idle connections.
``measure``
    one sample: a row against a proxy.
``report``
    samples to medians, tables, verdicts.

``profile``, ``cycle`` and ``explaining`` are apart: they show where our own time goes.

What swapping plugins costs is a program of its own, in the same manner:

``hotswap``
    the command line, the rows, their tables.
``swapedge``
    an edge whose plugins are changed while it runs.
``traffic``, ``bothends``, ``judge``
    the load: its handle, the process at both ends of the edge, and what every response must be.
``manyswaps``, ``swaptimes``, ``badversions``
    thousands of swaps; how long they take; twenty ways in which a new version can be bad. Tests use these, too.

Whether a change is slower on the hot path is another:

``instructions``
    the command line, the rows, their table: two trees in turns.
``trees``
    snapshots of a commit or the working tree.
``callgrind``
    a counter of instructions that can be read while the process runs.
``conversation``, ``memoryedge``
    the load: one request after the other, over loopback and in memory.

Whether the judge of rollouts is right is a simulation; nothing is measured in it:

``judging``, ``judgingcases``
    the command line and the tables; what is simulated, and how often.
``simulatedrollout``
    one rollout: the product's judge, and a clock that is advanced.
``simulatedclients``, ``simulatedversions``, ``simulatedworker``, ``simulatedpairs``
    who asks and when; what two versions do; what a worker, and its shadow, would tell of it.
"""
