# ruff: noqa: PT017  what is refused is one of two outcomes
"""Generated requests at every door for models of every dialect, and generated answers back: always
translated, or refused by name, in a time that grows no faster than the text.
"""

import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable_agent_team.gateway.api.door import Door, DoorAnswer
from durable_agent_team.gateway.api.door_routes import MESSAGES as MESSAGES_DOOR
from durable_agent_team.gateway.api.door_routes import RESPONSES as RESPONSES_DOOR
from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.calls.chat_request import (
    ChatRequest,
    bounded_request,
    door_hash,
    parse_chat_request,
    read_object,
)
from durable_agent_team.gateway.calls.embedding_request import parse_embedding_request
from durable_agent_team.gateway.calls.spoken import ChatStream, chat_body
from durable_agent_team.gateway.calls.tool_call_ids import StreamedIds
from durable_agent_team.gateway.doors.from_messages_answer import ChatChunks
from durable_agent_team.gateway.doors.from_responses_events import ResponseChunks
from durable_agent_team.gateway.models.model_table import ModelTable
from durable_agent_team.gateway.strict_json import parse_request
from tests.gateway import generated_bodies as generated
from tests.gateway.client import body
from tests.gateway.test_model_table import table
from tests.gateway.test_upstream_fuzz import anything, as_object, scalars, strict_json
from tests.support.cpu_time import cpu_within
from tests.support.fuzzing import count, examples

Json = dict[str, Any]
PRESETS = ["gpt-5-mini", "gemini-2.5-flash", "deepseek-chat", "mistral-large-2512", "grok-4.5"]
TRANSLATED = ["claude", "gpt-6-luna"]
MODELS_FILE = """
[upstreams.claude]
url = "http://127.0.0.1:9/v1"
key_env = "OPENAI_API_KEY"
speaks = "messages"
[models.claude]
upstream = "claude"
input_usd_per_million = 1
output_usd_per_million = 2
context_tokens = 200000
[models.gpt-6-luna]
upstream = "openai"
speaks = "responses"
"""
FUZZ = settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)


@cache
def models() -> ModelTable:
    """One model of each dialect, one whose upstream speaks Messages, and one asked in Responses."""
    names = ("OPENAI", "GEMINI", "DEEPSEEK", "XAI", "MISTRAL")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "models.toml"
        path.write_text(MODELS_FILE)
        found = table({f"{name}_API_KEY": "k" for name in names}, path)
    assert all(found.find(name) for name in (*PRESETS, *TRANSLATED))
    return found


def at_door(door: Door) -> Callable[[bytes], ChatRequest]:
    def read(raw: bytes) -> ChatRequest:
        sent = read_object(raw)
        return bounded_request(door.to_chat(sent), models(), door_hash(door.path, sent))

    return read


DOORS: dict[str, tuple[list[Json], Callable[[bytes], ChatRequest]]] = {
    "chat": (generated.CHATS, lambda raw: parse_chat_request(raw, models())),
    "responses": (generated.RESPONSES, at_door(RESPONSES_DOOR)),
    "messages": (generated.MESSAGES, at_door(MESSAGES_DOOR)),
    "embeddings": (generated.EMBEDDINGS, lambda raw: parse_embedding_request(raw, models())),
}


def checked(read: Callable[[bytes], ChatRequest], raw: bytes) -> ChatRequest | None:
    """What would be sent upstream is JSON; what is refused says so in the documented shape."""
    try:
        request = read(raw)
    except ApiError as refused:
        assert 400 <= refused.status < 500
        assert len(strict_json(refused.body())["error"]["message"]) < 1_000
        return None
    strict_json(request.body)
    return request


@pytest.mark.fuzz
@pytest.mark.parametrize("door", DOORS)
def test_every_request_is_translated_or_refused_by_name(door: str) -> None:
    correct, read = DOORS[door]

    @FUZZ
    @given(generated.changed(correct), st.sampled_from([*PRESETS, *TRANSLATED]))
    def holds(data: Json, model: str) -> None:
        if data.get("model") == "m":
            data["model"] = model
        count(f"requests translated: {door}")
        checked(read, generated.written(data).encode(errors="surrogatepass"))

    holds()


def with_schema(schema: Json) -> Json:
    wanted = {"type": "json_schema", "json_schema": {"name": "o", "schema": schema}}
    return {**body(), "response_format": wanted}


def with_arguments(arguments: str) -> Json:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    user = {"role": "user", "content": "x"}
    return {**body(), "messages": [user, said]}


A = {"a": {"type": "string"}}
NONSENSE: dict[str, Json] = {
    "required, no list": with_schema({"type": "object", "properties": A, "required": 5}),
    "required null": with_schema({"type": "object", "properties": A, "required": None}),
    "anyOf, no list": with_schema({"type": "object", "properties": {"a": {"anyOf": 5}}}),
    "oneOf, no list": with_schema({"type": "object", "properties": {"a": {"oneOf": "x"}}}),
    "another client's field, no object": {**body(), "output_format": "x"},
    "another client's field, empty": {**body(), "output_format": {}},
    "half a surrogate within arguments": with_arguments('{"a": "\\ud800"}'),
    "NaN within arguments": with_arguments('{"a": NaN}'),
    "infinity within arguments": with_arguments('{"a": 1e999}'),
    "deep arguments": with_arguments('{"a":' * 940 + "1" + "}" * 940),
    "long number within arguments": with_arguments('{"a": ' + "9" * 5_000 + "}"),
}


@pytest.mark.parametrize("name", NONSENSE)
@pytest.mark.parametrize("model", [*PRESETS, *TRANSLATED])
def test_nonsense_in_a_correct_request_is_no_exception(name: str, model: str) -> None:
    raw = json.dumps({**NONSENSE[name], "model": model}).encode()
    checked(DOORS["chat"][1], raw)


NUMBER = 10_000
OBJECTS = [{"type": "string", "const": number} for number in range(NUMBER)]
NAMES = {f"p{number}": {"type": "string"} for number in range(4_000)}
OTHERS = [f"q{number}" for number in range(NUMBER)]
DEEP_CALLS = [{"id": f"c{n}", "function": {"name": "f", "arguments": "{}"}} for n in range(NUMBER)]


def read_twice() -> None:
    """A body that has its last name twice."""
    pairs = [f'"n{number}":1' for number in range(NUMBER)]
    with pytest.raises(ValueError, match="more than once"):
        parse_request(f"{{{','.join([*pairs, pairs[-1]])}}}".encode(), exact=True)


def ask_strictly(schema: Json) -> None:
    raw = json.dumps({**with_schema(schema), "model": "gpt-5-mini"}).encode()
    checked(DOORS["chat"][1], raw)


def stream_calls(door: Door) -> None:
    """One chunk with many calls, none with an index."""
    chunk = json.dumps({"choices": [{"delta": {"tool_calls": DEEP_CALLS}}]}).encode()
    DoorAnswer(door, {}).feed(b"data: " + chunk + b"\n\ndata: [DONE]\n\n")


LARGE: dict[str, Callable[[], object]] = {
    "names": read_twice,
    "places of a tuple": lambda: ask_strictly(
        {"type": "object", "properties": {"a": {"type": "array", "prefixItems": OBJECTS}}}
    ),
    "required names": lambda: ask_strictly(
        {"type": "object", "properties": NAMES, "required": OTHERS}
    ),
    "ids of calls": lambda: StreamedIds("h").fill([{"delta": {"tool_calls": DEEP_CALLS}}]),
    "calls at /v1/responses": lambda: stream_calls(RESPONSES_DOOR),
    "calls at /v1/messages": lambda: stream_calls(MESSAGES_DOOR),
}


@pytest.mark.parametrize("name", LARGE)
def test_what_is_large_takes_no_more_than_linear_time(name: str) -> None:
    """In the quadratic time that each of these took, it was 10 to 100 seconds."""
    with cpu_within(seconds=3):
        LARGE[name]()


MESSAGES_NAMES = [
    "type", "content", "text", "thinking", "signature", "data", "id", "name", "input", "index",
    "stop_reason", "stop_sequence", "stop_details", "explanation", "usage", "input_tokens",
    "output_tokens", "cache_read_input_tokens", "output_tokens_details", "message", "error",
    "content_block", "delta", "partial_json", "model", "role",
]  # fmt: skip
MESSAGES_KINDS = [
    "message", "text", "tool_use", "thinking", "redacted_thinking", "message_start", "error",
    "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
    "message_stop", "text_delta", "input_json_delta", "thinking_delta", "signature_delta", "ping",
]  # fmt: skip
RESPONSES_NAMES = [
    "type", "object", "status", "output", "content", "text", "refusal", "summary", "id", "call_id",
    "name", "arguments", "encrypted_content", "logprobs", "usage", "input_tokens", "output_tokens",
    "input_tokens_details", "cached_tokens", "output_tokens_details", "reasoning_tokens", "error",
    "incomplete_details", "reason", "message", "code", "response", "item", "delta", "output_index",
    "model", "created_at",
]  # fmt: skip
RESPONSES_KINDS = [
    "response", "message", "output_text", "refusal", "reasoning", "summary_text", "function_call",
    "completed", "incomplete", "failed", "max_output_tokens", "response.created",
    "response.output_item.added", "response.output_item.done", "response.output_text.delta",
    "response.refusal.delta", "response.reasoning_summary_text.delta", "response.completed",
    "response.function_call_arguments.delta", "response.incomplete", "response.failed", "error",
]  # fmt: skip


def spoken(names: list[str], kinds: list[str]) -> st.SearchStrategy[str]:
    kind = st.sampled_from(kinds).map(json.dumps)

    def of_kind(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        named = st.lists(st.tuples(st.sampled_from(names), inner), max_size=5)
        objects = st.builds(lambda own, rest: as_object([("type", own), *rest]), kind, named)
        lists = st.lists(inner, max_size=3).map(lambda each: f"[{','.join(each)}]")
        return objects | lists

    return st.recursive(scalars | kind, of_kind, max_leaves=15)


IN_MESSAGES = spoken(MESSAGES_NAMES, MESSAGES_KINDS)
IN_RESPONSES = spoken(RESPONSES_NAMES, RESPONSES_KINDS)
whole_messages = st.lists(st.tuples(st.sampled_from(MESSAGES_NAMES), IN_MESSAGES), max_size=5).map(
    lambda rest: as_object([("type", '"message"'), ("content", "[]"), *rest])
)
whole_responses = st.builds(
    lambda status, output, rest: as_object(
        [("object", '"response"'), ("status", status), ("output", f"[{','.join(output)}]"), *rest]
    ),
    st.sampled_from(["completed", "incomplete", "failed", "queued"]).map(json.dumps),
    st.lists(IN_RESPONSES, max_size=4),
    st.lists(st.tuples(st.sampled_from(RESPONSES_NAMES), IN_RESPONSES), max_size=4),
)


@pytest.mark.fuzz
@FUZZ
@given(
    whole_messages | IN_MESSAGES,
    st.lists(IN_MESSAGES, max_size=6),
    st.sampled_from([1, 7, 1_000]),
)
def test_any_answer_in_messages_becomes_a_chat_answer(
    whole: str, pieces: list[str], size: int
) -> None:
    becomes_a_chat_answer(whole, pieces, size, ChatStream(ChatChunks()))


@pytest.mark.fuzz
@FUZZ
@given(
    whole_responses | IN_RESPONSES,
    st.lists(IN_RESPONSES, max_size=6),
    st.sampled_from([1, 7, 1_000]),
)
def test_any_answer_in_responses_becomes_a_chat_answer(
    whole: str, pieces: list[str], size: int
) -> None:
    becomes_a_chat_answer(whole, pieces, size, ChatStream(ResponseChunks("new/model")))


def becomes_a_chat_answer(whole: str, pieces: list[str], size: int, stream: ChatStream) -> None:
    chat_body(whole.encode(), "new/model")
    written = b""
    raw = "".join(f"event: x\ndata: {piece}\n\n" for piece in pieces).encode()
    for start in range(0, len(raw), size):
        written += stream.feed(raw[start : start + size])
    for line in (written + stream.end()).split(b"\n"):
        assert line == b"" or line.startswith((b"data:", b"event:", b":"))


@pytest.mark.fuzz
@pytest.mark.parametrize("door", [RESPONSES_DOOR, MESSAGES_DOOR], ids=["responses", "messages"])
def test_any_chat_answer_is_written_at_a_door(door: Door) -> None:
    @FUZZ
    @given(anything, st.lists(anything, max_size=6), st.sampled_from([200, 400, 429, 500, 502]))
    def holds(whole: str, pieces: list[str], status: int) -> None:
        count(f"chat answers written at {door.path}")
        strict_json(DoorAnswer(door, {}).whole(status, whole.encode()))
        answer = DoorAnswer(door, {})
        written = b"".join(answer.feed(f"data: {piece}\n\n".encode()) for piece in pieces)
        written += answer.feed(b"data: [DONE]\n\n") + answer.error({"message": "m", "code": "c"})
        for line in written.split(b"\n"):
            if line.startswith(b"data: "):
                strict_json(line.removeprefix(b"data: "))

    holds()
