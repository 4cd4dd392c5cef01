"""
The client of a plugin with permissions: it sends requests to the upstreams that it was granted.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any
from urllib.parse import SplitResult, urlsplit

from twisted.internet.defer import Deferred

from revproxy.destination import Destinations
from revproxy.errors import NotPermitted
from revproxy.hostclient import Book, HostClient

_PORTS = {"http": 80, "https": 443}


class GuardedClient(HostClient):
    """
    Sends requests to ``http://NAME/…``, where NAME is that of an upstream: one of its targets after the other takes
    them. So does the URL of a target, as it is configured. Redirects are answers, for they may lead elsewhere.
    """

    def __init__(
        self, client: Any, book: Book, granted: frozenset[str], destinations: Callable[[], Destinations]
    ) -> None:
        """
        :param granted: names of upstreams.
        :param destinations: where they are.
        """
        super().__init__(client, book)
        self._granted = granted
        self._destinations = destinations
        self._turns = count()

    def request(self, method: str, url: Any, **options: Any) -> Deferred[Any]:
        """
        As :func:`treq.request`.

        :raises NotPermitted: it goes to none of the upstreams that were granted.
        :raises ValueError: there is no such upstream.
        """
        return super().request(method, url, **options)

    def _send(self, method: str, url: Any, options: dict[str, Any]) -> Deferred[Any]:
        return super()._send(method, self._permitted(url), {**options, "allow_redirects": False})

    def _permitted(self, url: Any) -> str:
        text = url if isinstance(url, str) else url.decode("ascii") if isinstance(url, bytes) else url.to_text()
        parts = urlsplit(text)
        name = parts.netloc.rpartition("@")[2]
        if name in self._granted:
            return self._targetOf(name) + parts._replace(scheme="", netloc="").geturl()
        place = _placeOf(parts)
        for upstream in self._granted:
            if any(_placeOf(urlsplit(origin)) == place for origin in self._originsOf(upstream)):
                return text
        raise NotPermitted(f"a request to {parts.scheme}://{name}", f"upstreams: {name or 'NAME'}")

    def _originsOf(self, upstream: str) -> list[str]:
        try:
            return list(self._destinations().origins(upstream))
        except ValueError:  # it is configured no more
            return []

    def _targetOf(self, upstream: str) -> str:
        destinations = self._destinations()
        urls = destinations.available(upstream) or destinations.origins(upstream)
        return urls[next(self._turns) % len(urls)].rstrip("/")


def _placeOf(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
