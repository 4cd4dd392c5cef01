r"""
A bundle becomes modules, and what its entry point returns a middleware: from the bytes in memory, and nothing else.

    >>> from pathlib import Path
    >>> from revproxy.bundles.bundle import makeBundle
    >>> from revproxy.config.manifest import manifestFromMapping
    >>> from revproxy.loading.loader import instantiate, loadBundle, unload
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

The edge does this in its own process (`worker.lifecycle`), and a locked process does it in the same way (`isolation`).
In the order of a load:

- `loadable`: what is to be known of a plugin;
- `dependencies`: whether the distributions are there that it needs; `libraries` reads them, for a process that has no
  files;
- `bundlefinder`: where the interpreter finds the modules of a bundle, under a name that never comes again;
- `vendorednames`: what the plugin brings along, `vendoring`: how its imports lead there, `vendoreddistributions`: what
  is known of its libraries, `bundleresources`: its other files;
- `tracebacks`: what their code calls its files, and what is told of an exception that came through it;
- `loader`: a bundle becomes a module, and what its entry point returns a middleware;
- `contract`: whether that is one, and what is said if it is not;
- `stepanswers`: what the steps of its life may answer, and what of its state is handed over.
"""
