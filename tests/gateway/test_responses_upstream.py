"""An upstream that speaks OpenAI's Responses, behind each of the gateway's doors."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.emulators.responses_api import (
    ResponsesApi,
    call,
    encrypted,
    reasoning,
    refused,
    said,
)
from tests.gateway.client import Agent, Api
from tests.gateway.test_messages_upstream import CHAT_TOOL, CITY, anthropic_sdk, openai_sdk
from tests.support.gateway import running_gateway

QUESTION: Any = {"role": "user", "content": "Weather in Oslo and Rome?"}
MODELS = """
[upstreams.new]
preset = "openai"
url = "{url}"
key_env = "NEW_KEY"
[models."gpt-6-luna"]
upstream = "new"
speaks = "responses"
input_usd_per_million = 1
cached_input_usd_per_million = 0.1
output_usd_per_million = 10
context_tokens = 200000
[models."gpt-4.1-mini"]
upstream = "new"
speaks = "responses"
input_usd_per_million = 1
output_usd_per_million = 2
context_tokens = 200000
"""


def reply(body: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Thinks, says something and calls the tool, thinks again and calls it once more. With both
    results it thinks and answers."""
    if any(each["type"] == "function_call_output" for each in body["input"]):
        return [reasoning("rs_3"), said("It rains.")], {}
    output = [reasoning("rs_1", "I look ", "at both."), said("I look."), call("c1", city="Oslo")]
    return [*output, reasoning("rs_2"), call("c2", city="Rome")], {}


@asynccontextmanager
async def openai_upstream(
    answer: Any = reply, *, thinks: bool = True
) -> AsyncIterator[tuple[ResponsesApi, Api, Agent]]:
    async with ResponsesApi(answer, thinks) as upstream:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "models.toml"
            path.write_text(MODELS.format(url=upstream.url))
            keys = {"NEW_KEY": upstream.key}
            async with (
                running_gateway("http://127.0.0.1:9", gateway_models=path, environment=keys) as g,
                aiohttp.ClientSession() as http,
            ):
                api = Api(g.url, http)
                yield upstream, api, await api.open(100)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_clients_loop_brings_the_reasoning_back_where_it_was(stream: bool) -> None:
    async with openai_upstream() as (upstream, api, agent):
        messages: list[Any] = [{"role": "system", "content": "Be brief."}, QUESTION]

        async def ask() -> Any:
            async with openai_sdk(api, agent) as client:
                asked: Any = {
                    "model": "gpt-6-luna",
                    "messages": messages,
                    "tools": [CHAT_TOOL],
                    "max_tokens": 50,
                    "temperature": 0,
                    "reasoning_effort": "high",
                    "parallel_tool_calls": True,
                }
                if not stream:
                    return (await client.chat.completions.create(**asked)).choices[0]
                async with client.chat.completions.stream(**asked) as chunks:
                    return (await chunks.get_final_completion()).choices[0]

        first = await ask()
        assert upstream.refusals == []
        assert first.finish_reason == "tool_calls"
        message = first.message.model_dump(exclude_none=True)
        assert message["content"] == "I look."
        assert message["reasoning_content"].replace("\n", "") == "I look at both."
        calls = [(each.id, each.function.arguments) for each in first.message.tool_calls]
        assert calls == [("c1", '{"city": "Oslo"}'), ("c2", '{"city": "Rome"}')]
        keep = ("role", "content", "tool_calls", "reasoning_details")
        messages.append({name: message[name] for name in keep})
        for made in messages[-1]["tool_calls"]:
            made["function"].pop("parsed_arguments", None)
            made.pop("index", None)
        messages += [
            {"role": "tool", "tool_call_id": each, "content": "rain"} for each in ("c1", "c2")
        ]
        second = await ask()
        assert upstream.refusals == []
        assert (second.message.content, second.finish_reason) == ("It rains.", "stop")
    sent, again = upstream.requests
    assert sent["include"] == ["reasoning.encrypted_content"]
    assert sent["reasoning"] == {"effort": "high"}, "it thinks and has tools at once"
    assert sent["max_output_tokens"] == 50
    assert sent["tools"][0]["strict"] is False, "Responses are strict unless told otherwise"
    kinds = [each.get("id") or each.get("call_id") or each["role"] for each in again["input"]]
    assert kinds == ["system", "user", "rs_1", "assistant", "c1", "rs_2", "c2", "c1", "c2"]


@pytest.mark.parametrize("stream", [False, True])
async def test_openais_client_of_responses_brings_it_back_too(stream: bool) -> None:
    async with openai_upstream() as (upstream, api, agent):
        items: list[Any] = [{"role": "user", "content": "Weather?"}]

        async def ask() -> Any:
            async with openai_sdk(api, agent) as client:
                asked: Any = {
                    "model": "gpt-6-luna",
                    "input": items,
                    "tools": [{"type": "function", "name": "weather", "parameters": CITY}],
                    "store": False,
                    "include": ["reasoning.encrypted_content"],
                    "max_output_tokens": 60,
                }
                if not stream:
                    return await client.responses.create(**asked)
                async with client.responses.stream(**asked) as events:
                    async for _ in events:
                        pass
                    return await events.get_final_response()

        first = await ask()
        items += [
            {
                name: each
                for name, each in item.model_dump(exclude_none=True).items()
                if name != "parsed_arguments"
            }
            for item in first.output
        ]
        for item in items:
            for part in item["content"] if isinstance(item.get("content"), list) else []:
                part.pop("parsed", None)
        made = [each.call_id for each in first.output if each.type == "function_call"]
        assert sorted(made) == ["c1", "c2"]
        items += [
            {"type": "function_call_output", "call_id": each, "output": "rain"} for each in made
        ]
        second = await ask()
        assert second.output_text == "It rains."
        assert upstream.refusals == []
    back = [each["id"] for each in upstream.requests[1]["input"] if each["type"] == "reasoning"]
    assert sorted(back) == ["rs_1", "rs_2"]


@pytest.mark.parametrize("stream", [False, True])
async def test_anthropics_client_can_call_it(stream: bool) -> None:
    async with openai_upstream() as (upstream, api, agent):
        async with anthropic_sdk(api, agent) as client:
            asked: Any = {
                "model": "gpt-6-luna",
                "messages": [QUESTION],
                "tools": [{"name": "weather", "input_schema": CITY}],
                "max_tokens": 50,
            }
            if stream:
                async with client.messages.stream(**asked) as events:
                    message = await events.get_final_message()
            else:
                message = await client.messages.create(**asked)
        assert upstream.refusals == []
    used = [each.input for each in message.content if each.type == "tool_use"]
    assert used == [{"city": "Oslo"}, {"city": "Rome"}]
    assert message.stop_reason == "tool_use"


@pytest.mark.parametrize("stream", [False, True])
async def test_the_charge_is_that_of_its_usage(stream: bool) -> None:
    """30 of 60 tokens at 1, 30 cached at 0.1, 40 (33 of them thinking) at 10 USD per million."""
    async with openai_upstream() as (_, _, agent):
        body = {"model": "gpt-6-luna", "messages": [QUESTION], "max_tokens": 1_000}
        before = await agent.account()
        reply = await agent.chat({**body, "stream": stream})
        assert reply.status == 200, reply.text
        after = await agent.account()
        [charge] = (await agent.ledger())[-1:]
    assert after["spent"] - before["spent"] == Decimal("0.000433")
    assert after["reserved"] == 0
    assert (charge["cached_tokens"], charge["reasoning_tokens"]) == (30, 33)


def ended(status: str, **more: Any) -> Any:
    return lambda body: ([said("The steps are: 1.")], {"status": status, **more})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("reason", "finish"), [("max_output_tokens", "length"), ("content_filter", "content_filter")]
)
async def test_half_an_answer_says_so(stream: bool, reason: str, finish: str) -> None:
    answer = ended("incomplete", incomplete_details={"reason": reason})
    async with openai_upstream(answer) as (_, _, agent):
        reply = await agent.chat(
            {"model": "gpt-6-luna", "messages": [QUESTION], "max_tokens": 50, "stream": stream}
        )
        assert reply.status == 200
        assert f'"finish_reason":"{finish}"' in reply.text.replace(" ", "")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_is_the_models_own_words(stream: bool) -> None:
    async with (
        openai_upstream(lambda body: ([refused("I can't help.")], {})) as (_, api, agent),
        openai_sdk(api, agent) as client,
    ):
        asked: Any = {"model": "gpt-6-luna", "messages": [QUESTION], "max_tokens": 50}
        if stream:
            async with client.chat.completions.stream(**asked) as chunks:
                message = (await chunks.get_final_completion()).choices[0].message
        else:
            message = (await client.chat.completions.create(**asked)).choices[0].message
    assert message.refusal == "I can't help."
    assert not message.content


FAILED = {"code": "rate_limit_exceeded", "message": "Rate limit reached for gpt-6-luna"}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_that_failed_is_its_error(stream: bool) -> None:

    def answer(body: Any) -> Any:
        return [], {"status": "failed", "error": FAILED, "usage": None}

    async with openai_upstream(answer) as (_, _, agent):
        before = await agent.account()
        reply = await agent.chat(
            {"model": "gpt-6-luna", "messages": [QUESTION], "max_tokens": 50, "stream": stream}
        )
        after = await agent.account()
    assert "Rate limit reached" in reply.text
    assert reply.status in ((429,) if not stream else (200, 429))
    assert after["spent"] == before["spent"], "nothing was billed"
    assert after["reserved"] == 0


async def test_a_stream_that_breaks_off_is_no_answer() -> None:
    async with openai_upstream() as (upstream, _, agent):
        upstream.cut_after = 8
        reply = await agent.chat(
            {"model": "gpt-6-luna", "messages": [QUESTION], "max_tokens": 50, "stream": True}
        )
        assert "Boom" in reply.text
        assert '"finish_reason":"stop"' not in reply.text.replace(" ", "")


async def test_structure_images_and_files_are_asked_for_in_its_words() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,aGk=", "filename": "a.txt"}},
    ]
    shape = {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema}}
    async with openai_upstream(lambda body: ([said('{"a": "b"}')], {})) as (upstream, _, agent):
        reply = await agent.chat(
            {
                "model": "gpt-6-luna",
                "messages": [{"role": "user", "content": parts}],
                "response_format": shape,
                "verbosity": "low",
                "max_tokens": 50,
            }
        )
        assert reply.status == 200, (reply.text, upstream.refusals)
    [sent] = upstream.requests
    assert [each["type"] for each in sent["input"][0]["content"]] == [
        "input_text", "input_image", "input_file",
    ]  # fmt: skip
    wanted = sent["text"]["format"]
    assert (wanted["type"], wanted["name"], wanted["strict"]) == ("json_schema", "thing", True)
    assert wanted["schema"]["required"] == ["a"], "rewritten as strict mode demands"
    assert sent["text"]["verbosity"] == "low"


async def test_a_model_that_does_not_think_is_not_asked_for_its_reasoning() -> None:
    logprob = {"token": "It", "logprob": -1, "bytes": [73, 116], "top_logprobs": []}

    def answer(body: Any) -> Any:
        return [said("It rains.", logprobs=[logprob])], {}

    async with openai_upstream(answer, thinks=False) as (upstream, _, agent):
        body = {"model": "gpt-4.1-mini", "messages": [QUESTION], "max_tokens": 50}
        reply = await agent.chat({**body, "temperature": 0.5, "logprobs": True, "top_logprobs": 2})
        assert reply.status == 200, (reply.text, upstream.refusals)
        assert reply.json["choices"][0]["logprobs"] == {"content": [logprob]}
    [sent] = upstream.requests
    assert sent["include"] == ["message.output_text.logprobs"]
    assert (sent["temperature"], sent["top_logprobs"]) == (0.5, 2)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"seed": 7}, "`seed`"),
        ({"max_tokens": 15}, "`max_tokens` must be at least 16"),
        ({"messages": [{**QUESTION, "name": "bob"}]}, "`messages[0].name`"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "`messages[0]"),
        ({"response_format": {"type": "grammar"}}, "`response_format`"),
        ({"tools": [CHAT_TOOL], "tool_choice": "perhaps"}, "`tool_choice`"),
        ({"store": True}, "`store`"),
    ],
)
async def test_what_would_be_lost_is_refused_by_name(more: dict[str, Any], named: str) -> None:
    async with openai_upstream() as (upstream, _, agent):
        body = {"model": "gpt-6-luna", "messages": [QUESTION], "max_tokens": 50, **more}
        reply = await agent.chat(body)
        assert (reply.status, named in reply.json["error"]["message"]) == (400, True), reply.text
        assert (await agent.account())["reserved"] == 0
        assert upstream.requests == []


async def test_what_another_providers_model_thought_is_left_out() -> None:
    details = [{"type": "reasoning.text", "text": "t", "signature": "s", "index": 0}]
    block = {"type": "thinking", "thinking": "t", "signature": "s"}
    earlier = {
        "role": "assistant",
        "content": "Hm.",
        "reasoning_details": [*details, {"type": "reasoning.encrypted", "data": "x", "id": "rs_0"}],
        "thinking_blocks": [block],
        "reasoning_content": "t",
    }
    async with openai_upstream() as (upstream, _, agent):
        messages = [QUESTION, earlier, QUESTION]
        reply = await agent.chat(
            {"model": "gpt-6-luna", "messages": messages, "max_tokens": 50, "tools": [CHAT_TOOL]}
        )
        assert reply.status == 200, (reply.text, upstream.refusals)
    [sent] = upstream.requests
    assert [each["type"] for each in sent["input"]] == ["message"] * 3


def test_the_emulator_takes_back_only_its_own() -> None:
    assert encrypted("rs_1") != encrypted("rs_2")
