"""
How a new version earns its place: what is decided of rollouts, without files, clocks or workers.

- `preflight`: what a version has to pass before it meets any request;
- `verdict`: what a judge says, and why;
- `judge`: decides by what workers tell; `planner` says beforehand how long that takes.
"""
