"""Every provider streams through the gateway, and is charged the same as without a stream."""

import pytest
from openai import AsyncOpenAI

from tests.emulators.models import MODELS, model_of
from tests.emulators.server import Emulators
from tests.support.packages import Rooms


@pytest.mark.parametrize("provider", MODELS)
async def test_a_stream_has_the_answer_and_the_same_charge(
    rooms: Rooms, providers: Emulators, provider: str
) -> None:
    providers.refusals.clear()
    answer = await rooms.http.post(
        f"{rooms.gateway.base_url}/agents",
        json={"name": f"stream-{provider}", "budget": 1},
        headers={"Authorization": f"Bearer {rooms.gateway.parent_key}"},
    )
    key = answer.json()["api_key"]
    async with AsyncOpenAI(base_url=rooms.gateway.base_url, api_key=key, max_retries=0) as client:
        asked = {
            "model": model_of(provider),
            "messages": [{"role": "user", "content": "List the prices of copper."}],
            "max_tokens": 60,
            "temperature": 0,
        }
        plain = await client.chat.completions.create(**asked)  # type: ignore[call-overload]
        stream = await client.chat.completions.create(  # type: ignore[call-overload]
            **asked, stream=True, stream_options={"include_usage": True}
        )
        text, usage = "", None
        async for chunk in stream:
            usage = chunk.usage or usage
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
    assert providers.refusals == []
    assert text == plain.choices[0].message.content
    assert "9.5 USD" in text
    assert usage is not None
    assert usage.model_dump()["cost"] == plain.usage.model_dump()["cost"]
    assert not usage.model_dump().get("estimated")
