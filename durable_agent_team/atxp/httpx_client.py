"""How every client of this package sends a request, and the client for a few requests."""

import os
from typing import Any, Final

import httpx

from durable_agent_team.providers.proxies import proxy_rules

HEADERS: Final = {"Accept-Encoding": "gzip, deflate", "User-Agent": "durable-agent-team"}


class HttpxClient(httpx.AsyncClient):
    """Sends a request unchanged, once: without redirects, so that a key never travels to another
    host; without cookies, which one agent's answer could set for another's request; without
    retries, which belong to Temporal. Uses the environment's proxy, but not for this machine.

    This class uses httpx's own connection pool and needs no further package: for the command line.
    """

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

    async def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        """Returns the whole response. Raises `httpx.HTTPError`. Other arguments are ignored."""
        for name, value in HEADERS.items():
            request.headers.setdefault(name, value)
        response = await self._transport_for_url(request.url).handle_async_request(request)
        try:
            await response.aread()
        except BaseException:
            await response.aclose()
            raise
        return response
