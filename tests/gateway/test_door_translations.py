"""Property tests of the translations between formats: what can be said in both survives, and what
cannot is refused by name."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.doors.from_messages_answer import ChatChunks, chat_from_message
from durable_agent_team.gateway.doors.messages_answer import message_from_chat
from durable_agent_team.gateway.doors.messages_events import MessageEvents
from durable_agent_team.gateway.doors.messages_request import KNOWN as MESSAGES_FIELDS
from durable_agent_team.gateway.doors.messages_request import chat_from_messages
from durable_agent_team.gateway.doors.responses_answer import response_from_chat
from durable_agent_team.gateway.doors.responses_events import ResponseEvents
from durable_agent_team.gateway.doors.responses_request import KNOWN as RESPONSES_FIELDS
from durable_agent_team.gateway.doors.responses_request import chat_from_responses
from durable_agent_team.gateway.doors.to_messages_request import messages_from_chat
from durable_agent_team.gateway.doors.unnamed_responses import UNNAMED, for_its_client
from tests.emulators.messages_api import events, signed

Json = dict[str, Any]
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
NAMES = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
CACHED = st.sampled_from([{}, {"cache_control": {"type": "ephemeral"}}])


def block(kind: str, **fields: Any) -> st.SearchStrategy[Json]:
    made = st.fixed_dictionaries({"type": st.just(kind), **fields})
    return st.builds(lambda one, more: {**one, **more}, made, CACHED)


TEXT = block("text", text=TEXTS)
IMAGE = block(
    "image",
    source=st.one_of(
        st.just({"type": "base64", "media_type": "image/png", "data": "iVBO"}),
        st.just({"type": "url", "url": "https://example.org/a.png"}),
    ),
)
PDF = block(
    "document",
    source=st.just({"type": "base64", "media_type": "application/pdf", "data": "AAAA"}),
    title=TEXTS,
)
INPUTS = st.dictionaries(NAMES, JSON, max_size=3)


@st.composite
def turns(draw: st.DrawFn) -> list[Json]:
    """A conversation: the user, and any number of answers with tool calls that are answered."""
    messages = [{"role": "user", "content": draw(st.lists(TEXT | IMAGE | PDF, min_size=1))}]
    for number in range(draw(st.integers(0, 2))):
        thinking = [signed(draw(TEXTS))] if draw(st.booleans()) else []
        ids = [f"toolu_{number}_{each}" for each in range(draw(st.integers(1, 3)))]
        calls = [draw(block("tool_use", id=st.just(i), name=NAMES, input=INPUTS)) for i in ids]
        said = thinking + draw(st.lists(TEXT, max_size=2)) + calls
        results = [draw(block("tool_result", tool_use_id=st.just(i), content=TEXTS)) for i in ids]
        rest = draw(st.lists(TEXT, max_size=2))
        messages += [{"role": "assistant", "content": said}]
        messages += [{"role": "user", "content": results + rest}]
    return messages


@st.composite
def requests(draw: st.DrawFn) -> Json:
    schema = {"type": "object", "properties": draw(INPUTS)}
    optional: Json = {
        "system": st.lists(TEXT, min_size=1, max_size=2),
        "temperature": st.floats(0, 1),
        "top_p": st.floats(0, 1),
        "top_k": st.integers(1, 100),
        "stop_sequences": st.lists(TEXTS, min_size=1, max_size=3),
        "metadata": st.fixed_dictionaries({"user_id": TEXTS}),
        "thinking": st.just({"type": "enabled", "budget_tokens": 1024}),
        "output_config": st.sampled_from(
            [{"effort": "high"}, {"format": {"type": "json_schema", "schema": schema}}]
        ),
        "cache_control": st.just({"type": "ephemeral"}),
        "stream": st.just(True),
        "tools": st.lists(
            st.fixed_dictionaries(
                {"name": NAMES, "input_schema": st.just(schema)},
                optional={"description": TEXTS, "strict": st.booleans()},
            ),
            min_size=1,
            max_size=2,
        ),
        "tool_choice": st.sampled_from(
            [{"type": "auto"}, {"type": "any"}, {"type": "none"}, {"type": "tool", "name": "x"}]
        ),
    }
    more = draw(st.fixed_dictionaries({}, optional=optional))
    return {"model": "m", "max_tokens": 2000, "messages": draw(turns()), **more}


@given(requests())
@settings(max_examples=60, deadline=None)
def test_a_messages_request_reaches_an_upstream_of_messages_as_it_was(sent: Json) -> None:
    assert messages_from_chat(chat_from_messages(sent), sent["max_tokens"], "u") == sent


@st.composite
def answers(draw: st.DrawFn) -> Json:
    blocks = [signed(draw(TEXTS))] if draw(st.booleans()) else []
    blocks += [{"type": "text", "text": draw(TEXTS)}] if draw(st.booleans()) else []
    for number in range(draw(st.integers(0, 2))):
        call = {"id": f"toolu_{number}", "name": draw(NAMES), "input": draw(INPUTS)}
        blocks.append({"type": "tool_use", **call})
    reasons = ["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal", "pause_turn"]
    reason = draw(st.sampled_from(reasons))
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": blocks or [{"type": "text", "text": draw(TEXTS)}],
        "stop_reason": reason,
        "stop_sequence": "END" if reason == "stop_sequence" else None,
        "usage": {
            "input_tokens": 20,
            "cache_read_input_tokens": 30,
            "cache_creation_input_tokens": 10,
            "output_tokens": 7,
        },
    }


def accumulated(made: list[tuple[str, Json]]) -> Json:
    """A Message from its events, as the guide "Streaming messages" says."""
    message: Json = {}
    partial: dict[int, str] = {}
    for kind, data in made:
        if kind == "message_start":
            message = json.loads(json.dumps(data["message"]))
        elif kind == "content_block_start":
            assert data["index"] == len(message["content"])
            message["content"].append(dict(data["content_block"]))
        elif kind == "content_block_delta":
            add_delta(message["content"][data["index"]], data["delta"], partial, data["index"])
        elif kind == "content_block_stop" and data["index"] in partial:
            message["content"][data["index"]]["input"] = json.loads(partial[data["index"]])
        elif kind == "message_delta":
            message |= data["delta"] | {"usage": data["usage"]}
    assert made[-1][0] == "message_stop"
    return message


def add_delta(block: Json, delta: Json, partial: dict[int, str], index: int) -> None:
    if delta["type"] == "input_json_delta":
        partial[index] = partial.get(index, "") + delta["partial_json"]
        return
    name = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
    field = name[delta["type"]]
    block[field] += delta[field]


@given(answers())
@settings(max_examples=60, deadline=None)
def test_a_message_reaches_a_client_of_messages_as_it_was(message: Json) -> None:
    whole = message_from_chat(chat_from_message(message), {})
    assert whole == message
    chunks, door = ChatChunks(), MessageEvents({})
    made = [each for e in events(message) for c in chunks.feed(e) for each in door.feed(c)]
    made += list(door.finish())
    streamed = accumulated(made)
    usage = streamed.pop("usage")
    assert streamed == {name: value for name, value in message.items() if name != "usage"}
    assert usage["output_tokens"] == 7


@given(answers())
@settings(max_examples=60, deadline=None)
def test_a_response_is_the_same_whole_and_streamed(message: Json) -> None:
    chat = chat_from_message(message)
    whole = response_from_chat(chat, {})
    chunks, door = ChatChunks(), ResponseEvents({})
    made = [each for e in events(message) for c in chunks.feed(e) for each in door.feed(c)]
    made += list(door.finish())
    assert [data["sequence_number"] for _, data in made] == list(range(len(made)))
    streamed = made[-1][1]["response"]
    assert simplified(streamed) == simplified(whole)
    done = [data["item"] for kind, data in made if kind == "response.output_item.done"]
    assert done == streamed["output"]


def simplified(response: Json) -> Json:
    """Without ids, which are numbered by place, and without the empty text of an answer of none."""
    items = [{name: v for name, v in item.items() if name != "id"} for item in response["output"]]
    for item in items:
        if "arguments" in item:  # JSON, which has several spellings
            item["arguments"] = json.loads(item["arguments"])
    return {"output": items, "status": response["status"], "why": response["incomplete_details"]}


ENDINGS = [
    ("stop", "completed", None, "end_turn"),
    ("eos", "completed", None, "end_turn"),
    ("tool_calls", "completed", None, "tool_use"),
    ("length", "incomplete", "max_output_tokens", "max_tokens"),
    ("MAX_TOKENS", "incomplete", "max_output_tokens", "max_tokens"),
    ("model_length", "incomplete", "max_output_tokens", "max_tokens"),
    ("token_limit", "incomplete", "max_output_tokens", "max_tokens"),
    ("content_filter: SAFETY", "incomplete", "content_filter", "refusal"),
    ("guardrail_intervened", "incomplete", "content_filter", "refusal"),
    ("refusal", "incomplete", "content_filter", "refusal"),
    ("abort", "incomplete", None, "max_tokens"),
    ("time_limit", "incomplete", None, "max_tokens"),
]


@pytest.mark.parametrize(("word", "status", "why", "stop_reason"), ENDINGS)
def test_half_an_answer_is_half_of_one_at_every_door(
    word: str, status: str, why: str | None, stop_reason: str
) -> None:
    """Whatever the upstream calls it."""
    message: Json = {"role": "assistant", "content": "Half of"}
    chunk = {"id": "1", "choices": [{"delta": message, "finish_reason": word}]}
    whole = {"id": "1", "choices": [{"message": message, "finish_reason": word}]}
    door = ResponseEvents({})
    streamed = [*door.feed(chunk), *door.finish()][-1][1]["response"]
    for response in (response_from_chat(whole, {}), streamed):
        reason = (response["incomplete_details"] or {}).get("reason")
        assert (response["status"], reason) == (status, why)
    messages = MessageEvents({})
    delta = [*messages.feed(chunk), *messages.finish()][-2][1]["delta"]
    for said in (message_from_chat(whole, {}), delta):
        assert said["stop_reason"] == stop_reason


def test_no_stop_sequences_are_no_field_of_a_chat() -> None:
    message = {"role": "user", "content": "x"}
    asked = {"model": "m", "max_tokens": 9, "messages": [message], "stop_sequences": []}
    assert "stop" not in chat_from_messages(asked)


@pytest.mark.parametrize(
    ("user_agent", "sent", "has_id"),
    [
        ("AsyncOpenAI/Python 3.1", {}, True),
        ("agent-framework-python/1.23.0 AsyncOpenAI/Python 3.1", {}, False),
        ("agent-framework-python/1.23.0", {"store": False}, True),
        ("Agent-Framework-Dotnet/1.0", {"store": None}, False),
    ],
)
def test_a_client_that_would_refer_to_a_response_is_not_told_the_id_of_one_with_calls(
    user_agent: str, sent: Json, has_id: bool
) -> None:
    request = for_its_client(sent, user_agent)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    for said in ({"content": "x"}, {"content": None, "tool_calls": [call]}):
        chat = {"id": "1", "choices": [{"message": said, "finish_reason": "stop"}]}
        door = ResponseEvents(request)
        chunk = {"id": "1", "choices": [{"delta": said, "finish_reason": "stop"}]}
        events = [*door.feed(chunk), *door.finish()]
        *begun, last = [data["response"] for _, data in events if "response" in data]
        assert [response["id"] is not None for response in begun] == [has_id, has_id]
        for response in (response_from_chat(chat, request), last):
            assert response["id"] == ("resp_1" if has_id or "tool_calls" not in said else None)
            assert response["store"] is False
            assert UNNAMED not in response
    assert UNNAMED not in RESPONSES_FIELDS


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("max_output_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("refusal", "content_filter"),
        ("guardrail_intervened", "content_filter"),
    ],
)
def test_half_a_message_is_half_a_chat_answer(reason: str, finish: str) -> None:
    message = {"type": "message", "content": [], "stop_reason": reason}
    [choice] = chat_from_message(message)["choices"]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == (finish, reason)


@given(st.dictionaries(st.sampled_from(sorted(MESSAGES_FIELDS)) | NAMES, JSON, max_size=5))
@settings(max_examples=80, deadline=None)
def test_any_messages_request_is_translated_or_refused(sent: Json) -> None:
    base: Json = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    check_names_a_field(chat_from_messages, {**base, **sent})


@given(st.dictionaries(st.sampled_from(sorted(RESPONSES_FIELDS)) | NAMES, JSON, max_size=5))
@settings(max_examples=80, deadline=None)
def test_any_responses_request_is_translated_or_refused(sent: Json) -> None:
    check_names_a_field(chat_from_responses, {"model": "m", "input": "x", **sent})


def check_names_a_field(translate: Any, sent: Json) -> None:
    try:
        assert translate(sent)["messages"]
    except ApiError as error:
        refusal = error
    else:
        return
    assert refusal.status == 400
    assert any(f"`{name}" in refusal.message for name in sent)
