"""
Whether an edge, its machine and its configuration are well.

- `check` is one thing that was looked at;
- `machine` looks at the machine and the process, `places` at folders: both also where no edge runs;
- `lint` looks at a configuration: what is allowed, and most likely not meant;
- `running` looks at what control knows;
- `doctor` does all of that.
"""
