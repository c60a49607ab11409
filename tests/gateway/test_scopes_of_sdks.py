"""The public SDKs, unmodified, with retries of their own, at an address with a scope: killed in the
middle, with its gateway or without, and started again as the next attempt."""

from __future__ import annotations

import asyncio
import signal
import sys

import aiohttp

from tests.gateway.client import Agent, Api, world
from tests.support.gateway_process import gateway_process
from tests.support.upstream import Rule, ScriptedUpstream

USED = {"prompt_tokens": 20, "completion_tokens": 5}
OPENAI = """
import sys, openai
client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key=sys.argv[2], max_retries=4)
for text in ("one", "two", "two"):
    said = client.chat.completions.create(
        model="m", max_tokens=10, messages=[{"role": "user", "content": text}]
    )
    print(said.choices[0].message.content, flush=True)
"""
ANTHROPIC = """
import sys, anthropic
client = anthropic.Anthropic(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=4)
for text in ("one", "two", "two"):
    with client.messages.stream(
        model="m", max_tokens=10, messages=[{"role": "user", "content": text}]
    ) as stream:
        print(stream.get_final_text(), flush=True)
"""


async def start(program: str, agent: Agent, attempt: int) -> asyncio.subprocess.Process:
    url = f"{agent.api.url}/scopes/s/{attempt}"
    arguments = (sys.executable, "-c", program, url, agent.key)
    return await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)


async def until_called(upstream: ScriptedUpstream, count: int) -> None:
    async with asyncio.timeout(120):  # a client takes seconds to load its SDK
        while upstream.count < count:
            await asyncio.sleep(0.02)


async def test_anthropic_killed_in_the_middle_of_a_stream_pays_nothing_twice() -> None:
    """Its second call meets a 500 first, and is in flight when the client dies."""
    gate = asyncio.Event()
    rules = [
        Rule(usage=USED, text="first", contains="one"),
        Rule(status=500, times=1),
        Rule(usage=USED, text="second", gate=gate, times=1),
        Rule(usage=USED, text="third"),
    ]
    async with world(*rules) as w:
        agent = await w.api.open()
        client = await start(ANTHROPIC, agent, 1)
        await until_called(w.upstream, 3)
        client.send_signal(signal.SIGKILL)
        await client.communicate()
        client = await start(ANTHROPIC, agent, 2)
        gate.set()
        said, _ = await asyncio.wait_for(client.communicate(), 60)
        assert said.split() == [b"first", b"second", b"third"]
        assert w.upstream.count == 4
        assert len(await agent.ledger("?scope=s")) == 3


async def test_openai_whose_gateway_is_killed_and_then_itself() -> None:
    """It repeats the call that was in flight at its gateway, which may have been billed. Nothing
    else is called twice."""
    gate = asyncio.Event()
    rules = [
        Rule(usage=USED, text="first", contains="one"),
        Rule(latency=30, times=1),
        Rule(usage=USED, text="second", times=1),
        Rule(usage=USED, text="third", gate=gate),
    ]
    async with (
        ScriptedUpstream(rules) as upstream,
        gateway_process(upstream.url) as gateway,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        client = await start(OPENAI, agent, 1)
        await until_called(upstream, 2)
        await gateway.end(signal.SIGKILL)
        await gateway.start()
        await until_called(upstream, 4)
        client.send_signal(signal.SIGKILL)
        await client.communicate()
        client = await start(OPENAI, agent, 2)
        gate.set()
        said, _ = await asyncio.wait_for(client.communicate(), 60)
        assert said.split() == [b"first", b"second", b"third"]
        assert upstream.count == 4
        assert len(await agent.ledger()) == 3
        [line] = await agent.ledger("?kind=possibly_billed&scope=s")
        assert line["cause"] == "gateway_died"
