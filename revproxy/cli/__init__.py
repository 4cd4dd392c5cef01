"""
``revproxy``, the command.

- `main`: the command; `commandlist`: those that it has; `begincommands`: those that need nothing, ``init``,
  ``new-plugin``; `checkcommand`: ``check``;
- `runcommand`: the edge itself;
- `templates`: what ``init`` and ``new-plugin`` write;
- `preflight`: what ``check`` finds: everything that can be known without starting anything;
- `edgecommands`: the commands about plugins; `statuscommands`, `requestcommands`, `eventcommands`,
  `upstreamcommands`, `historycommands`, `alertcommands`, `tokencommands`: those about the rest of a running edge;
- `doctorcommand`, `bundlecommand`: the edge and its machine, also where none runs;
- `remoteedge`: the options that say which edge is meant, and how a command ends; `edgeclient`: the HTTP client;
- `completion`, `names`: what a shell completes;
- `report`: how answers are printed.
"""
