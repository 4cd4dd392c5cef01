"""revproxy.yaml to frozen values, or every problem in it at once.

The schema (``schemas/revproxy.schema.json``) says which keys there are and of what type; this module says what they
mean together. Both always run to their end, so that whoever corrects a file sees every problem in it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from revproxy.config.adminconfig import adminOf
from revproxy.config.alertconfig import alertsOf
from revproxy.config.document import Document, documentFromValue, parseYAML, readText
from revproxy.config.explainconfig import explainOf
from revproxy.config.listenerconfig import listenersOf
from revproxy.config.metricsconfig import metricsOf
from revproxy.config.problems import ConfigErrors, Problem
from revproxy.config.references import ENVIRONMENT, FILE, OwnReferences, Unresolved
from revproxy.config.rolloutconfig import rolloutOf
from revproxy.config.routeconfig import pluginSettings, routesOf
from revproxy.config.schema import checkPublished
from revproxy.config.section import Section
from revproxy.config.settings import (
    ISOLATIONS,
    Config,
    GrantConfig,
    LoggingConfig,
    PluginsConfig,
    QuarantineConfig,
)
from revproxy.config.tracesconfig import tracesOf
from revproxy.config.trustconfig import permissionsAt, trustOf
from revproxy.config.upstreamconfig import upstreamsOf
from revproxy.dataplane.http.limits import Limits, Timeouts
from revproxy.secrets import Secret

__all__ = ["configFromOptions", "configOf", "loadConfig", "parseConfig"]


def loadConfig(path: Path) -> Config:
    """Read a configuration file. Relative paths in it start at its folder.

    :raises ConfigErrors: it cannot be read, or anything in it is wrong.
    """
    source = str(path)
    return parseConfig(readText(Path(path), source), source, Path(path).absolute().parent)


def parseConfig(text: str, source: str, base: Path) -> Config:
    """Configuration from YAML text.

    :param source: what messages call the text.
    :param base: the folder relative paths start at.
    :raises ConfigErrors: with all problems.
    """
    return configOf(parseYAML(text, source), base)


def configFromOptions(
    listen: Sequence[str],
    upstream: str | Sequence[str] | None,
    plugins: str | None = None,
    *,
    access: str = "-",
    state: str = "./var",
    base: Path | None = None,
) -> Config:
    """Configuration without a file: the options of ``twistd revproxy``.

    :param listen: endpoint strings (``--listen``).
    :param upstream: one target URL or several equal ones (``--upstream``).
    :param plugins: folder of plugins (``--plugins``).
    :param access: as ``logging.access``.
    :param state: as ``state``.
    :param base: the folder relative paths start at; left out: the current one.
    :raises ConfigErrors: with all problems, each naming its option.
    """
    targets = [upstream] if isinstance(upstream, str) else list(upstream or ())
    missing = list(_missingOptions(listen, targets))
    if missing:
        raise ConfigErrors(missing)
    value: dict[str, Any] = {
        "listeners": [{"endpoint": endpoint} for endpoint in listen],
        "upstreams": {"upstream": {"targets": targets}},
        "state": state,
        "logging": {"access": access},
    }
    if plugins is not None:
        value["plugins"] = {"directory": plugins}
    try:
        return configOf(documentFromValue(value, "command line"), base or Path.cwd())
    except ConfigErrors as errors:
        raise ConfigErrors([_optionProblem(problem) for problem in errors.problems]) from None


def _missingOptions(listen: Sequence[str], targets: Sequence[str]) -> Iterator[Problem]:
    if not listen:
        yield Problem("--listen", 0, 0, "", "give at least one endpoint, such as --listen tcp:8080")
    if not targets:
        yield Problem("--upstream", 0, 0, "", "give at least one target, such as --upstream http://127.0.0.1:9000")


_OPTIONS = {"$.state": "--state", "$.listeners": "--listen", "$.upstreams": "--upstream", "$.plugins": "--plugins"}


def _optionProblem(problem: Problem) -> Problem:
    for start, option in _OPTIONS.items():
        if problem.path.startswith(start):
            return Problem(option, 0, 0, "", problem.message)
    return problem


def configOf(document: Document, base: Path) -> Config:
    """As :func:`parseConfig`, of a text that is parsed already. :raises ConfigErrors:"""
    references = OwnReferences(document, base)
    value = references.resolve(document.value)
    problems = checkPublished(document, "revproxy", value)
    root = Section(document, value, base, problems)
    upstreams = upstreamsOf(root)
    config = Config(
        listeners=listenersOf(root),
        upstreams=upstreams,
        routes=routesOf(root, upstreams),
        plugins=_plugins(root.section("plugins"), references),
        state=root.pathAt("state") or base / "var",
        limits=_limits(root.section("limits"), root.section("requests")),
        timeouts=_timeouts(root.section("timeouts")),
        logging=_logging(root.section("logging")),
        admin=adminOf(root),
        metrics=metricsOf(root),
        traces=tracesOf(root),
        alerts=alertsOf(root),
        explain=explainOf(root),
        trust=trustOf(root),
        source=document.source,
        document=document,
        referredFiles=references.files,
        secrets=tuple(references.secrets),
    )
    problems = references.withoutEchoes(problems)
    if problems:
        raise ConfigErrors(problems, references.paths)
    return config


def _plugins(section: Section, references: OwnReferences) -> PluginsConfig:
    return PluginsConfig(
        directory=section.pathAt("directory", "folder"),
        config=pluginSettings(section, "config"),
        required=_names(section, "required"),
        isolation={glob: tier for glob, tier in section.section("isolation").value.items() if tier in ISOLATIONS},
        settle=section.seconds("settle", 0.15),
        keepVersions=section.integer("keep_versions", 5),
        maxBytes=section.integer("max_bytes", PluginsConfig().maxBytes),
        watch=section.flag("watch", True),
        drain=section.seconds("drain", 0.0) if section.has("drain") else None,
        quarantine=_quarantine(section.section("quarantine")),
        storeBytes=section.integer("store_bytes", PluginsConfig().storeBytes),
        grants={name: _grant(grant, references) for name, grant in section.entries("grants")},
        rollout=rolloutOf(section.section("rollout")),
    )


def _quarantine(section: Section) -> QuarantineConfig:
    plain = QuarantineConfig()
    return QuarantineConfig(
        failures=section.integer("failures", plain.failures),
        share=section.share("share", plain.share),
        window=section.seconds("window", plain.window),
        loopShare=section.share("loop_share", 0.0) or None,
    )


def _grant(section: Section, references: OwnReferences) -> GrantConfig:
    return GrantConfig(
        _granted(section, "environment", partial(references.valueOf, ENVIRONMENT)),
        _granted(section, "files", partial(references.valueOf, FILE)),
        permissionsAt(section),
    )


def _granted(section: Section, key: str, valueOf: Callable[[str], str]) -> Mapping[str, Secret]:
    given, values = section.value.get(key), {}
    for index, name in enumerate(given if isinstance(given, list) else ()):
        if not isinstance(name, str):
            continue  # the schema has said so
        try:
            values[str(name)] = Secret(valueOf(str(name)))
        except Unresolved as error:
            section.refuse(str(error), key, index)
    return values


def _names(section: Section, key: str) -> tuple[str, ...]:
    values = section.value.get(key)
    return tuple(name for name in values if isinstance(name, str)) if isinstance(values, list) else ()


def _limits(section: Section, requests: Section) -> Limits:
    plain = Limits()
    body = section.integer("max_body_bytes", -1)
    return Limits(
        maxHeaderBytes=section.integer("max_header_bytes", plain.maxHeaderBytes),
        maxHeaders=section.integer("max_headers", plain.maxHeaders),
        maxTargetBytes=section.integer("max_target_bytes", plain.maxTargetBytes),
        maxBodyBytes=None if body < 0 else body,
        maxConnections=section.integer("max_connections", plain.maxConnections),
        maxConnectionsPerClient=section.integer("max_connections_per_client", 0) or None,
        keepsUnderscores=requests.text("underscores", "drop") == "keep",
    )


def _timeouts(section: Section) -> Timeouts:
    names = ("handshake", "header", "body", "idle", "connect", "response", "tunnel", "drain", "linger")
    plain = Timeouts()
    return Timeouts(**{name: section.seconds(name, getattr(plain, name)) for name in names})


def _logging(section: Section) -> LoggingConfig:
    target = section.value.get("access", "-")
    access: str | None = "-"
    if target is None or target == "off":
        access = None
    elif target != "-":
        path = section.pathAt("access")
        if path is not None and not path.parent.is_dir():
            section.refuse(f"there is no folder {path.parent}", "access")
        elif path is not None and path.is_dir():
            section.refuse(f"{path} is a folder; name a file in it", "access")
        access = str(path) if path else "-"
    plain = LoggingConfig()
    return LoggingConfig(
        access,
        section.text("format", plain.format),
        section.text("level", plain.level),
        section.text("own", plain.own),
        _names(section, "mask"),
        section.integer("remember", plain.remember),
        section.integer("remember_bytes", plain.rememberBytes),
    )
