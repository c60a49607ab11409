"""`POST /v1/embeddings` with the public `openai` SDK, unmodified, and by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import openai
import pytest

from tests.emulators.embeddings_api import EmbeddingsApi
from tests.gateway.client import Agent, Api
from tests.support.gateway import running_gateway

PATH = "/v1/embeddings"


@asynccontextmanager
async def embedding(
    budget: float = 1, reports_usage: bool = True
) -> AsyncIterator[tuple[EmbeddingsApi, Api, Agent]]:
    async with (
        EmbeddingsApi(reports_usage) as upstream,
        running_gateway(upstream.url) as gateway,
        aiohttp.ClientSession() as http,
    ):
        api = Api(gateway.url, http)
        yield upstream, api, await api.open(budget)


@pytest.mark.parametrize("given", ["hello", ["hello", "you all"], [1, 2, 3], [[1, 2], [3]]])
async def test_the_unmodified_sdk_gets_vectors_and_pays_once(given: Any) -> None:
    async with embedding() as (upstream, api, agent):

        async def create() -> openai.types.CreateEmbeddingResponse:
            async with openai.AsyncOpenAI(
                base_url=f"{api.url}/v1", api_key=agent.key, max_retries=0
            ) as client:
                return await client.embeddings.create(
                    model="m", input=given, extra_headers={"Idempotency-Key": "k"}
                )

        first, again = await create(), await create()
        assert first == again
        one = isinstance(given, str) or isinstance(given[0], int)
        inputs = [given] if one else given
        assert [each.embedding for each in first.data] == [[float(len(i)), 1.0] for i in inputs]
        tokens = sum(map(len, inputs))
        assert first.usage.prompt_tokens == tokens
        account = await agent.account()
        assert float(account["spent"]) == first.usage.to_dict()["cost"] == tokens / 1e6
        assert (account["charges"], len(upstream.requests)) == (1, 1)
        assert upstream.requests[0]["encoding_format"] == "base64"


async def test_it_reserves_its_input_and_nothing_more() -> None:
    async with embedding(0.00005) as (upstream, api, agent):
        refused = await api.send("POST", PATH, {"model": "m", "input": "x" * 100}, key=agent.key)
        assert refused.status == 402
        required = round(float(refused.error["required_usd"]) * 1e6)
        assert 100 < required < 100 + 200
        assert upstream.requests == []


async def test_without_usage_the_bound_is_charged() -> None:
    async with embedding(reports_usage=False) as (_, api, agent):
        reply = await api.send("POST", PATH, {"model": "m", "input": "hello"}, key=agent.key)
        assert reply.status == 200, reply.text
        assert reply.json["usage"]["estimated"] is True
        assert (await agent.ledger())[0]["estimated"] is True


async def test_a_key_belongs_to_one_body_at_one_door() -> None:
    async with embedding() as (_, api, agent):
        body = {"model": "m", "input": "hello"}
        sent: Any = {"key": agent.key, "idempotency_key": "k"}
        assert (await api.send("POST", PATH, body, **sent)).status == 200
        assert (await api.send("POST", PATH, {**body, "input": "bye"}, **sent)).status == 409
        assert (await agent.chat(key="k")).status == 409


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input", None),
        ("input", []),
        ("input", [[]]),
        ("input", ["x", None]),
        ("input", [1.5]),
        ("input", [-1]),
        ("input", {"text": "x"}),
        ("encoding_format", "int8"),
        ("dimensions", 0),
        ("dimensions", True),
        ("user", 5),
        ("stream", True),
        ("model", "unpriced"),
    ],
)
async def test_a_wrong_field_is_named(field: str, value: Any) -> None:
    async with embedding() as (upstream, api, agent):
        body = {"model": "m", "input": "hello", field: value}
        reply = await api.send("POST", PATH, body, key=agent.key)
        assert reply.status == 400
        assert field in reply.error["message"]
        assert upstream.requests == []
