"""All wanted plugins in one order: pure, and the same for the same set whatever order it comes in.

A plugin answers to its own name and to what it provides. ``requires``, ``before`` and ``after`` are edges; among those
that may come next, lower priority goes first, then the name. ``before`` and ``after`` are wishes: a name that is
absent is no error. ``requires`` is a demand, and whoever is required runs earlier.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from packaging.specifiers import SpecifierSet

from revproxy.config.manifest import Manifest
from revproxy.config.problems import ConfigErrors, Problem, Step, quoted, suggestion


def resolveOrder(manifests: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """The order on the way in.

    :raises ConfigErrors: an unmet requirement, a conflict, a name given twice, or a cycle, which is named.
    """
    byName: dict[str, Manifest] = {}
    problems: list[Problem] = []
    for manifest in sorted(manifests, key=_rank):
        if manifest.name in byName:
            other = byName[manifest.name].source
            problems.append(_problem(manifest, ("name",), f"{quoted(manifest.name)} is also the name of {other}"))
        byName.setdefault(manifest.name, manifest)
    answering = _answering(byName)
    for manifest in byName.values():
        problems += _unmet(manifest, answering)
        problems += _conflicting(manifest, answering)
    if problems:
        raise ConfigErrors(problems)
    return _sorted(byName, _edges(byName, answering))


def _rank(manifest: Manifest) -> tuple[int, str]:
    return manifest.priority, manifest.name


def _problem(manifest: Manifest, path: Sequence[Step], message: str) -> Problem:
    if manifest.document is not None:
        return manifest.document.problem(path, message)
    return Problem(manifest.source, 0, 0, "", message)


def _answering(byName: Mapping[str, Manifest]) -> Mapping[str, tuple[Manifest, ...]]:
    """Name to everyone who answers to it: the plugin of that name, and all that provide it."""
    answering: dict[str, list[Manifest]] = {}
    for manifest in byName.values():
        for name in dict.fromkeys((manifest.name, *manifest.provides)):
            answering.setdefault(name, []).append(manifest)
    return MappingProxyType({name: tuple(those) for name, those in answering.items()})


def _fits(wanted: SpecifierSet, manifest: Manifest) -> bool:
    # A pre-release that is installed is meant to be used: only its order among the versions decides.
    return wanted.contains(manifest.version, prereleases=True)


def _others(manifest: Manifest, name: str, answering: Mapping[str, tuple[Manifest, ...]]) -> list[Manifest]:
    return [other for other in answering.get(name, ()) if other is not manifest]


def _unmet(manifest: Manifest, answering: Mapping[str, tuple[Manifest, ...]]) -> Iterable[Problem]:
    for name, wanted in manifest.requires.items():
        others = _others(manifest, name, answering)
        if any(_fits(wanted, other) for other in others):
            continue
        demand = f"{manifest} requires {name}{f' {wanted}' if str(wanted) else ''}"
        if others:
            reason = f"; there is {', '.join(map(str, others))}"
        else:
            known = [one for one in answering if one != manifest.name]
            reason = ", which is absent or switched off" + suggestion(name, known)
        yield _problem(manifest, ("requires", name), demand + reason)


def _conflicting(manifest: Manifest, answering: Mapping[str, tuple[Manifest, ...]]) -> Iterable[Problem]:
    for name, refused in manifest.conflicts.items():
        for other in _others(manifest, name, answering):
            if _fits(refused, other):
                message = f"{manifest} cannot run together with {other}; switch one of them off"
                yield _problem(manifest, ("conflicts", name), message)


def _edges(
    byName: Mapping[str, Manifest], answering: Mapping[str, tuple[Manifest, ...]]
) -> Mapping[str, set[str]]:
    """Name to the names that must run later."""
    later: dict[str, set[str]] = {name: set() for name in byName}
    for manifest in byName.values():
        for name in manifest.before:
            later[manifest.name].update(other.name for other in _others(manifest, name, answering))
        for name in manifest.after:
            for other in _others(manifest, name, answering):
                later[other.name].add(manifest.name)
        for name, wanted in manifest.requires.items():
            for other in _others(manifest, name, answering):
                if _fits(wanted, other):
                    later[other.name].add(manifest.name)
    return later


def _sorted(byName: Mapping[str, Manifest], later: Mapping[str, set[str]]) -> tuple[Manifest, ...]:
    waiting = dict.fromkeys(byName, 0)
    for names in later.values():
        for name in names:
            waiting[name] += 1
    ready = [_rank(byName[name]) for name, count in waiting.items() if not count]
    heapq.heapify(ready)
    order: list[Manifest] = []
    while ready:
        name = heapq.heappop(ready)[1]
        order.append(byName[name])
        for following in later[name]:
            waiting[following] -= 1
            if not waiting[following]:
                heapq.heappush(ready, _rank(byName[following]))
    if len(order) < len(byName):
        done = {manifest.name for manifest in order}
        raise ConfigErrors([_cycleProblem(byName, {name: later[name] - done for name in byName if name not in done})])
    return tuple(order)


def _cycleProblem(byName: Mapping[str, Manifest], later: Mapping[str, set[str]]) -> Problem:
    cycle = _shortestCycle(later)
    manifest = byName[cycle[0]]
    key = next((key for key in ("before", "after", "requires") if getattr(manifest, key)), "name")
    path = " -> ".join(cycle)
    return _problem(manifest, (key,), f"the order of plugins has a cycle: {path} (each must run before the next)")


def _shortestCycle(later: Mapping[str, set[str]]) -> list[str]:
    """Of the shortest cycles the one that comes first by name; it starts and ends with its first name."""
    best: list[str] = []
    for start in sorted(later):
        paths = [[start]]
        seen: set[str] = set()
        while paths and (not best or len(paths[0]) < len(best) - 1):
            path = paths.pop(0)
            if start in later[path[-1]]:
                best = [*path, start]
                break
            for name in sorted(later[path[-1]] - seen):
                seen.add(name)
                paths.append([*path, name])
    return best
