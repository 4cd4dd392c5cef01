"""
Whose code may run, and what it may touch.

In the order in which a change passes through:

- `trustfiles` are the lock file and the file of what is revoked, as they were read last;
- `memory` is what is remembered of verifications over restarts;
- `policy` says of one version whether it may run, under one configuration: pure;
- `sieve` takes out of what was chosen what may not, and says what has to go: pure;
- `trust` has all that of one edge, and tells what happens;
- `expiries` looks at keys that near their end, and at what was revoked, by the clock;
- `checking` says what would become of plugins, for ``revproxy check``.

`revproxy.control.trustview` is what is shown of it, `revproxy.control.granting` gives plugins what they ask for.

Each way to run a version ends in a plan, and no plan is made but through the sieve: what a folder has, what comes from
the store (after a restart, by a rollback, a pin, out of quarantine, back to an earlier change), and what runs already.
"""
