"""The section ``traces`` of revproxy.yaml as a frozen value."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal, cast
from urllib.parse import urlsplit

from revproxy.config import syntax
from revproxy.config.problems import quoted
from revproxy.config.section import Section

_NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")

_PATH = "/v1/traces"


@dataclass(frozen=True, slots=True)
class TracesConfig:
    """Which trace requests belong to, and where spans go.

    :ivar propagate: whether requests have a trace, and origins are told of it.
    :ivar accept: whose traces are continued.
    :ivar sample: how many of the traces that begin here are exported, from 0 to 1.
    :ivar otlp: where spans are sent, by OTLP over HTTP, with the path; None: nowhere.
    :ivar headers: fields that are sent there besides.
    :ivar service: what spans are said to be of.
    """

    propagate: bool = True
    accept: Literal["trusted", "always", "never"] = "trusted"
    sample: float = 0.01
    otlp: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    service: str = "revproxy"


def tracesOf(root: Section) -> TracesConfig:
    """The section, with its defaults where it says nothing; its problems are added to the root's."""
    section, plain = root.section("traces"), TracesConfig()
    otlp = section.checked("otlp", _receiver, "") or None
    propagate = section.flag("propagate", plain.propagate)
    if otlp is not None and not propagate:
        section.refuse("spans are of traces: take propagate: false away, or this", "otlp")
    elif otlp is not None and not _isInstalled():
        command = f'{sys.executable} -m pip install "revproxy[otel]"'
        section.refuse(f"needs OpenTelemetry, which is not installed where the edge runs: {command}", "otlp")
    return TracesConfig(
        propagate=propagate,
        accept=cast(Literal["trusted", "always", "never"], section.text("accept", plain.accept)),
        sample=section.share("sample", plain.sample),
        otlp=otlp,
        headers=_headers(section),
        service=section.text("service", plain.service),
    )


def _headers(section: Section) -> dict[str, str]:
    headers = section.section("headers")
    found = {}
    for name in headers.value:
        value = headers.text(name)
        try:
            syntax.headerField(name, value)
        except ValueError as error:
            headers.refuse(str(error), name)
        else:
            found[name] = value
    return found


def _receiver(text: str) -> str:
    """Where spans are posted to: the path is OTLP's own, unless another is given."""
    try:
        url = urlsplit(text)
        isURL = url.scheme in ("http", "https") and bool(url.hostname) and (url.port or 1) > 0
    except ValueError:
        isURL = False
    if not isURL or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"{quoted(text)} is no URL of a receiver; write http://127.0.0.1:4318")
    if url.username is not None or url.query or url.fragment:
        raise ValueError("a receiver's URL has no user, query or fragment; what it asks for goes into headers")
    return text if url.path not in ("", "/") else text.rstrip("/") + _PATH


def _isInstalled() -> bool:
    try:
        return all(find_spec(name) is not None for name in _NEEDED)
    except ImportError:
        return False
