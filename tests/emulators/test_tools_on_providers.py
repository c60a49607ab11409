"""Two turns with tools on every provider: what it gave out comes back to it as it wants it, and a
conversation that began at another provider is taken, too."""

import json
import tempfile
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.emulators.conversations import CONVERSATIONS, THOUGHT
from tests.emulators.models import GATEWAY_KEYS, MODELS, model_of, write_models_file
from tests.emulators.server import Emulators
from tests.gateway.client import Agent, Api
from tests.support.gateway import running_gateway

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]
QUESTION = {"role": "user", "content": "The weather in Oslo and Rome?"}
GEMINI_3 = """
[models."gemini-3"]
upstream = "on-gemini"
upstream_model = "gemini-3-flash-preview"
input_usd_per_million = 1
output_usd_per_million = 2
[models."deepseek-plain"]
upstream = "on-deepseek"
upstream_model = "deepseek-chat"
input_usd_per_million = 1
output_usd_per_million = 2
[models."deepseek-thinking"]
upstream = "on-deepseek"
upstream_model = "deepseek-reasoner"
input_usd_per_million = 1
output_usd_per_million = 2
"""
TARGETS = [model_of(name) for name in MODELS if name not in ("gemini", "deepseek")]
TARGETS += ["gemini-3", "deepseek-thinking"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def agent(providers: Emulators) -> AsyncIterator[Agent]:
    with tempfile.TemporaryDirectory() as folder:
        file = write_models_file(Path(folder), providers.url)
        file.write_text(file.read_text() + GEMINI_3)
        async with (
            running_gateway(
                "http://127.0.0.1:9/v1", environment=GATEWAY_KEYS, gateway_models=file
            ) as gateway,
            aiohttp.ClientSession() as http,
        ):
            yield await Api(gateway.url, http).open(100)


async def turn(agent: Agent, model: str, messages: list[Any], **more: Any) -> Any:
    body = {"model": model, "messages": messages, "tools": TOOLS, "max_tokens": 200, **more}
    reply = await agent.chat(body)
    assert reply.status == 200, reply.text
    return reply.json


def with_results(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The message as it came, and a result for each of its calls in their order."""
    return [
        message,
        *(
            {"role": "tool", "tool_call_id": call["id"], "content": f"rain {number}"}
            for number, call in enumerate(message["tool_calls"])
        ),
    ]


@pytest.mark.parametrize("provider", MODELS)
async def test_a_conversation_goes_on_where_it_began(
    providers: Emulators, agent: Agent, provider: str
) -> None:
    providers.refusals.clear()
    providers.requests.clear()
    before = await agent.account()
    first = await turn(agent, model_of(provider), [QUESTION])
    said = first["choices"][0]["message"]
    assert said["content"] is None
    assert [json.loads(each["function"]["arguments"])["city"] for each in said["tool_calls"]] == [
        "Oslo", "Rome",
    ]  # fmt: skip
    second = await turn(agent, model_of(provider), [QUESTION, *with_results(said)])
    assert second["choices"][0]["message"]["content"].endswith("It rains.")
    assert providers.refusals == []
    (_, _), (_, again) = providers.requests
    back = again["messages"][1]
    assert [each["id"] for each in back["tool_calls"]] == [
        each["id"] for each in said["tool_calls"]
    ]
    if provider in ("deepseek", "xai"):
        assert back["reasoning_content"] == THOUGHT
    if provider == "openrouter":
        assert back["reasoning_details"] == said["reasoning_details"]
    account = await agent.account()
    assert account["charges"] == before["charges"] + 2
    costs = [Decimal(str(each["usage"]["cost"])) for each in (first, second)]
    assert account["spent"] - before["spent"] == sum(costs)
    assert (sum(costs) > 0) == (provider != "ollama")


@pytest.mark.parametrize("target", TARGETS)
async def test_a_conversation_goes_on_at_another_provider(
    providers: Emulators, agent: Agent, target: str
) -> None:
    """Each one has its thinking in fields of its own, which others refuse."""
    for provider in MODELS:
        said = (await turn(agent, model_of(provider), [QUESTION]))["choices"][0]["message"]
        providers.refusals.clear()
        moved = await turn(agent, target, [QUESTION, *with_results(said)])
        assert moved["choices"][0]["message"]["content"].endswith("It rains."), provider
        assert providers.refusals == []


ONE: Any = {"type": "function", "function": {"name": "weather"}}


@pytest.mark.parametrize("choice", ["auto", "none", "required", ONE])
async def test_a_model_that_thinks_gets_no_choice_that_it_refuses(
    providers: Emulators, agent: Agent, choice: Any
) -> None:
    providers.refusals.clear()
    providers.requests.clear()
    for model in ("deepseek-plain", "deepseek-thinking"):
        await turn(agent, model, [QUESTION], tool_choice=choice)
    assert providers.refusals == []
    (_, plain), (_, thinking) = providers.requests
    assert plain["tool_choice"] == choice
    assert thinking.get("tool_choice") == (choice if choice in ("auto", "none") else None)


@pytest.mark.parametrize("provider", MODELS)
async def test_a_prompt_that_does_not_fit_is_refused_alike_and_unbilled(
    providers: Emulators, agent: Agent, provider: str
) -> None:
    providers.context_tokens = 1_000
    before = await agent.account()
    try:
        body = {"model": model_of(provider), "messages": [{**QUESTION, "content": "x" * 8_000}]}
        reply = await agent.chat({**body, "max_tokens": 200})
    finally:
        providers.context_tokens = 10**9
    assert (reply.status, reply.json["error"]["code"]) == (400, "context_length_exceeded")
    after = await agent.account()
    assert (after["spent"], after["reserved"]) == (before["spent"], before["reserved"])


def test_every_provider_has_its_rules() -> None:
    assert set(CONVERSATIONS) == set(MODELS)
