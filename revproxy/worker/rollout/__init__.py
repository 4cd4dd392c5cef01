"""
Versions on trial, in one worker: who meets which, what they do, and what the other one would have done.

- `recordings`: requests that are taken down for somebody to keep them.
"""
