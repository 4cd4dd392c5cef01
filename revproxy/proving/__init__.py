"""
A version proved in processes of its own, before it meets a request: what a pre-flight and ``revproxy replay`` do.

A process has one job and then ends; where the version is to run in a locked process, so is this one, before a byte of
the version comes in.

- `orders`: what a process is told, and what it tells;
- `provingprocess`: such a process, as it is seen from outside;
- `main`: its inside, and `locking`: how it locks itself;
- `loadproof`: whether the version can be loaded, and made with its configurations;
- `testproof`: what the tests that came with it say; `lockedtests`: the same without files;
- `replayproof`: what it does with recorded requests, and in what that differs; `recordedcalls`: those of one plugin,
  and `differencegroups`: how often they differ in the same way.
"""
