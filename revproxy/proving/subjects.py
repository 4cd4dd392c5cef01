"""
Versions as they are proved: of a plan, or of a folder.
"""

from __future__ import annotations

import msgspec

from revproxy.config.settings import Config
from revproxy.loading.contract import PluginError
from revproxy.loading.libraries import librariesOf
from revproxy.loading.loader import checkDependencies
from revproxy.plan.catalog import CatalogEntry, Selected, entryOf
from revproxy.proving.orders import Subject


def subjectOf(selected: Selected, config: Config) -> Subject:
    """
    A version of a plan, with the configurations that it has on the routes of a configuration.

    :param selected: it has a bundle.
    """
    bundle = selected.entry.bundle
    assert bundle is not None, "what is installed with Python has no versions"
    configs: list[dict[str, object]] = []
    numbers: dict[int, int] = {}
    routes: dict[str, int] = {}
    for index, group in enumerate(config.routeGroups):
        made = selected.configFor(index)
        if made is None:
            continue
        if id(made) not in numbers:
            numbers[id(made)] = len(configs)
            configs.append(dict(made))
        for route in group.routes:
            routes[config.routes[route].name] = numbers[id(made)]
    return Subject(
        selected.name,
        str(bundle.directory),
        dict(bundle.files),
        dict(bundle.tests),
        {},
        tuple(configs) or (dict(selected.manifest.config),),
        routes,
        selected.isolation,
        None if selected.permissions is None else selected.permissions.asDict(),
    )


def withLibraries(subject: Subject) -> Subject:
    """
    The same, with what it depends on, if it is to be proved where no file can be opened. Blocks.

    :raises PluginError: that cannot be had in a locked process.
    """
    if subject.isolation != "process":
        return subject
    bundle = subject.bundle()
    entry = entryOf(bundle, f"{subject.directory}/plugin.json")
    if not isinstance(entry, CatalogEntry):  # whoever loads it says what is wrong
        return subject
    checkDependencies(bundle, entry.manifest)
    libraries = librariesOf(entry.manifest, bundle)
    return msgspec.structs.replace(subject, libraries={name: dict(files) for name, files in libraries.items()})


__all__ = ["PluginError", "subjectOf", "withLibraries"]
