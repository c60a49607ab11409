"""How every client of this package sends a request, and the client for a few requests."""

from typing import Any, Final

import httpx

from durable_agent_team.providers.proxied_client import ProxiedClient

HEADERS: Final = {"Accept-Encoding": "gzip, deflate", "User-Agent": "durable-agent-team"}


class HttpxClient(ProxiedClient):
    """Sends a request unchanged, once: without redirects, so that a key never travels to another
    host; without cookies, which one agent's answer could set for another's request; without
    retries, which belong to Temporal. Uses the environment's proxy, but not for this machine.

    This class uses httpx's own connection pool and needs no further package: for the command line.
    """

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
