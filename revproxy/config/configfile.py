"""revproxy.yaml to frozen values, or every problem in it at once.

The schema (``schemas/revproxy.schema.json``) says which keys there are and of what type; this module says what they
mean together. Both always run to their end, so that one look at the output is enough to correct a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from revproxy.config import syntax
from revproxy.config.document import Document, documentFromValue, parseYAML, readText
from revproxy.config.problems import ConfigErrors, Problem, quoted
from revproxy.config.routeconfig import pluginSettings, routesOf
from revproxy.config.schema import checkPublished
from revproxy.config.section import Section
from revproxy.config.settings import (
    AdminConfig,
    ClientAuthConfig,
    Config,
    ListenerConfig,
    LoggingConfig,
    PluginsConfig,
    PluginSetting,
    RedirectConfig,
    RespondConfig,
    RouteConfig,
    TargetConfig,
    TLSConfig,
    UpstreamConfig,
    UpstreamTLSConfig,
)
from revproxy.dataplane.http.limits import Limits, Timeouts

__all__ = [
    "AdminConfig",
    "ClientAuthConfig",
    "Config",
    "ConfigErrors",
    "ListenerConfig",
    "LoggingConfig",
    "PluginSetting",
    "PluginsConfig",
    "Problem",
    "RedirectConfig",
    "RespondConfig",
    "RouteConfig",
    "TLSConfig",
    "TargetConfig",
    "UpstreamConfig",
    "UpstreamTLSConfig",
    "configFromOptions",
    "loadConfig",
    "parseConfig",
    "unavailable",
]


def loadConfig(path: Path) -> Config:
    """Read a configuration file; relative paths in it start at its folder.

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
    return _configOf(parseYAML(text, source), base)


def unavailable(config: Config) -> Mapping[str, str]:
    """Top-level keys that are given and have no effect in this version, and why; for a warning."""
    if config.admin is None:
        return {}
    return {"admin": "the admin API is not available in this version of revproxy; nothing listens there"}


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
    missing = [
        Problem(option, 0, 0, "", message)
        for given, option, message in (
            (listen, "--listen", "give at least one endpoint, such as --listen tcp:8080"),
            (targets, "--upstream", "give at least one target, such as --upstream http://127.0.0.1:9000"),
        )
        if not given
    ]
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
        return _configOf(documentFromValue(value, "command line"), base or Path.cwd())
    except ConfigErrors as errors:
        raise ConfigErrors([_optionProblem(problem) for problem in errors.problems]) from None


_OPTIONS = {"$.state": "--state", "$.listeners": "--listen", "$.upstreams": "--upstream", "$.plugins": "--plugins"}


def _optionProblem(problem: Problem) -> Problem:
    for start, option in _OPTIONS.items():
        if problem.path.startswith(start):
            return Problem(option, 0, 0, "", problem.message)
    return problem


def _configOf(document: Document, base: Path) -> Config:
    problems = checkPublished(document, "revproxy")
    root = Section(document, document.value, base, problems)
    upstreams = {name: _upstream(name, section) for name, section in root.entries("upstreams")}
    config = Config(
        listeners=_listeners(root),
        upstreams=upstreams,
        routes=routesOf(root, upstreams),
        plugins=_plugins(root.section("plugins")),
        state=root.pathAt("state") or base / "var",
        limits=_limits(root.section("limits"), root.section("requests")),
        timeouts=_timeouts(root.section("timeouts")),
        logging=_logging(root.section("logging")),
        admin=_admin(root),
        source=document.source,
        document=document,
    )
    if problems:
        raise ConfigErrors(problems)
    return config


def _listeners(root: Section) -> tuple[ListenerConfig, ...]:
    listeners = []
    seen: set[str] = set()
    for section in root.items("listeners"):
        endpoint = section.checked("endpoint", syntax.endpoint, "")
        if endpoint and endpoint in seen:
            section.refuse(f"{quoted(endpoint)} is listened on already", "endpoint")
        seen.add(endpoint)
        trusted = _trustedProxies(section)
        proxyProtocol = section.flag("proxy_protocol", False)
        if proxyProtocol and not section.value.get("trusted_proxies"):
            section.refuse("needs trusted_proxies: PROXY headers are taken from nobody else", "proxy_protocol")
        tls = _tls(section.section("tls")) if section.has("tls") else None
        listeners.append(ListenerConfig(endpoint, tls, proxyProtocol, trusted))
    return tuple(listeners)


def _trustedProxies(section: Section) -> tuple[str, ...]:
    given = section.value.get("trusted_proxies")
    networks = []
    for index, text in enumerate(given if isinstance(given, list) else ()):
        if not isinstance(text, str):
            continue
        try:
            networks.append(syntax.network(text))
        except ValueError as error:
            section.refuse(str(error), "trusted_proxies", index)
    return tuple(networks)


def _tls(section: Section) -> TLSConfig:
    authorities = section.pathAt("client_ca", "file")
    demand = section.text("client_auth") or None
    if demand and authorities is None:
        section.refuse("needs client_ca: the authorities that sign client certificates", "client_auth")
    if authorities and not demand and not section.value.get("hosts"):
        section.refuse("needs client_auth: optional or required", "client_ca")
    return TLSConfig(
        certificates=section.pathAt("certificates") or section.base,
        minimumVersion=section.text("minimum_version", "TLSv1.2"),
        clientCA=authorities,
        clientAuth=demand,
        hosts=_clientAuthHosts(section, authorities),
    )


def _clientAuthHosts(section: Section, authorities: Path | None) -> Mapping[str, ClientAuthConfig]:
    hosts = {}
    for given, rule in section.entries("hosts"):
        host = _hostKey(given, rule)
        if host in hosts:
            rule.refuse(f"{quoted(host)} is given twice, in other letters")
        own = rule.pathAt("client_ca", "file") or authorities
        if own is None:
            rule.refuse("needs client_ca, here or for the whole listener")
        hosts[host] = ClientAuthConfig(own, rule.text("client_auth", "required"))
    return hosts


def _hostKey(given: str, rule: Section) -> str:
    try:
        return syntax.hostName(given, wildcard=True)
    except ValueError as error:
        rule.refuse(str(error))
        return given


def _upstream(name: str, section: Section) -> UpstreamConfig:
    tls = section.section("tls")
    return UpstreamConfig(
        name=name,
        targets=_targets(section),
        policy=section.text("policy", "round_robin"),
        host=section.checked("host", _hostPolicy, "preserve"),
        maxConnections=section.integer("max_connections", 1024),
        maxTunnels=section.integer("max_tunnels", 1024),
        maxQueue=section.integer("max_queue", 1024),
        idleTimeout=section.seconds("idle_timeout", 30.0),
        maxFails=section.integer("max_fails", 3),
        failTimeout=section.seconds("fail_timeout", 10.0),
        tls=UpstreamTLSConfig(
            verify=tls.flag("verify", True),
            ca=tls.pathAt("ca", "file"),
            certificate=tls.pathAt("certificate", "file"),
            serverName=tls.checked("server_name", syntax.hostName, "") or None,
        ),
    )


def _hostPolicy(text: str) -> str:
    name, colon, port = text.partition(":")
    if not colon or not port.isdecimal() or not 0 < int(port[:6]) <= 65535:
        return syntax.hostName(text)
    return f"{syntax.hostName(name)}:{port}"


def _targets(upstream: Section) -> tuple[TargetConfig, ...]:
    targets = []
    seen = set()
    for section in upstream.items("targets", textKey="url"):
        parts = section.checked("url", syntax.targetURL, None)
        if parts is None:
            continue
        if parts in seen:
            section.refuse("is a target already; give it more weight instead", "url")
        seen.add(parts)
        targets.append(TargetConfig(section.text("url"), *parts, weight=section.integer("weight", 1)))
    return tuple(targets)


def _plugins(section: Section) -> PluginsConfig:
    return PluginsConfig(
        directory=section.pathAt("directory", "folder"),
        config=pluginSettings(section, "config"),
        settle=section.seconds("settle", 0.15),
        keepVersions=section.integer("keep_versions", 5),
    )


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
    return LoggingConfig(access, section.text("format", "json"))


def _admin(root: Section) -> AdminConfig | None:
    if not root.has("admin"):
        return None
    section = root.section("admin")
    endpoint = section.checked("endpoint", syntax.endpoint, "")
    if endpoint and any(other.text("endpoint") == endpoint for other in root.items("listeners")):
        section.refuse(f"{quoted(endpoint)} is a listener's endpoint already", "endpoint")
    return AdminConfig(endpoint)
