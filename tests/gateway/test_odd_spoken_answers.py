"""Upstreams that speak Messages or Responses, in shapes that only some servers send."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.client import Agent, Api, body, streamed
from tests.support.gateway import running_gateway
from tests.support.raw_upstream import raw_upstream, response

Json = dict[str, Any]
USED = {"input_tokens": 20, "output_tokens": 5}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in "fg"]
ENTRY = """
[upstreams.odd]
url = "{url}"
speaks = "{speaks}"
key_required = false
[models.odd]
upstream = "odd"
input_usd_per_million = 1
output_usd_per_million = 2
"""


def message(content: Any, stop: str | None = "end_turn", **more: Any) -> Json:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "x"}
    return {**head, "content": content, "stop_reason": stop, "usage": USED, **more}


def answer(*output: Json, **more: Any) -> Json:
    return {"id": "resp_1", "object": "response", "output": list(output), "usage": USED, **more}


def said(content: Any) -> Json:
    return {"type": "message", "id": "m", "role": "assistant", "content": content}


def called(arguments: Any) -> Json:
    return {"type": "function_call", "id": "i", "call_id": "c", "name": "f", "arguments": arguments}


def events(*found: Json) -> bytes:
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in found).encode()


@asynccontextmanager
async def agent_of(speaks: str, sent: bytes, folder: Path) -> AsyncIterator[Agent]:
    kind = "text/event-stream" if sent.startswith(b"event:") else "application/json"
    async with raw_upstream(response(sent, kind=kind)) as url:
        path = folder / "models.toml"
        path.write_text(ENTRY.format(url=url, speaks=speaks))
        async with (
            running_gateway(url, gateway_models=path) as gateway,
            aiohttp.ClientSession() as http,
        ):
            yield await Api(gateway.url, http).open()


async def whole(speaks: str, sent: bytes, folder: Path) -> Json:
    """The choice of a whole answer, which was charged by its usage."""
    async with agent_of(speaks, sent, folder) as agent:
        reply = await agent.chat(body(max_tokens=50, model="odd", tools=TOOLS))
        assert reply.status == 200, reply.text
        (line,) = await agent.ledger()
        assert (float(line["amount"]), line["estimated"]) == (0.00003, False)
        choice: Json = reply.json["choices"][0]
        return choice


async def deltas(speaks: str, sent: bytes, folder: Path) -> list[Json]:
    async with agent_of(speaks, sent, folder) as agent:
        reply = await agent.chat(streamed(max_tokens=50, model="odd", tools=TOOLS))
        assert reply.events[-1] == "[DONE]", reply.text
        (line,) = await agent.ledger()
        assert (float(line["amount"]), line["estimated"]) == (0.00003, False)
        chunks = [each for each in reply.events if isinstance(each, dict) and each["choices"]]
        return [each["choices"][0]["delta"] for each in chunks]


TEXT = {"type": "text", "text": "hi"}
WHOLE_MESSAGES = {
    "a text": message("hi"),
    "an unsigned thought": message([{"type": "thinking", "thinking": "Hm."}, TEXT]),
    "a null signature": message([{"type": "thinking", "thinking": "Hm.", "signature": None}, TEXT]),
}
WHOLE_RESPONSES = {
    "no status": answer(said([{"type": "output_text", "text": "hi"}])),
    "a text": answer(said("hi"), status="completed"),
    "a text beside no output": answer(status="completed", output_text="hi"),
}


@pytest.mark.parametrize("what", WHOLE_MESSAGES)
async def test_an_odd_message_is_read_and_charged_by_its_usage(what: str, tmp_path: Path) -> None:
    choice = await whole("messages", json.dumps(WHOLE_MESSAGES[what]).encode(), tmp_path)
    assert choice["message"]["content"] == "hi"
    thinks = what != "a text"
    assert choice["message"].get("reasoning_content") == ("Hm." if thinks else None)


async def test_a_message_without_content_is_an_empty_answer(tmp_path: Path) -> None:
    choice = await whole("messages", json.dumps(message(None)).encode(), tmp_path)
    assert choice["message"]["content"] == ""


@pytest.mark.parametrize("what", WHOLE_RESPONSES)
async def test_an_odd_response_is_read_and_charged_by_its_usage(what: str, tmp_path: Path) -> None:
    choice = await whole("responses", json.dumps(WHOLE_RESPONSES[what]).encode(), tmp_path)
    assert choice["message"]["content"] == "hi"


async def test_a_response_without_a_status_that_has_an_error_failed(tmp_path: Path) -> None:
    failed = answer(error={"code": "rate_limit_exceeded", "message": "slow"}, usage=None)
    async with agent_of("responses", json.dumps(failed).encode(), tmp_path) as agent:
        assert (await agent.chat(body(max_tokens=50, model="odd"))).status == 429


@pytest.mark.parametrize(
    ("speaks", "sent"),
    [
        (
            "messages",
            message(
                [{"type": "tool_use", "id": "c", "name": "f", "input": '{"x": 1}'}], "tool_use"
            ),
        ),
        ("responses", answer(called({"x": 1}), status="completed")),
    ],
)
async def test_arguments_of_the_other_type(speaks: str, sent: Json, tmp_path: Path) -> None:
    choice = await whole(speaks, json.dumps(sent).encode(), tmp_path)
    (call,) = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "f", "arguments": '{"x": 1}'}


def start(usage: Json) -> Json:
    return {"type": "message_start", "message": message([], None, usage=usage)}


def opened(index: int, block: Json) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def more(index: int, **delta: Any) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def closed(*indexes: int) -> list[Json]:
    return [{"type": "content_block_stop", "index": each} for each in indexes]


def end(stop: str = "end_turn", **usage: Any) -> list[Json]:
    delta = {"type": "message_delta", "delta": {"stop_reason": stop}, **usage}
    return [delta, {"type": "message_stop"}]


BEGUN = start({"input_tokens": 20, "output_tokens": 1})
HI = (opened(0, {"type": "text", "text": ""}), more(0, type="text_delta", text="hi"), *closed(0))
OVER = end(usage={"output_tokens": 5})
RESPONSE_EVENTS = (
    {"type": "response.created", "response": answer(status="in_progress", usage=None)},
    {"type": "response.output_text.delta", "output_index": 0, "delta": "hi"},
    {"type": "response.completed", "response": answer(said("hi"), status="completed")},
)


@pytest.mark.parametrize(
    ("speaks", "sent"), [("messages", (BEGUN, *HI, *OVER)), ("responses", RESPONSE_EVENTS)]
)
async def test_a_stream_that_was_not_asked_for(
    speaks: str, sent: Iterable[Json], tmp_path: Path
) -> None:
    choice = await whole(speaks, events(*sent), tmp_path)
    assert (choice["message"]["content"], choice["finish_reason"]) == ("hi", "stop")


async def test_a_signed_thought_of_such_a_stream_can_go_back(tmp_path: Path) -> None:
    thought = (
        opened(0, {"type": "thinking", "thinking": "", "signature": ""}),
        more(0, type="thinking_delta", thinking="H"),
        more(0, type="thinking_delta", thinking="m."),
        more(0, type="signature_delta", signature="signed"),
        *closed(0),
    )
    text = (opened(1, {"type": "text", "text": "hi"}), *closed(1))
    choice = await whole("messages", events(BEGUN, *thought, *text, *OVER), tmp_path)
    block = {"type": "thinking", "thinking": "Hm.", "signature": "signed"}
    assert choice["message"]["thinking_blocks"] == [block]
    assert choice["native_finish_reason"] == "end_turn"


@pytest.mark.parametrize("error", [{"type": "overloaded_error", "message": "Overloaded"}])
async def test_an_error_in_such_a_stream_is_free(error: Json, tmp_path: Path) -> None:
    sent = events(BEGUN, {"type": "error", "error": error})
    async with agent_of("messages", sent, tmp_path) as agent:
        assert (await agent.chat(body(max_tokens=50, model="odd"))).status == 529
        account = await agent.account()
        assert (account["spent"], account["possibly_billed_calls"]) == (0, 0)


async def test_a_stream_without_its_last_event_is_charged_by_its_usage(tmp_path: Path) -> None:
    found = await deltas("messages", events(BEGUN, *HI, OVER[0]), tmp_path)
    assert "".join(each.get("content") or "" for each in found) == "hi"


async def test_the_first_figure_of_a_stream_is_not_what_it_used(tmp_path: Path) -> None:
    """Of a proxy that leaves out the usage at the end: one token would be charged."""
    async with agent_of("messages", events(BEGUN, *HI, *end()), tmp_path) as agent:
        reply = await agent.chat(streamed(max_tokens=50, model="odd"))
        assert reply.content == "hi"
        (line,) = await agent.ledger()
        assert line["estimated"]
        assert line["amount"] > 0.00003


async def test_a_thought_in_the_start_of_its_block(tmp_path: Path) -> None:
    block = {"type": "thinking", "thinking": "Hm.", "signature": "signed"}
    found = await deltas("messages", events(BEGUN, opened(0, block), *closed(0), *OVER), tmp_path)
    assert [each["reasoning_content"] for each in found if "reasoning_content" in each] == ["Hm."]


async def test_the_parts_of_two_open_calls_are_told_apart(tmp_path: Path) -> None:
    both = [{"type": "tool_use", "id": name, "name": name, "input": {}} for name in "fg"]
    sent = (
        *(opened(number, block) for number, block in enumerate(both)),
        more(0, type="input_json_delta", partial_json='{"x":'),
        more(1, type="input_json_delta", partial_json="{}"),
        more(0, type="input_json_delta", partial_json=" 1}"),
        *closed(0, 1),
    )
    found = await deltas("messages", events(BEGUN, *sent, *OVER), tmp_path)
    texts = {0: "", 1: ""}
    for each in found:
        for call in each.get("tool_calls", []):
            texts[call["index"]] += call["function"]["arguments"]
    assert texts == {0: '{"x": 1}', 1: "{}"}


LAST = {"type": "response.completed", "response": answer(status="completed")}


@pytest.mark.parametrize(
    "sent",
    [
        (*RESPONSE_EVENTS[:2], {**RESPONSE_EVENTS[2], "type": "response.done"}),
        (
            {"type": "response.output_item.added", "output_index": 0, "item": said([])},
            {"type": "response.output_text.done", "output_index": 0, "text": "hi"},
            LAST,
        ),
        (
            RESPONSE_EVENTS[1],
            {"type": "response.output_text.done", "output_index": 0, "text": "hi"},
            RESPONSE_EVENTS[2],
        ),
    ],
)
async def test_a_streamed_response_says_its_text_once(sent: Iterable[Json], tmp_path: Path) -> None:
    found = await deltas("responses", events(*sent), tmp_path)
    assert "".join(each.get("content") or "" for each in found) == "hi"


@pytest.mark.parametrize("arguments", ['{"x": 1}', {"x": 1}])
async def test_arguments_that_come_only_when_they_are_done(arguments: Any, tmp_path: Path) -> None:
    begun = {"type": "response.output_item.added", "output_index": 0, "item": called("")}
    done = {"type": "response.function_call_arguments.done", "output_index": 0}
    sent = events(begun, {**done, "arguments": arguments}, LAST)
    found = await deltas("responses", sent, tmp_path)
    calls = [call for each in found for call in each.get("tool_calls", [])]
    assert "".join(each["function"]["arguments"] for each in calls) == '{"x": 1}'
