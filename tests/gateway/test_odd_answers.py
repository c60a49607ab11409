"""Answers that can be read though they do not come as they should: they were made and billed, so
they are paid once and handed on."""

import gzip
import json
import time
from typing import Any

import aiohttp
import pytest

from durable_agent_team.gateway.calls.unasked_stream import whole_answer
from durable_agent_team.gateway.calls.upstream_json import upstream_object
from tests.gateway.client import Api, body, streamed
from tests.support.gateway import running_gateway
from tests.support.raw_upstream import raw_upstream, response

USAGE = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
WHOLE = json.dumps({"choices": [CHOICE], "usage": USAGE}).encode()
EVENTS = "text/event-stream"


def events(*chunks: Any, done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def delta(finish: str | None = None, **parts: Any) -> dict[str, Any]:
    return {"id": "x", "choices": [{"index": 0, "delta": parts, "finish_reason": finish}]}


STREAM = events(
    delta(role="assistant", content="h"),
    delta(content="i"),
    {**delta("stop"), "usage": USAGE},
)
TWICE = WHOLE[:-1] + b', "usage": {"prompt_tokens": 0, "completion_tokens": 1}}'
ODD = {
    "created": response(WHOLE, status="201 Created"),
    "partial": response(WHOLE, status="206 Partial Content"),
    "created, streamed": response(STREAM, status="201 Created", kind=EVENTS),
    "a stream": response(STREAM, kind=EVENTS),
    "a stream that is called JSON": response(STREAM),
    "a stream after a heartbeat": response(b"\xef\xbb\xbf: wait\n\n" + STREAM),
    "a stream without empty lines": response(STREAM.replace(b"\n\n", b"\n"), kind=EVENTS),
    "a stream of objects over several lines": response(
        STREAM.replace(b', "choices": ', b',\ndata:  "choices":\ndata: '), kind=EVENTS
    ),
    "JSON that is called a stream": response(WHOLE, kind=EVENTS),
    "JSON after empty lines": response(b"\n\n \n" + WHOLE, kind=EVENTS),
    "bytes after it": response(WHOLE + b"\n<!-- served by x -->"),
    "the end of a stream after it": response(WHOLE + b"\n\ndata: [DONE]\n\n"),
    "itself after it": response(WHOLE * 2),
    "usage twice": response(TWICE),
    "counts twice": response(WHOLE.replace(b'": 25', b'": 25, "completion_tokens": 1')),
    "several members": response(
        gzip.compress(WHOLE[:50]) + gzip.compress(b"") + gzip.compress(WHOLE[50:]),
        Content_Encoding="gzip",
    ),
    "padded gzip": response(gzip.compress(WHOLE) + b"\0" * 50, Content_Encoding="gzip"),
}


@pytest.mark.parametrize("sent", [body(), streamed(usage=True)], ids=["plain", "stream"])
@pytest.mark.parametrize("what", ODD)
async def test_an_answer_that_can_be_read_is_paid_once(what: str, sent: dict[str, Any]) -> None:
    async with (
        raw_upstream(ODD[what]) as url,
        running_gateway(url) as gateway,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        reply = await agent.chat(sent, key="k")
        assert reply.status == 200, reply.text
        streams = reply.headers["content-type"].startswith(EVENTS)
        assert streams == bool(sent.get("stream"))
        text = reply.content if streams else reply.json["choices"][0]["message"]["content"]
        assert text == "hi"
        (line,) = await agent.ledger()
        assert (float(line["amount"]), line["estimated"]) == (0.00003, False)


@pytest.mark.parametrize("status", ["201 Created", "202 Accepted", "204 No Content"])
async def test_a_success_without_an_answer_may_have_been_billed(status: str) -> None:
    for raw in (b"", b'{"id": "job-1"}'):
        async with (
            raw_upstream(response(b"" if "204" in status else raw, status=status)) as url,
            running_gateway(url) as gateway,
            aiohttp.ClientSession() as http,
        ):
            agent = await Api(gateway.url, http).open()
            for sent in (body(), streamed()):
                reply = await agent.chat(sent)
                assert reply.status == 502
            account = await agent.account()
            assert account["spent"] == 0
            assert sum(account["interrupted"].values()) == 2


def test_the_parts_of_an_unasked_stream_are_put_together() -> None:
    call = {"index": 0, "id": "c1", "function": {"name": "look", "arguments": ""}}
    rest = {"index": 0, "function": {"arguments": '{"a": 1}'}}
    other = {"index": 1, "id": "c2", "function": {"name": "look", "arguments": "{}"}}
    raw = events(
        {"choices": [], "prompt_filter_results": []},
        delta(role="assistant", reasoning_content="Hm."),
        delta(tool_calls=[call]),
        delta(tool_calls=[rest]),
        delta(tool_calls=[other]),
        delta("tool_calls"),
        {"choices": [], "usage": USAGE, "service_tier": "flex"},
    )
    whole = upstream_object(whole_answer(raw))
    assert whole is not None
    (choice,) = whole["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "reasoning_content": "Hm.",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}},
            {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
        ],
    }
    assert (whole["usage"], whole["service_tier"]) == (USAGE, "flex")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"<html>",
        b"data",
        b"data: hello\n\n",
        events(delta(content="h"), done=False),
        events(delta("null", content="h"), done=False),
        events(),
        events([1], 5, {"choices": 5}, {"choices": [5]}, {"choices": []}),
    ],
)
def test_what_is_no_whole_stream_stays_as_it_is(raw: bytes) -> None:
    assert whole_answer(raw) == raw


def test_an_unasked_stream_of_any_shape_is_read() -> None:
    odd = [
        {"choices": [{"delta": {"content": 5, "tool_calls": [None, 5, {"index": []}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"function": {"name": 5, "arguments": None}}]}}]},
        {"choices": [{"delta": 5, "finish_reason": "stop"}]},
    ]
    whole = upstream_object(whole_answer(events(*odd)))
    assert whole is not None
    assert whole["choices"][0]["message"]["content"] is None
    failed = whole_answer(events(delta(content="h"), {"error": {"code": 429, "message": "x"}}))
    assert (upstream_object(failed) or {})["error"] == {"code": 429, "message": "x"}


CALL = {"name": "f", "arguments": '{"x": 1}'}
CALLED = [{"id": "a", "type": "function", "function": CALL}]


def choices(*found: dict[str, Any]) -> dict[str, Any]:
    return {"choices": list(found), "usage": USAGE}


def said(**message: Any) -> dict[str, Any]:
    return choices({**CHOICE, "message": {"role": "assistant", **message}})


SHAPES: dict[str, tuple[dict[str, Any], str | None]] = {
    "a delta": (choices({"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}), "hi"),
    "a text": (choices({"index": 0, "text": "hi", "finish_reason": "stop"}), "hi"),
    "a delta beside no message": (
        choices({"message": None, "delta": {"content": "hi"}, "finish_reason": "stop"}),
        "hi",
    ),
    "a list of texts": (said(content=["h", "i"]), "hi"),
    "one part": (said(content={"type": "text", "text": "hi"}), "hi"),
    "JSON": (said(content={"name": "Eiche", "höhe": 9}), '{"name": "Eiche", "höhe": 9}'),
    "a list as JSON": (said(content=[{"name": "oak"}, 5]), '[{"name": "oak"}, 5]'),
    "JSON with a type": (said(content={"type": "oak"}), '{"type": "oak"}'),
    "no message, filtered": (choices({"index": 0, "finish_reason": "content_filter"}), None),
}


async def answer_to(sent: dict[str, Any], given: bytes) -> Any:
    async with (
        raw_upstream(given) as url,
        running_gateway(url) as gateway,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        reply = await agent.chat(sent)
        assert reply.status == 200, reply.text
        (line,) = await agent.ledger()
        assert (float(line["amount"]), line["estimated"]) == (0.00003, False)
        return reply.content if sent.get("stream") else reply.json["choices"]


@pytest.mark.parametrize("what", SHAPES)
async def test_an_answer_in_another_shape_is_put_into_the_usual_one(what: str) -> None:
    given, text = SHAPES[what]
    (choice,) = await answer_to(body(), response(json.dumps(given).encode()))
    assert choice["message"]["content"] == text
    assert set(choice) <= {"index", "message", "finish_reason"}


@pytest.mark.parametrize(
    "parts", [[{"type": "text", "text": "hi"}], [{"type": "reference", "reference_ids": [1]}], []]
)
async def test_a_list_of_parts_stays_one(parts: Any) -> None:
    (choice,) = await answer_to(body(), response(json.dumps(said(content=parts)).encode()))
    assert choice["message"]["content"] == parts


CALLS: dict[str, Any] = {
    "without its function": [{"id": "a", "type": "function", **CALL}],
    "with an object, without its function": [{"id": "a", "name": "f", "arguments": {"x": 1}}],
    "with parameters": [{"id": "a", "function": {"name": "f", "parameters": {"x": 1}}}],
    "alone": {"id": "a", "function": CALL},
}


@pytest.mark.parametrize("sent", [body(), streamed()], ids=["plain", "stream"])
@pytest.mark.parametrize("what", CALLS)
async def test_a_call_in_another_shape_is_put_into_the_usual_one(
    what: str, sent: dict[str, Any]
) -> None:
    given = {**CHOICE, "finish_reason": "tool_calls", "message": {"tool_calls": CALLS[what]}}
    answer = response(json.dumps(choices(given)).encode())
    async with (
        raw_upstream(answer) as url,
        running_gateway(url) as gateway,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        reply = await agent.chat(sent)
        streams = bool(sent.get("stream"))
        (choice,) = reply.events[0]["choices"] if streams else reply.json["choices"]
        (call,) = choice["delta" if streams else "message"]["tool_calls"]
        assert (call["id"], call["function"]) == ("a", CALL)
        assert "name" not in call


@pytest.mark.parametrize(
    "odd",
    [
        {"index": 0, "finish_reason": None, "content_filter_offsets": {"check_offset": 1}},
        {"index": 0, "delta": None, "finish_reason": None},
    ],
)
async def test_every_choice_of_a_chunk_has_a_delta(odd: dict[str, Any]) -> None:
    """Clients read `choices[0].delta.content`; Azure's asynchronous filter sends none."""
    given = events({"choices": [odd]}, delta(content="hi"), delta("stop"), {"usage": USAGE})
    async with (
        raw_upstream(response(given, kind=EVENTS)) as url,
        running_gateway(url) as gateway,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        reply = await agent.chat(streamed())
        assert reply.content == "hi"
        found = [choice for each in reply.events[:-1] for choice in each.get("choices", [])]
        assert all(isinstance(each["delta"], dict) for each in found)


@pytest.mark.parametrize("odd", ["message", "text", "content"])
async def test_a_chunk_in_another_shape_is_put_into_the_usual_one(odd: str) -> None:
    chunk: dict[str, Any] = {
        "message": {"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"},
        "text": {"index": 0, "text": "hi", "finish_reason": "stop"},
        "content": {"index": 0, "delta": {"content": ["h", "i"]}, "finish_reason": "stop"},
    }[odd]
    given = response(events({"choices": [chunk]}, {"choices": [], "usage": USAGE}), kind=EVENTS)
    assert await answer_to(streamed(), given) == "hi"
    (choice,) = await answer_to(body(), given)
    assert choice["message"]["content"] == "hi"


async def test_a_call_by_its_older_name_is_one_for_who_sent_tools() -> None:
    old = said(content=None, function_call=CALL)
    old["choices"][0]["finish_reason"] = "function_call"
    given = response(json.dumps(old).encode())
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    (choice,) = await answer_to(body(tools=tools), given)
    (call,) = choice["message"]["tool_calls"]
    assert (call["function"], choice["finish_reason"]) == (CALL, "tool_calls")
    assert "function_call" not in choice["message"]
    (same,) = await answer_to(body(functions=[{"name": "f", "parameters": {}}]), given)
    assert (same["message"]["function_call"], same["finish_reason"]) == (CALL, "function_call")


async def test_the_text_and_the_calls_of_two_choices_are_one_answer() -> None:
    text = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    called = {"message": {"role": "assistant", "content": None, "tool_calls": CALLED}}
    both = choices(text, {**called, "finish_reason": "tool_calls"})
    (choice,) = await answer_to(body(), response(json.dumps(both).encode()))
    assert choice["message"] == {"role": "assistant", "content": "hi", "tool_calls": CALLED}
    assert choice["finish_reason"] == "tool_calls"
    turned = choices({**CHOICE, "index": 1, "message": {"content": "no"}}, CHOICE)
    (choice,) = await answer_to(body(), response(json.dumps(turned).encode()))
    assert choice["message"]["content"] == "hi"


@pytest.mark.parametrize("sent", [body(), streamed()], ids=["plain", "stream"])
async def test_control_characters_in_a_text_are_read(sent: dict[str, Any]) -> None:
    raw = STREAM if sent.get("stream") else WHOLE
    raw = raw.replace(b'"hi"', b'"h\ti"').replace(b'"i"', b'"\ti"')
    found = await answer_to(
        sent, response(raw, kind=EVENTS if sent.get("stream") else "text/plain")
    )
    assert (found if isinstance(found, str) else found[0]["message"]["content"]) == "h\ti"


@pytest.mark.parametrize(
    ("ending", "status", "charged"),
    [
        (b'event: error\ndata: {"message": "Overloaded"}\n\n' + events(), 502, False),
        (b"event: error\ndata: Internal server error\n\n" + events(), 502, False),
        (events({"choices": [], "x_groq": {"error": "over_capacity"}}), 503, False),
        (events(delta(content="h"), {"error": {"message": "slow", "code": 429}}), 429, True),
    ],
)
async def test_an_error_in_an_unasked_stream_is_no_answer(
    ending: bytes, status: int, charged: bool
) -> None:
    """Half an answer was handed on as a whole one, and an error was charged the bound."""
    given = response(events(delta(role="assistant", content=""), done=False) + ending, kind=EVENTS)
    async with (
        raw_upstream(given) as url,
        running_gateway(url) as gateway,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        reply = await agent.chat()
        assert reply.status == status, reply.text
        assert bool(await agent.ledger()) == charged


def test_the_reasoning_of_an_unasked_stream_can_go_back() -> None:
    """OpenRouter's details come in parts of one index, and must come back whole."""
    text = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    other = {"type": "reasoning.encrypted", "data": "x", "id": "r", "index": 1}
    raw = events(
        delta(reasoning_details=[{**text, "text": "H"}]),
        delta(reasoning_details=[{**text, "text": "m.", "signature": None}]),
        delta(reasoning_details=[{**text, "signature": "s"}]),
        delta(reasoning_details=[other]),
        delta("stop", content="hi"),
    )
    whole = upstream_object(whole_answer(raw))
    assert whole is not None
    assert whole["choices"][0]["message"]["reasoning_details"] == [
        {**text, "text": "Hm.", "signature": "s"},
        other,
    ]


@pytest.mark.parametrize(
    "parts",
    [
        lambda text: {"content": text},
        lambda text: {"reasoning_content": text},
        lambda text: {"tool_calls": [{"index": 0, "function": {"arguments": text}}]},
        lambda text: {"thinking_blocks": [{"type": "thinking", "thinking": text, "signature": ""}]},
        lambda text: {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": text}]},
    ],
)
def test_many_parts_of_a_long_text_take_linear_time(parts: Any) -> None:
    """Each part was copied together with all before it, in the event loop."""
    raw = events(delta(**parts("x" * 3_000_000)), *[delta(**parts("y"))] * 20_000, delta("stop"))
    began = time.process_time()
    whole = upstream_object(whole_answer(raw))
    assert time.process_time() - began < 4
    assert "x" + "y" * 20_000 in json.dumps(whole)
