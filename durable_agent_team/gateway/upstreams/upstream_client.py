"""The HTTP client for upstreams: httpx's interface over aiohttp's transport."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Any, Final, NoReturn

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
            timeout=_connecting(connect_seconds),
            proxy=str(proxy.url) if proxy else None,
            proxy_auth=BasicAuth(*proxy.auth) if proxy and proxy.auth else None,
            proxy_headers=proxy.headers if proxy else None,
        )


@lru_cache(maxsize=100)
def _connecting(seconds: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(connect=seconds, sock_connect=seconds)


@dataclass(frozen=True, slots=True)
class Address:
    """Where requests go, and how: found once for many of them."""

    url: str
    transport: _Transport


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
        address = self.address(request.url)
        sending = self.sent(request.method, address, request.content, dict(request.headers))
        async with sending as response:
            body = await response.read()
        headers = response.raw_headers
        return httpx.Response(response.status, headers=headers, content=body, request=request)

    def address(self, url: httpx.URL) -> Address:
        transport = self._transport_for_url(url)
        assert isinstance(transport, _Transport)
        return Address(str(url), transport)

    def posted(
        self,
        address: Address,
        content: bytes,
        headers: Mapping[str, str],
        connect_seconds: float | None = None,
    ) -> "Sending":
        """`sent`, with POST."""
        return Sending(address, "POST", content, headers, connect_seconds)

    def sent(
        self,
        method: str,
        address: Address,
        content: bytes,
        headers: Mapping[str, str],
        connect_seconds: float | None = None,
    ) -> "Sending":
        """`async with` gives the response before its body was read, as aiohttp has it: httpx's own
        objects cost a tenth of a call. Leaving the block closes the connection, unless the body was
        read. Raises `httpx.HTTPError`, also for what is read inside the block."""
        return Sending(address, method, content, headers, connect_seconds)


class Sending:
    """One request. A class, since generators as context managers would cost a twentieth of a
    call."""

    __slots__ = ("_address", "_connect_seconds", "_content", "_headers", "_method", "_response")

    def __init__(
        self,
        address: Address,
        method: str,
        content: bytes,
        headers: Mapping[str, str],
        connect_seconds: float | None,
    ) -> None:
        self._address, self._method, self._content = address, method, content
        self._headers, self._connect_seconds = headers, connect_seconds

    async def __aenter__(self) -> aiohttp.ClientResponse:
        address = self._address
        try:
            self._response = await address.transport.send_once(
                self._method, address.url, self._content, self._headers, self._connect_seconds
            )
        except aiohttp.ClientError as error:
            raise_as_httpx(error)
        return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            await self._response.__aexit__(None, None, None)
        except aiohttp.ClientError as failed:
            raise_as_httpx(failed)
        if isinstance(error, aiohttp.ClientError):
            raise_as_httpx(error)


def raise_as_httpx(error: aiohttp.ClientError) -> NoReturn:
    """The transport's own reading of an error leaves out those about malformed HTTP."""
    with _malformed_http(), map_aiohttp_exceptions():
        raise error


@contextmanager
def _malformed_http() -> Iterator[None]:
    try:
        yield
    except aiohttp.ClientError as error:
        raise httpx.RemoteProtocolError(str(error) or type(error).__name__) from error
