"""
Locked processes: made, kept ready, watched, ended.

- `processes`: all of an edge, and spare ones: `Processes.take` gives a `LockedProcess`;
- `lockedprocess`: one, as the edge has it: frames to it and from it, what it uses, its end;
- `gone`: how one has ended.
"""
