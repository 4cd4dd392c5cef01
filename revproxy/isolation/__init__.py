"""
Middleware in a locked process: to the chain it is one like any other.

From ``isolation: process`` to an answer, with a finger::

    config.manifest, config.settings      plugin.json and plugins.isolation are read
    control.planning.tiers                tierOf: where it runs, and what it may touch there
    plan.catalog                          Selected.isolation, .permissions: the plan goes to the worker
    worker.lifecycle.instance             Version.make: an Instance without code; Instance.load makes it one with
    worker.lockedplugins                  LockedPlugins.make: its Load (lifecycle.lockedcode), and with `tier`
      `lockedmiddleware`                  the middleware in the chain; its load() takes
      `succession`                        a process, and the next when that has ended:
        process.processes                 Processes.take: a spare one, forked by process.template, locked by
        lock.lockdown                     lockDown, before it has a byte of the plugin
        `pluginprocess`                   is told Load
          inside.serving, .insideplugin   becomes the plugin, and says Loaded

    dataplane.chain, dataplane.link       a request: handle(context) is that of
      `lockedmiddleware`                  which makes of it a Call
        `knownrequests`, `sight`,         of what this process does not know yet, as far as the plugin may see it;
        `plainvalues`                     ``context.values``, too
        `succession`, `pluginprocess`     sends it, if not too many calls are under way; `line`: what it was asked
          inside.runtime, .calls          makes a context of it (inside.insiderequest), calls the plugin, and says
                                          Answered, with what is changed in the context, or Unchanged
        `pluginprocess`                   finds who has asked
      `edits`, `fieldchecks`              put that into the context: hostile input, taken whole or not at all
    dataplane.chain                       goes on

Beside that way:

- `pluginprocess` looks how long the plugin's code holds its process, and ends it; `cpushare` is what it takes over a
  minute; `succession` has the next one asked what the culprit had not let be answered;
- `upcalls`: what a process says by itself: `brokering` does what it asks for, `processfigures` adds what it counts;
- `processlimits`: how much it may take, and `remotefailure`: how its failures are called.

What edge and process have in common are `frames`, the words that they speak, and `holdpage`. Locked processes are
:mod:`~revproxy.isolation.process`, what they give up is :mod:`~revproxy.isolation.lock`, and what runs in them is
:mod:`~revproxy.isolation.inside`.
"""
