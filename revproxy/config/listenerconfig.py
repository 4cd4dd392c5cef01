"""The listeners of revproxy.yaml as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from revproxy.config import syntax
from revproxy.config.problems import quoted
from revproxy.config.section import Section
from revproxy.config.settings import ClientAuthConfig, ListenerConfig, TLSConfig


def listenersOf(root: Section) -> tuple[ListenerConfig, ...]:
    """All listeners; their problems are added to the section's."""
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
            networks.append(syntax.network(str(text)))
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
