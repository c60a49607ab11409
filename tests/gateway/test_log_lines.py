"""Without telemetry, log lines still name the account; and no line contains a key, whatever field
it was sent in."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from tests.gateway.client import Agent, Api, body, streamed
from tests.support.gateway import PARENT_KEY
from tests.support.gateway_process import gateway_process
from tests.support.upstream import Rule, ScriptedUpstream

NAME = "research@market-run-1/0af7651916cd"
Lines = list[dict[str, Any]]


async def logged(
    work: Callable[[Api], Awaitable[Any]], *rules: Rule, **settings: Any
) -> tuple[str, Lines]:
    """The gateway's log while `work` ran, as text and as parsed lines."""
    async with (
        ScriptedUpstream(rules) as upstream,
        gateway_process(upstream.url, **settings) as gateway,
        aiohttp.ClientSession() as http,
    ):
        await work(Api(gateway.url, http))
        assert await asyncio.wait_for(gateway.end(15), 20) == 0
        text = gateway.log
    return text, [json.loads(line) for line in text.splitlines() if line.startswith("{")]


async def test_log_lines_name_the_account() -> None:
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


async def test_the_log_line_of_a_transfer_names_both_accounts() -> None:
    agents: list[Agent] = []

    async def work(api: Api) -> None:
        agents.extend([await api.open(name="a" * 100), await api.open(name="b" * 100)])
        transfer = {"from": agents[0].id, "to": agents[1].id, "amount": 1}
        assert (await api.send("POST", "/v1/transfers", transfer)).status == 200

    _, lines = await logged(work)
    [line] = [line for line in lines if "/v1/transfers" in line["message"]]
    assert line["account"] == f"{agents[0].id} {agents[1].id}"
    assert line["account_name"] == f"{'a' * 100} {'b' * 100}"


async def test_labels_do_not_carry_over_to_the_next_request() -> None:
    """Both requests use one connection."""

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


async def test_errors_within_a_call_are_logged_with_its_labels() -> None:
    greedy = {"prompt_tokens": 1_000_000, "completion_tokens": 5}

    async def work(api: Api) -> None:
        agent = await api.open(name=NAME)
        assert (await agent.chat(body(), key="call-1")).status == 200

    _, lines = await logged(work, Rule(usage=greedy))
    [overrun] = [line for line in lines if line["message"].startswith("overrun")]
    assert (overrun["account_name"], overrun["call_key"]) == (NAME, "call-1")


async def test_text_lines_end_with_the_labels() -> None:
    async def work(api: Api) -> None:
        await api.open(name=NAME)

    text, _ = await logged(work, log_format="text")
    [line] = [line for line in text.splitlines() if "POST /v1/agents" in line]
    assert line.endswith(f"account_name={NAME}]")


async def test_an_unprintable_account_name_is_omitted() -> None:
    async def work(api: Api) -> None:
        await api.open(name="two\nlines")

    text, _ = await logged(work, log_format="text")
    assert "account_name" not in text
    assert "account=agt_" in text


async def test_no_log_line_contains_a_key() -> None:
    keys = [PARENT_KEY]

    async def work(api: Api) -> None:
        agent = await api.open(name=f"of {PARENT_KEY}")
        keys.append(agent.key)
        await agent.chat(body(), key=agent.key)
        await agent.chat(body(), key=PARENT_KEY)
        headers = {"baggage": f"agent_team.run={PARENT_KEY},agent_team.agent={agent.key}"}
        headers |= {"Authorization": f"Bearer {agent.key}"}
        async with api.http.get(f"{api.url}/v1/models", headers=headers) as answer:
            assert answer.status == 200
        await api.send("GET", f"/v1/agents/{PARENT_KEY}")
        await api.send("GET", f"/v1/agents/{agent.key}", key=agent.key)

    text, lines = await logged(work)
    assert len(lines) == 6
    assert "[removed]" in text
    assert [key for key in keys if key in text] == []
