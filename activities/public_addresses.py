"""Connections to public addresses only: checked on the address that is connected to, so that a
name which resolves differently the second time gains nothing."""

import ipaddress
import socket
from typing import Any, Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_EXTRA: Final = (
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's metadata and DNS, in a public range
    ipaddress.ip_network("192.0.0.0/24"),  # of which some Python versions call parts global
    ipaddress.ip_network("fec0::/10"),
)
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


def is_public(host: str) -> bool:
    """Whether an IP address belongs to the public Internet: not private, loopback, link-local,
    multicast, reserved or a cloud's metadata, also inside an IPv6 address that carries IPv4."""
    address = ipaddress.ip_address(host)
    if any(address in network for network in _EXTRA):
        return False
    inner = _inner(address)
    if inner is not None:
        return is_public(str(inner))
    return address.is_global and not address.is_multicast


def _inner(address: Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


class PublicSockets:
    """A `socket_factory` of aiohttp: refuses to create a socket for another address."""

    def __init__(self) -> None:
        self.refused = False

    def __call__(self, info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if not is_public(address[0]):
            self.refused = True
            raise PermissionError("not a public address")
        return socket.socket(family=family, type=kind, proto=protocol)
