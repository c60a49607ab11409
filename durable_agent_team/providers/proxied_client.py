"""An httpx client that follows the environment's proxy rules."""

import os
from typing import Any

import httpx

from durable_agent_team.providers.proxies import proxy_rules


class ProxiedClient(httpx.AsyncClient):
    """Base of the clients of worker and gateway: `NO_PROXY` as `proxies` reads it, in place of
    httpx's own reading. The rules are read once, when the client is made."""

    def __init__(self) -> None:
        self._proxies = proxy_rules(os.environ)
        super().__init__()

    def _get_proxy_map(self, *_: Any) -> dict[str, httpx.Proxy | None]:
        return {f"{name}://": httpx.Proxy(url) for name, url in self._proxies.proxies.items()}

    def _transport_for_url(self, url: httpx.URL) -> httpx.AsyncBaseTransport:
        """Directly to this machine and to what NO_PROXY names."""
        if self._proxies.proxy_of(url.scheme, url.host, url.port) is None:
            return self._transport
        return super()._transport_for_url(url)
