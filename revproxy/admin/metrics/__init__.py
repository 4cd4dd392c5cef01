"""
What Prometheus reads.

- `family` is what series are told together, and their text; `families` are all of ours, `ownfamilies` those of plugins;
- `requestfigures`, `hostfigures`, `pluginfigures`, `edgefigures` add up what workers tell, and `controlfigures` has
  what control knows; `exemplars` are traces of some requests; `collection` is all of these;
- `exposition` makes the text of it in slices, `scraper` when somebody asks, once for all who wait;
- `site` is HTTP, with `accept` for what a client takes; `listener` is the port that revproxy.yaml names;
- `metrics` joins these.
"""
