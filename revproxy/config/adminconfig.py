"""The section ``admin`` of revproxy.yaml as a frozen value."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

from twisted.internet.endpoints import serverFromString

from revproxy.config import syntax
from revproxy.config.problems import quoted
from revproxy.config.section import Section
from revproxy.config.settings import AdminConfig, TLSConfig

_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")


def adminOf(root: Section) -> AdminConfig | None:
    """The section; None if there is none. Its problems are added to the root's."""
    if not root.has("admin"):
        return None
    section = root.section("admin")
    endpoint = section.checked("endpoint", syntax.endpoint, "")
    if endpoint and any(other.text("endpoint") == endpoint for other in root.items("listeners")):
        section.refuse(f"{quoted(endpoint)} is a listener's endpoint already", "endpoint")
    tls = _tls(section.section("tls")) if section.has("tls") else None
    if endpoint and tls is None and not isOfThisMachine(endpoint):
        text = (
            f"{quoted(endpoint)} can be reached from elsewhere, and tokens would travel in the clear: add "
            "tls: {certificates: …}, or listen on this machine only, with :interface=127.0.0.1"
        )
        section.refuse(text, "endpoint")
    return AdminConfig(
        endpoint=endpoint,
        tls=tls,
        tokens=_paths(section, "tokens"),
        dashboard=section.flag("dashboard", True),
        hosts=_texts(section, "hosts", syntax.hostName),
        trustedOrigins=_texts(section, "trusted_origins", _origin),
    )


def isOfThisMachine(endpoint: str) -> bool:
    """Whether nobody on another machine can connect to an endpoint."""
    kind = endpoint.partition(":")[0]
    if kind == "systemd":  # who may connect is written in another file
        return endpoint.startswith("systemd:domain=UNIX:")
    made = serverFromString(None, endpoint)
    if kind == "unix":
        return True
    interface = getattr(made, "_interface", None)
    if interface == "localhost":
        return True
    try:
        return isinstance(interface, str) and ip_address(interface).is_loopback
    except ValueError:
        return False


def _tls(section: Section) -> TLSConfig:
    return TLSConfig(
        certificates=section.pathAt("certificates") or section.base,
        minimumVersion=section.text("minimum_version", "TLSv1.2"),
    )


def _paths(section: Section, key: str) -> tuple[Path, ...]:
    return tuple(section.base / path for path in _texts(section, key, _path))


def _path(text: str) -> str:
    if "\0" in text:
        raise ValueError("a path has no NUL in it")
    return text


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise ValueError(f"{quoted(text)}: write https://NAME or https://NAME:PORT, in small letters")
    return text


def _texts(section: Section, key: str, check: Callable[[str], str]) -> tuple[str, ...]:
    given = section.value.get(key)
    found = []
    for index, text in enumerate(given if isinstance(given, list) else ()):
        if not isinstance(text, str):
            continue
        try:
            found.append(check(str(text)))
        except ValueError as error:
            section.refuse(str(error), key, index)
    return tuple(found)


__all__ = ["adminOf", "isOfThisMachine"]
