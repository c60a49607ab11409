"""`POST /v1/responses` with the public `openai` SDK, unmodified, and by hand."""

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.gateway.client import Agent, World, events_of, world
from tests.support.upstream import Rule

TOOL: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
CALLS = [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
PATH = "/v1/responses"


def sdk(w: World, agent: Agent) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=w.gateway.base_url, api_key=agent.key, max_retries=0)


def answer(message: dict[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {"id": "chatcmpl-7", "created": 7, "choices": [choice], "usage": USAGE, **more}


class Tone(BaseModel):
    tone: str


async def test_the_unmodified_sdk_works_and_one_call_is_paid() -> None:
    async with world(Rule(text="one two three")) as w:
        agent = await w.api.open()
        async with sdk(w, agent) as client:
            first = await client.responses.create(
                model="m",
                instructions="Be brief.",
                input="hello",
                reasoning={"effort": "low"},
                max_output_tokens=20,
                extra_headers={"Idempotency-Key": "k"},
            )
            again = await client.responses.create(
                model="m",
                instructions="Be brief.",
                input="hello",
                reasoning={"effort": "low"},
                max_output_tokens=20,
                extra_headers={"Idempotency-Key": "k"},
            )
        assert first.output_text == "one two three"
        assert (first.status, first.instructions) == ("completed", "Be brief.")
        assert first.to_dict()["store"] is False
        assert first == again
        sent = w.upstream.requests[0].body
        assert [each["role"] for each in sent["messages"]] == ["system", "user"]
        assert (sent["reasoning_effort"], sent["max_tokens"]) == ("low", 20)
        assert first.usage is not None
        assert first.usage.model_dump()["cost"] == float((await agent.account())["spent"]) > 0
        assert w.upstream.count == 1


async def test_it_streams_the_typed_events_and_replays_them() -> None:
    async with world(Rule(text="one two three", heartbeat="working")) as w:
        agent = await w.api.open()

        async def events() -> list[Any]:
            async with sdk(w, agent) as client:
                stream = await client.responses.create(
                    model="m", input="hello", stream=True, extra_headers={"Idempotency-Key": "k"}
                )
                return [event async for event in stream]

        first = await events()
        assert [event.type for event in first] == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            *["response.output_text.delta"] * 3,
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
        assert [event.sequence_number for event in first] == list(range(len(first)))
        assert first[-1].response.output_text == "one two three"
        spent = float((await agent.account())["spent"])
        assert first[-1].response.usage.model_dump()["cost"] == spent > 0
        assert await events() == first
        assert w.upstream.count == 1


async def test_the_sdk_parses_structured_output() -> None:
    async with world(Rule(text='{"tone": "warm"}')) as w:
        agent = await w.api.open()
        async with sdk(w, agent) as client:
            parsed = await client.responses.parse(model="m", input="hello", text_format=Tone)
            async with client.responses.stream(
                model="m", input="hello", text_format=Tone
            ) as stream:
                streamed = await stream.get_final_response()
        assert parsed.output_parsed == streamed.output_parsed == Tone(tone="warm")
        wanted = w.upstream.requests[0].body["response_format"]
        assert wanted["type"] == "json_schema"
        assert wanted["json_schema"]["name"] == "Tone"


async def test_a_loop_with_tools() -> None:
    async with world(Rule(body=answer({"content": None, "tool_calls": CALLS}), times=1)) as w:
        agent = await w.api.open()
        async with sdk(w, agent) as client:
            conversation: list[Any] = [{"role": "user", "content": "Is it raining?"}]
            asked = await client.responses.create(model="m", input=conversation, tools=[TOOL])
            call = asked.output[0]
            assert call.type == "function_call"
            assert (call.name, call.call_id, call.arguments) == ("weather", "call_1", "{}")
            conversation += [each.to_dict() for each in asked.output]
            output = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
            conversation.append(output)
            told = await client.responses.create(model="m", input=conversation, tools=[TOOL])
            assert told.output_text == "ok"
        first, second = (request.body for request in w.upstream.requests)
        function = {name: value for name, value in TOOL.items() if name != "type"}
        assert first["tools"] == [{"type": "function", "function": function}]
        assert second["messages"][1:] == [
            {"role": "assistant", "content": None, "tool_calls": CALLS},
            {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        ]


def chunk(delta: dict[str, Any], **more: Any) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": None, **more}
    return f"data: {json.dumps({'id': 'chatcmpl-7', 'choices': [choice]})}\n\n"


def _part(index: int, arguments: str, **more: Any) -> dict[str, Any]:
    return {"index": index, "function": {"arguments": arguments, **more.pop("f", {})}, **more}


THOUGHT_AND_TWO_CALLS = [
    chunk({"role": "assistant", "reasoning_content": "Two "}),
    chunk({"reasoning_content": "cities."}),
    chunk({"tool_calls": [_part(0, "", id="a", f={"name": "weather"})]}),
    chunk({"tool_calls": [_part(1, '{"c', id="b", f={"name": "weather"})]}),
    chunk({"tool_calls": [_part(0, "{}")]}),
    chunk({"tool_calls": [_part(1, '":1}')]}),
    chunk({}, finish_reason="tool_calls"),
    f"data: {json.dumps({'choices': [], 'usage': USAGE})}\n\n",
    "data: [DONE]\n\n",
]
"""The stream of an upstream: a thought, then two calls whose arguments come in turns."""


async def test_thinking_and_parallel_tool_calls_stream() -> None:
    async with world(Rule(sse=THOUGHT_AND_TWO_CALLS)) as w:
        agent = await w.api.open()
        async with (
            sdk(w, agent) as client,
            client.responses.stream(model="m", input="hello", tools=[TOOL]) as stream,
        ):
            final = await stream.get_final_response()
    thought, first, second = final.output
    assert thought.type == "reasoning"
    assert thought.content is not None
    assert thought.content[0].text == "Two cities."
    assert first.type == second.type == "function_call"
    assert (first.call_id, first.arguments) == ("a", "{}")
    assert (second.call_id, second.arguments) == ("b", '{"c":1}')


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
async def test_an_answer_that_was_cut_off_is_incomplete(finish: str, reason: str) -> None:
    async with world(Rule(body=answer({"content": "half"}, finish))) as w:
        agent = await w.api.open()
        async with sdk(w, agent) as client:
            cut = await client.responses.create(model="m", input="hello")
    assert cut.status == "incomplete"
    assert cut.incomplete_details is not None
    assert cut.incomplete_details.reason == reason
    assert cut.output_text == "half"


async def test_a_refusal_is_a_part_of_its_own() -> None:
    async with world(Rule(body=answer({"content": None, "refusal": "I will not."}))) as w:
        agent = await w.api.open()
        async with sdk(w, agent) as client:
            refused = await client.responses.create(model="m", input="hello")
    message = refused.output[0]
    assert message.type == "message"
    assert message.content[0].type == "refusal"
    assert message.content[0].refusal == "I will not."


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("store", True),
        ("background", True),
        ("previous_response_id", "resp_1"),
        ("conversation", "conv_1"),
        ("prompt", {"id": "p"}),
        ("truncation", "auto"),
        ("max_tool_calls", 1),
        ("context_management", [{"type": "compaction"}]),
        ("tools", [{"type": "web_search"}]),
        ("tools", [{"type": "mcp", "server_label": "x", "server_url": "https://x"}]),
        ("tools", [{"type": "code_interpreter", "container": {"type": "auto"}}]),
        ("tools", [{"type": "custom", "name": "x"}]),
        ("tool_choice", {"type": "web_search_preview"}),
        ("input", [{"type": "item_reference", "id": "msg_1"}]),
        ("input", [{"type": "computer_call_output", "call_id": "c", "output": {}}]),
        ("input", [{"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "gAAA"}]),
        ("reasoning", {"summary": "detailed"}),
        ("include", ["file_search_call.results"]),
        ("unheard_of", 1),
    ],
)
async def test_what_needs_stored_state_or_a_hosted_tool_is_refused_by_name(
    field: str, value: Any
) -> None:
    async with world() as w:
        agent = await w.api.open()
        body = {"model": "m", "input": "hello", field: value}
        reply = await w.api.send("POST", PATH, body, key=agent.key)
        assert reply.status == 400
        assert field in reply.error["message"]
        account = await agent.account()
        assert (account["reserved"], account["charges"], w.upstream.count) == (0, 0, 0)


async def test_one_key_is_one_call_by_one_door() -> None:
    async with world() as w:
        agent = await w.api.open()
        body = {"model": "m", "input": "hello"}
        assert (
            await w.api.send("POST", PATH, body, key=agent.key, idempotency_key="k")
        ).status == 200
        other = await agent.chat(key="k")
        assert (other.status, other.error["type"]) == (409, "idempotency_conflict")
        changed = {**body, "input": "bye"}
        reply = await w.api.send("POST", PATH, changed, key=agent.key, idempotency_key="k")
        assert reply.status == 409
        assert w.upstream.count == 1


async def test_an_error_in_a_stream_is_an_event_that_the_sdk_raises() -> None:
    reported = {"error": {"message": "boom", "code": "busy"}}
    async with world(Rule(stream_error=reported)) as w:
        agent = await w.api.open()
        async with sdk(w, agent) as client:
            stream = await client.responses.create(model="m", input="hello", stream=True)
            with pytest.raises(openai.APIError, match="boom") as broken:
                [event async for event in stream]
        assert broken.value.code == "busy"
        reply = await w.api.send(
            "POST", PATH, {"model": "m", "input": "x", "stream": True}, key=agent.key
        )
        assert events_of(reply.text)[-1]["type"] == "error"


async def test_a_key_in_what_is_repeated_is_removed() -> None:
    async with world() as w:
        agent = await w.api.open()
        body = {"model": "m", "input": "x", "instructions": f"My key is {agent.key}"}
        reply = await w.api.send("POST", PATH, body, key=agent.key)
        assert reply.status == 200
        assert agent.key not in reply.text
