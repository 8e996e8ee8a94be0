"""Who counts as one client: an IPv4 address, or the IPv6 network that one subscriber is given."""

from __future__ import annotations

import ipaddress

_SUBSCRIBER_BITS = 64
"""A subscriber holds all addresses of a /64 and could come from another one with each request."""


def client_address(text: str | None) -> str:
    """Return what requests are counted under for the address *text*; what is no address is counted together."""
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), _SUBSCRIBER_BITS), strict=False))
    return str(address)
