"""Empty ids of tool calls are filled before an answer is stored, the same way each time."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from durable_agent_team.gateway.calls.tool_call_ids import StreamedIds, fill_ids
from tests.gateway.client import Agent, Reply, body, world
from tests.support.upstream import Rule

USED = {"prompt_tokens": 20, "completion_tokens": 5}
DOORS = {
    "/v1/chat/completions": body(),
    "/v1/responses": {"model": "m", "input": "hello", "max_output_tokens": 10},
    "/v1/messages": {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 10,
    },
}


def tool_call(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": "{}"}, **more}


def whole(*calls: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, "tool_calls": list(calls)}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return {"id": "x", "choices": [choice], "usage": USED}


def chunks(*deltas: dict[str, Any]) -> list[str]:
    pieces: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"tool_calls": [delta]}}]} for delta in deltas
    ]
    pieces.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    pieces.append({"choices": [], "usage": USED})
    return [f"data: {json.dumps(piece)}\n\n" for piece in pieces] + ["data: [DONE]\n\n"]


def ids_in(text: str) -> set[str]:
    """Every id of a tool call, in the words of each door."""
    data = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: {")]
    found: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("type") in ("function", "tool_use") and "id" in value:
                found.add(value["id"])
            if value.get("type") == "function_call":
                found.add(value["call_id"])
            for each in value.values():
                collect(each)
        elif isinstance(value, list):
            for each in value:
                collect(each)

    for each in data or [text]:
        collect(json.loads(each))
    return found


async def ask(agent: Agent, door: str, attempt: int, *, stream: bool) -> Reply:
    sent = {**DOORS[door], **({"stream": True} if stream else {})}
    reply = await agent.api.send("POST", f"/scopes/s/{attempt}{door}", sent, key=agent.key)
    assert reply.status == 200, reply.text
    return reply


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("door", DOORS)
async def test_empty_ids_are_filled_at_every_door_and_the_same_in_a_replay(
    door: str, stream: bool
) -> None:
    calls = [
        tool_call("a", index=0),
        tool_call("b", index=1, id=""),
        tool_call("c", index=2, id="call_own"),
    ]
    async with world(Rule(sse=chunks(*calls)) if stream else Rule(body=whole(*calls))) as w:
        agent = await w.api.open()
        first = await ask(agent, door, 1, stream=stream)
        found = ids_in(first.text)
        assert len(found) == 3
        assert "" not in found
        assert "call_own" in found
        again = await ask(agent, door, 2, stream=stream)
        assert ids_in(again.text) == found
        assert w.upstream.count == 1
        # Another call by the same upstream has the same ids, but not the next turn's.
        assert ids_in((await ask(agent, door, 2, stream=stream)).text) == found


def test_only_empty_ids_are_filled() -> None:
    calls = [tool_call("a", id=id_) for id_ in ("", None, "  ", "x", 7)]
    answer = whole(*deepcopy(calls), tool_call("a"))
    fill_ids(answer, "hash")
    found = [each["id"] for each in answer["choices"][0]["message"]["tool_calls"]]
    assert found[3:5] == ["x", 7]
    assert len(set(found)) == 6
    other = whole(*deepcopy(calls))
    fill_ids(other, "another")
    assert other["choices"][0]["message"]["tool_calls"][0]["id"] != found[0]


@pytest.mark.parametrize(
    "answer",
    [{}, {"choices": None}, {"choices": [1, {"message": 2}, {"message": {"tool_calls": [3]}}]}],
)
def test_what_is_no_tool_call_is_left_alone(answer: dict[str, Any]) -> None:
    before = deepcopy(answer)
    fill_ids(answer, "hash")
    assert answer == before


def feed(*deltas: dict[str, Any]) -> list[dict[str, Any]]:
    ids = StreamedIds("hash")
    written = deepcopy(list(deltas))
    for delta in written:
        ids.fill([{"index": 0, "delta": {"tool_calls": [delta]}}])
    return written


def test_a_streamed_call_gets_its_id_in_its_first_chunk() -> None:
    more = {"index": 0, "function": {"arguments": "{}"}}
    first, second, late = feed(tool_call("a", index=0), more, {**more, "id": "late"})
    assert first["id"].startswith("call_")
    assert second == more
    assert late == more, "clients would take it for another call, or append it"
    own = [tool_call("a", index=0, id="own"), more, {**more, "id": ""}, {**more, "id": "own"}]
    assert feed(*own) == own


def test_without_an_index_a_name_begins_a_call() -> None:
    more = {"function": {"arguments": "{}"}}
    one, rest, two = feed(tool_call("a", id=""), more, tool_call("b", id=""))
    assert [each["index"] for each in (one, rest, two)] == [0, 0, 1]
    assert rest == {**more, "index": 0}
    assert one["id"] != two["id"]
    assert "" not in (one["id"], two["id"])


X, Y = '{"x": 1}', '{"y": 2}'


def part(arguments: str, **more: Any) -> dict[str, Any]:
    return {"function": {"arguments": arguments}, **more}


def start(name: str, arguments: str = "", **more: Any) -> dict[str, Any]:
    return {**tool_call(name, **more), "function": {"name": name, "arguments": arguments}}


ODD_PLACES = {
    "Ollama: one index for all": [start("f", X, index=0, id="a"), start("g", Y, index=0, id="b")],
    "no index": [start("f", X, id="a"), start("g", Y, id="b")],
    "no index, in parts": [start("f", X[:3], id="a"), part(X[3:]), start("g", Y, id="b")],
    "an index as a text": [start("f", X, index="0", id="a"), start("g", Y, index="1", id="b")],
    "an index that collides": [
        *(start("f", X, index=0, id="a"), start("g", Y[:3], index=0, id="b")),
        part(Y[3:], index=1),
    ],
    "an id in every part": [
        *(start("f", X[:3], index=0, id="a"), start("f", X[3:], index=0, id="a")),
        *(start("g", Y[:3], index=1, id="b"), start("g", Y[3:], index=1, id="b")),
    ],
    "an id that finds its call": [
        *(start("f", X[:3], id="a"), start("g", Y[:3], id="b")),
        *(part(X[3:], id="a"), part(Y[3:], id="b")),
    ],
    "two at a time": [
        *(start("f", X[:3], index=0, id="a"), start("g", Y[:3], index=1, id="b")),
        *(part(X[3:], index=0), part(Y[3:], index=1)),
    ],
    "indexes from one": [start("f", X, index=1, id="a"), start("g", Y, index=2, id="b")],
    "arguments as an object": [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}},
        {"index": 1, "id": "b", "function": {"name": "g", "arguments": {"y": 2}}},
    ],
}


def calls_at(door: str, reply: Reply, *, stream: bool) -> list[tuple[str, str, str]]:
    """Id, name and arguments of each call, as a client of that door puts them together."""
    if not stream:
        calls = reply.json["choices"][0]["message"]["tool_calls"]
        said = [(each["id"], each["function"]) for each in calls]
        return [(identity, each["name"], each["arguments"]) for identity, each in said]
    if door == "/v1/responses":
        output = reply.events[-1]["response"]["output"]
        return [(each["call_id"], each["name"], each["arguments"]) for each in output]
    found: dict[Any, list[str]] = {}
    for each in reply.events:
        if door == "/v1/messages" and each["type"] == "content_block_start":
            found[each["index"]] = [each["content_block"]["id"], each["content_block"]["name"], ""]
        elif door == "/v1/messages" and each["type"] == "content_block_delta":
            found[each["index"]][2] += each["delta"]["partial_json"]
        elif door == "/v1/chat/completions" and isinstance(each, dict):
            for call in (each["choices"] or [{}])[0].get("delta", {}).get("tool_calls", []):
                name = call["function"].get("name", "")
                known = found.setdefault(call["index"], [call.get("id", ""), name, ""])
                known[2] += call["function"]["arguments"]
    return [(each[0], each[1], each[2]) for each in found.values()]


@pytest.mark.parametrize("door", [*DOORS, "whole"])
@pytest.mark.parametrize("what", ODD_PLACES)
async def test_the_calls_of_a_stream_are_told_apart(what: str, door: str) -> None:
    """Also where the stream was not asked for, and becomes a whole answer."""
    stream = door != "whole"
    sent = chunks(*ODD_PLACES[what])
    async with world(Rule(sse=sent) if stream else Rule(body="".join(sent))) as w:
        agent = await w.api.open()
        place = door if stream else "/v1/chat/completions"
        reply = await ask(agent, place, 1, stream=stream)
        assert calls_at(place, reply, stream=stream) == [("a", "f", X), ("b", "g", Y)]
