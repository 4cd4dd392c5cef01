"""Every proxy that is measured: its configuration, its command, what its access log says.

All have the same task: plain and TLS 1.3 listeners on loopback, keep-alive on both sides, X-Forwarded-* added, one
origin, one core, access log to a file. Each is set as its makers would set it for that task: connection pools large
enough for the load, streaming rather than spooling to disk. What differs is said in ``logs`` and ``remark``.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmarks.origin import nginxUser
from benchmarks.processes import BenchmarkError

_ROOT = Path(__file__).resolve().parent.parent
_FORMAT_LOG = '{"time":"$time_iso8601","id":"$request_id","client":"$remote_addr","method":"$request_method",'
_FORMAT_LOG += '"target":"$request_uri","status":$status,"bytes":$body_bytes_sent,"seconds":$request_time,'
_FORMAT_LOG += '"upstream":"$upstream_addr","upstream_seconds":"$upstream_response_time"}'


@dataclass(frozen=True, slots=True)
class Site:
    """What a proxy is given.

    :param directory: its own, for configuration and logs.
    :param certificates: a folder with ``edge.pem`` (chain and key) in it.
    :param certificate: the chain alone.
    :param key: the key alone.
    :param origin: port of the origin.
    :param plain: port for HTTP.
    :param tls: port for HTTPS.
    """

    directory: Path
    certificates: Path
    certificate: Path
    key: Path
    origin: int
    plain: int
    tls: int

    @property
    def log(self) -> Path:
        """The file of the access log."""
        return self.directory / "access.log"


class Peer(ABC):
    """A proxy that can be measured.

    :cvar name: what the command line calls it.
    :cvar title: what the table calls it.
    :cvar logs: what its access log does.
    :cvar remark: what else to know.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    logs: ClassVar[str]
    remark: ClassVar[str] = ""

    @abstractmethod
    def version(self) -> str:
        """Return its version.

        :raises BenchmarkError: when it is not installed.
        """

    @abstractmethod
    def prepare(self, site: Site) -> list[str]:
        """Write its configuration and return the command that runs it in the foreground."""

    def environment(self, site: Site) -> dict[str, str]:
        """Return variables to set for it."""
        return {}


class Nginx(Peer):
    """nginx, one worker."""

    name = "nginx"
    title = "nginx"
    logs = "JSON, ten fields, buffered 64 KB"
    remark = "one worker; request buffering off"

    def version(self) -> str:
        return _programVersion([_program("nginx"), "-v"]).rpartition("/")[2]

    def prepare(self, site: Site) -> list[str]:
        configuration = site.directory / "nginx.conf"
        temporary = "\n".join(
            f"{kind}_temp_path {site.directory}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        configuration.write_text(f"""
{nginxUser()}
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {site.directory}/nginx.pid;
error_log {site.directory}/error.log warn;
events {{ worker_connections 16000; }}
http {{
    {temporary}
    log_format json escape=json '{_FORMAT_LOG}';
    access_log {site.log} json buffer=64k flush=1s;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    client_max_body_size 0;
    upstream app {{ server 127.0.0.1:{site.origin}; keepalive 1024; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{site.plain} backlog=4096;
        listen 127.0.0.1:{site.tls} ssl backlog=4096;
        ssl_certificate {site.certificate};
        ssl_certificate_key {site.key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:edge:4m;
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
""")
        return [_program("nginx"), "-p", str(site.directory), "-c", str(configuration)]


class HAProxy(Peer):
    """HAProxy, one thread."""

    name = "haproxy"
    title = "HAProxy"
    logs = "httplog, unbuffered, through stdout"
    remark = "one thread"

    def version(self) -> str:
        return _programVersion([_program("haproxy"), "-v"]).split()[2]

    def prepare(self, site: Site) -> list[str]:
        configuration = site.directory / "haproxy.cfg"
        configuration.write_text(f"""
global
    nbthread 1
    maxconn 9000
    log stdout format raw local0
    ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
    mode http
    log global
    option httplog
    option forwardfor
    http-reuse always
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    timeout http-keep-alive 300s
frontend edge
    bind 127.0.0.1:{site.plain} backlog 4096
    bind 127.0.0.1:{site.tls} backlog 4096 ssl crt {site.certificates}/edge.pem alpn http/1.1
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    default_backend app
backend app
    server origin 127.0.0.1:{site.origin}
""")
        return [_program("haproxy"), "-db", "-f", str(configuration)]


class Caddy(Peer):
    """Caddy, GOMAXPROCS=1."""

    name = "caddy"
    title = "Caddy"
    logs = "JSON with all request headers, unbuffered"
    remark = "GOMAXPROCS=1"

    def version(self) -> str:
        return _programVersion([_program("caddy"), "version"]).split()[0]

    def prepare(self, site: Site) -> list[str]:
        configuration = site.directory / "Caddyfile"
        configuration.write_text(f"""
{{
    admin off
    auto_https off
    default_sni localhost
    servers {{
        protocols h1
    }}
}}
(edge) {{
    bind 127.0.0.1
    log {{
        output file {site.log} {{
            roll_disabled
        }}
        format json
    }}
    reverse_proxy 127.0.0.1:{site.origin} {{
        transport http {{
            keepalive_idle_conns 2048
            keepalive_idle_conns_per_host 2048
        }}
    }}
}}
http://:{site.plain} {{
    import edge
}}
https://:{site.tls} {{
    tls {site.certificate} {site.key}
    import edge
}}
""")
        return [_program("caddy"), "run", "--config", str(configuration), "--adapter", "caddyfile"]

    def environment(self, site: Site) -> dict[str, str]:
        home = str(site.directory)
        return {"GOMAXPROCS": "1", "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home, "HOME": home}


class _PythonPeer(Peer):
    """A proxy of this package, run as a module by our interpreter."""

    module: ClassVar[str]
    distributions: ClassVar[tuple[str, ...]]
    arguments: ClassVar[tuple[str, ...]] = ()

    def version(self) -> str:
        return " ".join(_distributionVersion(name) for name in self.distributions)

    def prepare(self, site: Site) -> list[str]:
        ports = [str(site.origin), str(site.plain), str(site.tls)]
        files = [str(site.certificate), str(site.key), str(site.log)]
        return [sys.executable, "-m", self.module, *ports, *files, *self.arguments]

    def environment(self, site: Site) -> dict[str, str]:
        return {"PYTHONPATH": str(_ROOT)}


class Aiohttp(_PythonPeer):
    """aiohttp's server and client, on uvloop when that can be imported."""

    name = "aiohttp"
    title = "aiohttp"
    logs = "its default line, unbuffered"
    module = "benchmarks.peer_aiohttp"
    distributions = ("aiohttp",)

    def version(self) -> str:
        try:
            return f"{super().version()} on {_distributionVersion('uvloop')}"
        except BenchmarkError:
            return f"{super().version()} on asyncio's own loop (no uvloop)"


class TwistedProxy(_PythonPeer):
    """``twisted.web.proxy.ReverseProxyResource``."""

    name = "twisted-proxy"
    title = "twisted.web.proxy"
    logs = "combined, through a file object"
    remark = "new connection per request on both sides; buffers uploads"
    module = "benchmarks.peer_twisted"
    distributions = ("twisted",)
    arguments = ("proxy",)


class TwistedTreq(_PythonPeer):
    """``twisted.web.server.Site`` with a stock treq client on a pool."""

    name = "twisted-treq"
    title = "Site + stock treq"
    logs = "combined, through a file object"
    remark = "pooled Agent; buffers uploads; answers chunked"
    module = "benchmarks.peer_twisted"
    distributions = ("twisted", "treq")
    arguments = ("treq",)


class Us(Peer):
    """revproxy with no plugin.

    :param root: the source tree that is run.
    """

    name = "us"
    title = "revproxy"
    logs = "JSON, buffered"
    remark = "no plugin"

    def __init__(self, root: Path = _ROOT) -> None:
        self._root = root

    def version(self) -> str:
        if not (self._root / "twisted" / "plugins" / "revproxy_plugin.py").exists():
            raise BenchmarkError("this tree has no twistd plugin")
        git = ["git", "-C", str(self._root), "describe", "--always", "--dirty"]
        return f"commit {_programVersion(git)}" if shutil.which("git") else "this tree"

    def prepare(self, site: Site) -> list[str]:
        configuration = site.directory / "revproxy.yaml"
        # JSON is YAML, and needs no emitter here.
        configuration.write_text(json.dumps(self.configuration(site), indent=2))
        return twistdCommand(configuration)

    def environment(self, site: Site) -> dict[str, str]:
        return {"PYTHONPATH": str(self._root)}

    def configuration(self, site: Site) -> dict[str, object]:
        """Return the content of revproxy.yaml."""
        return {
            "listeners": [
                {"endpoint": f"tcp:{site.plain}:interface=127.0.0.1:backlog=4096"},
                {
                    "endpoint": f"tcp:{site.tls}:interface=127.0.0.1:backlog=4096",
                    "tls": {"certificates": str(site.certificates)},
                },
            ],
            "upstreams": {"app": {"targets": [f"http://127.0.0.1:{site.origin}"]}},
            "routes": [{"path": "/", "upstream": "app"}],
            "plugins": self.plugins(site),
            "state": str(site.directory / "state"),
            "logging": {"access": str(site.log), "format": "json"},
        }

    def plugins(self, site: Site) -> dict[str, object]:
        """Return the ``plugins`` part: a folder with nothing in it."""
        return {"directory": str(_folder(site.directory / "plugins"))}


class UsWithFive(Us):
    """revproxy with request-id, headers, rate-limit, ip-filter and one plugin from a folder."""

    name = "us5"
    title = "revproxy, five plugins"
    remark = "request-id, headers, rate-limit, ip-filter, and server-timing from a folder"

    def plugins(self, site: Site) -> dict[str, object]:
        folder = _folder(site.directory / "plugins")
        source = directoryPlugin(self._root)
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        manifest = folder / source.name / "plugin.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"enabled": True}))
        return {
            "directory": str(folder),
            "config": {
                "request-id": {},
                "headers": {"response": {"set": {"X-Edge": "bench"}}},
                "rate-limit": {"rate": "1000000/s"},
                "ip-filter": {"deny": ["203.0.113.0/24"]},
            },
        }


PEERS: tuple[Peer, ...] = (
    Nginx(),
    HAProxy(),
    Us(),
    UsWithFive(),
    Caddy(),
    Aiohttp(),
    TwistedProxy(),
    TwistedTreq(),
)


def choosePeers(names: str | None) -> list[Peer]:
    """Return the proxies that a comma-separated list names; all when it is ``None``.

    :raises ValueError: when a name is nobody's.
    """
    if names is None:
        return list(PEERS)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = [peer.name for peer in PEERS]
    for name in wanted:
        if name not in known:
            raise ValueError(f"no proxy is called {name!r}; there are: {', '.join(known)}")
    return [peer for peer in PEERS if peer.name in wanted]


def twistdCommand(configuration: Path) -> list[str]:
    """Return the command that runs our edge in the foreground with a configuration file."""
    twistd = Path(sys.executable).with_name("twistd")
    return [str(twistd), "-n", "--pidfile=", "revproxy", "--config", str(configuration)]


def directoryPlugin(root: Path) -> Path:
    """Return the folder of the bundled plugin that is measured: one that acts on every request, both ways.

    :param root: the source tree.
    :raises BenchmarkError: when it is not there.
    """
    folder = root / "plugins" / "server-timing"
    if not folder.is_dir():
        raise BenchmarkError(f"{folder.name} is not in ./plugins")
    return folder


def _folder(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise BenchmarkError("not installed")
    return found


def _programVersion(command: list[str]) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def _distributionVersion(name: str) -> str:
    try:
        return f"{name}-{importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        raise BenchmarkError(f"{name} is not installed") from None
