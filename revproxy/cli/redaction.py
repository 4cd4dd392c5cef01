"""
Takes out of what an edge tells what whoever is sent it must not have: secrets, queries, and who its clients are.

The edge masks what its configuration only refers to. What stands in plain text is found by the names of keys, hidden
there, and then wherever else it is said: in a message, an event, a difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from revproxy.config.secretnames import isSecretName, textWithout, valueUnder
from revproxy.secrets import MASK, hide, masked

_OF_CLIENTS = frozenset(("peer", "client", "address", "fields", "referer", "user_agent"))
"""Keys whose values tell who somebody is, or may."""

_TARGETS = frozenset(("target", "path_and_query"))
"""Keys whose values may have a query."""

CLIENT = "(client)"
"""What stands for the address of one."""

_DEEP = 60


class Redaction:
    """
    :ivar keepsClients: whether addresses of clients, and what plugins say of requests, may stay.
    """

    def __init__(self, keepsClients: bool = False) -> None:
        self.keepsClients = keepsClients
        self._clients: set[str] = set()

    def learn(self, value: Any, depth: int = 0, isSecret: bool = False) -> None:
        """
        Secrets in it are hidden wherever they are said, from now on.

        :param isSecret: whether it stands under the name of one.
        """
        if depth > _DEEP:
            return
        if isinstance(value, Mapping):
            for key, inner in value.items():
                self.learn(inner, depth + 1, isSecret or isSecretName(str(key)))
        elif isinstance(value, list):
            for inner in value:
                self.learn(inner, depth + 1, isSecret)
        elif isSecret and isinstance(value, str) and value != MASK:
            hide(value)

    def learnClients(self, addresses: Iterable[str], known: str) -> None:
        """
        These are clients' and stand for them in every text.

        :param known: what else has addresses in it, which are no secret: the configuration.
        """
        for address in addresses:
            if _isClients(address) and address not in known:
                self._clients.add(address)

    def of(self, value: Any, depth: int = 0) -> Any:
        """The same, without what nobody is to have."""
        if depth > _DEEP:
            return None
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.of(inner, depth + 1) for inner in value]
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._member(str(key), inner, depth) for key, inner in value.items()}
        return value

    def text(self, text: str) -> str:
        """One text."""
        text = textWithout(masked(text))
        if not self.keepsClients:
            for address in self._clients:
                if address in text:
                    text = text.replace(address, CLIENT)
        return text

    def _member(self, key: str, value: Any, depth: int) -> Any:
        if isSecretName(key):
            value = valueUnder(key, value)
        if key in _OF_CLIENTS and value and not self.keepsClients:
            return CLIENT if isinstance(value, str) else None
        if key in _TARGETS and isinstance(value, str) and "?" in value:
            return self.text(value.partition("?")[0]) + "?" + MASK
        return self.of(value, depth + 1)


def _isClients(text: str) -> bool:
    """Whether it is an address by which somebody may be found."""
    try:
        return not ip_address(text).is_loopback
    except ValueError:
        return False
