"""
TLS of the admin listener: as that of listeners for clients, which is the worker's business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from revproxy.admin.listener import TLSRefused
from revproxy.config.settings import TLSConfig
from revproxy.dataplane.net.servertransport import serverTransport
from revproxy.plan.pemfiles import PemFiles
from revproxy.worker.certificates import CertificateError
from revproxy.worker.listening import Certificates


class AdminTLS:
    """That of one edge; see `revproxy.admin.listener.Secure`."""

    def __init__(self) -> None:
        self._settings: TLSConfig | None = None
        self._certificates: Certificates | None = None

    def prepare(self, tls: TLSConfig, files: PemFiles) -> Callable[[], Any]:
        """
        Read certificates. Changes nothing.

        :returns: has them served with from now on; gives what makes transports of accepted sockets.
        :raises TLSRefused: nothing of them can be used.
        """
        known = self._certificates if tls == self._settings else None
        try:
            made = known or Certificates(tls, files)
            loaded = made.load(files)
        except CertificateError as error:
            raise TLSRefused(str(error)) from None

        def serve() -> Any:
            made.adopt(files, loaded)
            self._settings, self._certificates = tls, made
            return serverTransport(made.contexts)

        return serve


__all__ = ["AdminTLS"]
