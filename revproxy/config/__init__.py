"""
What users write, as frozen values that know their lines: revproxy.yaml and the manifests of plugins.

- `problems`: what is wrong, and where; every problem of a file is told at once;
- `document`: a parsed file that knows the place of each value; `yamlreader` and `jsonreader` find the `places`;
- `schema`: what the JSON Schemas refuse (the published ones are in ``schemas/``);
- `section`: a mapping read key by key, with `syntax`, the small languages inside values;
- `references`: values that stand elsewhere, in the environment or a file; `grantedconfig`: those of a plugin.json;
- `secretnames`: what stands in plain text and looks like a secret, masked;
- `settings`: revproxy.yaml as values; `configfile` makes them, with `listenerconfig`, `upstreamconfig`,
  `routeconfig`, `metricsconfig`, `explainconfig`, `alertconfig` with `alertexpression`, `readymadealerts` and
  `alertsettings`, and `rolloutconfig` with `rolloutsteps`, `rolloutkeys` and `rolloutpolicy`;
- `yamledit`: another value for one key of a YAML text, and all else as it was written;
- `manifest`: plugin.json as a value, and a plugin's configuration.

Nothing is bound, started or imported by reading::

    from pathlib import Path
    from revproxy.config.configfile import loadConfig

    config = loadConfig(Path("revproxy.yaml"))  # or ConfigErrors, with all problems
    print(config.routes[0].upstream)
"""
