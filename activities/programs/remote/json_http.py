"""HTTP with a remote agent: bounded, without redirects, without cookies, one exchange at a time.

The address comes from the team file, whose author can have the worker run any program anyway. So
private addresses are allowed unless A2A_PRIVATE_ADDRESSES says otherwise; then the address that is
connected to is checked, so that a name which resolves differently the second time gains nothing.
"""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from activities.programs.remote.remote_errors import RemoteFailed, RemoteUnavailable
from activities.programs.remote.wire import HttpRequest
from activities.public_addresses import PublicSockets, is_public
from durable_agent_team.providers.error_kind import provider_error
from durable_agent_team.providers.proxies import proxy_rules
from durable_agent_team.providers.waits import wait_seconds

MAX_RESPONSE_BYTES: Final = 8 * 1024 * 1024
HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "durable-agent-team"}
LATER: Final = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses after which the same request may succeed."""
PRIVATE: Final = (
    "its host is not at a public address, and A2A_PRIVATE_ADDRESSES=false allows no other"
)


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes


class JsonHttp:
    """One agent's connection, for one attempt. `headers` go with every request."""

    def __init__(self, headers: Mapping[str, str], *, private_addresses: bool = True) -> None:
        self._headers = {**HEADERS, **headers}
        self._sockets = None if private_addresses else PublicSockets()
        self._proxies = proxy_rules(os.environ)

    async def __aenter__(self) -> Self:
        self._direct = ClientSession(
            connector=TCPConnector(socket_factory=self._sockets),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
        )
        self._proxied = ClientSession(cookie_jar=DummyCookieJar(), auto_decompress=False)
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self._direct.close()
        await self._proxied.close()

    async def exchange(
        self, request: HttpRequest, seconds: float | None, limit: int = MAX_RESPONSE_BYTES
    ) -> Response:
        """Within this many seconds; with None the caller limits it. Raises `RemoteUnavailable` and
        `RemoteFailed`, neither of which repeats the address."""
        try:
            return await self._exchange(request, seconds, limit)
        except TimeoutError:
            raise RemoteUnavailable("it did not respond in time") from None
        except (aiohttp.InvalidURL, ValueError):
            raise RemoteFailed("its address is not an HTTP URL", permanent=True) from None
        except (aiohttp.ClientError, OSError) as error:
            if self._sockets is not None and self._sockets.refused:
                raise RemoteFailed(PRIVATE, permanent=True) from None
            raise RemoteUnavailable(f"no HTTP response ({type(error).__name__})") from None

    async def _exchange(self, request: HttpRequest, seconds: float | None, limit: int) -> Response:
        proxy = self._proxy(request.url)
        session = self._direct if proxy is None else self._proxied
        async with session.request(
            request.method,
            request.url,
            data=request.body,
            headers={**self._headers, **request.headers},
            allow_redirects=False,
            proxy=proxy,
            timeout=ClientTimeout(total=seconds),
        ) as response:
            if 300 <= response.status < 400:
                raise RemoteFailed(
                    f"it redirects (HTTP {response.status}), which is not followed, since the"
                    " headers would go along: name the final address in `a2a`",
                    permanent=True,
                )
            body = await _bounded(response, limit)
            if response.status in LATER or (response.status == 500 and not body):
                raise _later(response.status, response.headers)
            return Response(response.status, body)

    def _proxy(self, url: str) -> str | None:
        """A proxy resolves names itself, so that only an address in the URL can be checked."""
        parts = urlsplit(url)
        proxy = self._proxies.proxy_of(parts.scheme, parts.hostname or "", parts.port)
        if proxy is not None and self._sockets is not None:
            host = (parts.hostname or "").rstrip(".")
            if _is_address(host) and not is_public(host):
                raise RemoteFailed(PRIVATE, permanent=True)
        return proxy


async def _bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body; never more of it in memory than the limit and one chunk."""
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > limit:
            response.close()
            raise RemoteFailed(f"its response is larger than {limit // 1024:,} KB")
        chunks.append(chunk)
    return b"".join(chunks)


def _later(status: int, headers: Mapping[str, str]) -> RemoteUnavailable:
    seconds = wait_seconds(status, headers, provider_error(status, b"").body, datetime.now(UTC))
    return RemoteUnavailable(f"HTTP {status}", seconds)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
