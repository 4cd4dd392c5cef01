"""
Whether an edge, its machine and its configuration are well.

- `check` is one thing that was looked at;
- `machine` looks at the machine and the process, `places` at folders: both also where no edge runs;
- `isolation` tries how far plugins can be locked in, `ownprocess` looks at what the edge is to other programs;
- `lint` looks at a configuration: what is allowed, and most likely not meant;
- `running` looks at what control knows;
- `doctor` does all of that.
"""
