"""Generated answers of an upstream: always a documented error or an answer, and a true ledger."""

import asyncio
import gzip
import json
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from durable_agent_team.gateway.calls.answer import UpstreamResult, interpret_response
from durable_agent_team.gateway.calls.charge import BilledAnswer
from durable_agent_team.gateway.calls.chat_request import ChatRequest, parse_chat_request
from durable_agent_team.gateway.calls.relay import Relay
from durable_agent_team.gateway.calls.secret_filter import SecretFilter
from durable_agent_team.gateway.calls.streamed_answer import StreamedAnswer, from_plain_response
from durable_agent_team.gateway.keys import Scrubber
from durable_agent_team.gateway.models.model_table import ModelTable
from durable_agent_team.gateway.models.price import Price
from durable_agent_team.gateway.models.price_file import Prices
from tests.gateway.client import Agent, Api, body, events_of, streamed
from tests.support.fuzzing import count, examples
from tests.support.gateway import running_gateway
from tests.support.raw_upstream import raw_upstream, response

KEY = "sk-operator-0123456789-key"
PRICE = Price.model_validate({"input_usd_per_million": 1, "output_usd_per_million": 2})
NAMES = [
    "choices",
    "usage",
    "message",
    "delta",
    "content",
    "finish_reason",
    "index",
    "error",
    "code",
    "type",
    "cost",
    "cost_usd",
    "_meta",
    "cascade",
    "prompt_tokens",
    "completion_tokens",
    "tool_calls",
    "id",
    "model",
    "created",
    "object",
]

numbers = st.sampled_from(
    [
        "0",
        "1",
        "5",
        "20",
        "-1",
        "0.5",
        "1e-7",
        "1e999",
        "-1e999",
        "1e999999",
        "NaN",
        "Infinity",
        "-Infinity",
        "9223372036854775808",
        "1000000000000",
        "18446744073709551616",
        "-0.0",
        "1e308",
    ]
) | st.just("9" * 400)
texts = st.sampled_from(
    ["", "a", "stop", "[DONE]", KEY, "1_0", "٣", "1e999999", "\u2028", "data: x\n\n", "\x1b]0;x"]
).map(json.dumps) | st.sampled_from([r'"\ud800"', r'"\u0000"', '"' + "9" * 400 + '"'])
scalars = numbers | texts | st.sampled_from(["true", "false", "null"])


def as_object(items: list[tuple[str, str]]) -> str:
    """With the names in their order; one can occur twice."""
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in items) + "}"


def containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lists = st.lists(inner, max_size=3).map(lambda each: "[" + ",".join(each) + "]")
    objects = st.lists(st.tuples(st.sampled_from(NAMES), inner), max_size=5).map(as_object)
    return lists | objects


anything = st.recursive(scalars, containers, max_leaves=12)
usages = st.tuples(numbers, numbers, scalars).map(
    lambda each: as_object(
        [("prompt_tokens", each[0]), ("completion_tokens", each[1]), ("cost", each[2])]
    )
)


def answers(part: str) -> st.SearchStrategy[str]:
    """Nearly an answer: its text in `message` or `delta`, and anything in every other place."""
    choice = st.tuples(anything, scalars).map(
        lambda each: as_object(
            [(part, as_object([("content", each[0])])), ("finish_reason", each[1])]
        )
    )
    good = st.lists(choice, min_size=1, max_size=2)
    choices = st.one_of(good, good, good, st.lists(anything, max_size=2)).map(
        lambda each: "[" + ",".join(each) + "]"
    )
    more = st.lists(st.tuples(st.sampled_from(NAMES), anything), max_size=2)
    return st.tuples(choices, usages | anything, more).map(
        lambda each: as_object([("choices", each[0]), ("usage", each[1]), *each[2]])
    )


deep = st.integers(50, 5_000).map(lambda levels: '{"a":' * levels + "1" + "}" * levels)
plain = st.one_of(answers("message"), answers("message"), anything, deep).map(
    lambda text: text.encode()
) | st.binary(max_size=40)
chunks = st.one_of(answers("delta"), answers("delta"), anything, deep).map(
    lambda text: b"data: " + text.encode() + b"\n\n"
)
streams = st.lists(
    chunks | st.sampled_from([b"data: [DONE]\n\n", b": heartbeat\n\n", b"event: error\n", b"\r"]),
    max_size=6,
)
statuses = st.one_of(
    st.just(200), st.sampled_from([200, 201, 204, 302, 400, 401, 402, 429, 500, 503, 529, 999])
)
FUZZ = settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)


def chat_request(stream: bool, usage: bool = True) -> ChatRequest:
    raw = json.dumps(streamed(usage=usage) if stream else body()).encode()
    return parse_chat_request(raw, ModelTable.of(Prices(Path("prices.toml"), {"m": PRICE})))


def strict_json(raw: bytes) -> Any:
    """As a client with a strict parser reads it."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    text = raw.decode()
    data = json.loads(text, parse_constant=refuse)
    json.dumps(data, ensure_ascii=False, allow_nan=False).encode()  # no half surrogates, no 1e999
    return data


def assert_documented(result: UpstreamResult, request: ChatRequest) -> None:
    if isinstance(result, BilledAnswer):
        assert 0 <= result.amount <= request.bound
        assert result.amount > 0 or not result.estimated
        assert 0 <= result.overrun < 10**15
        assert result.status == 200 or 400 <= result.status < 600
        if result.status == 200:
            return
        error = strict_json(result.body)["error"]
    else:
        assert 400 <= result.error.status < 600
        error = strict_json(result.error.body())["error"]
        assert all(each.isprintable() for each in result.error.headers.values())
    assert {"message", "type", "code"} <= error.keys()
    assert len(error["message"]) < 3_000
    assert all(isinstance(error[name], str) for name in ("message", "type", "code"))


def promised(raw: bytes) -> bool:
    """Whether a strict reader finds choices with messages and plausible usage: that was billed."""
    try:
        data = strict_json(raw)
        found = [data["usage"][name] for name in ("prompt_tokens", "completion_tokens")]
        good = all(type(each) is int and 0 < each < 10**6 for each in found)
        return good and all(isinstance(each["message"], dict) for each in data["choices"])
    except (AssertionError, ValueError, KeyError, TypeError, RecursionError):
        return False


@pytest.mark.fuzz
@FUZZ
@given(statuses, plain, st.booleans())
@example(200, b'{"choices":[{"message":{"content":"a"}}],"created":1e999}', False)
def test_any_plain_answer_is_charged_or_a_documented_error(
    status: int, raw: bytes, stream: bool
) -> None:
    async def interpret() -> tuple[UpstreamResult, bytes]:
        relay = Relay(keep=True)
        clean = SecretFilter(Scrubber(KEY)).body(raw)
        headers = {"retry-after": "7\r\nX: y"}
        if not stream:
            return interpret_response(status, headers, clean, request), b""
        result = from_plain_response(status, headers, clean, request, relay)
        relay.add(getattr(result, "tail", b""))
        relay.close()
        return result, b"".join([piece async for piece in relay.read()])

    request = chat_request(stream)
    result, seen = asyncio.run(interpret())
    assert_documented(result, request)
    if isinstance(result, BilledAnswer):
        assert KEY.encode() not in result.body + seen
        if result.body:
            strict_json(result.body)
    elif status == 200:
        assert not promised(raw)


@pytest.mark.fuzz
@FUZZ
@given(streams, st.sampled_from(["clean", "broken", "cut"]), st.booleans())
def test_any_stream_is_charged_or_a_documented_error(
    pieces: list[bytes], ending: str, usage: bool
) -> None:
    async def play() -> tuple[UpstreamResult, bytes]:
        relay = Relay(keep=True)
        answer = StreamedAnswer(request, relay, SecretFilter(Scrubber(KEY)))
        for piece in pieces:
            answer.feed(piece)
        if ending == "clean":
            answer.end_of_stream()
        result = answer.result(cut=ending == "cut")
        relay.add(getattr(result, "tail", b""))
        relay.close()
        return result, b"".join([piece async for piece in relay.read()])

    request = chat_request(True, usage)
    result, seen = asyncio.run(play())
    assert_documented(result, request)
    assert KEY.encode() not in seen
    for line in seen.split(b"\n"):
        if line.startswith(b"data: ") and line != b"data: [DONE]":
            strict_json(line.removeprefix(b"data: "))


def over_http() -> st.SearchStrategy[bytes]:
    """Whole responses, some of them cut, packed or with a byte replaced."""

    def build(status: int, stream: bool, raw: bytes, pieces: list[bytes], packed: bool) -> bytes:
        kind = "text/event-stream" if stream else "application/json"
        content = b"".join(pieces) if stream else raw
        headers = {"Content_Encoding": "gzip"} if packed else {}
        content = gzip.compress(content) if packed else content
        return response(content, f"{status} X", kind, Retry_After="7", **headers)

    def damage(each: tuple[bytes, int, int, bytes]) -> bytes:
        whole, what, where, byte = each
        where %= len(whole)
        cut, replaced = whole[:where], whole[:where] + byte + whole[where + 1 :]
        return {0: cut, 1: replaced, 2: whole + byte}.get(what, whole)

    built = st.builds(build, statuses, st.booleans(), plain, streams, st.booleans())
    damaged = st.tuples(
        built, st.integers(0, 6), st.integers(0, 10**6), st.binary(min_size=1, max_size=3)
    )
    return damaged.map(damage)


class OneAnswer:
    """The answer to every request, until it is replaced."""

    def __init__(self) -> None:
        self.answer = b""

    def __iter__(self) -> Iterator[bytes]:
        yield self.answer


@pytest.mark.fuzz
def test_the_ledger_is_true_whatever_an_upstream_sends(tmp_path: Path) -> None:
    upstream, database = OneAnswer(), tmp_path / "gateway.db"
    agents: list[Agent] = []
    number = 0

    @settings(FUZZ, max_examples=examples(100))
    @given(over_http(), st.booleans())
    def call(answer: bytes, stream: bool) -> None:
        nonlocal number
        upstream.answer, number = answer, number + 1
        count("answers of an upstream over HTTP")
        loop.run_until_complete(check(agents[0], f"k{number}", stream, database))

    async def run() -> None:
        async with (
            raw_upstream(upstream) as url,
            running_gateway(url, upstream_api_key=KEY, database=database) as gateway,
            aiohttp.ClientSession() as http,
        ):
            agents.append(await Api(gateway.url, http).open(1_000))
            ready.set()
            await done.wait()

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        ready, done = asyncio.Event(), asyncio.Event()
        running = loop.create_task(run())
        loop.run_until_complete(asyncio.wait_for(ready.wait(), 10))
        try:
            call()
        finally:
            done.set()
            loop.run_until_complete(running)


async def check(agent: Agent, key: str, stream: bool, database: Path) -> None:
    replies = [await agent.chat(streamed() if stream else body(), key=key) for _ in range(2)]
    for reply in replies:
        assert KEY not in f"{reply.text}{reply.headers}"
        if reply.headers["content-type"].startswith("application/json"):
            data = strict_json(reply.text.encode())
        else:
            last = events_of(reply.text)[-1]
            data = last if isinstance(last, dict) else {}
            assert last == "[DONE]" or data["error"]["status"] >= 400
        assert reply.status == 200 or {"message", "type", "code"} <= data["error"].keys()
        error = data.get("error")  # of a 200, whatever the upstream has put there
        assert not isinstance(error, dict) or error.get("code") != "internal"
    query = "SELECT budget, spent, reserved FROM accounts"
    with sqlite3.connect(database) as connection:
        budget, spent, reserved = connection.execute(query).fetchone()
        total = connection.execute("SELECT coalesce(sum(amount), 0) FROM ledger").fetchone()[0]
    assert (spent, reserved) == (total, 0)
    assert spent <= budget
    paid = [each for each in replies if each.headers.get("x-idempotent-replay")]
    lines = await agent.ledger(f"?idempotency_key={key}")
    assert len(lines) == bool(lines)
    assert not paid or lines
    assert all(Decimal(0) <= line["amount"] for line in lines)
