"""The public `openai` SDK, unmodified, against the gateway."""

import asyncio

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from tests.gateway.client import Agent, World, world
from tests.support.upstream import Rule

SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"tone": {"enum": ["plain", "warm"]}},
    "required": ["tone"],
}


async def test_the_unmodified_sdk_works() -> None:
    async with world() as w:
        agent = await w.api.open()
        async with openai.AsyncOpenAI(
            base_url=w.gateway.base_url, api_key=agent.key, max_retries=0
        ) as client:
            answer = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "hello"}]
            )
            assert answer.choices[0].message.content == "ok"
            assert answer.usage is not None
            assert answer.usage.model_dump()["cost"] > 0
            shaped = await client.chat.completions.create(
                model="m",
                messages=[{"role": "user", "content": "hello"}],
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": SCHEMA, "strict": True},
                },
                max_completion_tokens=20,
                temperature=0,
                seed=7,
                extra_headers={"Idempotency-Key": "k"},
            )
            assert shaped.choices[0].message.content == '{"tone": "plain"}'
            assert (await client.models.retrieve("m")).id == "m"
            with pytest.raises(openai.NotFoundError):
                await client.models.retrieve("unpriced")
            assert [model.id async for model in client.models.list()] == ["smollm2-135m", "m"]


async def test_the_sdk_raises_its_own_errors() -> None:
    async with world(Rule(status=429, times=1), Rule(status=500, times=1)) as w:
        agent = await w.api.open("0.0005")
        async with openai.AsyncOpenAI(
            base_url=w.gateway.base_url, api_key=agent.key, max_retries=0
        ) as client:

            async def call(model: str = "m", max_tokens: int = 5) -> None:
                await client.chat.completions.create(
                    model=model,
                    messages=[{"role": "user", "content": "hello"}],
                    max_tokens=max_tokens,
                )

            with pytest.raises(openai.RateLimitError):
                await call()
            with pytest.raises(openai.InternalServerError):
                await call()
            with pytest.raises(openai.BadRequestError, match="input_usd_per_million"):
                await call("unpriced")
            with pytest.raises(openai.APIStatusError) as refused:
                await call(max_tokens=1_000)
            assert refused.value.status_code == 402
            assert refused.value.code == "budget_exhausted"
            client.api_key = "wrong"
            with pytest.raises(openai.AuthenticationError):
                await call()


def sdk(w: World, agent: Agent) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=w.gateway.base_url, api_key=agent.key, max_retries=0)


async def start_stream(
    client: openai.AsyncOpenAI, key: str = "k", max_tokens: int = 10
) -> openai.AsyncStream[ChatCompletionChunk]:
    return await client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": "hello"}],
        max_tokens=max_tokens,
        stream=True,
        stream_options={"include_usage": True},
        extra_headers={"Idempotency-Key": key},
    )


def content(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


async def test_the_unmodified_sdk_streams() -> None:
    async with world(Rule(text="one two three", heartbeat="working")) as w:
        agent = await w.api.open()
        async with sdk(w, agent) as client:
            first = [chunk async for chunk in await start_stream(client)]
            again = [chunk async for chunk in await start_stream(client)]
        assert content(first) == "one two three"
        assert first == again
        assert [chunk.usage for chunk in first[:-1]] == [None] * (len(first) - 1)
        usage = first[-1].usage
        assert usage is not None
        assert usage.model_dump()["cost"] == float((await agent.account())["spent"]) > 0
        assert w.upstream.count == 1


async def test_the_sdks_stream_helper_assembles_the_answer() -> None:
    async with world(Rule(text="one two three")) as w:
        agent = await w.api.open()
        async with (
            sdk(w, agent) as client,
            client.chat.completions.stream(
                model="m", messages=[{"role": "user", "content": "hello"}]
            ) as stream,
        ):
            answer = await stream.get_final_completion()
        assert answer.choices[0].message.content == "one two three"


async def test_a_stream_closed_early_is_charged_and_can_be_replayed() -> None:
    gate = asyncio.Event()
    async with world(Rule(text="one two three", gate=gate)) as w:
        agent = await w.api.open()
        async with sdk(w, agent) as client:
            async with await start_stream(client) as stream:
                assert (await anext(stream)).choices[0].delta.content
            gate.set()
            await agent.until_reserved(False)
            assert (await agent.account())["charges"] == 1
            assert content([chunk async for chunk in await start_stream(client)]) == "one two three"
        assert w.upstream.count == 1


async def test_the_sdk_raises_errors_in_a_stream() -> None:
    reported = {"error": {"message": "boom", "code": "busy"}}
    async with world(Rule(stream_error=reported, times=1), Rule(status=429, times=1)) as w:
        agent = await w.api.open("0.0005")
        async with sdk(w, agent) as client:
            with pytest.raises(openai.APIError, match="boom") as broken:
                [chunk async for chunk in await start_stream(client)]
            assert broken.value.code == "busy"
            with pytest.raises(openai.RateLimitError):
                await start_stream(client)
            with pytest.raises(openai.APIStatusError) as refused:
                await start_stream(client, "expensive", 1_000)
            assert refused.value.status_code == 402
            assert content([chunk async for chunk in await start_stream(client)]) == "ok"
