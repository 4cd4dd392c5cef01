"""
The command ``bundle``: an archive of what is known of an edge, for whoever helps.
"""

from __future__ import annotations

import io
import json
import os
import platform
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import click
from twisted.internet.endpoints import serverFromString

from revproxy import __version__
from revproxy.cli.doctorcommand import examined
from revproxy.cli.redaction import Redaction
from revproxy.cli.remoteedge import RemoteEdge, asking
from revproxy.config.configfile import loadConfig
from revproxy.config.problems import ConfigErrors

_LEARNED = ("config", "effective")

_PARTS: tuple[tuple[str, tuple[str, ...], dict[str, Any]], ...] = (
    ("status", ("status",), {}),
    ("plan", ("plan",), {}),
    ("plugins", ("plugins",), {"removed": True}),
    ("upstreams", ("upstreams",), {}),
    ("certificates", ("certificates",), {}),
    ("alerts", ("alerts",), {}),
    ("events", ("events",), {"limit": 1000}),
    ("history", ("history",), {"limit": 200}),
    ("requests", ("requests",), {"limit": 1000}),
    ("connections", ("connections",), {}),
)
"""Files, each with where the edge tells it."""

_METRICS = 64 << 20
"""Bytes."""

_HEAD = """\
What is known of an edge, from {at}. Made by revproxy {version}; secrets are masked, and so are queries{clients}.
Look through it before you send it to anybody.

"""


@click.command(short_help="An archive for whoever helps: status, configuration, events, metrics; secrets are masked.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False),
              help="The file.  [default: revproxy-bundle-TIME.tar.gz]")
@click.option("--clients", is_flag=True, help="With addresses of clients, and what plugins say of requests.")
@asking
def bundle(edge: RemoteEdge, output: Path | None, clients: bool) -> None:
    """Write an archive for whoever helps: what the edge tells of itself, and what the doctor says.

    In it are, as far as they can be had: status, configuration, plan, plugins, upstreams, certificates, alerts, events,
    history, the last requests, connections, metrics, versions. Secrets are masked; queries and addresses of clients are
    not in it. Where no edge runs, it has what can be seen without. CONTENTS.txt says what is there, and what is not.
    """
    at = time.strftime("%Y%m%d-%H%M%S")
    output = output or Path(f"revproxy-bundle-{at}.tar.gz")
    redaction = Redaction(clients)
    files, missing = collected(edge, redaction)
    try:
        _write(output, f"revproxy-bundle-{at}", files, missing, clients)
    except FileExistsError:
        raise click.ClickException(f"{output} exists already; it was left as it is") from None
    except OSError as error:
        raise click.ClickException(f"{output}: {error.strerror}") from None
    result = {"file": str(output), "contents": sorted(files), "missing": missing}
    edge.show(result, lambda result: edge.report.lines([
        f"wrote {output}: {', '.join(sorted(files))}",
        *_absent(missing),
        "secrets are masked; look through it before you send it to anybody",
    ]))  # fmt: skip


def collected(edge: RemoteEdge, redaction: Redaction) -> tuple[dict[str, str], dict[str, str]]:
    """:returns: files by name, redacted; and, by name, why others are not there."""
    found: dict[str, Any] = {"doctor": examined(edge), "versions": _versions()}
    missing: dict[str, str] = {}
    _hideReferred(edge)
    config = _asked(missing, "config", lambda: edge.get(*_LEARNED))
    own = _ownConfig(edge)
    redaction.learn(own)  # what the edge tells of it has the values masked that are to be found elsewhere
    if config is None:
        config = own
    if config is not None:
        redaction.learn(config)
        found["config"] = config
        missing.pop("config", None)
    for name, path, query in _PARTS:
        answer = _asked(missing, name, partial(edge.get, *path, **query))
        if answer is not None:
            redaction.learn(answer)
            found[name] = answer
    redaction.learnClients(_peers(found), json.dumps(config))
    if not redaction.keepsClients and "connections" in found:
        del found["connections"]
        missing["connections"] = "they are clients'; --clients has them"
    files = {f"{name}.json": json.dumps(redaction.of(value), indent=1) for name, value in found.items()}
    metrics = _asked(missing, "metrics", lambda: _metrics(config))
    if metrics is not None:
        files["metrics.txt"] = redaction.text(metrics)
    return files, missing


def _asked(missing: dict[str, str], name: str, ask: Callable[[], Any]) -> Any:
    """None, and why, where it cannot be had."""
    try:
        return ask()
    except click.ClickException as error:
        missing[name] = error.message
    except (OSError, ValueError) as error:
        missing[name] = str(error)
    return None


def _hideReferred(edge: RemoteEdge) -> None:
    """What the file refers to is hidden here as well, as far as it can be read."""
    if edge.config is not None:
        try:
            loadConfig(edge.config)
        except ConfigErrors:
            pass


def _ownConfig(edge: RemoteEdge) -> Any:
    """What the file says, with references as they stand there."""
    if edge.config is None:
        return None
    try:
        document = loadConfig(edge.config).document
    except ConfigErrors:
        return None  # what is wrong with it is in doctor.json
    return None if document is None else document.value


def _metrics(config: Any) -> str:
    """:raises OSError, ValueError: there are none, or they cannot be read."""
    section = config.get("metrics") if isinstance(config, dict) else None
    endpoint = section.get("endpoint") if isinstance(section, dict) else None
    if not isinstance(endpoint, str) or not endpoint.startswith("tcp"):
        raise ValueError("metrics.endpoint names no TCP port")
    made = serverFromString(None, endpoint)  # no endpoint touches its reactor before it listens
    host = made._interface or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    with urlopen(f"http://{f'[{host}]' if ':' in host else host}:{made._port}/metrics", timeout=15) as response:
        text: str = response.read(_METRICS).decode("utf-8", "replace")
    return text


def _versions() -> dict[str, Any]:
    installed = {str(each.metadata["Name"]): each.version for each in distributions() if each.metadata["Name"]}
    return {
        "revproxy": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "installed": dict(sorted(installed.items(), key=lambda pair: pair[0].lower())),
    }


def _peers(found: dict[str, Any]) -> Iterator[str]:
    for name in ("requests", "connections"):
        for each in found.get(name, {}).get("items", ()):
            if isinstance(each.get("peer"), str):
                yield each["peer"]


def _absent(missing: Mapping[str, str]) -> list[str]:
    """A line for each reason."""
    names: dict[str, list[str]] = {}
    for name, why in sorted(missing.items()):
        names.setdefault(why, []).append(name)
    return [f"not in it: {', '.join(each)}: {why}" for why, each in names.items()]


def _write(output: Path, folder: str, files: dict[str, str], missing: dict[str, str], clients: bool) -> None:
    """For nobody else to read. :raises OSError:"""
    said = "" if clients else ", and addresses of clients"
    lines = [_HEAD.format(at=time.strftime("%Y-%m-%d %H:%M:%S %z"), version=__version__, clients=said)]
    lines += [f"{name}: {len(text.encode())} bytes\n" for name, text in sorted(files.items())]
    lines += [f"{line}\n" for line in _absent(missing)]
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for name, text in {"CONTENTS.txt": "".join(lines), **files}.items():
            data = text.encode("utf-8", "backslashreplace")
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mtime, member.mode = len(data), int(time.time()), 0o600
            archive.addfile(member, io.BytesIO(data))


COMMANDS = (bundle,)

__all__ = ["COMMANDS", "collected"]
