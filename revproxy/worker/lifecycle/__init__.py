r"""
A version of a plugin, from its import to the proof that nothing of it is in memory.

    >>> from pathlib import Path
    >>> from revproxy.bundles.bundle import makeBundle
    >>> from revproxy.config.manifest import manifestFromMapping
    >>> from revproxy.worker.lifecycle.loader import instantiate, loadBundle, unload
    >>> main = b'''
    ... from zope.interface import implementer
    ... from revproxy.interfaces import IMiddleware
    ...
    ... @implementer(IMiddleware)
    ... class PluginMain:
    ...     name = "example"
    ...     def __init__(self, config): self.header = config["header"]
    ...     def handle(self, context): return True
    ... '''
    >>> manifest = manifestFromMapping({"name": "example", "version": "1"}, "plugin.json")
    >>> loaded = loadBundle(makeBundle("example", {"plugin.py": main}, Path("/plugins/example")), manifest)
    >>> instantiate(loaded, manifest, {"header": "X-Example"}).header
    'X-Example'
    >>> alive = loaded.sentinel
    >>> unload(loaded); del loaded
    >>> import gc; _ = gc.collect()
    >>> print(alive())
    None

In the order of a life:

- `dependencies`: whether the distributions are there that it needs;
- `bundlefinder`: where the interpreter finds the modules of a bundle, under a name that never comes again;
- `vendoring`: libraries that the plugin brings along, `vendoreddistributions` what is known of them,
  `bundleresources` its other files;
- `tracebacks`: what their code calls its files, and what is told of an exception that came through it;
- `loader`: a bundle becomes a module, and what its entry point returns a middleware;
- `dropins`: where the callable comes from instead, if the plugin is installed with Python;
- `contract`: whether that is one, and what is said if it is not;
- `stages`: the steps from there on, what they may take and how they fail;
- `instance`: a version and its instances, which go through them;
- `handover`: state on its way to a successor;
- `retirement`: drained, stopped, unloaded;
- `unloadproof`: watched until nothing of it exists, or somebody is told;
- `holdersearch`: who still holds it; `hiddenholders` are those whom nobody sees, `holdernames` is what they are called.
"""
