"""Counts of a usage that come as `12.0` or as texts: read where they can mean nothing else."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_agent_team.gateway.calls.charge import ReportedUsage
from durable_agent_team.gateway.models.token_usage import TokenUsage, read_usage
from tests.gateway.client import body, streamed
from tests.gateway.test_odd_spoken_answers import agent_of, answer, events, message, said
from tests.gateway.test_token_usage import ANTHROPIC, DEEPSEEK, GEMINI_MEDIA, OPENAI, RESPONSES

Json = dict[str, Any]
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
DELTA = {"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}
SPELLED = [20.0, "20", " 20 ", "20.0", "20.", "020"]
NOT_SPELLED = ["2e1", "20.5", 20.5, "1,20", "20 tokens", "", "٢٠", "0x14", "1_0", "-20", "NaN"]


def whole(speaks: str, prompt: Any, completion: Any) -> bytes:
    spoken = {"input_tokens": prompt, "output_tokens": completion}
    chat = {"prompt_tokens": prompt, "completion_tokens": completion}
    found: dict[str, Json] = {
        "chat": {"choices": [CHOICE], "usage": chat},
        "messages": {**message([{"type": "text", "text": "hi"}]), "usage": spoken},
        "responses": {**answer(said("hi"), status="completed"), "usage": spoken},
    }
    return json.dumps(found[speaks]).encode()


def stream(speaks: str, prompt: Any, completion: Any) -> bytes:
    spoken = {"input_tokens": prompt, "output_tokens": completion}
    if speaks == "chat":
        chat = {"prompt_tokens": prompt, "completion_tokens": completion}
        chunk = json.dumps({"choices": [DELTA], "usage": chat})
        return f"event: chunk\ndata: {chunk}\n\ndata: [DONE]\n\n".encode()
    if speaks == "messages":
        begun = {**message([], stop=None), "usage": {"input_tokens": prompt, "output_tokens": "1"}}
        text = {"type": "text_delta", "text": "hi"}
        return events(
            {"type": "message_start", "message": begun},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}},
            {"type": "content_block_delta", "index": 0, "delta": text},
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"input_tokens": "0", "output_tokens": completion},
            },
            {"type": "message_stop"},
        )
    done = {**answer(said("hi"), status="completed"), "usage": spoken}
    return events({"type": "response.completed", "response": done})


@pytest.mark.parametrize("speaks", ["chat", "messages", "responses"])
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("count", SPELLED)
async def test_a_count_in_another_spelling_is_charged_exactly(
    speaks: str, streams: bool, count: Any, tmp_path: Path
) -> None:
    sent = (stream if streams else whole)(speaks, count, 5)
    async with agent_of(speaks, sent, tmp_path) as agent:
        asked = streamed(usage=True) if streams else body()
        reply = await agent.chat({**asked, "model": "odd", "max_tokens": 50})
        assert reply.status == 200, reply.text
        (line,) = await agent.ledger()
        assert (line["amount"], line["estimated"]) == (Decimal("0.00003"), False)
        shown = reply.events[-2]["usage"] if streams else reply.json["usage"]
        assert (shown["prompt_tokens"], shown["completion_tokens"]) == (20, 5)


@pytest.mark.parametrize("speaks", ["chat", "messages", "responses"])
@pytest.mark.parametrize("count", NOT_SPELLED)
async def test_what_is_no_whole_number_is_charged_the_bound(
    speaks: str, count: Any, tmp_path: Path
) -> None:
    async with agent_of(speaks, whole(speaks, 20, count), tmp_path) as agent:
        reply = await agent.chat(body(model="odd", max_tokens=50))
        assert reply.status == 200, reply.text
        (line,) = await agent.ledger()
        assert line["estimated"]
        assert line["amount"] > Decimal("0.0001")


def in_texts(usage: Any, spell: Any) -> Any:
    if isinstance(usage, dict):
        return {name: in_texts(each, spell) for name, each in usage.items()}
    if isinstance(usage, list):
        return [in_texts(each, spell) for each in usage]
    return spell(usage) if isinstance(usage, int) else usage


@pytest.mark.parametrize("spell", [float, str])
@pytest.mark.parametrize("usage", [OPENAI, ANTHROPIC, DEEPSEEK, RESPONSES, GEMINI_MEDIA])
def test_every_kind_is_read_in_another_spelling(usage: Json, spell: Any) -> None:
    reported = ReportedUsage()
    reported.add({"usage": in_texts(usage, spell)})
    assert reported.valid(has_content=True) == read_usage(usage)


def test_the_larger_of_two_spellings_counts_and_costs_stay_as_they_are() -> None:
    reported = ReportedUsage()
    usage = {"prompt_tokens": "20", "completion_tokens": "9", "total_tokens": "29", "cost": "1.0"}
    reported.add({"usage": usage})
    reported.add({"usage": {"prompt_tokens": 0.0, "completion_tokens": 7}})
    assert reported.valid(has_content=True) == TokenUsage(20, 9)
    assert reported.fields["usage"]["cost"] == "1.0"


COHERE = {
    "billed_units": {"input_tokens": 5, "output_tokens": 418},
    "tokens": {"input_tokens": 71, "output_tokens": 420},
}


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (COHERE, TokenUsage(5, 418)),
        ({**COHERE, "cached_tokens": 4}, TokenUsage(5, 418, 4)),
        ({**COHERE, "billed_units": None}, TokenUsage(71, 420)),
        ({**COHERE, "billed_units": {"search_units": 1}}, TokenUsage(71, 420)),
        ({**COHERE, "billed_units": {"input_tokens": 0, "output_tokens": 0}}, TokenUsage(71, 420)),
        ({"tokens": {"input_tokens": "x", "output_tokens": 1}}, None),
        ({**COHERE, "prompt_tokens": 80, "completion_tokens": 7}, TokenUsage(80, 418)),
    ],
)
def test_what_cohere_bills_is_read(usage: Json, read: TokenUsage | None) -> None:
    assert read_usage(usage) == read


def test_a_usage_that_a_client_has_written_gives_no_discount() -> None:
    """In `metadata`, which some upstreams return."""
    reported = ReportedUsage()
    own = {"prompt_tokens": 20, "completion_tokens": 5}
    written = {**own, "prompt_tokens_details": {"cached_tokens": 20}}
    reported.add({"choices": [CHOICE], "usage": own, "metadata": {"usage": written}})
    assert reported.valid(has_content=True) == TokenUsage(20, 5)
