"""The control plane decides what the data plane is; only here are files read.

In the order in which a change passes through:

- `monitor`, `signature` and `watcher` notice that files have changed, and wait until they are complete;
- `scan` looks at them: `document` parses YAML and JSON and knows the line of every value, `problems` is how anything is
  refused; `schema`, `syntax`, `section` check values; `config` makes `settings`: revproxy.yaml as frozen values;
  `manifest` does the same for plugin.json; `bundle` reads every byte of a plugin's folder once;
- `catalog` knows all plugins there are and which of them are wanted; `order` puts them into one order;
- `plan` decides which version of each plugin is meant, and which changes go together; `change`: what somebody asks for;
- `draft` makes ready what is new: `loader` imports a bundle from its bytes, `instance` takes it from import to stop;
- `generation` wires a plan and its instances together; `listeners`, `certificates` and `accesslogging` are what of a
  configuration is not in a generation;
- `lifecycle` makes all of this one transaction, which ends in one assignment;
- `retirement` sees off what was replaced; `unloading` and `holders` prove that it is gone, or name who keeps it;
- `memory` remembers what runs: `ledger` and `store`, in the `statefolder`;
- `ward` takes out versions that fail as they run: `breaker`, `quarantine`; `stalls` (`alarm` before the
  start) ends calls that hold the reactor;
- `steering` is what can be asked and told, over the `controlsocket`; `events` is what happened;
- `service` is the edge as a Twisted service.
"""
