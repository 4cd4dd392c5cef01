"""
What requests were: sums over time, by route, upstream, target and plugin; and the last of them.

- `traffic` is asked for a `window` of time; for each name it keeps a `course`, which is slots of seconds.
"""
