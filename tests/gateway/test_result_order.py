"""Results of tools that arrive in another order are the same request of a scope."""

from __future__ import annotations

from typing import Any

import pytest

from durable_agent_team.gateway.calls.result_order import results_in_order
from tests.gateway.client import Agent, Reply, body, world
from tests.support.upstream import Rule

USED = {"prompt_tokens": 20, "completion_tokens": 5}
NAMES = ("a", "b", "c")
Json = dict[str, Any]


def chat(*order: str) -> Json:
    calls = [
        {"id": each, "type": "function", "function": {"name": "look", "arguments": "{}"}}
        for each in NAMES
    ]
    return body() | {
        "messages": [
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            *({"role": "tool", "tool_call_id": each, "content": f"r {each}"} for each in order),
        ]
    }


def messages(*order: str) -> Json:
    calls = [{"type": "tool_use", "id": each, "name": "look", "input": {}} for each in NAMES]
    results = [{"type": "tool_result", "tool_use_id": each, "content": each} for each in order]
    said = [("user", "hello"), ("assistant", calls), ("user", results)]
    turns = [{"role": role, "content": content} for role, content in said]
    return {"model": "m", "max_tokens": 10, "messages": turns}


def responses(*order: str) -> Json:
    calls = [
        {"type": "function_call", "call_id": each, "name": "look", "arguments": "{}"}
        for each in NAMES
    ]
    results = [{"type": "function_call_output", "call_id": each, "output": each} for each in order]
    asked = {"role": "user", "content": "hello"}
    return {"model": "m", "max_output_tokens": 10, "input": [asked, *calls, *results]}


DOORS = {"/v1/chat/completions": chat, "/v1/messages": messages, "/v1/responses": responses}


async def call(agent: Agent, attempt: int, door: str, sent: Json) -> Reply:
    url = f"{agent.api.url}/scopes/s/{attempt}{door}"
    key = {"Authorization": f"Bearer {agent.key}"}
    async with agent.api.http.post(url, json=sent, headers=key) as response:
        text = await response.text()
        assert response.status == 200, text
        return Reply(response.status, {}, text)


@pytest.mark.parametrize("door", DOORS)
async def test_the_order_in_which_results_arrived_makes_no_other_request(door: str) -> None:
    async with world(Rule(usage=USED)) as w:
        agent = await w.api.open()
        first = await call(agent, 1, door, DOORS[door](*"cab"))
        for attempt, order in enumerate(("abc", "bca"), 2):
            assert (await call(agent, attempt, door, DOORS[door](*order))).text == first.text
        assert w.upstream.count == 1
        await call(agent, 3, door, DOORS[door](*"cba") | {"temperature": 0.5})
        assert w.upstream.count == 2, "anything else makes it another one"


async def test_what_is_sent_keeps_the_order_of_the_client() -> None:
    async with world(Rule(usage=USED)) as w:
        agent = await w.api.open()
        await call(agent, 1, "/v1/chat/completions", chat(*"cab"))
        sent = w.upstream.requests[0].body["messages"]
        assert [each["tool_call_id"] for each in sent[2:]] == list("cab")


def test_only_results_of_known_calls_move_and_only_within_their_row() -> None:
    bodies: tuple[Json, ...] = (
        chat(*"abc"),
        chat("b", "x", "a"),
        {"messages": [{"role": "tool", "tool_call_id": each} for each in "ba"]},
        {"messages": "text", "input": "text"},
        {"messages": [None, 1, {"role": "tool", "tool_call_id": 5}, {"tool_calls": 7}]},
        {"messages": [{"content": [{"content": [[{}]]}]}]},
    )
    for unchanged in bodies:
        assert results_in_order(unchanged) is unchanged
    given = chat(*"cb")["messages"]
    split = {"messages": [*given, {"role": "user", "content": "and?"}, *chat("a")["messages"][2:]]}
    found = [each.get("tool_call_id") for each in results_in_order(split)["messages"]]
    assert found == [None, None, "b", "c", None, "a"]


def test_two_results_of_one_call_keep_their_order() -> None:
    """As with servers that give the calls of each turn the same ids."""
    twice = chat(*"ba")["messages"] + chat(*"cc")["messages"][1:]
    twice[-1]["content"], twice[-2]["content"] = "first", "second"
    ordered = results_in_order({"messages": twice})["messages"]
    assert [each["content"] for each in ordered if each["role"] == "tool"] == [
        "r a", "r b", "second", "first",
    ]  # fmt: skip
