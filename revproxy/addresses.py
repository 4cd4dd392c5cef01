"""
Sets of IP networks that answer quickly whether an address is in them.

Used for whose PROXY headers and forwarding fields are believed, and by plugins that filter by address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

_CACHE = 4096


class AddressSet:
    """
    A fixed set of networks, of both families.

    :param networks: ``10.0.0.0/8``, ``192.0.2.7``, ``2001:db8::/32``.
    :raises ValueError: when one is no network, or has bits set beyond its prefix; the text names it.
    :ivar networks: the networks, as :mod:`ipaddress` has them; IPv4 networks mapped into IPv6 as those they are.
    """

    __slots__ = ("_known", "_prefixes", "networks")

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self.networks = tuple(_unmapped(ipaddress.ip_network(network)) for network in networks)
        # By family, then by how many bits to drop: the numbers that are left of the networks' own addresses.
        self._prefixes: dict[int, dict[int, set[int]]] = {4: {}, 6: {}}
        for network in self.networks:
            drop = network.max_prefixlen - network.prefixlen
            self._prefixes[network.version].setdefault(drop, set()).add(int(network.network_address) >> drop)
        self._known: dict[str, bool] = {}

    def contains(self, host: str) -> bool:
        """
        Whether an address is in one of the networks; ``host in addresses`` says the same.

        :param host: an address as sockets print it; a zone (``%eth0``) is ignored, and an IPv4 address mapped into
            IPv6 counts as the IPv4 address it is. What is no address is in no set.
        """
        known = self._known.get(host)
        if known is None:
            if len(self._known) >= _CACHE:
                # Addresses are the clients' choice: forget all rather than grow.
                self._known.clear()
            known = self._known[host] = self._find(host)
        return known

    __contains__ = contains

    def _find(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        number = int(address)
        return any(number >> drop in numbers for drop, numbers in self._prefixes[address.version].items())

    def __bool__(self) -> bool:
        return bool(self.networks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AddressSet) and self.networks == other.networks

    def __hash__(self) -> int:
        return hash(self.networks)

    def __repr__(self) -> str:
        return f"AddressSet({[str(network) for network in self.networks]})"


def _unmapped(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """``::ffff:10.0.0.0/104`` as ``10.0.0.0/8``: it is under their IPv4 address that mapped hosts are looked up."""
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network((mapped, network.prefixlen - 96))
    return network
