"""Several upstreams behind one gateway: keys, addresses, timeouts, and outages of one of them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.gateway.client import Agent, Api, body
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.serving import listening

KEYS = {
    "FIRST_KEY": "first-key-0123456789",
    "SECOND_KEY": "second-key-0123456789",
    "THIRD_KEY": "third-key-0123456789",
}
ANSWER = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}


@dataclass
class Seen:
    """What the upstreams got, and how they answer."""

    requests: list[web.Request] = field(default_factory=list)
    error: str = ""
    pause: float = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        await request.read()
        await asyncio.sleep(self.pause)
        if self.error:
            return web.json_response({"error": {"message": self.error}}, status=400)
        return web.json_response(ANSWER)


@asynccontextmanager
async def world(tmp_path: Path) -> AsyncIterator[tuple[Seen, RunningGateway, Agent]]:
    seen = Seen()
    app = web.Application()
    app.router.add_post("/{rest:.*}", seen.handle)
    async with listening(app) as url, aiohttp.ClientSession() as http:
        file = tmp_path / "models.toml"
        file.write_text(f"""
            [upstreams.first]
            url = "{url}/first/v1/"
            key_env = "FIRST_KEY"
            [upstreams.second]
            url = "{url}/second/{{model}}"
            key_env = "SECOND_KEY"
            auth = "api-key"
            query = {{ api-version = "2024-10-21" }}
            headers = {{ X-Project = "ours" }}
            [upstreams.third]
            url = "{url}/third"
            key_env = "THIRD_KEY"
            auth = "x-api-key"
            timeout_seconds = 0.4
            [upstreams.open]
            url = "{url}/open"
            key_env = "FIRST_KEY"
            auth = "none"
            [upstreams.dead]
            url = "http://127.0.0.1:1"
            auth = "none"
            """)
        with file.open("a") as more:
            for name in ("first", "second", "third", "open", "dead"):
                more.write(
                    f'\n[models."on-{name}"]\nupstream = "{name}"\nupstream_model = "its name"\n'
                    "input_usd_per_million = 1\noutput_usd_per_million = 2\n"
                )
        async with running_gateway(
            f"{url}/default", environment=KEYS, gateway_models=file, upstream_circuit_failures=1
        ) as gateway:
            yield seen, gateway, await Api(gateway.url, http).open()


async def test_each_upstream_gets_its_own_key_in_its_own_way(tmp_path: Path) -> None:
    async with world(tmp_path) as (seen, _, agent):
        for name in ("first", "second", "third", "open"):
            reply = await agent.chat(body(model=f"on-{name}"))
            assert reply.status == 200, reply.text
        assert (await agent.chat(body(model="m"))).status == 200
    first, second, third, unlocked, default = seen.requests
    assert first.path == "/first/v1/chat/completions"
    assert first.headers["Authorization"] == f"Bearer {KEYS['FIRST_KEY']}"
    assert second.rel_url.raw_path == "/second/its%20name/chat/completions"
    assert second.query == {"api-version": "2024-10-21"}
    assert second.headers["api-key"] == KEYS["SECOND_KEY"]
    assert second.headers["X-Project"] == "ours"
    assert third.headers["x-api-key"] == KEYS["THIRD_KEY"]
    assert default.path == "/default/chat/completions"
    for request in (second, third, unlocked, default):
        assert "Authorization" not in request.headers
    for name, request in (("FIRST", second), ("SECOND", third), ("THIRD", first)):
        assert KEYS[f"{name}_KEY"] not in str(request.headers), "no key goes to another upstream"


async def test_no_upstream_s_key_is_in_an_error(tmp_path: Path) -> None:
    async with world(tmp_path) as (seen, gateway, agent):
        seen.error = f"wrong: {' '.join(KEYS.values())}"
        for name in ("first", "second", "third"):
            reply = await agent.chat(body(model=f"on-{name}"))
            assert reply.status == 400
            assert "wrong: " in reply.error["message"]
            assert not any(key in reply.text for key in KEYS.values()), name
        scrub = gateway.server.gateway.scrub
        assert not any(key in scrub(f"a {key} b") for key in KEYS.values())


async def test_an_outage_of_one_upstream_stops_its_own_models_alone(tmp_path: Path) -> None:
    async with world(tmp_path) as (_, _, agent):
        for _ in range(2):
            assert (await agent.chat(body(model="on-dead"))).status in (502, 503)
        reply = await agent.chat(body(model="on-dead"))
        assert reply.error["code"] == "upstream_circuit_open"
        assert (await agent.chat(body(model="on-first"))).status == 200
        health = await agent.api.send("GET", "/healthz", key="")
        assert list(health.json["open_circuits"]) == ["dead: all models"]


async def test_an_upstream_has_a_timeout_of_its_own(tmp_path: Path) -> None:
    async with world(tmp_path) as (seen, _, agent):
        seen.pause = 1
        reply = await agent.chat(body(model="on-third"))
        assert reply.status == 504
        assert "within 0.4 s (timeout_seconds of upstream third)" in reply.error["message"]


def has_ipv6() -> bool:
    """Not in every container."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("[::1]", marks=pytest.mark.skipif(not has_ipv6(), reason="there is no ::1")),
        "127.0.0.1",
    ],
)
async def test_a_url_of_either_family(tmp_path: Path, host: str) -> None:
    seen = Seen()
    app = web.Application()
    app.router.add_post("/{rest:.*}", seen.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, host.strip("[]"), 0).start()
    url = f"http://{host}:{runner.addresses[0][1]}/v1"
    async with aiohttp.ClientSession() as http, running_gateway(url) as gateway:
        agent: Any = await Api(gateway.url, http).open()
        assert (await agent.chat()).status == 200
    await runner.cleanup()
