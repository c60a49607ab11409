"""Generated JSON bodies of requests: correct ones in which parts are replaced, and nonsense.

Texts have halves of surrogate pairs, keys and control characters; numbers have thousands of digits.
"""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from tests.gateway.attacked_gateway import UPSTREAM_KEY
from tests.gateway.client import body
from tests.support.gateway import PARENT_KEY, SECRET

Json = dict[str, Any]
AGENT_KEY, AGENT_ID = "{AGENT}", "{ID}"  # replaced when the agent is known

keys = st.sampled_from([PARENT_KEY, SECRET, UPSTREAM_KEY, AGENT_KEY])
written_keys = st.builds(
    lambda key, form: form(key),
    keys,
    st.sampled_from([str, str.upper, lambda key: f"x{key}y", lambda key: f"\u202e{key}\x1b[2J\n"]),
)
texts = st.one_of(
    st.text(max_size=20),
    st.text(alphabet=st.characters(), max_size=10),  # halves of surrogate pairs, too
    written_keys,
    st.sampled_from(["", "m", "user", "text", "active", "disabled", AGENT_ID, "1_0", "٣", "NaN"]),
    st.sampled_from(['{"a": NaN}', '{"a": "\\ud800"}', '{"a":' * 900 + "1" + "}" * 900, "[]"]),
    st.integers(1, 5_000).map(lambda n: "x" * n),
)
numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from(["1e999999", "-1e999999", "1e99999999999999999999", "1e-99999999999999999999"]),
    st.integers(1, 4_400).map(lambda n: "7" * n),
    st.sampled_from([0, 1, 1.5, 2**53, 2**63, 2**64, -(2**63) - 1, 0.0000001]),
)
atoms = st.one_of(texts, numbers, st.none(), st.booleans())
FIELDS = [
    "name", "budget", "status", "wait_seconds", "from", "to", "amount", "model", "messages",
    "max_tokens", "max_completion_tokens", "n", "stop", "stream", "stream_options", "include_usage",
    "role", "content", "type", "text", "refusal", "tools", "tool_calls", "function", "temperature",
    "metadata", "response_format", "user", "seed", "logit_bias",
    "attempt", "tool", "idempotent", "state", "result", "error", "message", "decision",
    "key", "amount_usd", "what", "input", "encoding_format", "dimensions",
    "system", "thinking", "budget_tokens", "output_config", "output_format", "format", "schema",
    "cache_control", "tool_choice", "input_schema", "source", "media_type", "data", "url", "title",
    "thinking_blocks", "signature", "is_error", "tool_use_id", "tool_call_id", "id", "arguments",
    "instructions", "max_output_tokens", "reasoning", "effort", "summary", "include",
    "encrypted_content", "call_id", "output", "image_url", "file", "file_data", "detail",
    "reasoning_effort", "service_tier", "parameters", "strict", "json_schema", "properties",
    "required", "anyOf", "items", "prefixItems", "enum", "$ref", "$defs", "additionalProperties",
]  # fmt: skip
fields = st.one_of(st.sampled_from(FIELDS), texts)
values = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(fields, inner, max_size=4)
    ),
    max_leaves=12,
)

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
SHAPE = {
    "type": "object",
    "properties": {"a": {"type": "string", "enum": ["x"]}, "b": {"anyOf": [{"type": "number"}]},
                   "c": {"type": "array", "prefixItems": [{"type": "string"}, {"const": 1}]}},
    "required": ["a"],
}  # fmt: skip
FUNCTION = {"name": "f", "description": "F.", "parameters": SHAPE, "strict": True}
CHATS: list[Json] = [
    {**body(), "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
    {**body(), "stream": True},
    {**body(), "reasoning_effort": "low", "stop": ["x"], "response_format": {
        "type": "json_schema", "json_schema": {"name": "o", "schema": SHAPE}}},
    {**body(), "tools": [{"type": "function", "function": FUNCTION}], "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "t"},
        {"role": "tool", "tool_call_id": "call_1", "content": "y"}]},
    {**body(), "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA=="}}]}]},
]  # fmt: skip
RESPONSES: list[Json] = [
    {"model": "m", "input": "x", "max_output_tokens": 9, "instructions": "y", "store": False},
    {"model": "m", "stream": True, "reasoning": {"effort": "low", "summary": "auto"}, "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "x"}]},
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [
            {"type": "input_text", "text": "x"}]}]},
    {"model": "m", "input": "x", "tools": [{"type": "function", **FUNCTION}],
     "tool_choice": {"type": "function", "name": "f"},
     "text": {"format": {"type": "json_schema", "name": "o", "schema": SHAPE}}},
]  # fmt: skip
MESSAGES: list[Json] = [
    {"model": "m", "max_tokens": 9, "system": [{"type": "text", "text": "s"}],
     "messages": [{"role": "user", "content": "x"}], "metadata": {"user_id": "u"}},
    {"model": "m", "max_tokens": 9, "stream": True,
     "thinking": {"type": "enabled", "budget_tokens": 5}, "messages": [
        {"role": "user", "content": [{"type": "image", "source": {
            "type": "base64", "media_type": "image/png", "data": "AA=="}}]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "t", "signature": "s"},
            {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": [
            {"type": "text", "text": "y"}], "is_error": True}]}]},
    {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],
     "tools": [{"name": "f", "input_schema": SHAPE}], "tool_choice": {"type": "any"},
     "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SHAPE}}},
]  # fmt: skip
EMBEDDINGS: list[Json] = [
    {"model": "m", "input": ["x", "y"], "encoding_format": "float", "dimensions": 5, "user": "u"}
]
ACCOUNTS: list[Json] = [
    {"name": "a", "budget": 1},
    {"status": "active"},
    {"from": AGENT_ID, "to": "agt_x", "amount": 0.1},
    {"attempt": 1, "tool": "t"},
    {"attempt": 1, "state": "done", "result": {"a": 1}},
    {"attempt": 1, "state": "failed", "error": {"type": "E", "message": "x"}},
    {"decision": "result", "result": 1},
    {"key": "k", "amount_usd": "0.01", "what": "t"},
]


@st.composite
def changed(draw: st.DrawFn, correct: Sequence[Json]) -> Json:
    """A correct body with one to three fields replaced, so that much of it passes the checks."""
    data: Json = json.loads(json.dumps(draw(st.sampled_from(correct))))
    for _ in range(draw(st.integers(1, 3))):
        target: Any = data
        while draw(st.booleans()):
            inner = [each for each in target.values() if isinstance(each, dict)]
            lists = [each for each in target.values() if isinstance(each, list)]
            inner += [each for found in lists for each in found if isinstance(each, dict)]
            if not inner:
                break
            target = draw(st.sampled_from(inner))
        target[draw(st.one_of(st.sampled_from(sorted(target) or ["x"]), fields))] = draw(values)
    return data


def written(value: Any) -> str:
    """As JSON; a text of digits becomes a number, which may be longer than Python can print."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(name)}: {written(each)}" for name, each in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, str) and value[:1] in "-17" and len(value) > 6 and value.isascii():
        return value
    return json.dumps(value)
