"""An upstream that answers in the format of another API: charged once, and the operator is told."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_agent_team.gateway.calls.foreign_formats import foreign_error
from tests.gateway.client import body, error_of, streamed
from tests.gateway.test_odd_spoken_answers import agent_of, answer, events, message, said

Json = dict[str, Any]
PARTS = {"role": "model", "parts": [{"text": "hi"}]}
GEMINI = {
    "candidates": [{"content": PARTS, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 2, "thoughtsTokenCount": 3},
    "modelVersion": "gemini-2.5-pro",
}
CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 20, "outputTokens": 5, "totalTokens": 25},
    "metrics": {"latencyMs": 900},
}
COHERE = {
    "id": "c1",
    "finish_reason": "COMPLETE",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "hi"}]},
    "usage": {
        "billed_units": {"input_tokens": 20, "output_tokens": 5},
        "tokens": {"input_tokens": 90, "output_tokens": 5},
    },
}
OLLAMA = {"model": "x", "message": {"role": "assistant", "content": "hi"}, "done": True}
MESSAGE = message([{"type": "text", "text": "hi"}])
RESPONSE = answer(said("hi"), status="completed")
FORMATS = [
    (GEMINI, "Gemini's generateContent", "generativelanguage.googleapis.com/v1beta/openai"),
    (CONVERSE, "Amazon Bedrock's Converse", "amazonaws.com/openai/v1"),
    (COHERE, "Cohere's Chat", "api.cohere.ai/compatibility/v1"),
    (MESSAGE, "Anthropic's Messages", 'speaks = "messages"'),
    (RESPONSE, "OpenAI's Responses", 'speaks = "responses"'),
]


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(("sent", "name", "remedy"), FORMATS)
async def test_it_is_charged_once_and_names_format_and_remedy(
    sent: Json, name: str, remedy: str, streams: bool, tmp_path: Path
) -> None:
    async with agent_of("chat", json.dumps(sent).encode(), tmp_path) as agent:
        asked = streamed() if streams else body()
        for _ in range(2):
            error = error_of(await agent.chat({**asked, "model": "odd"}, key="k"))
            assert (error["status"], error["code"]) == (502, "upstream_format")
            assert f"The upstream answered 200 in the format of {name}" in error["message"]
            assert remedy in error["message"]
        (line,) = await agent.ledger()
        assert (line["amount"], line["estimated"]) == (Decimal("0.00003"), False)
        assert (await agent.account())["possibly_billed_calls"] == 0


def delta(text: str) -> Json:
    return {"message": {"content": {"text": text}}}


STREAMS: dict[str, list[Json]] = {
    "Gemini's generateContent": [
        {"candidates": [{"content": PARTS}], "usageMetadata": {"promptTokenCount": 20}},
        {"usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 1}, "candidates": []},
        GEMINI,
    ],
    "Amazon Bedrock's Converse": [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "hi"}}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": CONVERSE["usage"]}},
    ],
    "Cohere's Chat": [
        {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
        {"type": "content-delta", "index": 0, "delta": delta("hi")},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": COHERE["usage"]}},
    ],
    "Anthropic's Messages": [
        {"type": "message_start", "message": {**MESSAGE, "content": []}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": MESSAGE["usage"]},
        {"type": "message_stop"},
    ],
    "OpenAI's Responses": [
        {"type": "response.created", "response": {**answer(), "usage": None}},
        {"type": "response.output_text.delta", "delta": "hi"},
        {"type": "response.completed", "response": RESPONSE},
    ],
}


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_is_read_to_its_end_and_not_passed_on(name: str, tmp_path: Path) -> None:
    sent = events(*({"type": "event", **each} for each in STREAMS[name]))
    async with agent_of("chat", sent, tmp_path) as agent:
        reply = await agent.chat({**streamed(), "model": "odd"}, key="k")
        error = error_of(reply)
        assert (error["status"], error["code"]) == (502, "upstream_format")
        assert f"The upstream streamed in the format of {name}" in error["message"]
        assert '"hi"' not in reply.text
        (line,) = await agent.ledger()
        assert (line["amount"], line["estimated"]) == (Decimal("0.00003"), False)


async def test_without_usage_it_may_have_been_billed(tmp_path: Path) -> None:
    async with agent_of("chat", json.dumps(OLLAMA).encode(), tmp_path) as agent:
        error = error_of(await agent.chat(body(model="odd"), key="k"))
        assert error["code"] == "upstream_format"
        assert "http://127.0.0.1:11434/v1" in error["message"]
        assert error["possibly_billed_usd"] > 0
        account = await agent.account()
        assert (account["spent"], account["possibly_billed_calls"]) == (0, 1)
        assert account["interrupted"] == {"malformed_answer": 1}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"choices": [{}], "candidates": []},
        {"message": "try again"},
        {"message": {"text": "no"}},
        {"output": []},
        {"type": 5, "object": "chat.completion"},
        {"object": "chat.completion.chunk", "choices": []},
        {"usage": {"inputTokens": 1}},
    ],
)
def test_what_is_none_of_them_is_none(data: Json) -> None:
    assert foreign_error(data, "") is None
