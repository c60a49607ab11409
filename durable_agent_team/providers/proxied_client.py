"""An httpx client that follows the environment's proxy rules."""

import os
import ssl
from functools import cache
from typing import Any

import httpx

from durable_agent_team.providers.proxies import proxy_rules

MAX_HOSTS = 1_000
"""Whose transport is remembered."""
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""What httpx reads for its certificates, instead of its own."""


class ProxiedClient(httpx.AsyncClient):
    """Base of the clients of worker and gateway: `NO_PROXY` as `proxies` reads it, in place of
    httpx's own reading. The rules are read once, when the client is made."""

    def __init__(self) -> None:
        self._proxies = proxy_rules(os.environ)
        self._found: dict[tuple[str, str, int | None], httpx.AsyncBaseTransport] = {}
        super().__init__(verify=_tls_context(*map(os.environ.get, CERTIFICATES)))

    def _get_proxy_map(self, *_: Any) -> dict[str, httpx.Proxy | None]:
        return {f"{name}://": httpx.Proxy(url) for name, url in self._proxies.proxies.items()}

    def _transport_for_url(self, url: httpx.URL) -> httpx.AsyncBaseTransport:
        """Directly to this machine and to what NO_PROXY names. Decided once for each host."""
        place = (url.scheme, url.host, url.port)
        found = self._found.get(place)
        if found is None:
            direct = self._proxies.proxy_of(*place) is None
            found = self._transport if direct else super()._transport_for_url(url)
            if len(self._found) < MAX_HOSTS:
                self._found[place] = found
        return found


@cache
def _tls_context(*_: str | None) -> ssl.SSLContext:
    """httpx's own, shared by all clients of the process: loading the certificates takes 30 ms."""
    return httpx.create_ssl_context()
