"""The HTTP client for upstreams: httpx's interface over aiohttp's transport."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Final

import aiohttp
import httpx
from aiohttp import BasicAuth, ClientSession, DummyCookieJar, TCPConnector
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import map_aiohttp_exceptions

from durable_agent_team.providers.proxied_client import ProxiedClient

HEADERS: Final = {"Accept-Encoding": "gzip, deflate", "User-Agent": "durable-agent-team-gateway"}


class _Transport(AiohttpTransport):
    """Without aiohttp's cookie jar and without its limit of 100 connections."""

    def get_client(self) -> ClientSession:
        return ClientSession(
            connector=TCPConnector(limit=0, ssl=self.ssl_context),
            cookie_jar=DummyCookieJar(),
            headers=HEADERS,
            auto_decompress=False,
        )

    async def send_once(
        self,
        method: str,
        url: str,
        content: bytes,
        headers: Mapping[str, str],
        connect_seconds: float | None,
    ) -> aiohttp.ClientResponse:
        if not isinstance(self.client, ClientSession):
            self.client = self.get_client()
        proxy = self.proxy
        return await self.client.request(
            method,
            url,
            headers=headers,
            data=content,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(connect=connect_seconds, sock_connect=connect_seconds),
            proxy=str(proxy.url) if proxy else None,
            proxy_auth=BasicAuth(*proxy.auth) if proxy and proxy.auth else None,
            proxy_headers=proxy.headers if proxy else None,
        )


class UpstreamClient(ProxiedClient):
    """Sends a request once, unchanged: no redirects, so that no key is sent to another host; no
    cookies, since all accounts share this client."""

    def _init_transport(self, **settings: Any) -> _Transport:  # type: ignore[override]
        return _Transport(**settings)

    def _init_proxy_transport(  # type: ignore[override]
        self, proxy: httpx.Proxy, **settings: Any
    ) -> _Transport:
        return _Transport(proxy=proxy, **settings)

    async def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        """Returns the response with its body, however long it is: for a trusted server. Raises
        `httpx.HTTPError`. Ignores other arguments."""
        sending = self.posted(request.url, request.content, dict(request.headers))
        async with sending as response:
            body = await response.read()
        headers = response.raw_headers
        return httpx.Response(response.status, headers=headers, content=body, request=request)

    def posted(
        self,
        url: httpx.URL,
        content: bytes,
        headers: Mapping[str, str],
        connect_seconds: float | None = None,
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """`sent`, with POST."""
        return self.sent("POST", url, content, headers, connect_seconds)

    @asynccontextmanager
    async def sent(
        self,
        method: str,
        url: httpx.URL,
        content: bytes,
        headers: Mapping[str, str],
        connect_seconds: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yields the response before its body was read, as aiohttp has it: httpx's own objects cost
        a tenth of a call. Leaving the block closes the connection, unless the body was read. Raises
        `httpx.HTTPError`, also for what is read inside the block."""
        transport = self._transport_for_url(url)
        assert isinstance(transport, _Transport)
        with _malformed_http(), map_aiohttp_exceptions():
            response = await transport.send_once(
                method, str(url), content, headers, connect_seconds
            )
        try:
            with _malformed_http(), map_aiohttp_exceptions():
                yield response
        finally:
            with map_aiohttp_exceptions():
                await response.__aexit__(None, None, None)


@contextmanager
def _malformed_http() -> Iterator[None]:
    """aiohttp's own errors become httpx's. Its transport leaves out those about malformed HTTP."""
    try:
        yield
    except aiohttp.ClientError as error:
        raise httpx.RemoteProtocolError(str(error) or type(error).__name__) from error
