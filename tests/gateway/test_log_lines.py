"""Without telemetry anywhere, a line of the log still says which account it is about; and no line
has a key in it, wherever somebody put one."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from tests.gateway.client import Agent, Api, body, streamed
from tests.support.gateway import PARENT_KEY, gateway_process
from tests.support.upstream import Rule, ScriptedUpstream

NAME = "research@market-run-1/0af7651916cd"
Lines = list[dict[str, Any]]


async def logged(
    work: Callable[[Api], Awaitable[Any]], *rules: Rule, **settings: Any
) -> tuple[str, Lines]:
    """What the gateway wrote while this was done, as text and line by line."""
    async with (
        ScriptedUpstream(rules) as upstream,
        gateway_process(upstream.url, **settings) as gateway,
        aiohttp.ClientSession() as http,
    ):
        await work(Api(gateway.url, http))
        assert await asyncio.wait_for(gateway.end(15), 20) == 0
        text = gateway.log
    return text, [json.loads(line) for line in text.splitlines() if line.startswith("{")]


async def test_a_request_about_an_account_names_it() -> None:
    agents: list[Agent] = []

    async def work(api: Api) -> None:
        agent = await api.open(name=NAME)
        agents.append(agent)
        assert (await agent.chat(body(), key="call-1")).status == 200
        assert (await agent.chat(streamed(), key="call-2")).status == 200
        assert (await agent.chat(body(max_tokens=10**7))).status == 402
        assert (await agent.chat(body(model="nobody"))).status == 400
        assert (await agent.patch(budget=2)).status == 200
        assert (await agent.patch(budget=0)).status == 409
        await agent.account()
        await agent.ledger()

    _, lines = await logged(work)
    requests = [line for line in lines if line["logger"] == "gateway.http"]
    assert len(requests) == 9
    assert {line["account"] for line in requests} == {agents[0].id}
    assert {line["account_name"] for line in requests} == {NAME}
    keys = [line.get("call_key") for line in requests if "/chat/" in line["message"]]
    assert keys == ["call-1", "call-2", None, None]


async def test_a_transfer_names_both() -> None:
    agents: list[Agent] = []

    async def work(api: Api) -> None:
        agents.extend([await api.open(name="a" * 100), await api.open(name="b" * 100)])
        order = {"from": agents[0].id, "to": agents[1].id, "amount": 1}
        assert (await api.send("POST", "/v1/transfers", order)).status == 200

    _, lines = await logged(work)
    [line] = [line for line in lines if "/v1/transfers" in line["message"]]
    assert line["account"] == f"{agents[0].id} {agents[1].id}"
    assert line["account_name"] == f"{'a' * 100} {'b' * 100}"


async def test_what_the_next_request_says_is_its_own() -> None:
    """One connection serves both."""

    async def work(api: Api) -> None:
        agent = await api.open(name=NAME)
        await agent.chat(body(), key="call-1")
        await api.send("GET", "/v1/models")
        await api.send("GET", "/v1/agents", key="wrong-key-0123456789-0123456789")

    _, lines = await logged(work)
    others = [line for line in lines if "/chat/" not in line["message"]]
    named = [line["message"].split()[1] for line in others if "account" in line]
    assert named == ["/v1/agents"], "the opening alone"
    assert not any("call_key" in line for line in others)


async def test_what_goes_wrong_within_a_call_says_whose_it_was() -> None:
    greedy = {"prompt_tokens": 1_000_000, "completion_tokens": 5}

    async def work(api: Api) -> None:
        agent = await api.open(name=NAME)
        assert (await agent.chat(body(), key="call-1")).status == 200

    _, lines = await logged(work, Rule(usage=greedy))
    [overrun] = [line for line in lines if line["message"].startswith("overrun")]
    assert (overrun["account_name"], overrun["call_key"]) == (NAME, "call-1")


async def test_text_has_it_at_the_end_of_the_line() -> None:
    async def work(api: Api) -> None:
        await api.open(name=NAME)

    text, _ = await logged(work, log_format="text")
    [line] = [line for line in text.splitlines() if "POST /v1/agents" in line]
    assert line.endswith(f"account_name={NAME}]")


async def test_a_name_that_is_no_name_is_left_out() -> None:
    async def work(api: Api) -> None:
        await api.open(name="two\nlines")

    text, _ = await logged(work, log_format="text")
    assert "account_name" not in text
    assert "account=agt_" in text


async def test_no_key_stands_in_a_line_wherever_it_was_put() -> None:
    keys = [PARENT_KEY]

    async def work(api: Api) -> None:
        agent = await api.open(name=f"of {PARENT_KEY}")
        keys.append(agent.key)
        await agent.chat(body(), key=agent.key)
        await agent.chat(body(), key=PARENT_KEY)
        told = {"baggage": f"agent_team.run={PARENT_KEY},agent_team.agent={agent.key}"}
        told |= {"Authorization": f"Bearer {agent.key}"}
        async with api.http.get(f"{api.url}/v1/models", headers=told) as answer:
            assert answer.status == 200
        await api.send("GET", f"/v1/agents/{PARENT_KEY}")
        await api.send("GET", f"/v1/agents/{agent.key}", key=agent.key)

    text, lines = await logged(work)
    assert len(lines) == 6
    assert "[removed]" in text
    assert [key for key in keys if key in text] == []
