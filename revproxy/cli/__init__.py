"""
``revproxy``, the command.

- `main`: the commands, and those that only need files: ``check``, ``init``, ``new-plugin``;
- `runcommand`: the edge itself;
- `templates`: what ``init`` and ``new-plugin`` write;
- `preflight`: what ``check`` finds: everything that can be known without starting anything;
- `edgecommands`: the commands that ask a running edge, or have it change something;
- `edgeclient`: which edge is asked, and what goes through its control socket;
- `report`: how answers are printed.
"""
