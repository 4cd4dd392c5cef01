"""
A version of a plugin, from its import to the proof that nothing of it is in memory.

In the order of a life (`revproxy.loading` makes modules of its bytes, and a middleware of what they have):

- `dropins`: where the callable comes from, if the plugin is installed with Python;
- `stages`: the steps from there on, what they may take and how they fail;
- `compiling`: of large plugins, before their import;
- `compiling`: of large plugins, before their import;
- `instance`: a version and its instances, which go through them, and hand their state on; `lockedcode`: what is
  different in locked processes;
- `retirement`: drained, stopped, unloaded;
- `unloadproof`: watched until nothing of it exists, or somebody is told;
- `holdersearch`: who still holds it; `hiddenholders` are those whom nobody sees, `holdernames` is what they are called.
"""
