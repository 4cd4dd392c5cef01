"""
What a configuration may say, and most likely does not mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from revproxy.admin.doctor.check import Check
from revproxy.config.problems import quoted
from revproxy.config.secretnames import isSecretName
from revproxy.config.settings import Config, documentOf

_INTERFACE = re.compile(r"(?:^|:)interface=((?:\\.|[^:])*)")
_EVERYWHERE = frozenset(("", "0.0.0.0", "::"))
_DEEP = 20


def lintChecks(config: Config) -> list[Check]:
    """At least one: that nothing was found, if nothing was."""
    found = [
        *_unusedUpstreams(config),
        *_plainSecrets(config),
        *_plainListeners(config),
        *_trustedByAll(config),
        *_unverified(config),
    ]
    return found or [Check("config", "ok", "nothing in the configuration looks like a mistake")]


def _at(config: Config, *path: str | int) -> str:
    """Where it stands, as messages begin."""
    return str(documentOf(config).problem(path, "")).rstrip(": ")


def _unusedUpstreams(config: Config) -> Iterator[Check]:
    used = {route.upstream for route in config.routes}
    for name in config.upstreams:
        if name not in used:
            yield Check(
                "config", "warning", f"{_at(config, 'upstreams', name)}: no route leads to {quoted(name)}",
                "Take it out, or name it in a route; leave it if a plugin sends requests there.",
            )  # fmt: skip


def _plainSecrets(config: Config) -> Iterator[Check]:
    value = documentOf(config).value
    if not isinstance(value, Mapping):
        return
    plugins = value.get("plugins")
    places: list[tuple[tuple[str | int, ...], Any]] = []
    if isinstance(plugins, Mapping):
        places.append((("plugins", "config"), plugins.get("config")))
    routes = value.get("routes")
    for index, route in enumerate(routes if isinstance(routes, list) else ()):
        if isinstance(route, Mapping):
            places.append((("routes", index, "plugins"), route.get("plugins")))
    places.append((("alerts",), value.get("alerts")))
    for path, inner in places:
        for found in _secretsIn(path, inner):
            yield Check(
                "config", "warning", f"{_at(config, *found)}: a secret stands here in plain text",
                "Write {$env: NAME} or {$file: PATH} in its place: whoever reads the file or a backup of it has it.",
            )  # fmt: skip


def _secretsIn(path: tuple[str | int, ...], value: Any) -> Iterator[tuple[str | int, ...]]:
    if len(path) > _DEEP:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, str) and inner and isSecretName(str(key)):
                yield (*path, key)
            else:
                yield from _secretsIn((*path, key), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _secretsIn((*path, index), inner)


def _plainListeners(config: Config) -> Iterator[Check]:
    for index, listener in enumerate(config.listeners):
        if listener.tls is None and listensEverywhere(listener.endpoint) and not listener.trustedProxies:
            yield Check(
                "config", "warning",
                f"{_at(config, 'listeners', index)}: everybody is listened to here, without TLS",
                "Add tls, or interface=127.0.0.1; leave it if all it does is redirect to https, or TLS ends before it.",
            )  # fmt: skip
    endpoint = config.metrics.endpoint
    if endpoint is not None and listensEverywhere(endpoint):
        yield Check(
            "config", "warning", f"{_at(config, 'metrics', 'endpoint')}: everybody may read the metrics",
            "Add interface=127.0.0.1, or the address that Prometheus reaches.",
        )  # fmt: skip


def listensEverywhere(endpoint: str) -> bool:
    """Whether a server endpoint is TCP on all interfaces."""
    if not endpoint.startswith(("tcp:", "tcp6:")):
        return False
    named = _INTERFACE.search(endpoint)
    return named is None or named[1].replace("\\", "") in _EVERYWHERE


def _trustedByAll(config: Config) -> Iterator[Check]:
    for index, listener in enumerate(config.listeners):
        for place, network in enumerate(listener.trustedProxies):
            if ip_network(network, strict=False).prefixlen == 0:
                yield Check(
                    "config", "warning",
                    f"{_at(config, 'listeners', index, 'trusted_proxies', place)}: everybody is believed who they are",
                    "Name the addresses of the proxies in front: any client can claim any address otherwise.",
                )  # fmt: skip


def _unverified(config: Config) -> Iterator[Check]:
    for name, upstream in config.upstreams.items():
        if not upstream.tls.verify and any(target.scheme == "https" for target in upstream.targets):
            yield Check(
                "config", "warning",
                f"{_at(config, 'upstreams', name, 'tls', 'verify')}: certificates of the targets are not checked",
                "Give tls.ca the authority that has signed them, and take verify: false out.",
            )  # fmt: skip
