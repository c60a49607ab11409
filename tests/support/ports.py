"""Ports for servers that are killed and start again at the same address."""

import random
import socket

LOWEST, HIGHEST = 20_000, 30_000
"""Below the range from which Linux takes the ports of outgoing connections: one of these could take
the port while its server is down."""


def lasting_ports(count: int) -> list[int]:
    """Free ports that no outgoing connection takes."""
    found: list[int] = []
    for port in random.SystemRandom().sample(range(LOWEST, HIGHEST), HIGHEST - LOWEST):
        if _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError(f"no {count} free ports from {LOWEST} to {HIGHEST}")


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
