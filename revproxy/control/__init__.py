"""The control plane decides what the data plane is; only here are files read.

In the order in which a change passes through:

- `document` parses YAML and JSON and knows the line of every value; `problems` is how anything is refused;
- `schema`, `syntax`, `section` check values; `config` makes `settings`: revproxy.yaml as frozen values;
- `manifest` does the same for plugin.json;
- `bundle` reads every byte of a plugin's folder once; `loader` imports it from those bytes;
- `catalog` knows all plugins there are and which of them are wanted; `order` puts them into one order;
- `certificates` reads PEM folders; `generation` wires all of it together.
"""
