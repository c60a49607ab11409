"""`fetch` reads from allowed hosts at public addresses only, whatever redirects and names say."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.tools.built_in.exceptions import PageUnreachable, ToolMistake
from activities.tools.built_in.page_fetch import MAX_PAGE_BYTES, Page, PageFetcher, allowed_url
from tests.support.fuzzing import examples

HOST = "docs.example"


class Names(AbstractResolver):
    """A test's DNS: every name is one address."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.address = address
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        return [
            ResolveResult(
                hostname=host, host=self.address, port=port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        pass


class Site:
    """A server on this machine, which the names of `Names` lead to."""

    def __init__(self) -> None:
        self.seen: list[web.BaseRequest] = []
        self.port = 0
        self.names = Names()
        self.closing = asyncio.Event()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(request)
        match request.path.strip("/"):
            case "to-itself":
                return web.Response(status=302, headers={"Location": "/page"})
            case "loop":
                return web.Response(status=307, headers={"Location": "/loop"})
            case "elsewhere":
                return web.Response(status=302, headers={"Location": request.query["to"]})
            case "image":
                return web.Response(body=b"\x89PNG", content_type="image/png")
            case "large":
                return web.Response(text="x" * (MAX_PAGE_BYTES + 10))
            case "latin":
                return web.Response(body="é".encode("latin-1"), content_type="text/plain")
            case "never":
                await self.closing.wait()
            case "missing":
                return web.Response(status=404, text="no such page")
            case "cookie":
                return web.Response(status=302, headers={"Location": "/page", "Set-Cookie": "a=b"})
            case "compressed":
                return web.Response(text="x", headers={"Content-Encoding": "br"})
        return web.Response(text="<p>Hello, <b>you</b>", content_type="text/html")

    async def get(self, path: str, hosts: Any = None, seconds: float = 10) -> Page:
        fetcher = PageFetcher(private_addresses=True, resolver=self.names)
        url = f"http://{HOST}:{self.port}/{path}"
        return await fetcher.get(url, hosts or [f"{HOST}:{self.port}"], seconds)


@asynccontextmanager
async def _site() -> AsyncIterator[Site]:
    made = Site()
    server = web.Server(made.answer)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        made.closing.set()
        await runner.cleanup()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def test_a_page_is_read_as_text_without_anything_of_the_worker() -> None:
    async with _site() as site:
        page = await site.get("page")
        assert (page.status, page.text) == (200, "Hello, you")
        [request] = site.seen
        assert request.method == "GET"
        sent = {name.lower() for name in request.headers}
        assert sent == {"host", "accept", "accept-encoding", "user-agent"}
        assert (await site.get("missing")).status == 404
        assert (await site.get("latin")).text == "\ufffd"


async def test_redirects_are_followed_to_allowed_hosts_alone() -> None:
    async with _site() as site:
        assert (await site.get("to-itself")).url.endswith("/page")
        with pytest.raises(ToolMistake, match="redirects more than 5 times"):
            await site.get("loop")
        before = len(site.seen)
        for target in (
            f"http://evil.example:{site.port}/page",
            f"http://127.0.0.1:{site.port}/page",
            f"//evil.example:{site.port}/",
            "http://169.254.169.254/latest/meta-data",
            "file:///etc/passwd",
            f"http://user:pw@{HOST}:{site.port}/",
            "http://[::1",
        ):
            with pytest.raises(ToolMistake):
                await site.get(f"elsewhere?to={target}")
        assert len(site.seen) == before + 7, "none of them was asked"
        page = await site.get("cookie")
        assert page.status == 200
        assert "Cookie" not in site.seen[-1].headers


async def test_a_name_that_leads_to_a_private_address_is_not_read() -> None:
    """Also one that leads elsewhere when it is asked again: what is connected to is checked."""
    async with _site() as site:
        for address in ("127.0.0.1", "10.0.0.7", "169.254.169.254", "100.64.0.1", "0.0.0.0"):
            fetcher = PageFetcher(resolver=Names(address))
            with pytest.raises(ToolMistake, match="not at a public address"):
                await fetcher.get(f"http://{HOST}:{site.port}/", [f"{HOST}:{site.port}"], 10)
        for literal in (
            *("127.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]"),
            *("2130706433", "0x7f000001", "127.1", "0177.0.0.1", "localhost", "[fd00::1]"),
        ):
            address = f"http://{literal}:{site.port}/"
            with pytest.raises(ToolMistake):  # which the model reads: nobody has to look at it
                await PageFetcher().get(address, [f"{literal}:{site.port}"], 10)
        assert not site.seen


async def test_through_a_proxy_an_address_in_the_url_is_still_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with _site() as site:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{site.port}")
        fetcher = PageFetcher()
        with pytest.raises(ToolMistake, match="not at a public address"):
            await fetcher.get("http://10.0.0.1/", ["10.0.0.1"], 10)
        assert not site.seen
        assert (await fetcher.get("http://docs.example/a", [HOST], 10)).status == 200
        assert site.seen[0].headers["Host"] == HOST


async def test_what_is_no_text_or_too_long_is_not_taken() -> None:
    async with _site() as site:
        with pytest.raises(ToolMistake, match=r"no text \(image/png\)"):
            await site.get("image")
        with pytest.raises(ToolMistake, match="compressed"):
            await site.get("compressed")
        page = await site.get("large")
        assert page.text.startswith("x" * MAX_PAGE_BYTES + "\n[the page is longer")


async def test_a_host_that_does_not_answer_ends_at_the_time_limit() -> None:
    async with _site() as site:
        with pytest.raises(TimeoutError):
            await site.get("never", seconds=0.2)
    with pytest.raises(PageUnreachable, match="no HTTP response"):
        await site.get("page")  # the server is gone


async def test_a_name_that_does_not_exist_is_the_models_mistake() -> None:
    class Nowhere(Names):
        async def resolve(self, *_: Any, **__: Any) -> list[ResolveResult]:
            raise OSError("no such name")

    with pytest.raises(ToolMistake, match="no host of this name"):
        await PageFetcher(resolver=Nowhere()).get(f"http://{HOST}/", [HOST], 10)


@pytest.mark.parametrize(
    ("url", "hosts", "good"),
    [
        ("https://docs.example/a", ["docs.example"], True),
        ("https://DOCS.example./a", ["docs.example"], True),
        ("https://docs.example:8443/a", ["docs.example"], False),
        ("https://docs.example:8443/a", ["docs.example:8443"], True),
        ("https://docs.example/a", ["docs.example:443"], True),
        ("https://a.b.example/", ["*.b.example"], True),
        ("https://b.example/", ["*.b.example"], False),
        ("https://evilb.example/", ["*.b.example"], False),
        ("https://docs.example.evil.example/", ["docs.example"], False),
        ("https://docs.example@evil.example/", ["docs.example"], False),
        ("https://evil.example/docs.example", ["docs.example"], False),
        ("https://bücher.example/", ["xn--bcher-kva.example"], True),
        ("https://ｄｏｃｓ.example/", ["docs.example"], True),
        ("https://docs.exаmple/", ["docs.example"], False),  # a Cyrillic letter
        ("https://evil.example#docs.example", ["docs.example"], False),
        ("https://evil.example\\@docs.example/", ["docs.example"], False),
        ("ftp://docs.example/", ["docs.example"], False),
        ("//docs.example/", ["docs.example"], False),
        ("docs.example", ["docs.example"], False),
        ("https://docs.example:99999/", ["docs.example"], False),
        ("https://docs.example/" + "a" * 2_000, ["docs.example"], False),
        ("https://docs.example/", [], False),
        ("", ["docs.example"], False),
    ],
)
def test_only_the_hosts_of_the_team_file_are_allowed(
    url: str, hosts: list[str], good: bool
) -> None:
    if good:
        assert allowed_url(url, hosts)
        return
    with pytest.raises(ToolMistake):
        allowed_url(url, hosts)


@settings(max_examples=examples(200))
@given(st.lists(st.sampled_from([*"/@:#?\\.[]% \t\n", "http", "https", "evil", "docs.example"])))
def test_whatever_is_allowed_leads_to_the_allowed_host(pieces: list[str]) -> None:
    try:
        url = allowed_url("".join(pieces), ["docs.example"])
    except ToolMistake:
        return
    assert (url.host or "").rstrip(".").lower() == "docs.example"
