"""A request in the dialect of its model: what is renamed, left out, rewritten, or put in words."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.calls.chat_request import ChatRequest, parse_chat_request
from durable_agent_team.gateway.calls.dialect_body import SCHEMA_ASK
from durable_agent_team.gateway.calls.strict_schema import KEPT, strict_schema
from durable_agent_team.gateway.models.dialects import find_dialect
from tests.gateway.test_model_table import table

KEYS = {
    f"{name}_API_KEY": "k"
    for name in ("OPENAI", "ANTHROPIC", "GEMINI", "DEEPSEEK", "XAI", "MISTRAL", "OPENROUTER")
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "note": {"type": "string", "maxLength": 9}},
    "required": ["name"],
}
MODELS = table(KEYS)


def request(model: str, **fields: Any) -> ChatRequest:
    body = {"model": model, "messages": [{"role": "user", "content": "?"}], "max_tokens": 9}
    return parse_chat_request(json.dumps({**body, **fields}).encode(), MODELS)


def sent(model: str, **fields: Any) -> Any:
    return json.loads(request(model, **fields).body)


def asked_for(schema: dict[str, Any] = SCHEMA) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "output", "schema": schema}}


def test_reasoning_models_get_the_limit_under_its_name_and_no_temperature() -> None:
    body = sent("gpt-5-mini", temperature=0, frequency_penalty=0.4, reasoning_effort="low")
    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body
    assert "temperature" not in body
    assert "frequency_penalty" not in body
    assert body["reasoning_effort"] == "low"


@pytest.mark.parametrize(
    "model", ["gpt-6-luna", "gpt-6.1-sol", "gpt-rosalind-research", "gpt-chat-latest", "gpt-9"]
)
def test_later_models_of_openai_are_asked_as_reasoning_models(model: str) -> None:
    dialect = find_dialect("openai", model)
    assert dialect.limit == "max_completion_tokens"
    assert {"temperature", "top_p", "frequency_penalty"} <= set(dialect.omit)


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("model", "effort"),
    [("gpt-6-luna", "none"), ("gpt-5.6-sol", "none"), ("gpt-5.2", None), ("gpt-4o", None)],
)
def test_models_that_call_no_tools_while_they_think_are_told_not_to(
    model: str, effort: str | None
) -> None:
    """An effort that the client asks for is sent: its upstream refuses it, and says why."""
    assert sent(model, tools=[TOOL]).get("reasoning_effort") == effort
    assert "reasoning_effort" not in sent(model)
    if effort is not None:
        assert sent(model, tools=[TOOL], reasoning_effort="high")["reasoning_effort"] == "high"


def test_the_upstream_s_own_name_is_sent() -> None:
    assert sent("openai/gpt-5-mini")["model"] == "gpt-5-mini"
    assert sent("openrouter/openai/gpt-5-mini")["model"] == "openai/gpt-5-mini"


def test_a_schema_is_rewritten_for_strict_mode_and_told_where_that_loses_something() -> None:
    body = sent("gpt-5-mini", response_format=asked_for())
    held = body["response_format"]["json_schema"]
    assert held["strict"] is True
    assert held["schema"]["required"] == ["name", "note"]
    assert held["schema"]["properties"]["note"]["type"] == ["string", "null"]
    assert held["schema"]["additionalProperties"] is False
    assert "maxLength" not in json.dumps(held)
    assert body["messages"][0] == {
        "role": "system",
        "content": SCHEMA_ASK + json.dumps(SCHEMA, separators=(",", ":")),
    }


def test_a_schema_that_strict_mode_holds_completely_is_not_repeated_in_the_prompt() -> None:
    whole = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    assert len(sent("gpt-5-mini", response_format=asked_for(whole))["messages"]) == 1


def test_a_schema_that_the_client_wrote_for_strict_mode_is_sent_as_it_is() -> None:
    wanted = asked_for()
    wanted["json_schema"]["strict"] = True
    assert sent("gpt-5-mini", response_format=wanted)["response_format"] == wanted


def test_where_nobody_holds_the_model_to_the_schema_it_stands_in_the_prompt() -> None:
    deepseek = sent("deepseek-chat", response_format=asked_for())
    assert deepseek["response_format"] == {"type": "json_object"}
    claude = sent(
        "claude-opus-4-8",
        temperature=0,
        response_format=asked_for(),
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "?"}],
    )
    assert "response_format" not in claude
    assert "temperature" not in claude
    assert len(claude["messages"]) == 2
    for body in (deepseek, claude):
        assert '"maxLength":9' in body["messages"][0]["content"]


def test_a_list_at_the_root_is_not_asked_for_in_json_mode() -> None:
    body = sent("deepseek-chat", response_format=asked_for({"type": "array", "items": SCHEMA}))
    assert "response_format" not in body
    assert '"type":"array"' in body["messages"][0]["content"]


def test_mistral_knows_seed_by_another_name_and_refuses_unknown_fields() -> None:
    body = sent("mistral-large-2512", seed=3, stream=True, max_completion_tokens=7)
    assert body["random_seed"] == 3
    assert "seed" not in body
    assert "stream_options" not in body
    assert body["max_tokens"] == 9
    assert "max_completion_tokens" not in body


def test_the_bound_counts_what_is_sent() -> None:
    short = request("deepseek-chat")
    long = request("deepseek-chat", response_format=asked_for())
    assert len(long.body) > len(short.body)
    assert long.bound > short.bound


def test_the_hash_is_of_what_the_client_sent() -> None:
    raw = {"messages": [{"role": "user", "content": "?"}], "max_tokens": 9, "temperature": 0}
    one = parse_chat_request(json.dumps({**raw, "model": "gpt-5-mini"}).encode(), MODELS)
    other = parse_chat_request(
        json.dumps({**raw, "model": "gpt-5-mini", "temperature": 1}).encode(), MODELS
    )
    assert one.body == other.body
    assert one.body_hash != other.body_hash


plain = st.sampled_from(
    [{"type": "string"}, {"type": "integer", "minimum": 0}, {"enum": ["a", "b"]}, {"const": 3},
     {"type": "string", "maxLength": 5}, {"type": ["number", "null"]}]
)  # fmt: skip


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from("abcd"), inner, min_size=1, max_size=4).flatmap(
        lambda properties: st.lists(st.sampled_from(sorted(properties)), unique=True).map(
            lambda required: {"type": "object", "properties": properties, "required": required}
        )
    )


shapes = st.recursive(
    plain,
    lambda inner: st.one_of(
        objects(inner),
        inner.map(lambda each: {"type": "array", "items": each, "minItems": 1}),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: {"anyOf": each}),
    ),
    max_leaves=8,
)


@given(objects(shapes))
def test_what_is_rewritten_is_in_the_subset_and_a_schema(schema: dict[str, Any]) -> None:
    strict = strict_schema(schema)
    assert strict is not None
    jsonschema.Draft202012Validator.check_schema(strict.schema)

    def check(part: Any) -> None:
        if isinstance(part, dict):
            assert part.keys() <= KEPT
            if "properties" in part:
                assert part["required"] == list(part["properties"])
                assert part["additionalProperties"] is False
                for each in part["properties"].values():
                    check(each)
            check(part.get("items"))
            for each in part.get("anyOf", ()):
                check(each)

    check(strict.schema)


def test_free_names_and_tuples_without_a_form_fall_back() -> None:
    free = {"type": "object", "additionalProperties": {"type": "string"}}
    assert strict_schema(free) is None
    assert strict_schema({"type": "object", "properties": {"a": {}}}) is None
    places = {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}
    strict = strict_schema({"type": "object", "properties": {"a": places}, "required": ["a"]})
    assert strict is not None
    assert strict.loses
    assert strict.schema["properties"]["a"]["items"] == {
        "anyOf": [{"type": "string"}, {"type": "integer"}]
    }


TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
CALLED: dict[str, Any] = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}],
}

RESULT = {"role": "tool", "tool_call_id": "1", "content": "2"}
THINKS = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
SAYS = {"type": "text", "text": "So."}
SYSTEM = {"role": "system", "content": "Be brief."}
ASKS = {"role": "user", "content": "?"}


@pytest.mark.parametrize(
    ("messages", "contents"),
    [
        ([SYSTEM, ASKS], ["Be brief.\n\n?"]),
        (
            [SYSTEM, {"role": "developer", "content": "Be kind."}, ASKS],
            ["Be brief.\n\nBe kind.\n\n?"],
        ),
        ([SYSTEM], ["Be brief."]),
        (
            [ASKS, {"role": "assistant", "content": "So."}, SYSTEM, ASKS],
            ["?", "So.", "Be brief.\n\n?"],
        ),
        ([SYSTEM, {"role": "assistant", "content": "So."}], ["Be brief.", "So."]),
        ([{"role": "system", "content": ""}, ASKS], ["?"]),
        (
            [SYSTEM, {"role": "user", "content": [SAYS]}],
            [[{"type": "text", "text": "Be brief."}, SAYS]],
        ),
        ([ASKS], ["?"]),
    ],
)
def test_a_model_without_the_role_of_the_system_gets_its_text_from_the_user(
    messages: list[Any], contents: list[Any]
) -> None:
    found = sent("o1-mini", messages=messages)["messages"]
    assert [each["content"] for each in found] == contents
    assert "system" not in [each["role"] for each in found]
    assert sent("gpt-5-mini", messages=messages)["messages"] == messages


@pytest.mark.parametrize(
    "model",
    [
        *("kimi-k2.5", "moonshotai/Kimi-K2.6", "kimi-k3", "anthropic.claude-opus-4-7"),
        *("us.anthropic.claude-opus-4-8-v1:0", "global.anthropic.claude-opus-5"),
    ],
)
def test_models_that_refuse_a_temperature_get_none_on_any_upstream(model: str) -> None:
    assert {"temperature", "top_p"} <= set(find_dialect(None, model).omit)


@pytest.mark.parametrize("model", ["kimi-k2-0905", "us.anthropic.claude-opus-4-6", "meta.x"])
def test_their_elders_keep_it(model: str) -> None:
    assert "temperature" not in find_dialect(None, model).omit


def test_the_models_without_the_role_of_the_system() -> None:
    assert find_dialect("gemini", "gemma-3-27b-it").system == "user"
    assert find_dialect("vllm", "google/gemma-2-9b-it").system == "user"
    assert find_dialect("gemini", "gemma-4-31b-it").system == "native"
    assert find_dialect("openai", "o1").system == "native"


def test_a_schema_in_the_prompt_needs_no_role_of_the_system() -> None:
    (message,) = sent("o1-mini", response_format=asked_for())["messages"]
    assert message["role"] == "user"
    assert SCHEMA_ASK in message["content"]


ADDING = """
[upstreams.other]
url = "http://127.0.0.1:1/v1"
key_required = false
free = true
[models.thinks]
upstream = "other"
dialect = { add = { enable_thinking = false, temperature = 1.0, seed = 7 }, omit = ["temperature"] }
[upstreams.messages]
url = "http://127.0.0.1:1/v1"
key_required = false
free = true
speaks = "messages"
[models.claude]
upstream = "messages"
dialect = { add = { inference_geo = "us" } }
[upstreams.responses]
url = "http://127.0.0.1:1/v1"
key_required = false
free = true
speaks = "responses"
[models.gpt]
upstream = "responses"
dialect = { add = { truncation = "auto" } }
"""


def test_fields_that_an_upstream_insists_on_are_added(tmp_path: Path) -> None:
    """Such as by Alibaba, whose open models refuse a request without `enable_thinking`."""
    file = tmp_path / "models.toml"
    file.write_text(ADDING)
    models = table({}, file)

    def asked(model: str, **fields: Any) -> Any:
        given = {"model": model, "messages": [{"role": "user", "content": "?"}], "max_tokens": 99}
        return json.loads(parse_chat_request(json.dumps({**given, **fields}).encode(), models).body)

    plain = asked("thinks", temperature=0.2, seed=8)
    assert (plain["enable_thinking"], plain["temperature"], plain["seed"]) == (False, 1.0, 8)
    assert asked("thinks")["seed"] == 7
    assert asked("claude")["inference_geo"] == "us"
    assert asked("gpt")["truncation"] == "auto"


def test_parts_that_hold_thinking_go_back_to_the_provider_that_has_them() -> None:
    said = {**CALLED, "content": [THINKS, SAYS]}
    messages = [{"role": "user", "content": "?"}, said, RESULT]
    for model, kept in (("magistral-small-latest", [THINKS, SAYS]), ("gpt-5-mini", [SAYS])):
        assert sent(model, messages=messages)["messages"][1]["content"] == kept
    messages[1] = {**CALLED, "content": [THINKS]}
    assert sent("gpt-5-mini", messages=messages)["messages"][1]["content"] is None
    with pytest.raises(ApiError, match="content parts"):
        request("gpt-5-mini", messages=[{"role": "user", "content": [THINKS]}])


@pytest.mark.parametrize("identifier", ["1", "functions.get:0", "call_00_abcdefgh", "D681PevKs"])
def test_a_call_and_its_result_keep_one_id_in_the_form_that_the_upstream_takes(
    identifier: str,
) -> None:
    call = {**CALLED["tool_calls"][0], "id": identifier}
    messages = [
        {"role": "user", "content": "?"},
        {**CALLED, "tool_calls": [call]},
        {**RESULT, "tool_call_id": identifier},
    ]
    _, said, result = sent("mistral-large-2512", messages=messages)["messages"]
    assert said["tool_calls"][0]["id"] == result["tool_call_id"]
    assert re.fullmatch("[a-zA-Z0-9]{9}", result["tool_call_id"])
    assert (result["tool_call_id"] == identifier) == (identifier == "D681PevKs")
    _, said, result = sent("gpt-5-mini", messages=messages)["messages"]
    assert said["tool_calls"][0]["id"] == result["tool_call_id"] == identifier


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"tools": TOOLS}, "`tools`"),
        ({"functions": [TOOLS[0]["function"]]}, "`functions`"),
        ({"messages": [{"role": "user", "content": "?"}, CALLED]}, "`messages[1].tool_calls`"),
        (
            {"messages": [{"role": "tool", "tool_call_id": "1", "content": "2"}]},
            "`messages[0].role`",
        ),
    ],
)
def test_tools_are_refused_for_a_model_that_would_ignore_them(
    fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(ApiError) as caught:
        request("smollm2-135m", **fields)
    assert (caught.value.status, caught.value.code) == (400, "tools_not_supported")
    assert named in caught.value.message
    assert sent("gpt-5-mini", **fields)
    assert sent("smollm2-135m", tools=[], functions=None, tool_choice="none")
