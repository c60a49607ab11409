"""The HTTP clients of worker, command line and gateway: no request affects another."""

import gzip
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import pytest_asyncio
from aiohttp import web

from durable_agent_team.atxp.http_client import HttpClient
from durable_agent_team.atxp.httpx_client import HttpxClient
from durable_agent_team.gateway.upstreams.upstream_client import UpstreamClient
from tests.support.serving import listening

Client = httpx.AsyncClient
CLIENTS: list[Callable[[], Client]] = [HttpClient, HttpxClient, UpstreamClient]


class Provider:
    """Gives cookies, moves, packs its answers; keeps what it was sent."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[web.Request] = []

    async def serve(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        if request.path == "/moved":
            raise web.HTTPFound("/elsewhere")
        packed = {"Content-Encoding": "gzip"} if request.path == "/packed" else {}
        body = gzip.compress(b"an answer") if packed else b"an answer"
        answer = web.Response(body=body, headers=packed)
        answer.set_cookie("session", "of-the-first-agent")
        return answer


@pytest_asyncio.fixture(loop_scope="session")
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", provider.serve)
    async with listening(app) as provider.url:
        yield provider


def order(url: str, key: str = "one") -> httpx.Request:
    return httpx.Request("POST", url, content=b"{}", headers={"Authorization": f"Bearer {key}"})


@pytest.mark.parametrize("build", CLIENTS)
async def test_a_cookie_of_one_agents_answer_goes_with_nobodys_request(
    build: Callable[[], Client], provider: Provider
) -> None:
    url = provider.url.replace("127.0.0.1", "localhost")  # aiohttp's own jar keeps only names
    async with build() as http:
        first = await http.send(order(url, "one"))
        await http.send(order(url, "two"))
    assert "session" in first.headers["Set-Cookie"]
    assert [each.headers.get("Cookie") for each in provider.seen] == [None, None]


@pytest.mark.parametrize("build", CLIENTS)
async def test_a_key_follows_no_redirect(build: Callable[[], Client], provider: Provider) -> None:
    async with build() as http:
        answer = await http.send(order(f"{provider.url}/moved"))
    assert (answer.status_code, answer.headers["Location"]) == (302, "/elsewhere")
    assert [each.path for each in provider.seen] == ["/moved"]


@pytest.mark.parametrize("build", CLIENTS)
async def test_a_packed_answer_is_unpacked(build: Callable[[], Client], provider: Provider) -> None:
    async with build() as http:
        answer = await http.send(order(f"{provider.url}/packed"))
    assert answer.content == b"an answer"
    assert provider.seen[0].headers["Accept-Encoding"] == "gzip, deflate"


@pytest.mark.parametrize("build", CLIENTS)
async def test_a_proxy_of_the_environment_is_used_but_not_for_this_machine(
    build: Callable[[], Client], provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", provider.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with build() as http:
        await http.send(order("http://provider.invalid/v1"))
        for here in ("127.0.0.1", "localhost"):
            await http.send(order(f"{provider.url.replace('127.0.0.1', here)}/direct"))
    port = provider.url.rpartition(":")[2]
    asked = [each.headers["Host"] for each in provider.seen]
    assert asked == ["provider.invalid", f"127.0.0.1:{port}", f"localhost:{port}"]
    assert [each.raw_path for each in provider.seen][1:] == ["/direct", "/direct"]


@pytest.mark.parametrize("build", CLIENTS)
async def test_who_is_asked_knows_what_asks(
    build: Callable[[], Client], provider: Provider
) -> None:
    async with build() as http:
        await http.send(order(provider.url))
    assert provider.seen[0].headers["User-Agent"].startswith("durable-agent-team")
