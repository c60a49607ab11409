"""`POST /v1/messages` with the public `anthropic` SDK, unmodified, and by hand."""

from typing import Any

import anthropic
import pytest

from tests.gateway.client import Agent, World, events_of, world
from tests.gateway.test_responses_door import CALLS, THOUGHT_AND_TWO_CALLS, answer
from tests.support.gateway import PARENT_KEY
from tests.support.upstream import Rule

PATH = "/v1/messages"
TOOL: Any = {
    "name": "weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
HELLO: Any = [{"role": "user", "content": "hello"}]


def sdk(w: World, agent: Agent) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(
        base_url=w.gateway.url, api_key=agent.key, auth_token=None, max_retries=0
    )


async def test_the_unmodified_sdk_works_and_one_call_is_paid() -> None:
    async with world(Rule(text="one two three")) as w:
        agent = await w.api.open()

        async def create() -> anthropic.types.Message:
            async with sdk(w, agent) as client:
                return await client.messages.create(
                    model="m",
                    max_tokens=20,
                    system=[{"type": "text", "text": "Be brief."}],
                    messages=HELLO,
                    stop_sequences=["END"],
                    metadata={"user_id": "u"},
                    extra_headers={"Idempotency-Key": "k"},
                )

        first, again = await create(), await create()
        assert first == again
        assert first.content[0].type == "text"
        assert first.content[0].text == "one two three"
        assert (first.stop_reason, first.role) == ("end_turn", "assistant")
        assert first.usage.to_dict()["cost"] == float((await agent.account())["spent"]) > 0
        sent = w.upstream.requests[0].body
        assert [each["role"] for each in sent["messages"]] == ["system", "user"]
        assert (sent["stop"], sent["user"], sent["max_tokens"]) == (["END"], "u", 20)
        assert w.upstream.count == 1


async def test_it_streams_the_events_and_replays_them() -> None:
    async with world(Rule(text="one two three", heartbeat="working")) as w:
        agent = await w.api.open()

        async def events() -> list[Any]:
            body = {"model": "m", "max_tokens": 20, "messages": HELLO, "stream": True}
            reply = await w.api.send("POST", PATH, body, key=agent.key, idempotency_key="k")
            assert reply.status == 200, reply.text
            return events_of(reply.text)

        first = await events()
        assert [event["type"] for event in first if event["type"] != "ping"] == [
            "message_start",
            "content_block_start",
            *["content_block_delta"] * 3,
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
        assert {"type": "ping"} in first
        usage = first[-2]["usage"]
        assert float(usage["cost"]) == float((await agent.account())["spent"]) > 0
        assert usage["input_tokens"] > 0
        assert await events() == [event for event in first if event["type"] != "ping"]
        async with (
            sdk(w, agent) as client,
            client.messages.stream(model="m", max_tokens=20, messages=HELLO) as stream,
        ):
            texts = [text async for text in stream.text_stream]
            final = await stream.get_final_message()
        assert "".join(texts) == "one two three"
        assert final.usage.input_tokens == usage["input_tokens"]
        assert final.stop_reason == "end_turn"


async def test_a_loop_with_tools() -> None:
    async with world(Rule(body=answer({"content": None, "tool_calls": CALLS}), times=1)) as w:
        agent = await w.api.open()
        async with sdk(w, agent) as client:
            conversation: list[Any] = list(HELLO)
            asked = await client.messages.create(
                model="m", max_tokens=20, messages=conversation, tools=[TOOL]
            )
            assert asked.stop_reason == "tool_use"
            block = asked.content[0]
            assert block.type == "tool_use"
            assert (block.id, block.name, block.input) == ("call_1", "weather", {})
            result = {
                "type": "tool_result",
                "tool_use_id": block.id,
                "content": "no such city",
                "is_error": True,
            }
            conversation += [
                {"role": "assistant", "content": [each.to_dict() for each in asked.content]},
                {"role": "user", "content": [result, {"type": "text", "text": "Go on."}]},
            ]
            told = await client.messages.create(
                model="m",
                max_tokens=20,
                messages=conversation,
                tools=[TOOL],
                tool_choice={"type": "any", "disable_parallel_tool_use": True},
            )
        assert told.content[0].type == "text"
        second = w.upstream.requests[1].body
        assert second["tools"][0]["function"]["parameters"] == TOOL["input_schema"]
        assert (second["tool_choice"], second["parallel_tool_calls"]) == ("required", False)
        assert second["messages"][1:] == [
            {"role": "assistant", "content": None, "tool_calls": CALLS},
            {"role": "tool", "tool_call_id": "call_1", "content": "Error: no such city"},
            {"role": "user", "content": [{"type": "text", "text": "Go on."}]},
        ]


async def test_thinking_and_parallel_tool_calls_stream() -> None:
    async with world(Rule(sse=THOUGHT_AND_TWO_CALLS)) as w:
        agent = await w.api.open()
        async with (
            sdk(w, agent) as client,
            client.messages.stream(
                model="m", max_tokens=20, messages=HELLO, tools=[TOOL]
            ) as stream,
        ):
            final = await stream.get_final_message()
    thought, first, second = final.content
    assert thought.type == "thinking"
    assert thought.thinking == "Two cities."
    assert first.type == second.type == "tool_use"
    assert (first.id, first.input) == ("a", {})
    assert (second.id, second.input) == ("b", {"c": 1})
    assert (final.stop_reason, final.usage.output_tokens) == ("tool_use", 5)


@pytest.mark.parametrize(
    ("status", "kind", "raised"),
    [
        (429, "rate_limit_error", anthropic.RateLimitError),
        (500, "api_error", anthropic.InternalServerError),
        (400, "invalid_request_error", anthropic.BadRequestError),
    ],
)
async def test_errors_have_anthropics_shape(
    status: int, kind: str, raised: type[anthropic.APIStatusError]
) -> None:
    async with world(Rule(status=status)) as w:
        agent = await w.api.open()
        async with sdk(w, agent) as client:
            with pytest.raises(raised) as error:
                await client.messages.create(model="m", max_tokens=20, messages=HELLO)
        body: Any = error.value.body
        assert (body["type"], body["error"]["type"]) == ("error", kind)
        assert body["error"]["code"] == f"upstream_{status}"


async def test_an_exhausted_account_and_an_unknown_key_have_it_too() -> None:
    async with world() as w:
        agent = await w.api.open("0.0001")
        body = {"model": "m", "max_tokens": 1_000, "messages": HELLO}
        refused = await w.api.send("POST", PATH, body, key=agent.key)
        assert (refused.status, refused.error["type"]) == (402, "billing_error")
        assert refused.error["code"] == "budget_exhausted"
        assert refused.error["remaining_usd"] > 0
        unknown = await w.api.send("POST", PATH, body, key="unknown-key-0123456789")
        assert (unknown.status, unknown.error["type"]) == (401, "authentication_error")
        assert unknown.json["request_id"] == unknown.headers["x-request-id"]
        parent = await w.api.send("POST", PATH, body, key=PARENT_KEY)
        assert (parent.status, parent.error["type"]) == (403, "permission_error")
        async with sdk(w, Agent(w.api, "", "unknown-key-0123456789")) as client:
            with pytest.raises(anthropic.AuthenticationError):
                await client.messages.create(model="m", max_tokens=20, messages=HELLO)


@pytest.mark.parametrize(
    "path", ["/v1/messages/count_tokens", "/v1/messages/batches", "/v1/messages/batches/b/results"]
)
async def test_what_is_not_served_says_what_to_do(path: str) -> None:
    async with world() as w:
        agent = await w.api.open()
        reply = await w.api.send("POST", path, {"model": "m"}, key=agent.key)
        assert (reply.status, reply.error["type"]) == (404, "not_found_error")
        assert "not served" in reply.error["message"] or "usage" in reply.error["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", None),
        ("container", "c"),
        ("mcp_servers", [{"type": "url", "url": "https://x", "name": "x"}]),
        ("service_tier", "auto"),
        ("thinking", {"type": "enabled", "budget_tokens": 1024}),
        ("cache_control", {"type": "ephemeral"}),
        ("tools", [{"type": "web_search_20250305", "name": "web_search"}]),
        ("unheard_of", 1),
    ],
)
async def test_what_would_be_lost_is_refused_by_name(field: str, value: Any) -> None:
    async with world() as w:
        agent = await w.api.open()
        body = {"model": "m", "max_tokens": 20, "messages": HELLO, field: value}
        reply = await w.api.send("POST", PATH, body, key=agent.key)
        assert reply.status == 400
        assert field in reply.error["message"]
        account = await agent.account()
        assert (account["reserved"], account["charges"], w.upstream.count) == (0, 0, 0)


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
        [{"type": "text", "text": "x"}, {"type": "tool_result", "tool_use_id": "a"}],
        [{"type": "search_result", "source": "x", "title": "x", "content": []}],
        [{"type": "image", "source": {"type": "file", "file_id": "x"}}],
        [{"type": "document", "source": {"type": "url", "url": "https://x"}}],
        [{"type": []}],
        [None],
        [],
        5,
    ],
)
async def test_content_that_cannot_be_translated_is_refused(content: Any) -> None:
    async with world() as w:
        agent = await w.api.open()
        messages = [{"role": "user", "content": content}]
        body = {"model": "m", "max_tokens": 20, "messages": messages}
        reply = await w.api.send("POST", PATH, body, key=agent.key)
        assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
        assert w.upstream.count == 0


async def test_an_error_in_a_stream_is_an_event_that_the_sdk_raises() -> None:
    reported = {"error": {"message": "boom", "code": "busy"}}
    async with world(Rule(stream_error=reported)) as w:
        agent = await w.api.open()
        async with sdk(w, agent) as client:
            with pytest.raises(anthropic.APIStatusError, match="boom"):
                async with client.messages.stream(
                    model="m", max_tokens=20, messages=HELLO
                ) as stream:
                    await stream.get_final_message()
