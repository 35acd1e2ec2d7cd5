"""Which IP addresses a callback may go to."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, ip_address, ip_network

_NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        # IANA's special-purpose registry (RFC 6890), and what is no single host's.
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        # Where Azure's machines ask their host, though the network is public.
        "168.63.129.16/32",
        # IPv6 within 2000::/3: protocols (Teredo among them), examples, and 6to4.
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    )
)  # fmt: skip
_PUBLIC_IPV6 = ip_network("2000::/3")
"""All that is given out for single hosts. NAT64, mapped and local addresses are outside."""


class Addresses:
    """Tells whether an address is public, or in a network that the operator allows.

    Args:
        allow_networks: These.
    """

    def __init__(self, allow_networks: Iterable[str] = ()) -> None:
        self._allowed = tuple(ip_network(network) for network in allow_networks)

    def allow(self, text: str) -> bool:
        """Whether a callback may go there.

        Args:
            text: An address as the system's resolver writes it. One with a zone is link-local, and
                no address at all is not allowed either.
        """
        try:
            address = ip_address(text)
        except ValueError:
            return False
        if getattr(address, "scope_id", None) is not None:
            return False
        if any(address in network for network in self._allowed):
            return True
        if any(address in network for network in _NOT_PUBLIC):
            return False
        return isinstance(address, IPv4Address) or address in _PUBLIC_IPV6
