"""An upstream that speaks Anthropic's Messages, behind each of the gateway's doors."""

import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import openai
import pytest

from durable_agent_team.gateway.doors.from_messages_answer import ChatChunks, usage_from_messages
from durable_agent_team.gateway.models.token_usage import TokenUsage, read_usage
from tests.emulators.messages_api import MessagesApi, signed
from tests.gateway.client import Agent, Api, content_of
from tests.support.gateway import running_gateway

CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
HELLO: Any = [{"role": "user", "content": "hello"}]
PNG = "iVBORw0KGgo="


def reply(body: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Thinks and calls the tool first; answers with text when it has the tool's result."""
    last = body["messages"][-1]["content"]
    told = isinstance(last, list) and any(each["type"] == "tool_result" for each in last)
    if body.get("tools") and not told:
        use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
        return [signed("Look."), {"type": "text", "text": "I look."}, use], "tool_use"
    return [{"type": "text", "text": "It rains."}], "end_turn"


MODELS = """
[upstreams.claude]
url = "{url}"
key_env = "CLAUDE_KEY"
speaks = "messages"
[models."claude"]
upstream = "claude"
input_usd_per_million = 1
output_usd_per_million = 2
context_tokens = 200000
"""


@asynccontextmanager
async def claude(answer: Any = reply) -> AsyncIterator[tuple[MessagesApi, Api, Agent]]:
    async with MessagesApi(answer) as upstream:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "models.toml"
            path.write_text(MODELS.format(url=upstream.url))
            keys = {"CLAUDE_KEY": upstream.key}
            async with (
                running_gateway("http://127.0.0.1:9", gateway_models=path, environment=keys) as g,
                aiohttp.ClientSession() as http,
            ):
                api = Api(g.url, http)
                yield upstream, api, await api.open()


def openai_sdk(api: Api, agent: Agent) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{api.url}/v1", api_key=agent.key, max_retries=0)


def anthropic_sdk(api: Api, agent: Agent) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(
        base_url=api.url, api_key=agent.key, auth_token=None, max_retries=0
    )


CHAT_TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": CITY}}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_clients_loop_with_tools(stream: bool) -> None:
    async with claude() as (upstream, api, agent):
        messages: list[Any] = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather?"},
        ]

        async def ask() -> Any:
            async with openai_sdk(api, agent) as client:
                asked: Any = {
                    "model": "claude",
                    "messages": messages,
                    "tools": [CHAT_TOOL],
                    "max_tokens": 50,
                    "temperature": 0,
                    "stop": "END",
                    "parallel_tool_calls": False,
                }
                if not stream:
                    return (await client.chat.completions.create(**asked)).choices[0]
                async with client.chat.completions.stream(**asked) as chunks:
                    return (await chunks.get_final_completion()).choices[0]

        first = await ask()
        assert first.finish_reason == "tool_calls"
        call = first.message.tool_calls[0]
        assert (call.id, call.function.name) == ("toolu_1", "weather")
        assert json.loads(call.function.arguments) == {"city": "Oslo"}
        assert first.message.content == "I look."
        messages.append(
            {
                "role": "assistant",
                "content": first.message.content,
                "tool_calls": [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {
                            "name": call.function.name,
                            "arguments": call.function.arguments,
                        },
                    }
                ],
            }
        )
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "rain"})
        second = await ask()
        assert (second.message.content, second.finish_reason) == ("It rains.", "stop")
        sent = upstream.requests[0]
        assert sent["system"] == [{"type": "text", "text": "Be brief."}]
        assert (sent["stop_sequences"], sent["max_tokens"]) == (["END"], 50)
        assert sent["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


@pytest.mark.parametrize("stream", [False, True])
async def test_anthropics_client_gets_back_its_own_blocks(stream: bool) -> None:
    """The upstream takes back only thinking that it signed, in its own order."""
    async with claude() as (upstream, api, agent):
        messages: list[Any] = [{"role": "user", "content": "Weather?"}]

        async def ask() -> Any:
            async with anthropic_sdk(api, agent) as client:
                asked: Any = {
                    "model": "claude",
                    "messages": messages,
                    "tools": [{"name": "weather", "input_schema": CITY}],
                    "max_tokens": 2000,
                    "thinking": {"type": "enabled", "budget_tokens": 1024},
                    "system": [
                        {"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}
                    ],
                }
                if not stream:
                    return await client.messages.create(**asked)
                async with client.messages.stream(**asked) as events:
                    return await events.get_final_message()

        first = await ask()
        assert [block.type for block in first.content] == ["thinking", "text", "tool_use"]
        assert (first.stop_reason, first.usage.input_tokens) == ("tool_use", 20)
        assert first.usage.cache_read_input_tokens == 30
        assert first.usage.cache_creation_input_tokens == 10
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x", "is_error": True}
        messages.append({"role": "assistant", "content": [b.to_dict() for b in first.content]})
        messages.append({"role": "user", "content": [result]})
        second = await ask()
        assert second.content[0].type == "text"
        sent = upstream.requests[1]
        assert sent["messages"][1]["content"][0] == signed("Look.")
        assert sent["messages"][2]["content"] == [result]
        assert sent["thinking"] == {"type": "enabled", "budget_tokens": 1024}
        assert sent["system"][0]["cache_control"] == {"type": "ephemeral"}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_responses_client_sends_signed_thinking_back(stream: bool) -> None:
    async with claude() as (upstream, api, agent):
        conversation: list[Any] = list(HELLO)
        tool: Any = {"type": "function", "name": "weather", "parameters": CITY, "strict": False}

        async def ask() -> Any:
            async with openai_sdk(api, agent) as client:
                asked: Any = {
                    "model": "claude",
                    "input": conversation,
                    "tools": [tool],
                    "reasoning": {"effort": "low"},
                    "include": ["reasoning.encrypted_content"],
                }
                if not stream:
                    return await client.responses.create(**asked)
                async with client.responses.stream(**asked) as events:
                    return await events.get_final_response()

        first = await ask()
        assert [item.type for item in first.output] == ["reasoning", "message", "function_call"]
        conversation += [item.to_dict() for item in first.output]
        conversation.append(
            {"type": "function_call_output", "call_id": "toolu_1", "output": "rain"}
        )
        assert (await ask()).output_text == "It rains."
        assert upstream.requests[1]["messages"][1]["content"][0] == signed("Look.")
        assert upstream.requests[0]["output_config"] == {"effort": "low"}


async def test_usage_and_replays_are_those_of_one_call() -> None:
    async with claude() as (upstream, _, agent):
        body = {"model": "claude", "messages": HELLO, "max_tokens": 50}
        first = await agent.chat(body, "k")
        assert first.status == 200, first.text
        usage = first.json["usage"]
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (60, 7)
        assert usage["prompt_tokens_details"]["cached_tokens"] == 30
        assert (await agent.chat(body, "k")).json == first.json
        assert len(upstream.requests) == 1
        account = await agent.account()
        assert account["charges"] == 1
        assert account["spent"] == usage["cost"] > 0


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        # Moonshot's, of a prompt that was all in its cache; and of one that was not.
        (
            {"input_tokens": -1, "cache_read_input_tokens": 33, "output_tokens": 5},
            TokenUsage(33, 5, 33),
        ),
        ({"input_tokens": -1, "output_tokens": 5}, None),
        ({"input_tokens": "9", "cache_read_input_tokens": 33, "output_tokens": 5}, None),
        ({"input_tokens": 9.0, "cache_read_input_tokens": 33, "output_tokens": 5}, None),
        ({"input_tokens": 9, "output_tokens": "5"}, None),
        ({"input_tokens": 9, "output_tokens": None}, TokenUsage(9, 0)),
        # A long prompt was put into a few words first, which its own counts do not have.
        (
            {
                "input_tokens": 23000,
                "output_tokens": 1000,
                "iterations": [
                    {"type": "compaction", "input_tokens": 180000, "output_tokens": 3500},
                    {"type": "message", "input_tokens": 23000, "output_tokens": 1000},
                ],
            },
            TokenUsage(203000, 4500),
        ),
    ],
)
def test_a_usage_of_messages_is_believed_as_one_of_a_chat_is(
    usage: dict[str, Any], read: TokenUsage | None
) -> None:
    assert read_usage(usage_from_messages(usage)) == read


def test_zeros_at_the_end_of_a_stream_do_not_take_the_place_of_its_prompt() -> None:
    chunks = ChatChunks()
    begun = {"input_tokens": 5000, "cache_read_input_tokens": 2000, "output_tokens": 1}
    chunks.feed({"type": "message_start", "message": {"usage": begun}})
    ended = {"input_tokens": 0, "cache_read_input_tokens": 2000, "output_tokens": 50}
    chunks.feed({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": ended})
    (tail,) = chunks.feed({"type": "message_stop"})
    assert read_usage(tail["usage"]) == TokenUsage(7000, 50, 2000)


async def test_images_documents_and_schemas_are_translated() -> None:
    async with claude() as (upstream, api, agent):
        async with anthropic_sdk(api, agent) as client:
            image: Any = {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": PNG},
            }
            linked: Any = {"type": "image", "source": {"type": "url", "url": "https://x.org/a.png"}}
            pdf: Any = {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PNG},
                "title": "a.pdf",
            }
            schema = {"type": "object", "properties": {}, "additionalProperties": False}
            await client.messages.create(
                model="claude",
                max_tokens=50,
                messages=[{"role": "user", "content": [image, linked, pdf]}],
                output_config={"format": {"type": "json_schema", "schema": schema}},
            )
        sent = upstream.requests[0]
        assert sent["messages"] == [{"role": "user", "content": [image, linked, pdf]}]
        assert sent["output_config"]["format"] == {"type": "json_schema", "schema": schema}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("max_tokens", "length"), ("refusal", "content_filter"), ("stop_sequence", "stop")],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_how_an_answer_ended(reason: str, finish: str, stream: bool) -> None:
    def cut(_: Any) -> tuple[list[dict[str, Any]], str]:
        return [{"type": "text", "text": "Once upon"}], reason

    async with claude(cut) as (_, api, agent):
        body = {"model": "claude", "messages": HELLO, "max_tokens": 50, "stream": stream}
        chat = await agent.chat(body)
        if stream:
            assert content_of(chat.events) == "Once upon"
            assert [e["choices"][0]["finish_reason"] for e in chat.events[:-1]][-1] == finish
        else:
            assert chat.json["choices"][0]["finish_reason"] == finish
        async with anthropic_sdk(api, agent) as client:
            message = await client.messages.create(model="claude", max_tokens=50, messages=HELLO)
        assert message.stop_reason == reason
        assert message.stop_sequence == ("END" if reason == "stop_sequence" else None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", 7),
        ("logprobs", True),
        ("frequency_penalty", 0.5),
        ("grammar", "root ::= x"),
        ("reasoning_effort", "minimal"),
        ("response_format", {"type": "json_object"}),
    ],
)
async def test_what_messages_cannot_express_is_refused_by_name(field: str, value: Any) -> None:
    async with claude() as (upstream, _, agent):
        reply = await agent.chat({"model": "claude", "messages": HELLO, field: value})
        assert reply.status == 400
        assert field in reply.error["message"]
        assert "claude" in reply.error["message"]
        account = await agent.account()
        assert (account["reserved"], account["charges"], upstream.requests) == (0, 0, [])


async def test_an_error_in_its_stream_ends_the_call() -> None:
    async with claude() as (upstream, _, agent):
        upstream.fails_midway = True
        body = {"model": "claude", "messages": HELLO, "max_tokens": 50, "stream": True}
        reply = await agent.chat(body)
        last = reply.events[-1] if reply.status == 200 else reply.json
        assert "Overloaded" in last["error"]["message"]


async def test_its_errors_keep_their_status() -> None:
    async with claude() as (_, _, agent):
        body = {"model": "claude", "messages": HELLO, "max_tokens": 50, "temperature": 2}
        reply = await agent.chat(body)
        assert (reply.status, reply.error["type"]) == (400, "upstream_error")
        assert "range: 0..1" in reply.error["message"]


async def test_a_chat_conversation_comes_back_with_its_signed_thinking_and_any_ids() -> None:
    """Two calls at once, without content; then one that another provider's model began."""

    def twice(body: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
        if len(body["messages"]) > 1:
            return [{"type": "text", "text": "It rains."}], "end_turn"
        use = {"type": "tool_use", "name": "weather", "input": {"city": "Oslo"}}
        calls = [{**use, "id": f"toolu_{number}"} for number in (1, 2)]
        return [signed("Look."), *calls], "tool_use"

    async with claude(twice) as (upstream, _, agent):
        asked: dict[str, Any] = {
            "model": "claude", "messages": [*HELLO], "tools": [CHAT_TOOL], "max_tokens": 50,
        }  # fmt: skip
        said = (await agent.chat(asked)).json["choices"][0]["message"]
        assert said["content"] is None
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": f"rain {call['id']}"}
            for call in said["tool_calls"]
        ]
        reply = await agent.chat({**asked, "messages": [*HELLO, said, *results]})
        assert reply.json["choices"][0]["message"]["content"] == "It rains."
        _, assistant, user = upstream.requests[-1]["messages"]
        kinds = [block["type"] for block in assistant["content"]]
        assert kinds == ["thinking", "tool_use", "tool_use"]
        assert [block["content"] for block in user["content"]] == ["rain toolu_1", "rain toolu_2"]
        foreign = [{**said["tool_calls"][0], "id": "functions.weather:0"}]
        moved = {"role": "assistant", "content": None, "tool_calls": foreign}
        moved["reasoning_content"] = "Another model's."
        result = {"role": "tool", "tool_call_id": "functions.weather:0", "content": "rain"}
        reply = await agent.chat({**asked, "messages": [*HELLO, moved, result]})
        assert reply.status == 200, reply.text
