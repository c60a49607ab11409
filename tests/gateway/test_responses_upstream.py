"""An upstream that speaks OpenAI's Responses, behind each of the gateway's doors."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from durable_agent_team.gateway.calls.returned_messages import returned_messages
from durable_agent_team.gateway.doors.from_responses_events import ResponseChunks
from durable_agent_team.gateway.doors.reasoning_details import detail_of
from durable_agent_team.gateway.doors.responses_items import messages_of
from durable_agent_team.gateway.doors.thinking import sealed
from durable_agent_team.gateway.models.dialect import Dialect
from tests.emulators.responses_api import (
    USAGE,
    ResponsesApi,
    call,
    encrypted,
    events,
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
[models."gpt-6-luna".service_tiers.priority]
input_usd_per_million = 2
output_usd_per_million = 20
[models."gpt-6-terra"]
upstream = "new"
speaks = "responses"
input_usd_per_million = 1
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
    answer: Any = reply, *, thinks: bool = True, **settings: Any
) -> AsyncIterator[tuple[ResponsesApi, Api, Agent]]:
    async with ResponsesApi(answer, thinks) as upstream:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "models.toml"
            path.write_text(MODELS.format(url=upstream.url))
            keys = {"NEW_KEY": upstream.key}
            async with (
                running_gateway(
                    "http://127.0.0.1:9", gateway_models=path, environment=keys, **settings
                ) as g,
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
        assert message["reasoning_content"] == "I look \n\nat both."
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
    again = upstream.requests[1]["input"]
    kinds = [each.get("id") or each.get("call_id") or each["role"] for each in again]
    assert kinds == ["user", "rs_1", "assistant", "c1", "rs_2", "c2", "c1", "c2"]


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
        "reasoning_details": [
            *details,
            {"type": "reasoning.encrypted", "data": "x", "id": "rs_0"},
            {
                "type": "reasoning.encrypted",
                "format": "openai-responses-v1",
                "data": "by another organization of OpenAI's",
                "id": "rs_1",
            },
        ],
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


def asked(*messages: Any, model: str = "gpt-6-luna", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [QUESTION, *messages], "max_tokens": 50, **more}


async def turn(agent: Agent, *messages: Any, **more: Any) -> Any:
    """The message that answers, whole or put together from a stream."""
    reply = await agent.chat(asked(*messages, **more))
    assert reply.status == 200, reply.text
    if not more.get("stream"):
        return reply.json["choices"][0]["message"]
    message: dict[str, Any] = {"role": "assistant"}
    for chunk in reply.events[:-1]:
        for choice in chunk.get("choices", []):
            for name, value in choice["delta"].items():
                if name == "tool_calls":
                    calls = message.setdefault(name, [])
                    for call in value:
                        if call["index"] == len(calls):
                            calls.append(call)
                        else:
                            calls[-1]["function"]["arguments"] += call["function"]["arguments"]
                elif name != "role":
                    empty: Any = [] if isinstance(value, list) else ""
                    message[name] = message.get(name, empty) + value
    return message


def results(*identities: str) -> list[Any]:
    return [{"role": "tool", "tool_call_id": each, "content": "rain"} for each in identities]


@pytest.mark.parametrize("model", ["gpt-6-terra", "gpt-6-luna"])
async def test_only_the_model_that_thought_it_gets_its_reasoning_back(model: str) -> None:
    """No other can decrypt it: "The encrypted content ... could not be verified"."""
    async with openai_upstream() as (upstream, _, agent):
        said = await turn(agent, tools=[CHAT_TOOL])
        again = await turn(agent, said, *results("c1", "c2"), model=model, tools=[CHAT_TOOL])
        assert again["content"] == "It rains."
        assert upstream.refusals == []
    back = [each["id"] for each in upstream.requests[1]["input"] if each["type"] == "reasoning"]
    assert back == ([] if model == "gpt-6-terra" else ["rs_1", "rs_2"])


async def test_a_conversation_that_began_elsewhere_goes_on() -> None:
    """OpenAI refuses a `call_id` of more than 64 characters, and one that is empty."""
    ids = ["functions.weather:0", "x" * 116, "call_1"]
    calls = [
        {"id": each, "type": "function", "function": {"name": "weather", "arguments": ""}}
        for each in ids
    ]
    said = {"role": "assistant", "content": None, "tool_calls": calls}
    found = [{**each, "name": "weather"} for each in results(*ids)]
    async with openai_upstream() as (upstream, _, agent):
        answer = await turn(agent, said, *found, tools=[CHAT_TOOL])
        assert answer["content"] == "It rains.", upstream.refusals
    [sent] = upstream.requests
    made = [each["call_id"] for each in sent["input"] if each["type"] == "function_call"]
    assert made[2] == "call_1"
    assert len(set(made)) == 3


async def test_reasoning_is_put_where_something_follows_it() -> None:
    """Also where a client has left out a call, or has changed the list's order."""
    async with openai_upstream() as (upstream, _, agent):
        said = await turn(agent, tools=[CHAT_TOOL])
        said["reasoning_details"].reverse()
        without = {**said, "tool_calls": said["tool_calls"][:1]}
        await turn(agent, without, *results("c1"), tools=[CHAT_TOOL])
        await turn(agent, said, *results("c1", "c2"), tools=[CHAT_TOOL])
        assert upstream.refusals == []
    *_, one, both = [
        [each.get("id") or each.get("call_id") or each["role"] for each in sent["input"]]
        for sent in upstream.requests
    ]
    assert one == ["user", "rs_1", "assistant", "c1", "c1"]
    assert both == ["user", "rs_1", "assistant", "c1", "rs_2", "c2", "c1", "c2"]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_tier_that_served_is_the_one_that_is_paid(stream: bool) -> None:
    """The first event of a stream has the one that was asked for."""
    answer = ended("completed", service_tier="priority")
    async with openai_upstream(answer) as (_, _, agent):
        await turn(agent, max_tokens=1_000, stream=stream)
        [charge] = (await agent.ledger())[-1:]
    assert charge["amount"] == Decimal("0.00092"), "60 at 2 and 40 at 20 USD per million"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "more",
    [
        {"usage": {**USAGE, "cost_in_usd_ticks": 50_000_000}},
        {"usage": {**USAGE, "cost": 0.001, "is_byok": True,
                   "cost_details": {"upstream_inference_cost": 0.004}}},
        {"cost_usd": 0.005},
    ],
)  # fmt: skip
async def test_the_cost_that_a_router_reports_is_not_lost(more: Any, stream: bool) -> None:
    async with openai_upstream(ended("completed", **more)) as (_, _, agent):
        await turn(agent, max_tokens=1_000, stream=stream)
        [charge] = (await agent.ledger())[-1:]
    assert charge["amount"] == Decimal("0.005")


async def test_a_stream_without_its_last_event_is_no_answer() -> None:
    """Whatever the server writes after it."""
    async with openai_upstream() as (upstream, _, agent):
        upstream.ends_with_done = True
        whole = await agent.chat(asked(stream=True))
        assert whole.text.count("[DONE]") == 1
        upstream.lacks = frozenset({"response.completed"})
        reply = await agent.chat(asked(stream=True))
        assert reply.events[-1]["error"]["code"] == "upstream_broke_off"
        assert (await agent.account())["possibly_billed_calls"] == 1


async def test_a_stream_that_breaks_off_after_a_thought_may_have_been_billed() -> None:
    async with openai_upstream(lambda body: ([reasoning("rs_1")], {})) as (upstream, _, agent):
        upstream.cut_after = 5
        reply = await agent.chat(asked(stream=True))
        assert "Boom" in reply.text
        assert "reasoning_details" in reply.text
        assert (await agent.account())["possibly_billed_calls"] == 1


async def test_the_providers_sign_of_life_reaches_the_client() -> None:
    async with openai_upstream() as (_, _, agent):
        assert ": ping" in (await agent.chat(asked(stream=True))).text


DELTAS = frozenset(
    f"response.{each}.delta"
    for each in ("output_text", "reasoning_summary_text", "function_call_arguments")
)
ITEMS = frozenset(f"response.output_item.{each}" for each in ("added", "done"))


@pytest.mark.parametrize(
    "lacks",
    [DELTAS, DELTAS | ITEMS, frozenset(), frozenset({"response.created"})],
    ids=["no deltas", "only the end", "all", "no beginning"],
)
@pytest.mark.parametrize("encrypts_last", [False, True])
async def test_servers_that_send_less_in_a_stream(
    lacks: frozenset[str], encrypts_last: bool
) -> None:
    async with openai_upstream() as (upstream, _, agent):
        whole = await turn(agent, tools=[CHAT_TOOL])
        upstream.lacks, upstream.encrypts_last = lacks, encrypts_last
        streamed = await turn(agent, tools=[CHAT_TOOL], stream=True)
    for each in streamed["tool_calls"]:
        del each["index"]
    assert streamed == whole


def test_what_is_sent_twice_is_said_once() -> None:
    output, _ = reply({"input": []})
    whole = {"id": "resp_1", "status": "completed", "output": output, "usage": USAGE}
    sent = list(events(whole))
    once, twice = ResponseChunks("new/model"), ResponseChunks("new/model")
    chunks = [chunk for each in sent for chunk in once.feed(each)]
    doubled = ("response.output_item.added", "response.output_item.done", "response.created")
    again = [each for each in sent for _ in range(1 + (each["type"] in doubled))]
    assert [chunk for each in again for chunk in twice.feed(each)] == chunks


def test_items_without_an_index_are_told_apart_by_their_ids() -> None:
    output, _ = reply({"input": []})
    whole = {"id": "resp_1", "status": "completed", "output": output, "usage": USAGE}
    one, other = ResponseChunks("new/model"), ResponseChunks("new/model")
    sent = list(events(whole))
    bare = [{name: each[name] for name in each if name != "output_index"} for each in sent]
    expected = [chunk for each in sent for chunk in one.feed(each)]
    assert [chunk for each in bare for chunk in other.feed(each)] == expected


@pytest.mark.parametrize("stream", [False, True])
async def test_a_commentary_before_an_answer_is_no_part_of_it(stream: bool) -> None:
    """The answer may be JSON."""

    def answer(body: Any) -> Any:
        first = {**said("I count.", "commentary"), "id": "msg_0"}
        return [reasoning("rs_1"), first, reasoning("rs_2"), said("{}", "final_answer")], {}

    async with openai_upstream(answer) as (upstream, _, agent):
        message = await turn(agent, stream=stream)
        assert (message["content"], message["phase"]) == ("{}", "final_answer")
        assert message["reasoning_content"] == "I count."
        upstream.lacks = DELTAS | ITEMS
        assert await turn(agent, stream=stream) == message, "of a server that sends only the end"
        upstream.requests.pop()
        await turn(agent, message, QUESTION)
        assert upstream.refusals == []
    again = upstream.requests[1]["input"][-2]
    assert (again["content"], again["phase"]) == ("{}", "final_answer")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_commentary_before_a_call_comes_back_as_one(stream: bool) -> None:
    """OpenAI's reference, of `phase`: dropping it can degrade performance."""

    def answer(body: Any) -> Any:
        return [reasoning("rs_1"), said("I look.", "commentary"), call("c1", city="Oslo")], {}

    async with openai_upstream(answer) as (upstream, api, agent):
        message = await turn(agent, tools=[CHAT_TOOL], stream=stream)
        assert (message["content"], message["phase"]) == ("I look.", "commentary")
        await turn(agent, message, *results("c1"), tools=[CHAT_TOOL])
        async with openai_sdk(api, agent) as client:
            items: Any = [{"role": "user", "content": "Weather?"}]
            wanted: Any = {"model": "gpt-6-luna", "max_output_tokens": 50}
            if stream:
                async with client.responses.stream(input=items, **wanted) as found:
                    async for _ in found:
                        pass
                    first = await found.get_final_response()
            else:
                first = await client.responses.create(input=items, **wanted)
            items += [each.model_dump(exclude_none=True) for each in first.output]
            for each in items:
                each.pop("parsed_arguments", None)
                for part in each["content"] if isinstance(each.get("content"), list) else []:
                    part.pop("parsed", None)
            items.append({"type": "function_call_output", "call_id": "c1", "output": "rain"})
            await client.responses.create(input=items, **wanted)
        assert upstream.refusals == []
    for sent in (upstream.requests[1], upstream.requests[3]):
        [spoken] = [each for each in sent["input"] if each.get("role") == "assistant"]
        assert (spoken["content"], spoken["phase"]) == ("I look.", "commentary")


@pytest.mark.parametrize("stream", [False, True])
async def test_two_messages_of_an_answer_do_not_run_into_each_other(stream: bool) -> None:
    def answer(body: Any) -> Any:
        return [said("One."), {**said("Two."), "id": "msg_2"}], {}

    async with openai_upstream(answer) as (_, _, agent):
        assert (await turn(agent, stream=stream))["content"] == "One.\n\nTwo."


@pytest.mark.parametrize("stream", [False, True])
async def test_the_reasoning_of_two_items_does_not_run_together(stream: bool) -> None:
    def answer(body: Any) -> Any:
        return [reasoning("rs_1", "It is cold."), reasoning("rs_2", "It is wet."), said("Ah.")], {}

    async with openai_upstream(answer) as (_, _, agent):
        message = await turn(agent, stream=stream)
    assert message["reasoning_content"] == "It is cold.\n\nIt is wet."


async def test_reasoning_after_a_call_is_an_item_or_a_block_of_its_own() -> None:
    def answer(body: Any) -> Any:
        thoughts = reasoning("rs_1", "Oslo first."), reasoning("rs_2", "Then Rome.")
        return [thoughts[0], call("c1", city="Oslo"), thoughts[1], call("c2", city="Rome")], {}

    async with openai_upstream(answer) as (_, api, agent):
        wanted: Any = {"model": "gpt-6-luna", "max_output_tokens": 50, "input": "Weather?"}
        async with openai_sdk(api, agent) as client, client.responses.stream(**wanted) as found:
            async for _ in found:
                pass
            response = await found.get_final_response()
        asked: Any = {"model": "gpt-6-luna", "messages": [QUESTION], "max_tokens": 50}
        async with anthropic_sdk(api, agent) as other, other.messages.stream(**asked) as events:
            message = await events.get_final_message()
    items = [each.content for each in response.output if each.type == "reasoning"]
    assert [part.text for each in items for part in each or ()] == ["Oslo first.", "Then Rome."]
    blocks = [each.thinking for each in message.content if each.type == "thinking"]
    assert blocks == ["Oslo first.", "Then Rome."]


async def test_a_tools_image_goes_from_responses_to_responses() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
    items: Any = [
        {"role": "user", "content": "Look."},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": [image]},
    ]
    async with openai_upstream() as (upstream, api, agent), openai_sdk(api, agent) as client:
        wanted: Any = {"model": "gpt-6-luna", "max_output_tokens": 50}
        answer = await client.responses.create(input=items, **wanted)
        assert answer.output_text == "It rains."
        again = await client.responses.create(input=items, **wanted)
        assert {each.id for each in again.output}.isdisjoint(each.id for each in answer.output)
        assert answer.id.count("resp_") == 1
    assert upstream.requests[0]["input"][-1]["output"][0]["type"] == "input_image"


def sealed_item(identity: str) -> dict[str, Any]:
    detail = detail_of(reasoning(identity), 0, 0, "new/gpt-6-luna")
    assert detail is not None
    return {"type": "reasoning", "summary": [], "encrypted_content": sealed([], [detail])}


def test_calls_of_one_answer_stay_one_message_with_reasoning_between_them() -> None:
    """A chat refuses calls in a message that another one follows before their results."""
    calls = [
        {"type": "function_call", "call_id": each, "name": "weather", "arguments": "{}"}
        for each in ("c1", "c2")
    ]
    said = {"role": "assistant", "content": "I look."}
    items = [QUESTION, sealed_item("rs_1"), said, calls[0], sealed_item("rs_2"), calls[1]]
    _, answer = messages_of(items, "/v1/responses")
    assert [each["id"] for each in answer["tool_calls"]] == ["c1", "c2"]
    places = [(each["id"], each["before"]) for each in answer["reasoning_details"]]
    assert places == [("rs_1", 0), ("rs_2", 2)]


@pytest.mark.parametrize(
    "between", [QUESTION, {"type": "function_call_output", "call_id": "c", "output": "x"}]
)
def test_reasoning_that_no_answer_follows_is_not_the_next_ones(between: Any) -> None:
    items = [sealed_item("rs_1"), between, {"role": "assistant", "content": "Hm."}]
    *_, answer = messages_of(items, "/v1/responses")
    assert answer == {"role": "assistant", "content": "Hm."}


def test_another_upstream_does_not_get_it() -> None:
    """OpenRouter takes the list back that it gave itself."""
    own = {"type": "reasoning.encrypted", "format": "openai-responses-v1", "id": "r", "data": "d"}
    other = detail_of(reasoning("rs_1"), 0, 0, "new/gpt-6-luna")
    said = {"role": "assistant", "content": "Hm.", "phase": "commentary"}
    for dialect in (Dialect(returns=("reasoning_details",)), Dialect()):
        for details, kept in (([own, other], {"reasoning_details": [own]}), ([other], {})):
            [sent] = returned_messages([{**said, "reasoning_details": details}], dialect)
            assert sent == {"role": "assistant", "content": "Hm.", **kept}


@pytest.mark.parametrize("usage", [None, USAGE])
async def test_why_a_response_failed_may_come_after_it(usage: Any) -> None:
    """From Azure: without it, the call would be made again, though its prompt is refused."""
    sent = {"status": "failed", "usage": usage}
    async with openai_upstream(lambda body: ([], sent)) as (upstream, _, agent):
        upstream.says_why_later = True
        reply = await agent.chat(asked(stream=True))
        account = await agent.account()
    error = reply.events[-1]["error"] if reply.status == 200 else reply.json["error"]
    assert error["code"] == "content_filter"
    assert "violates a policy" in error["message"]
    assert account["spent"] == (Decimal("0.000433") if usage else 0)
    assert account["possibly_billed_calls"] == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failed_responses_usage_is_charged(stream: bool) -> None:
    sent = {"status": "failed", "error": FAILED, "usage": USAGE}
    async with openai_upstream(lambda body: ([], sent)) as (_, _, agent):
        reply = await agent.chat(asked(stream=stream))
        assert "Rate limit reached" in reply.text
        assert (await agent.account())["spent"] == Decimal("0.000433")


@pytest.mark.parametrize("model_said_something", [False, True])
async def test_a_stream_that_the_time_limit_cuts_is_not_free(model_said_something: bool) -> None:
    """What the client has got is charged with the call's bound; else it may have been billed."""

    def answer(body: Any) -> Any:
        return [reasoning("rs_1"), said("It rains.")], {}

    async with openai_upstream(answer, upstream_timeout_seconds=0.5) as (upstream, _, agent):
        upstream.stops_after = 8 if model_said_something else 4
        reply = await agent.chat(asked(stream=True))
        account = await agent.account()
    assert reply.events[-1]["error"]["code"] == "upstream_timeout"
    assert (account["spent"] > 0) == model_said_something
    assert account["possibly_billed_calls"] == (not model_said_something)
    assert account["reserved"] == 0
