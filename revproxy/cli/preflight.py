"""Everything that can be known about a configuration without starting anything.

Manifests are checked, plugins imported and made, and thrown away: `ILifecycle.start` is never called, nothing is bound.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from twisted.python.reflect import namedAny
from twisted.web.resource import IResource

from revproxy.bundles.ignorerules import isPassing
from revproxy.cli.lockedcheck import LockedCheck
from revproxy.cli.rolloutcheck import rolloutWarnings
from revproxy.config.configfile import loadConfig
from revproxy.config.document import Document
from revproxy.config.manifest import Manifest
from revproxy.config.problems import ConfigErrors, Problem, Step, quoted, textOf
from revproxy.config.settings import Config, documentOf
from revproxy.control.catalogreader import readCatalog
from revproxy.control.certificatefiles import CertificateFiles
from revproxy.control.custody import configWarnings, lookWarnings, ownerOf, stateWarnings, users
from revproxy.control.planning.selection import orderPerGroup, select
from revproxy.control.planning.switching import saysOff
from revproxy.control.state.directory import StateFolder
from revproxy.control.state.recordfile import peekRecords
from revproxy.control.state.records import PluginRecords
from revproxy.control.trust.checking import trustProblems, withoutGrants
from revproxy.dataplane.net.tlscontexts import clientContext
from revproxy.interfaces import IConfigurable
from revproxy.loading.contract import PluginError
from revproxy.loading.loader import instantiate, instantiateFactory, loadBundle, unload
from revproxy.plan.catalog import Catalog, Selected
from revproxy.plan.pemfiles import authorityFiles
from revproxy.regularfile import readFile
from revproxy.worker.certificates import CertificateError, CertificateFolder
from revproxy.worker.guard.timelimit import noLongerThan
from revproxy.worker.lifecycle.dropins import DropInFactories
from revproxy.worker.upstreamfactory import PEM_LIMIT

HOLD = 5.0
"""Seconds that a plugin's import, or the making of an instance, may take."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a sound configuration amounts to.

    :ivar manifests: of the plugins that run, in order of their names.
    :ivar off: names of those that are known and run nowhere.
    :ivar warnings: what will not stop the edge, or not for long: certificates that expired or are not there yet.
    """

    config: Config
    manifests: tuple[Manifest, ...]
    off: tuple[str, ...]
    warnings: tuple[str, ...] = ()


_PlaceOf = Callable[[Selected, Mapping[str, Any]], str]


def preflight(config: Config, dropins: Iterable[Any] | None = None) -> Findings:
    """Check plugins, their configuration and order, certificates, and the dotted names of resources.

    :param dropins: instead of what ``getPlugins`` finds.
    :raises ConfigErrors: with all problems. Plugins are imported only when their manifests, configuration and order
        are sound.
    """
    where = documentOf(config)
    warnings = [*_overlooked(config)]
    problems = [
        *_resourceProblems(config, where),
        *_certificateProblems(config, where, warnings),
        *_upstreamProblems(config, where),
    ]
    try:
        installed = DropInFactories(dropins, config.trust)
        catalog = readCatalog(config.plugins.directory, installed.told, config.plugins.maxBytes)
        records = peekRecords(StateFolder(config.state).recordsPath)
        selected = select(catalog, config, remembered=records.plugins.keys())
        orderPerGroup(selected, config)
        trusted = trustProblems(config, selected, records)
    except ConfigErrors as errors:
        raise ConfigErrors([*errors.problems, *problems]) from None
    if trusted:  # none of their code is run
        raise ConfigErrors([*trusted, *problems])
    placeOf = partial(_configPlace, config, where)
    for plugin in selected:
        if plugin.isolation == "inline":
            problems += _tryPlugin(plugin, placeOf, installed)
    problems += _tryLocked(config, [plugin for plugin in selected if plugin.isolation == "process"])
    if problems:
        raise ConfigErrors(problems)
    warnings += _withoutFolders(config, catalog, records)
    warnings += withoutGrants(config, selected, records)
    warnings += rolloutWarnings(config, {*catalog.entries, *(broken.name for broken in catalog.broken)})
    return _findings(config, catalog, selected, tuple(warnings))


def _overlooked(config: Config) -> Iterator[str]:
    """Folders that look like a plugin and are none; at the start they are passed over without a word."""
    directory = config.plugins.directory
    try:
        names = sorted(os.listdir(directory)) if directory is not None else []
    except OSError:
        return  # readCatalog says so
    for path in (Path(directory or "", name) for name in names if not isPassing(name)):
        if os.path.isfile(path / "plugin.py") and not os.path.lexists(path / "plugin.json"):
            yield f"{path}: has a plugin.py and no plugin.json, and is passed over"


def _withoutFolders(config: Config, catalog: Catalog, records: PluginRecords) -> Iterator[str]:
    """Required plugins that run, or ran when the edge ended, and whose folders are gone."""
    here = {*catalog.entries, *(broken.name for broken in catalog.broken)}
    for name, record in records.plugins.items():
        if record.running is not None and record.required and name not in here and not saysOff(name, config, {}):
            folder = Path(config.plugins.directory or "plugins", record.folder or name)
            text = f"it is gone, and plugin {name} is required: the stored version runs; without that, no start"
            yield f"{folder}: {text}"


def _findings(
    config: Config, catalog: Catalog, selected: tuple[Selected, ...], warnings: tuple[str, ...]
) -> Findings:
    manifests = tuple(plugin.manifest for plugin in selected)
    running = {manifest.name for manifest in manifests}
    return Findings(config, manifests, tuple(name for name in catalog.entries if name not in running), warnings)


def _tryLocked(config: Config, plugins: list[Selected]) -> list[Problem]:
    """Those that run in locked processes."""
    if not plugins:
        return []
    check = LockedCheck(config.trust)
    try:
        return [
            problem
            for plugin in plugins
            for settings in _configsOf(plugin)
            for problem in check.problems(plugin, settings)
        ]
    finally:
        check.close()


def _configsOf(plugin: Selected) -> list[Mapping[str, Any]]:
    """Its configurations, each once."""
    known = {id(config): config for config in (plugin.config, *plugin.perGroup.values()) if config is not None}
    return list(known.values())


def _tryPlugin(plugin: Selected, placeOf: _PlaceOf, installed: DropInFactories) -> Iterator[Problem]:
    configs = _configsOf(plugin)
    bundle = plugin.entry.bundle
    if bundle is None:
        for config in configs:
            make = partial(instantiateFactory, installed.of(plugin.entry))
            yield from _tryConfig(plugin, config, placeOf, make, plugin.entry.source)
        return
    try:
        with noLongerThan(HOLD):
            module = loadBundle(bundle, plugin.manifest)
    except PluginError as error:
        yield _problemOf(error)
        return
    try:
        for config in configs:
            source = str(bundle.directory / "plugin.py")
            yield from _tryConfig(plugin, config, placeOf, partial(instantiate, module), source)
    finally:
        unload(module)


def _tryConfig(
    plugin: Selected, config: Mapping[str, Any], placeOf: _PlaceOf, make: Callable[..., Any], source: str
) -> Iterator[Problem]:
    """
    :param make: makes an instance, given the manifest and the configuration.
    :param source: where its code is.
    """
    try:
        with noLongerThan(HOLD):
            made = make(plugin.manifest, config)
            _validate(made, config, plugin.manifest, source)
    except PluginError as error:
        yield _problemOf(error, placeOf(plugin, config))
    except BaseException as error:  # what it made may raise when it is only looked at
        yield Problem(source, 0, 0, "", f"{type(error).__name__}: {textOf(error)} (plugin {plugin.manifest.name})")


def _problemOf(error: PluginError, configPlace: str = "") -> Problem:
    configured = f", configured in {configPlace}" if configPlace else ""
    return Problem(error.where, 0, 0, "", f"{error.message} (plugin {error.plugin}{configured})")


def _configPlace(whole: Config, where: Document, plugin: Selected, config: Mapping[str, Any]) -> str:
    """``FILE:LINE`` of what revproxy.yaml says about a plugin, where that leads to this configuration."""
    name = plugin.manifest.name
    groups = [whole.routeGroups[index] for index, each in plugin.perGroup.items() if each is config]
    own: list[tuple[Step, ...]] = [("routes", group.routes[0], "plugins", name) for group in groups]
    for path in [("plugins", "config", name)] if config is plugin.config else own:
        if where.has(path):
            return f"{where.source}:{where.position(path)[0]}"
    return ""


def _validate(made: Any, config: Mapping[str, Any], manifest: Manifest, where: str) -> None:
    if not IConfigurable.providedBy(made):
        return
    try:
        made.validateConfig(config)
    except Exception as error:  # foreign code
        raise PluginError(manifest.name, where, f"validateConfig refused the configuration: {textOf(error)}") from error


def _certificateProblems(config: Config, where: Document, warnings: list[str]) -> Iterator[Problem]:
    for index, listener in enumerate(config.listeners):
        if listener.tls is None:
            continue
        path = ("listeners", index, "tls", "certificates")
        if not listener.tls.certificates.exists():
            warnings.append(f"{where.problem(path, 'the folder is not there yet; the edge needs it when it starts')}")
            continue
        try:
            files = CertificateFiles(listener.tls.certificates, authorityFiles(listener.tls)).read()
            loaded = CertificateFolder(listener.tls).load(files)
            warnings += [*loaded.problems, *loaded.expired]
        except CertificateError as error:
            yield from (where.problem(path, text) for text in error.problems)


def _upstreamProblems(config: Config, where: Document) -> Iterator[Problem]:
    for name, upstream in config.upstreams.items():
        files = {"ca": upstream.tls.ca, "certificate": upstream.tls.certificate}
        for key, file in files.items():
            if file is None:
                continue
            try:
                data = readFile(file, PEM_LIMIT)
                clientContext(True, data if key == "ca" else None, data if key == "certificate" else None)
            except Exception as error:  # OpenSSL's, cryptography's and pyOpenSSL's errors have no root in common
                reason = " ".join(str(error).split()) or type(error).__name__
                yield where.problem(("upstreams", name, "tls", key), f"{file} cannot be used: {reason}")


def _resourceProblems(config: Config, where: Document) -> Iterator[Problem]:
    for index, route in enumerate(config.routes):
        if route.resource is None:
            continue
        try:
            found = namedAny(route.resource)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # foreign code is imported
            message = f"{quoted(route.resource)} cannot be imported: {type(error).__name__}: {error}"
            yield where.problem(("routes", index, "resource"), message)
        else:
            if not _makesResource(found):
                message = f"{quoted(route.resource)} is neither an IResource nor makes one without arguments"
                yield where.problem(("routes", index, "resource"), message)


def _makesResource(found: Any) -> bool:
    """As far as that can be told without calling it."""
    if IResource.providedBy(found):
        return True
    try:
        inspect.signature(found).bind()
    except TypeError:  # not callable, or only with arguments
        return False
    except ValueError:  # it is written in C and does not say
        return True
    return True


def checkFile(path: Path) -> Findings:
    """Load a configuration file and run `preflight` on it.

    :raises ConfigErrors: with all problems.
    """
    findings = preflight(loadConfig(path))
    return replace(findings, warnings=(*findings.warnings, *_custodyWarnings(path, findings.config)))


def _custodyWarnings(path: Path, config: Config) -> Iterator[str]:
    """Whoever checks may be somebody else than the edge's user, whose the state folder is."""
    where = documentOf(config)
    trusted = users(ownerOf(config.state))
    for warning in (*stateWarnings(config.state, trusted), *lookWarnings(config.state)):
        yield str(where.problem(("state",), warning))
    yield from configWarnings(config, path)
