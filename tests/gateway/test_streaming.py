"""Streamed answers: what the client gets, when it gets it, and what it costs."""

import asyncio
import json
import sqlite3
from decimal import Decimal
from typing import Any

import pytest

from tests.gateway.client import body, bound, content_of, events_of, streamed, world
from tests.support.upstream import Rule

USED = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
COST = Decimal("0.00003")


async def test_chunks_are_passed_on_at_once_and_the_end_after_the_charge() -> None:
    gate = asyncio.Event()
    async with world(Rule(text="one two three", usage=USED, gate=gate)) as w:
        agent = await w.api.open()
        async with agent.stream(streamed(usage=True)) as stream:
            assert stream.status == 200
            assert stream.content_type == "text/event-stream"
            assert stream.headers["x-request-id"]
            first = await stream.content.readuntil(b"\n\n")
            assert content_of(events_of(first.decode()))
            assert (await agent.account())["reserved"] > 0
            gate.set()
            rest = first
            while b"[DONE]" not in rest:
                rest += await stream.content.readany()
            [line] = await agent.ledger()
        assert (line["amount"], line["estimated"]) == (COST, False)
        *chunks, usage, done = events_of(rest.decode())
        assert content_of(chunks) == "one two three"
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
        assert usage["choices"] == []
        assert usage["usage"] == {**USED, "cost": COST}
        assert usage["id"] == chunks[0]["id"]
        assert (usage["model"], usage["object"]) == ("m", "chat.completion.chunk")
        assert done == "[DONE]"
        account = await agent.account()
        assert (account["reserved"], account["spent"]) == (0, COST)


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": True}])
async def test_usage_is_always_requested_upstream_and_sent_only_to_clients_that_want_it(
    options: dict[str, Any] | None,
) -> None:
    async with world(Rule(usage=USED)) as w:
        agent = await w.api.open()
        reply = await agent.chat(body(stream=True, stream_options=options))
        wanted = options == {"include_usage": True}
        shown = [event["usage"] for event in reply.events[:-1] if event.get("usage")]
        assert shown == ([{**USED, "cost": COST}] if wanted else [])
        assert ("usage" in reply.text) is wanted
        assert reply.events[-1] == "[DONE]"
        assert reply.content == "ok"
        sent = w.upstream.requests[0].body
        assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})
        assert [line["amount"] for line in await agent.ledger()] == [COST]


async def test_other_stream_options_reach_the_upstream() -> None:
    async with world() as w:
        agent = await w.api.open()
        await agent.chat(body(stream=True, stream_options={"include_obfuscation": False}))
        options = w.upstream.requests[0].body["stream_options"]
        assert options == {"include_obfuscation": False, "include_usage": True}


async def test_the_bound_is_computed_from_the_body_sent_upstream() -> None:
    sent = streamed()
    need = bound({**sent, "stream_options": {"include_usage": True}})
    async with world() as w:
        agent = await w.api.open(f"{Decimal(need - 1) / 10**6}")
        refused = await agent.chat(sent)
        assert (refused.status, refused.error["required_usd"]) == (402, Decimal(need) / 10**6)
        assert refused.headers["content-type"].startswith("application/json")
        await agent.patch(budget=f"{Decimal(need) / 10**6}")
        assert (await agent.chat(sent)).content == "ok"


async def test_heartbeats_are_passed_on_but_not_stored() -> None:
    async with world(Rule(heartbeat="still here", text="abc")) as w:
        agent = await w.api.open()
        first = await agent.chat(streamed(), key="k")
        again = await agent.chat(streamed(), key="k")
        assert first.text.startswith(": still here\n\n")
        assert first.text.count(": still here\n\n") > 3
        assert again.text == first.text.replace(": still here\n\n", "")


def chunk(content: str = "x", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": "stop"}
    return {"id": "c", "choices": [choice], **more}


@pytest.mark.parametrize(
    "reported",
    [
        [chunk(usage={**USED, "cost": 0.000123})],
        [chunk(usage={**USED, "cost_usd": "0.000123"})],
        [chunk(), {"choices": [], "usage": USED, "cost": 0.000123}],
        [chunk(cost_usd=0.000123), {"choices": [], "usage": USED}],
        [chunk(_meta={"cascade": {"cost_usd": 0.000123, "model": "x"}}), {"usage": USED}],
        [
            chunk(usage={"prompt_tokens": 1, "completion_tokens": 1}),
            chunk(usage=USED, cost=0.000123),
        ],
    ],
)
@pytest.mark.parametrize("wants_usage", [True, False])
async def test_usage_and_cost_count_in_any_chunk_and_are_shown_once(
    reported: list[dict[str, Any]], wants_usage: bool
) -> None:
    sse = [f"data: {json.dumps(each)}\n\n" for each in reported]
    async with world(Rule(sse=[*sse, "data: [DONE]\n\n"])) as w:
        agent = await w.api.open()
        reply = await agent.chat(streamed("x" * 200, usage=wants_usage))
        [line] = await agent.ledger()
        assert line["amount"] == Decimal("0.000123")
        assert (line["prompt_tokens"], line["completion_tokens"]) == (20, 5)
        assert reply.text.count("0.000123") == int(wants_usage)
        assert "cost_usd" not in reply.text
        assert reply.content == "x" * len(reply.content) != ""
        if wants_usage:
            assert reply.events[-2]["usage"] == {**USED, "cost": Decimal("0.000123")}
        else:
            assert "usage" not in reply.text


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("finish", [True, False])
async def test_a_stream_is_complete_after_a_finish_reason_or_done(finish: bool, done: bool) -> None:
    async with world(Rule(text="abc", finish=finish, done=done, usage="missing", times=1)) as w:
        agent = await w.api.open()
        reply = await agent.chat(streamed(), key="k")
        account = await agent.account()
        if finish or done:
            assert reply.events[-1] == "[DONE]"
            assert account["charges"] == 1
        else:
            assert reply.events[-1]["error"]["code"] == "upstream_broke_off"
            assert (account["charges"], account["reserved"]) == (0, 0)
            assert account["interrupted"] == {"upstream_broke_off": 1}


async def test_a_connection_that_breaks_after_a_complete_answer_does_not_make_it_free() -> None:
    whole = 'data: {"choices":[{"delta":{"content":"abc"},"finish_reason":"stop"}]}\n\n'
    async with world(Rule(sse=[whole, ": and then\n\n"], disconnect="middle")) as w:
        agent = await w.api.open()
        reply = await agent.chat(streamed(usage=True), key="k")
        assert reply.content == "abc"
        assert reply.events[-2]["usage"]["estimated"] is True
        [line] = await agent.ledger()
        assert line["estimated"] is True


async def test_an_answer_that_is_not_a_stream_is_sent_as_one_chunk() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": "whole", "tool_calls": [call]}
    answer = {
        **{"id": "c", "object": "chat.completion", "created": 5, "model": "m"},
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": USED,
    }
    async with world(Rule(body=answer)) as w:
        agent = await w.api.open()
        reply = await agent.chat(streamed(usage=True), key="k")
        [only, usage, done] = reply.events
        assert only["object"] == "chat.completion.chunk"
        [choice] = only["choices"]
        assert choice["delta"] == {**message, "tool_calls": [{"index": 0, **call}]}
        assert choice["finish_reason"] == "stop"
        assert only["usage"] is None
        assert (usage["usage"], usage["id"], done) == ({**USED, "cost": COST}, "c", "[DONE]")
        assert (await agent.chat(streamed(usage=True), key="k")).text == reply.text
        assert len(await agent.ledger()) == 1


async def test_multi_line_events_and_other_line_endings_are_parsed() -> None:
    sse = [
        'event: message\r\ndata: {"choices": [{"index": 0,\r\ndata:  "delta"',
        ': {"content": "a"}}]}\r',
        '\n\r\nid: 7\rretry: 5\rdata:{"choices":[{"delta":{"content":"b"}}]}\r\r',
        'data: {"choices":[{"delta":{},"finish_reason":"length"}]}\n\n: late\n\ndata: [DONE]\n',
    ]
    async with world(Rule(sse=sse)) as w:
        agent = await w.api.open()
        reply = await agent.chat(streamed())
        assert reply.content == "ab"
        assert reply.events[-1] == "[DONE]"


async def test_a_streamed_answer_is_replayed_as_a_stream_and_charged_once() -> None:
    async with world(Rule(text="word " * 50, chunks=50, usage=USED)) as w:
        agent = await w.api.open()
        first, again = [await agent.chat(streamed(usage=True), key="k") for _ in range(2)]
        assert first.content == "word " * 50
        assert again.text == first.text
        assert "x-idempotent-replay" not in first.headers
        assert again.headers["x-idempotent-replay"] == "true"
        assert again.headers["x-account-spent-usd"] == "0.000030"
        assert again.headers["content-type"] == first.headers["content-type"]
        assert w.upstream.count == len(await agent.ledger()) == 1
        with sqlite3.connect(w.gateway.database) as connection:
            [(stored,)] = connection.execute("SELECT length(response) FROM calls")
        assert stored < len(first.text) / 4


async def test_a_long_answer_is_replayed_completely() -> None:
    text = "".join(f"{number:06} " for number in range(40_000))
    async with world(Rule(text=text, chunks=200, usage=USED)) as w:
        agent = await w.api.open()
        first, again = [await agent.chat(streamed(), key="k") for _ in range(2)]
        assert first.content == again.content == text


async def test_stream_is_part_of_the_body_that_belongs_to_a_key() -> None:
    async with world() as w:
        agent = await w.api.open()
        assert (await agent.chat(streamed(), key="s")).status == 200
        assert (await agent.chat(body(), key="p")).status == 200
        for sent, key in [
            (body(), "s"),
            (streamed(usage=True), "s"),
            (streamed(), "p"),
            (body(stream=False), "p"),
        ]:
            refused = await agent.chat(sent, key=key)
            assert (refused.status, refused.error["type"]) == (409, "idempotency_conflict")
        assert w.upstream.count == 2


async def test_without_a_key_no_answer_is_stored() -> None:
    async with world(Rule(usage=USED)) as w:
        agent = await w.api.open()
        for _ in range(2):
            assert (await agent.chat(streamed())).content == "ok"
        with sqlite3.connect(w.gateway.database) as connection:
            assert connection.execute("SELECT count(*) FROM calls").fetchone() == (0,)
        assert len(await agent.ledger()) == w.upstream.count == 2


async def test_an_answer_dropped_with_its_account_is_not_paid_twice() -> None:
    async with world() as w:
        agent = await w.api.open()
        await agent.chat(streamed(), key="k")
        await agent.patch(status="disabled")
        refused = await agent.chat(streamed(), key="k")
        assert (refused.status, refused.error["code"]) == (402, "account_disabled")
        await agent.patch(status="active")
        gone = await agent.chat(streamed(), key="k")
        assert (gone.status, gone.error["code"]) == (410, "answer_dropped")
