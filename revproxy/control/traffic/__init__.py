"""
What requests were: sums over time, by route, upstream, target and plugin; and the last of them.

- `goings` is what goes on now;
- `traffic` is asked for a `window` of time; for each name it keeps a `course`, which is slots of seconds.
- `recentrequests` has the last of them, in a `block` after the other, encoded as they came. What somebody wants to see
  of them a `requestfilter` says, whether he searches or watches (`livetail`); `recordview` is how they are shown.
- An `explanation` says why one of them went as it did: from what its plan had (`pastplans`), which routes it could
  have taken (`contest`), and what became of it at each plugin (`chainstory`). A `rehearsal` says the same of one that
  nobody has sent.
"""
