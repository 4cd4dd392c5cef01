"""
Whether a version can be loaded, and made with each of its configurations: all that an edge finds out before it serves.

What is to run in a locked process is loaded in one. Nothing is started.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from revproxy.cli.lockedcheck import LockedCheck
from revproxy.config.manifest import ConfigLayer, checkConfig
from revproxy.config.problems import textOf
from revproxy.config.trustconfig import TrustConfig
from revproxy.interfaces import IConfigurable
from revproxy.loading.contract import PluginError
from revproxy.loading.loader import LoadedBundle, instantiate, loadBundle
from revproxy.plan.catalog import BrokenPlugin, CatalogEntry, Selected, entryOf
from revproxy.proving.orders import Order, Report, Subject
from revproxy.worker.guard.timelimit import noLongerThan

HOLD = 5.0
"""Seconds that the import, or the making of an instance, may take."""


class NotMade(Exception):
    """It cannot be loaded, or made; the text says why, with its place."""


def loads(order: Order) -> Report:
    """What is wrong with it."""
    try:
        entry = read(order.candidate)
        if order.candidate.isolation == "process":
            return Report(tuple(_lockedProblems(order, entry)))
        loaded = imported(order.candidate, entry)
        for config in order.candidate.configs:
            made(loaded, entry, config)
    except NotMade as error:
        return Report((str(error),))
    return Report()


def read(subject: Subject) -> CatalogEntry:
    """:raises NotMade: its plugin.json will not do, or one of its configurations does not fit it."""
    entry = entryOf(subject.bundle(), f"{subject.directory}/plugin.json")
    if isinstance(entry, BrokenPlugin):
        raise NotMade(_lines(entry.problems))
    for config in subject.configs:
        layer = ConfigLayer(dict(config), None, (), "its configuration")
        if problems := checkConfig(entry.manifest, config, [layer]):
            raise NotMade(_lines(problems))
    return entry


def imported(subject: Subject, entry: CatalogEntry) -> LoadedBundle:
    """:raises NotMade: it cannot be imported."""
    try:
        with noLongerThan(HOLD):
            return loadBundle(subject.bundle(), entry.manifest)
    except PluginError as error:
        raise NotMade(_line(error)) from None


def made(loaded: LoadedBundle, entry: CatalogEntry, config: Mapping[str, Any]) -> Any:
    """
    A middleware, neither attached nor started.

    :raises NotMade: it cannot be made so.
    """
    try:
        with noLongerThan(HOLD):
            middleware = instantiate(loaded, entry.manifest, config)
            if IConfigurable.providedBy(middleware):
                middleware.validateConfig(config)
    except PluginError as error:
        raise NotMade(_line(error)) from None
    except Exception as error:  # foreign code
        where = f"{loaded.bundle.directory}/plugin.py"
        raise NotMade(f"{where}: validateConfig refused the configuration: {textOf(error)}") from None
    return middleware


def _lockedProblems(order: Order, entry: CatalogEntry) -> Iterator[str]:
    check = LockedCheck(TrustConfig(minimumLevel=order.minimumLevel, uids=order.uids))
    try:
        for config in order.candidate.configs:
            selected = Selected(entry, config, isolation="process", permissions=order.candidate.may())
            yield from map(_line, check.problems(selected, config))
    finally:
        check.close()


def _lines(problems: Iterable[object]) -> str:
    return "; ".join(dict.fromkeys(map(_line, problems)))


def _line(problem: object) -> str:
    return " ".join(str(problem).split())


__all__ = ["NotMade", "imported", "loads", "made", "read"]
