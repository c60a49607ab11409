"""The HTTP client for upstreams: httpx's interface over aiohttp's transport."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import aiohttp
import httpx
from aiohttp import ClientSession, DummyCookieJar, TCPConnector
from httpx_aiohttp import AiohttpTransport, HttpxAiohttpClient

DIRECT: Final = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}
"""Requests to this machine never use a proxy, even if the environment names one."""
HEADERS: Final = {"Accept-Encoding": "gzip, deflate", "User-Agent": "durable-agent-team-gateway"}


class _Transport(AiohttpTransport):
    """Without aiohttp's cookie jar and without its limit of 100 connections."""

    def get_client(self) -> ClientSession:
        return ClientSession(
            connector=TCPConnector(limit=0, ssl=self.ssl_context),
            cookie_jar=DummyCookieJar(),
            headers=HEADERS,
        )


class UpstreamClient(HttpxAiohttpClient):
    """Sends a request once, unchanged: no redirects, so that no key is sent to another host; no
    cookies, since all accounts share this client."""

    def __init__(self) -> None:
        super().__init__(mounts=DIRECT)

    def _init_transport(self, **settings: Any) -> _Transport:  # type: ignore[override]
        return _Transport(**settings)

    def _init_proxy_transport(  # type: ignore[override]
        self, proxy: httpx.Proxy, **settings: Any
    ) -> _Transport:
        return _Transport(proxy=proxy, **settings)

    async def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        """Returns the response with its body, however long it is: for a trusted server. Raises
        `httpx.HTTPError`. Ignores other arguments."""
        async with self.streamed(request) as response:
            await response.aread()
        return response

    @asynccontextmanager
    async def streamed(self, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        """Yields the response before its body was read. Leaving the block closes the connection.
        Raises `httpx.HTTPError`."""
        transport = self._transport_for_url(request.url)
        with _malformed_http():
            response = await transport.handle_async_request(request)
        try:
            with _malformed_http():
                yield response
        finally:
            await response.aclose()


@contextmanager
def _malformed_http() -> Iterator[None]:
    """aiohttp's own errors become httpx's. Its transport leaves out those about malformed HTTP."""
    try:
        yield
    except aiohttp.ClientError as error:
        raise httpx.RemoteProtocolError(str(error) or type(error).__name__) from error
