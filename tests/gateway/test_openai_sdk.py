"""The public `openai` SDK, unchanged, against the gateway."""

import openai
import pytest

from tests.gateway.client import world
from tests.support.upstream import Rule

SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"tone": {"enum": ["plain", "warm"]}},
    "required": ["tone"],
}


async def test_the_sdk_works_as_it_is() -> None:
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
