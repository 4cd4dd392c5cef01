r"""
Plugins that hold the reactor or keep failing: noticed, ended, and left alone until they are well.

A version that was taken out comes back by probes:

    >>> from twisted.internet.task import Clock
    >>> from revproxy.worker.guard.recovery import Recovery
    >>> clock = Clock()
    >>> tell = lambda kind, text: print(f"{kind}: {text}")
    >>> recovery = Recovery("cors", clock.seconds, probes=1, onEvent=tell, onRestored=lambda: print("all requests"))
    >>> recovery.admits()
    False
    >>> clock.advance(recovery.cooldown)
    >>> recovery.admits()
    half-open: cors is probed with one request at a time
    True
    >>> recovery.succeeded(recovery.begin())
    probe-well: cors: probe 1 of 1 is well
    restored: cors is back in service after 1 probes
    all requests

In the order in which something goes wrong:

- `timelimit`: ends what does not come back while no reactor runs;
- `stallguard`: does so while one runs, and says who held it for how long;
- `stacksampler`: whose code is on the stack, by one sample after another; `culprits`: which version that code is;
- `versionhealth`: calls that fail are told to control, and a version that control has put in quarantine gets its gate;
  `lastfailure` describes one;
- `gate`: what stands before a version that was taken out, and judges the requests that are let through;
- `recovery`: counts them: left alone, probed, restored.
"""
