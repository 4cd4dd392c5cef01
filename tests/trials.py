"""Plans with versions on trial, for tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from revproxy.plan.catalog import CatalogEntry, Order, Selected
from revproxy.plan.plan import Plan
from revproxy.plan.trial import BUCKETS, Arm, Trial

ALL = b"\xff" * (BUCKETS // 8)
"""Every client is the candidate's."""

NONE = bytes(BUCKETS // 8)
"""No client is."""


def bits(buckets: Iterable[int]) -> bytes:
    """Those buckets are the candidate's."""
    data = bytearray(BUCKETS // 8)
    for bucket in buckets:
        data[bucket >> 3] |= 1 << (bucket & 7)
    return bytes(data)


def trial(*plugins: str, id: str = "", canary: bytes = ALL, **options: Any) -> Trial:
    """A rollout in a stage in which workers take part."""
    id = id or f"of-{'-'.join(plugins)}"
    stage = options.pop("stage", "canary")
    return Trial(id, plugins, stage, options.pop("salt", id.encode().ljust(16, b".")), canary, **options)


def onTrial(plan: Plan, *tried: tuple[Trial, Sequence[CatalogEntry]]) -> Plan:
    """The same plan, with versions on trial in the places of what runs, and an arm for each set of them."""
    trials = tuple(one for one, _ in tried)
    arms = []
    for count in range(1, len(tried) + 1):
        for chosen in combinations(tried, count):
            if count == 1 or all(one.stage == "canary" for one, _ in chosen):
                arms.append(_arm(plan, chosen))
    return replace(plan, trials=trials, arms=tuple(arms))


def _arm(plan: Plan, chosen: Sequence[tuple[Trial, Sequence[CatalogEntry]]]) -> Arm:
    others = {entry.manifest.name: entry for _, entries in chosen for entry in entries}
    swapped: dict[int, Selected] = {}

    def instead(selected: Selected) -> Selected:
        entry = others.get(selected.name)
        if entry is None:
            return selected
        known = swapped.get(id(selected))
        if known is None:
            known = swapped[id(selected)] = replace(
                selected, entry=entry, config=entry.manifest.config, permissions=entry.manifest.permissions
            )
        return known

    orders: dict[int, Order] = {}
    for order in plan.orderPerGroup:
        if id(order) not in orders:
            orders[id(order)] = tuple(
                (instead(selected), others[selected.name].manifest.config if selected.name in others else settings)
                for selected, settings in order
            )
    return Arm(
        tuple(one.id for one, _ in chosen),
        tuple(instead(selected) for selected in plan.selected),
        tuple(orders[id(order)] for order in plan.orderPerGroup),
    )
