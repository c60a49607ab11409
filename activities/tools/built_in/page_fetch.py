"""`fetch`: one page by GET, from hosts that the team file allows and from public addresses only.

A model chooses the address, perhaps because of something it has read. So every step of a
redirect is checked like the first address; the address that is connected to is checked, so that a
name which resolves differently the second time gains nothing; and nothing of the worker goes along:
no cookies, no credentials.
"""

import asyncio
import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver
from yarl import URL

from activities.public_addresses import PublicSockets, is_public
from activities.tools.built_in.exceptions import PageUnreachable, ToolMistake
from activities.tools.built_in.html_text import text_of
from durable_agent_team.providers.proxies import proxy_rules

MAX_URL: Final = 2_000
MAX_PAGE_BYTES: Final = 2 * 1024 * 1024
MAX_REDIRECTS: Final = 5
HEADERS: Final = {
    "Accept": "text/html, text/plain, application/json;q=0.9, text/*;q=0.8",
    "Accept-Encoding": "identity",
    "User-Agent": "durable-agent-team",
}
HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
TEXTS: Final = HTML | {
    *("application/json", "application/xml", "application/yaml", "application/x-yaml"),
    *("application/javascript", "application/x-ndjson"),
}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Page:
    """What a host answered, as text."""

    url: str
    """The last URL, after redirects."""
    status: int
    text: str


class PageFetcher:
    """`private_addresses` and `resolver` are for tests, whose server is on this machine."""

    def __init__(
        self, *, private_addresses: bool = False, resolver: AbstractResolver | None = None
    ) -> None:
        self._private_addresses = private_addresses
        self._resolver = resolver

    async def get(self, url: str, hosts: Sequence[str], seconds: float) -> Page:
        """The page, within this many seconds for all its steps. Raises `ToolMistake` where the
        address is not allowed or the page is not text, `PageUnreachable`, and TimeoutError."""
        sockets = PublicSockets()
        if self._private_addresses:
            sockets = _AnySockets()
        try:
            async with asyncio.timeout(seconds), self._sessions(sockets) as sessions:
                return await _followed(url, hosts, *sessions)
        except PermissionError:
            raise _not_public() from None
        except aiohttp.InvalidURL:  # such as http://127.1/
            raise ToolMistake("`url` has a host that is neither a name nor an address") from None
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            if sockets.refused:
                raise _not_public() from None
            if isinstance(error, aiohttp.ClientConnectorDNSError):
                raise ToolMistake("there is no host of this name") from None
            raise PageUnreachable(f"no HTTP response ({type(error).__name__})") from None

    @asynccontextmanager
    async def _sessions(
        self, sockets: PublicSockets
    ) -> AsyncIterator[tuple[ClientSession, ClientSession]]:
        """One for direct connections, one for those to a proxy, which may be on this machine."""
        settings: dict[str, Any] = {
            "cookie_jar": DummyCookieJar(),
            "auto_decompress": False,
            "timeout": ClientTimeout(total=None),
        }
        connector = TCPConnector(socket_factory=sockets, resolver=self._resolver)
        async with (
            ClientSession(connector=connector, **settings) as direct,
            ClientSession(**settings) as proxied,
        ):
            yield direct, proxied


class _AnySockets(PublicSockets):
    def __call__(self, info: Any) -> socket.socket:
        family, kind, protocol, _, _ = info
        return socket.socket(family=family, type=kind, proto=protocol)


async def _followed(
    address: str, hosts: Sequence[str], direct: ClientSession, proxied: ClientSession
) -> Page:
    url = allowed_url(address, hosts)
    for _ in range(MAX_REDIRECTS + 1):
        proxy = _proxy_of(url)
        session = direct if proxy is None else proxied
        async with session.get(
            url, headers=HEADERS, allow_redirects=False, proxy=proxy
        ) as response:
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or not target:
                return await _page(url, response)
        url = allowed_url(_joined(url, target), hosts)
    raise ToolMistake(f"it redirects more than {MAX_REDIRECTS} times")


def allowed_url(address: str, hosts: Sequence[str]) -> URL:
    """The address, parsed as it is used. Raises `ToolMistake` unless it is one of these hosts, by
    http or https and without credentials.

    An entry without a port allows the usual ports; `*.example.com` is every host below that one.
    """
    try:
        if len(address) > MAX_URL:
            raise ValueError
        url = URL(address)
        host, port = (url.raw_host or "").rstrip(".").lower(), url.port
    except ValueError:
        raise ToolMistake("`url` is no address: write it like https://example.com/page") from None
    if url.scheme not in ("http", "https") or not host:
        raise ToolMistake("only http:// and https:// addresses are read")
    if url.user is not None or url.password is not None:
        raise ToolMistake("an address with a user or a password is not read: leave them out")
    if not any(_covers(each.lower(), host, port, url.is_default_port()) for each in hosts):
        shown = ", ".join(hosts)[:1_000]
        raise ToolMistake(f"{url.authority[:200]} is not allowed; these hosts are: {shown}")
    return url


def _covers(entry: str, host: str, port: int | None, is_default_port: bool) -> bool:
    name, _, its_port = entry.partition(":")
    if its_port and str(port) != its_port.lstrip("0"):
        return False
    if not its_port and not is_default_port:
        return False
    if name.startswith("*."):
        return host.endswith(name[1:])
    return host == name.rstrip(".")


def _joined(url: URL, target: str) -> str:
    try:
        return str(url.join(URL(target)))
    except ValueError:
        raise ToolMistake("it redirects to something that is no address") from None


def _proxy_of(url: URL) -> str | None:
    """The environment's proxy. It resolves names itself, so that only an address in the URL can be
    checked. Raises `ToolMistake`."""
    host = (url.raw_host or "").rstrip(".")
    proxy = proxy_rules(os.environ).proxy_of(url.scheme, host, url.port)
    if proxy is not None and _is_address(host) and not is_public(host):
        raise _not_public()
    return proxy


async def _page(url: URL, response: aiohttp.ClientResponse) -> Page:
    kind = response.content_type
    if not (kind.startswith("text/") or kind in TEXTS or kind.endswith(("+json", "+xml"))):
        raise ToolMistake(f"it is no text ({kind[:100]}): only text, HTML, JSON and XML are read")
    if response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise ToolMistake("it is compressed, though that was not asked for")
    body, is_cut = await _beginning(response)
    text = _decoded(body, response.charset)
    if kind in HTML:
        text = await asyncio.to_thread(text_of, text, str(url))
    if is_cut:
        text += f"\n[the page is longer than {MAX_PAGE_BYTES:,} bytes: the rest was not read]"
    return Page(str(url), response.status, text)


async def _beginning(response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """At most `MAX_PAGE_BYTES`, and whether there is more."""
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_PAGE_BYTES:
            response.close()
            break
    return b"".join(chunks)[:MAX_PAGE_BYTES], size > MAX_PAGE_BYTES


def _decoded(body: bytes, charset: str | None) -> str:
    try:
        return body.decode(charset or "utf-8", "replace")
    except (LookupError, UnicodeError, ValueError):
        return body.decode("utf-8", "replace")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _not_public() -> ToolMistake:
    return ToolMistake("its host is not at a public address, and no other is ever read")
