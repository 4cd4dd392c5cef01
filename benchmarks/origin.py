"""The origin behind every proxy: Debian's nginx with a configuration of its own.

``/small`` answers 12 bytes from memory, ``/10k`` and ``/1m`` files. ``/upload`` reads the whole body and then answers
12 bytes: plain ``return`` would answer before the body has come, which is another situation, so the body is
taken by ``proxy_pass`` and a small GET goes to ``/small``. ``/status`` is nginx's own count of requests.
"""

from __future__ import annotations

import http.client
import os
import shutil
from pathlib import Path

from benchmarks.processes import BenchmarkError, Placement, Running, freePorts
from benchmarks.rows import MEGABYTE

_CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {directory}/origin.pid;
error_log {directory}/origin-error.log warn;
events {{ worker_connections 9000; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=16 inactive=1h;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_max_body_size 0;
    client_body_buffer_size 2m;
    client_body_temp_path {directory}/origin-body;
    proxy_temp_path {directory}/origin-proxy;
    fastcgi_temp_path {directory}/origin-fastcgi;
    uwsgi_temp_path {directory}/origin-uwsgi;
    scgi_temp_path {directory}/origin-scgi;
    upstream self {{ server 127.0.0.1:{port}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {directory}/files;
        default_type application/octet-stream;
        location = /small {{ default_type text/plain; return 200 "hello world\\n"; }}
        location = /status {{ stub_status; }}
        location = /upload {{
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
            proxy_method GET;
            proxy_pass_request_body off;
            proxy_pass http://self/small;
        }}
    }}
}}
"""


def nginxUser() -> str:
    """Return the ``user`` line that lets a worker read our private directory; empty when we are not root."""
    return "user root;" if os.geteuid() == 0 else ""


class Origin:
    """The running origin.

    :ivar port: where it listens on loopback.
    """

    def __init__(self, directory: Path, placement: Placement) -> None:
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            raise BenchmarkError("nginx is needed as the origin (Debian: apt install nginx-light)")
        [self.port] = freePorts(1)
        files = directory / "files"
        files.mkdir()
        (files / "10k").write_bytes(os.urandom(10240))
        (files / "1m").write_bytes(os.urandom(MEGABYTE))
        configuration = directory / "origin.conf"
        configuration.write_text(_CONFIGURATION.format(user=nginxUser(), directory=directory, port=self.port))
        log = directory / "origin.out"
        self.process = Running([program, "-p", str(directory), "-c", str(configuration)], placement.load, log)
        try:
            self.process.waitForPorts([self.port])
            self._status = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        except BaseException:
            self.process.stop()
            raise

    def requests(self) -> int:
        """Return how many requests have come since the start, this one included."""
        self._status.request("GET", "/status")
        lines = self._status.getresponse().read().decode().splitlines()
        return int(lines[2].split()[2])

    def stop(self) -> None:
        """End it."""
        self._status.close()
        self.process.stop()
