"""
What control remembers: over restarts in the state folder, and while it runs.

- `directory` is that folder: one process at a time has it;
- `records` is what is remembered of each plugin, as a value; `recordfile` is that on disk;
- `keeper` keeps both the same, with the store of versions beside them, and tries again what could not be written;
- `totals` adds up what workers count, `ownfigures` what plugins count by themselves;
- `servicetimes` tells for how long each version has served.

>>> from revproxy.control.state.records import Pin, PluginRecords
>>> records = PluginRecords().ran("quota", "6f1d" * 16, "1.0", now=0.0).pinned("quota", Pin("6f1d" * 16, "user"))
>>> str(records.get("quota").pinnedTo)
'1.0 (6f1d6f1d6f1d)'
"""
