"""What is charged and what the client sees, whatever an upstream streams and however it ends."""

import asyncio
import json
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.calls.answer import FailedCall
from durable_agent_team.gateway.calls.charge import BilledAnswer
from durable_agent_team.gateway.calls.chat_request import ChatRequest, parse_chat_request
from durable_agent_team.gateway.calls.relay import Relay
from durable_agent_team.gateway.calls.streamed_answer import StreamedAnswer
from durable_agent_team.gateway.models.model_table import ModelTable
from durable_agent_team.gateway.models.price import Price
from durable_agent_team.gateway.models.price_file import Prices
from tests.gateway.client import content_of, events_of, streamed

PRICE = Price.model_validate({"input_usd_per_million": 1, "output_usd_per_million": 2})
GOOD = {"prompt_tokens": 20, "completion_tokens": 5}

texts = st.sampled_from(["", "a", "usage", '"usage":', "data: x\n\n", "[DONE]", "é\u2028"])
usages = st.sampled_from([None, {}, GOOD, {**GOOD, "cost": 0}, {**GOOD, "cost": 0.5}, "junk", 7])
reasons = st.sampled_from([None, None, None, "stop", "error"])
chunks = st.builds(
    lambda text, reason, more: {
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}],
        **more,
    },
    texts,
    reasons,
    st.one_of(st.just({}), st.builds(lambda usage: {"usage": usage}, usages)),
)
others = st.one_of(
    st.builds(lambda usage: {"choices": [], "usage": usage}, usages),
    st.just({"error": {"message": "boom"}}),
    st.just({"choices": []}),
    st.just({"cost_usd": 0.5}),
    st.just({"choices": [{"index": 0}], "_meta": {"cascade": {"cost_usd": 0.5}}}),
)
malformed = ["data: {\n\n", "data: [1]\n\n", 'data: {"choices": "junk"}\n\n']
malformed += ['data: {"choices": [5]}\n\n', 'data: {"choices": [{"delta": 5}]}\n\n']
written = st.one_of(
    chunks.map(lambda data: f"data: {json.dumps(data)}\n\n"),
    others.map(lambda data: f"data: {json.dumps(data)}\n\n"),
    st.sampled_from([": heartbeat\n\n", "data: [DONE]\n\n", *malformed]),
)
endings = st.sampled_from(["clean", "broken", "cut"])


def chat_request(usage: bool) -> ChatRequest:
    raw = json.dumps(streamed(usage=usage)).encode()
    return parse_chat_request(raw, ModelTable.of(Prices(Path("prices.toml"), {"m": PRICE})))


def play(
    pieces: list[str], ending: str, usage: bool
) -> tuple[StreamedAnswer, BilledAnswer | FailedCall, str]:
    """Returns the result, and what the client got, including the tail."""

    async def passed_on() -> tuple[StreamedAnswer, BilledAnswer | FailedCall, str]:
        relay = Relay(keep=True)
        streamed_answer = StreamedAnswer(chat_request(usage), relay)
        for piece in pieces:
            streamed_answer.feed(piece.encode())
        if ending == "clean":
            streamed_answer.end_of_stream()
            result = streamed_answer.result()
        else:
            error = ApiError(502, "upstream_error", ending, ending)
            result = streamed_answer.result(FailedCall(error), cut=ending == "cut")
        if isinstance(result, BilledAnswer):
            relay.add(result.tail)
        relay.close()
        return streamed_answer, result, b"".join([piece async for piece in relay.read()]).decode()

    return asyncio.run(passed_on())


@given(st.lists(written, max_size=8), endings, st.booleans())
@example(["data: [DONE]\n\n"], "clean", True)
@example([f"data: {json.dumps({'usage': GOOD})}\n\n"], "clean", True)
def test_what_the_client_received_is_charged_up_to_the_bound(
    pieces: list[str], ending: str, usage: bool
) -> None:
    streamed_answer, result, seen = play(pieces, ending, usage)
    whole = seen.endswith("data: [DONE]\n\n")
    assert whole == (isinstance(result, BilledAnswer) and result.status == 200)
    text = content_of(events_of(seen))
    if isinstance(result, BilledAnswer):
        assert 0 < result.amount <= streamed_answer.request.bound
        assert result.estimated == (result.prompt_tokens == 0)
    else:
        assert not (text and ending == "cut" and result.error.code == "cut")
    if usage and whole:
        assert events_of(seen)[-2]["usage"]["cost"] > 0


@given(st.lists(written, max_size=8), endings, st.booleans())
def test_the_client_gets_every_chunk_but_not_the_upstream_cost(
    pieces: list[str], ending: str, usage: bool
) -> None:
    _, result, seen = play(pieces, ending, usage)
    body = seen[: -len(result.tail)] if isinstance(result, BilledAnswer) and result.tail else seen
    sent = []
    for piece in pieces:
        if piece in malformed or "[DONE]\n" in piece or '"boom"' in piece:
            break
        sent.extend(events_of(piece))
    assert content_of(events_of(body)) == content_of(sent)
    for event in events_of(body):
        assert not event.get("usage")
        assert "0.5" not in json.dumps(event)


@given(st.lists(st.binary(max_size=60), max_size=6), endings, st.booleans())
def test_any_bytes_can_be_parsed(pieces: list[bytes], ending: str, usage: bool) -> None:
    async def read() -> None:
        streamed_answer = StreamedAnswer(chat_request(usage), Relay(keep=True))
        for piece in pieces:
            streamed_answer.feed(b"data: " + piece + b"\n\n")
        streamed_answer.end_of_stream()
        streamed_answer.result(cut=ending == "cut")

    asyncio.run(read())
