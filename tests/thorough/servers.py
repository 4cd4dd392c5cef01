"""Servers that others wrote, in processes of their own."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.harness import PATIENCE, freePort
from tests.tools import program


class Server:
    """
    A program that listens on a port.

    :ivar port: where.
    """

    def __init__(self, folder: Path, port: int, command: Sequence[str]) -> None:
        """:raises AssertionError: if it ends, or does not listen in time."""
        self.port = port
        self._log = folder / "server.log"
        path = program(command[0])
        assert path is not None
        with self._log.open("wb") as log:
            self.process = subprocess.Popen([path, *command[1:]], cwd=folder, stdout=log, stderr=log)
        try:
            self._await()
        except BaseException:
            self.end()
            raise

    def _await(self) -> None:
        ends = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < ends:
            try:
                socket.create_connection(("127.0.0.1", self.port), PATIENCE).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"{self.process.args!r} does not listen:\n{self._log.read_text(errors='replace')}")

    def end(self) -> None:
        """Also twice."""
        self.process.kill()
        self.process.wait()


NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_max_body_size 100k;
    types { text/plain txt; }
    gzip on;
    gzip_types text/plain;
    gzip_min_length 1;
    gzip_proxied any;
    add_header X-Connection $connection always;
    server {
        listen 127.0.0.1:PORT;
        location / { root files; }
        location = /echo { return 200 "$request_uri $http_x_forwarded_for $host\\n"; }
        location = /upload { proxy_pass http://127.0.0.1:PORT/taken; }
        location = /taken { return 200 "taken\\n"; }
    }
}
"""


def nginx(folder: Path) -> Server:
    """
    nginx as an origin.

    :param folder: has the folder ``files``, which it serves.
    """
    port = freePort()
    (folder / "nginx.conf").write_text(NGINX.replace("PORT", str(port)))
    return Server(folder, port, ["nginx", "-p", f"{folder}/", "-c", "nginx.conf", "-e", "stderr"])


HAPROXY = """
defaults
    mode MODE
    timeout connect 60s
    timeout client 60s
    timeout server 60s
frontend clients
    bind 127.0.0.1:PORT
    default_backend edge
backend edge
    server edge 127.0.0.1:EDGE OPTIONS
"""


def haproxy(folder: Path, edge: int, mode: str, options: str = "") -> Server:
    """
    HAProxy before an edge.

    :param edge: the edge's port.
    :param mode: ``http`` or ``tcp``.
    :param options: of the server line, such as ``send-proxy-v2``.
    """
    port = freePort()
    config = HAPROXY.replace("MODE", mode).replace("PORT", str(port)).replace("EDGE", str(edge))
    (folder / "haproxy.cfg").write_text(config.replace("OPTIONS", options))
    return Server(folder, port, ["haproxy", "-db", "-f", "haproxy.cfg"])
