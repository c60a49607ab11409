"""`GET /v1/upstreams`: each upstream is asked whether it takes its key, and shows none of it.

The emulated providers answer `GET /models` as documented: OpenAI 401 with `error.message`
(platform.openai.com/docs/guides/error-codes), Gemini 400 with a list of errors
(ai.google.dev/gemini-api/docs/troubleshooting), Anthropic only with `x-api-key`
(docs.anthropic.com/en/api/models-list), OpenRouter at `/key` (openrouter.ai/docs/api-reference).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, web

from durable_agent_team.gateway.keys import Scrubber
from durable_agent_team.gateway.models.presets import presets
from durable_agent_team.gateway.models.upstream_entry import UpstreamEntry
from durable_agent_team.gateway.models.upstream_state import UpstreamCheck
from durable_agent_team.gateway.models.upstreams import NamedUpstream
from durable_agent_team.gateway.upstreams import upstream_check
from durable_agent_team.gateway.upstreams.upstream_check import check_upstreams
from tests.gateway.client import Api
from tests.support.gateway import running_gateway

GOOD, WRONG = "sk-good-0123456789", "sk-wrong-0123456789"
LIST = {"object": "list", "data": []}


async def openai(request: web.Request) -> web.Response:
    given = request.headers.get("Authorization", "")
    if given == f"Bearer {GOOD}":
        return web.json_response(LIST)
    message = f"Incorrect API key provided: {given.removeprefix('Bearer ')}."
    return web.json_response({"error": {"message": message, "code": "invalid_api_key"}}, status=401)


async def gemini(request: web.Request) -> web.Response:
    if request.headers.get("Authorization") == f"Bearer {GOOD}":
        return web.json_response(LIST)
    error = {"code": 400, "message": "API key not valid. Please pass a valid API key."}
    return web.json_response([{"error": error}], status=400)


async def anthropic(request: web.Request) -> web.Response:
    headers = request.headers
    if headers.get("x-api-key") == GOOD and "anthropic-version" in headers:
        return web.json_response(LIST)
    error = {"type": "authentication_error", "message": "x-api-key header is required"}
    return web.json_response({"type": "error", "error": error}, status=401)


async def without_list(request: web.Request) -> web.Response:
    return web.Response(status=404, text="<h1>Not found</h1>")


async def silent(request: web.Request) -> web.Response:
    await asyncio.sleep(60)
    return web.Response()


async def elsewhere(request: web.Request) -> web.Response:
    raise web.HTTPFound("/elsewhere")


@asynccontextmanager
async def provider(handler: object, path: str = "/v1/models") -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get(path, handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def checked(url: str, key: str, **entry: str) -> UpstreamCheck:
    given = UpstreamEntry.model_validate({"url": url, "key_env": "THEIR_KEY", **entry})
    upstream = NamedUpstream.of("theirs", given, {"THEIR_KEY": key} if key else {})
    (found,) = await check_upstreams([upstream], Scrubber(key))
    assert found.name == "theirs"
    assert not key or key not in found.detail
    return found


@pytest.mark.parametrize("handler", [openai, gemini, anthropic])
async def test_a_right_key_is_ready_and_a_wrong_one_is_named_with_its_variable(
    handler: object,
) -> None:
    async with provider(handler) as url:
        assert (await checked(url, GOOD)).state == "ready"
        wrong = await checked(url, WRONG)
    assert wrong.state == "key_refused"
    assert "THEIR_KEY is refused" in wrong.detail
    assert f"{url}/models answered 40" in wrong.detail
    assert "correct THEIR_KEY in .env" in wrong.detail


async def test_a_key_that_is_not_set_is_named_without_a_request() -> None:
    found = await checked("http://127.0.0.1:9/v1", "")
    assert (found.state, found.detail) == ("key_missing", "set THEIR_KEY in .env")


@pytest.mark.parametrize("handler", [without_list, elsewhere])
async def test_an_upstream_without_a_list_says_nothing_about_the_key(handler: object) -> None:
    async with provider(handler) as url:
        assert (await checked(url, GOOD)).state == "unknown"


async def test_an_upstream_that_does_not_answer_is_unreachable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (await checked("http://127.0.0.1:9/v1", GOOD)).state == "unreachable"
    monkeypatch.setattr(upstream_check, "CHECK_SECONDS", 0.2)
    async with provider(silent) as url:
        found = await checked(url, GOOD)
    assert (found.state, "does not answer within 0.2 s" in found.detail) == ("unreachable", True)


async def test_a_router_with_an_open_list_is_asked_elsewhere() -> None:
    path = presets()["openrouter"].check_path
    assert path == "/key"
    async with provider(openai, "/v1/key") as url:
        assert (await checked(url, GOOD, check_path=path)).state == "ready"
        assert (await checked(url, WRONG, check_path=path)).state == "key_refused"


async def test_the_gateway_tells_whoever_has_the_parent_key() -> None:
    async with (
        provider(openai) as url,
        running_gateway(url, upstream_api_key=WRONG) as gateway,
        ClientSession() as http,
    ):
        api = Api(gateway.url, http)
        (found,) = (await api.send("GET", "/v1/upstreams")).json["upstreams"]
        assert (found["name"], found["state"]) == ("default", "key_refused")
        assert "UPSTREAM_API_KEY is refused" in found["detail"]
        assert WRONG not in found["detail"]
        assert found["models"] > 0
        assert (await api.send("GET", "/v1/upstreams", key="")).status == 401
