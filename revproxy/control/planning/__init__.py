"""
Pure decisions: from what there is, and what is remembered, to the plan that is to be.

In the order in which a transaction asks them:

- `folderowners`: which folder owns a name that several claim;
- `choice`: which version of each plugin is meant, each by itself;
- `deferredremovals`: which removals wait for newcomers that were refused with them;
- `resolution`: which of these changes go together: `selection` says who runs where with which configuration, `order`
  who runs before whom;
- `gradual`: which of the versions that are meant take steps, and which rollouts (`ongoing`) that ends; `settings`: what
  is said of a plugin, where that takes steps; `arms`: the plan as clients meet it whom candidates serve;
- `difference`: what has changed from one plan to the next.

Nothing here waits, reads or tells; what has to be read is passed in.
"""
