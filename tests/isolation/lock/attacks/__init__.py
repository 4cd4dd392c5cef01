"""
What hostile code tries, once it runs in a process: each attack is a function that returns if it has worked.

The same functions are run without any lock, where they have to work: an attack that cannot work tells nothing.
"""

from __future__ import annotations

from tests.isolation.lock.attacks import code, files, kernelcalls, network, processes, resources
from tests.isolation.lock.attacks.attack import Attack

ALL: tuple[Attack, ...] = tuple(
    value
    for module in (files, network, processes, resources, code, kernelcalls)
    for value in vars(module).values()
    if isinstance(value, Attack)
)
