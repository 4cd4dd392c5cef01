"""
``python -m revproxy.demo.run``: what ``make run`` does.

The demo origin in this process, the edge in another one, everything on loopback and in ``var/``. Ctrl-C ends both.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import CannotListenError, ConnectError
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater, react
from twisted.internet.threads import deferToThread

from revproxy.cli.edgeclient import EdgeClient, EdgeNotRunning, NoAnswer, Refused
from revproxy.config.document import parseYAML
from revproxy.config.problems import ConfigErrors
from revproxy.demo.edgeprocess import EdgeProcess
from revproxy.demo.origin import listenForOrigin
from revproxy.demo.selfsigned import selfSigned

__all__ = ["Setting", "configuration", "introduction", "takenPorts"]

HOST = "127.0.0.1"

# A process group of its own: a Ctrl-C in the terminal is for us, and we end the edge.
_EDGE = "import os; os.setpgid(0, 0); from revproxy.cli.main import main; main()"
_PROBE = 0.05
"""Seconds after which it is tried again whether the edge accepts connections."""

_TRIES = 600
"""So often it is asked for a code for its dashboard, until it is there."""


@dataclass(frozen=True, slots=True)
class Setting:
    """
    What one demo uses.

    :ivar http: port.
    :ivar https: port.
    :ivar origin: port; 0 until one is chosen.
    :ivar plugins: folder of plugins.
    :ivar state: folder for the certificate and the configuration.
    :ivar admin: port.
    """

    http: int
    https: int
    origin: int
    plugins: Path
    state: Path
    admin: int = 9900

    @property
    def certificates(self) -> Path:
        """
        The folder of certificates.
        """
        return self.state / "certs"

    @property
    def banner(self) -> Path:
        """
        The manifest of the plugin whose effect is easiest to see.
        """
        return self.plugins / "html-banner" / "plugin.json"


def configuration(setting: Setting, grants: Mapping[str, Any] | None = None) -> str:
    """
    The text of the edge's revproxy.yaml.

    :param grants: what plugins were granted.
    """
    granted = f"  grants: {json.dumps(grants)}\n" if grants else ""
    return f"""\
# Written anew by every `make run`, but for what plugins were granted. Copy it to make it yours.
listeners:
  - endpoint: "tcp:{setting.http}:interface={HOST}"
  - endpoint: "tcp:{setting.https}:interface={HOST}"
    tls:
      certificates: {_quoted(setting.certificates)}
upstreams:
  demo:
    targets: ["http://{HOST}:{setting.origin}"]
routes:
  - upstream: demo
plugins:
  directory: {_quoted(setting.plugins)}
  config: {{request-id: true{", html-banner: true" if setting.banner.exists() else ""}}}
{granted}state: {_quoted(setting.state)}
admin: {{endpoint: "tcp:{setting.admin}:interface={HOST}"}}
timeouts: {{drain: 5}}
logging: {{access: "-", format: combined}}
"""


def grantsIn(file: Path) -> Mapping[str, Any]:
    """What plugins were granted in a revproxy.yaml from before; nothing where it cannot be read."""
    try:
        value = parseYAML(file.read_text(encoding="utf-8"), str(file)).value
        return dict(value["plugins"].get("grants", {}))
    except (OSError, ConfigErrors, KeyError, TypeError, AttributeError, ValueError):
        return {}


def _quoted(path: Path) -> str:
    """
    A path as YAML's single-quoted text.
    """
    return "'" + str(path.resolve()).replace("'", "''") + "'"


def takenPorts(ports: Sequence[int]) -> list[int]:
    """
    Those on which nobody can listen on loopback now.
    """
    taken = []
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                taken.append(port)
    return taken


def introduction(setting: Setting, code: str = "") -> str:
    """
    What someone sees who has just started this.

    :param code: for signing in to the dashboard, once.
    """
    login = f"#login={code}" if code else ""
    return f"""
  The edge runs.   http://{HOST}:{setting.http}/   https://{HOST}:{setting.https}/   (Ctrl-C ends it)
  Its dashboard:   http://{HOST}:{setting.admin}/{login}
                   (signs in once, within five minutes; for another code: revproxy login)

  Try:
    curl -i http://{HOST}:{setting.http}/
    curl -k -d hello https://{HOST}:{setting.https}/api/echo
    $EDITOR {_shown(setting.banner)}
         change "text", save, ask the first one again: plugins are replaced while requests run
    {_shown(Path(sys.executable).parent / "revproxy")} plugins --state {_shown(setting.state)}
         what they do, and why a change was refused

  Its configuration is watched, too: {_shown(setting.state / "revproxy.yaml")}
"""


def _shown(path: Path) -> Path:
    """
    As short as it can be typed from here.
    """
    absolute = path.resolve()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute


async def _listening(reactor: Any, ports: Sequence[int]) -> bool:
    """
    Whether all ports accept connections.
    """
    for port in ports:
        try:
            connected = await connectProtocol(TCP4ClientEndpoint(reactor, HOST, port, timeout=2), Protocol())
        except ConnectError:
            return False
        connected.transport.abortConnection()
    return True


def _code(socketPath: Path) -> str:
    """
    A code for signing in to the dashboard; empty if there is none to be had. Blocks.
    """
    try:
        return str(EdgeClient(socketPath).ask("POST", "login-codes", body={"role": "admin"}, timeout=10)["code"])
    except (EdgeNotRunning, NoAnswer, Refused):
        return ""


async def main(reactor: Any, setting: Setting) -> None:
    """
    Until interrupted.

    :raise SystemExit: when it cannot begin.
    """
    if taken := takenPorts([setting.http, setting.https, setting.admin]):
        ports = " and ".join(map(str, taken))
        others = "make run HTTP=8081 HTTPS=8444 ADMIN=9910"
        raise SystemExit(f"Cannot listen on port {ports}: in use? Choose others: {others}")
    try:
        setting = replace(setting, origin=listenForOrigin(reactor, setting.origin))
    except CannotListenError:
        text = f"Cannot listen on port {setting.origin}: in use? Choose another: make run ORIGIN=9001"
        raise SystemExit(text) from None
    setting.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    selfSigned(setting.certificates)
    file = setting.state / "revproxy.yaml"
    file.write_text(configuration(setting, grantsIn(file)), encoding="utf-8")
    edge = EdgeProcess()
    # A closed terminal must not leave an edge behind that holds the ports.
    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(reactor.stop))
    reactor.addSystemEventTrigger("before", "shutdown", edge.end)
    edge.start(reactor, [sys.executable, "-c", _EDGE, "run", "--config", str(file)])
    while edge.status is None and not await _listening(reactor, [setting.http, setting.https]):
        await deferLater(reactor, _PROBE)
    code = ""
    for _ in range(_TRIES):  # its ports are bound before it is ready
        if edge.status is None and not code:
            code = await deferToThread(_code, setting.state / "control.sock")
            await deferLater(reactor, 0 if code else _PROBE)
    if edge.status is not None:
        raise SystemExit("The edge did not start; its reasons are above.")
    print(introduction(setting, code), flush=True)
    status = await edge.ended()
    if reactor.running and status:
        raise SystemExit(f"The edge has ended with status {status}; its reasons are above.")


def options(arguments: Sequence[str]) -> Setting:
    """
    The setting out of a command line.
    """
    parser = argparse.ArgumentParser(prog="python -m revproxy.demo.run", description="An edge and an origin to try.")
    parser.add_argument("--http", type=int, default=8080)
    parser.add_argument("--https", type=int, default=8443)
    parser.add_argument("--origin", type=int, default=9000)
    parser.add_argument("--admin", type=int, default=9900)
    parser.add_argument("--plugins", type=Path, default=Path("plugins"))
    parser.add_argument("--state", type=Path, default=Path("var"))
    return Setting(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    react(main, (options(sys.argv[1:]),))
