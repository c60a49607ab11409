"""JSON Schemas of the requests at the doors beside chat completions, and their answers."""

from typing import Any, Final, Literal

from pydantic import BaseModel

from durable_agent_team.gateway.api.request_shapes import (
    FLAG,
    LIMIT,
    MODEL,
    OBJECT,
    TEXT,
    Schema,
    nullable,
    object_schema,
)
from durable_agent_team.gateway.calls import embedding_request
from durable_agent_team.gateway.doors import messages_request, responses_request
from durable_agent_team.gateway.doors.responses_items import ROLES

_STRING: Schema = {"type": "string"}


def _of_kind(kind: str, required: Schema, **optional: Schema) -> Schema:
    return object_schema({"type": {"const": kind}, **required, **optional}, "type", *required)


def _list_of(*items: Schema) -> Schema:
    return {"type": "array", "items": {"anyOf": list(items)}}


_ITEM_STATE: dict[str, Any] = {"id": {}, "status": {}}
_INPUT_TEXT = _of_kind("input_text", {"text": _STRING})
_ITEMS = (
    object_schema(
        {
            "type": {"const": "message"},
            "role": {"enum": list(ROLES)},
            "content": {"anyOf": [_STRING, _list_of(_INPUT_TEXT)]},
            **_ITEM_STATE,
        },
        "role",
        "content",
    ),
    _of_kind(
        "function_call",
        {"call_id": _STRING, "name": _STRING, "arguments": _STRING},
        **_ITEM_STATE,
    ),
    _of_kind(
        "function_call_output",
        {"call_id": _STRING, "output": {"anyOf": [_STRING, _list_of(_INPUT_TEXT)]}},
        **_ITEM_STATE,
    ),
)
_FUNCTION = _of_kind("function", {"name": _STRING}, description={}, parameters={}, strict={})
_FORMAT: Schema = {
    "anyOf": [
        _of_kind("text", {}),
        _of_kind("json_object", {}),
        _of_kind("json_schema", {"name": _STRING, "schema": OBJECT}, strict={}, description={}),
    ]
}
_RESPONSES: Schema = {
    "model": MODEL,
    "input": {"anyOf": [_STRING, {**_list_of(*_ITEMS), "minItems": 1}]},
    "instructions": TEXT,
    "max_output_tokens": LIMIT,
    "stream": FLAG,
    "stream_options": nullable(object_schema({"include_obfuscation": FLAG})),
    "store": {"enum": [False, None]},
    "background": {"enum": [False, None]},
    "truncation": {"enum": ["disabled", None]},
    "tools": nullable(_list_of(_FUNCTION)),
    "tool_choice": {
        "anyOf": [
            {"enum": ["auto", "none", "required", None]},
            _of_kind("function", {"name": _STRING}),
        ]
    },
    "text": nullable(object_schema({"format": nullable(_FORMAT), "verbosity": {}})),
    "reasoning": nullable(object_schema({"effort": TEXT, "summary": {"enum": ["auto", None]}})),
    "include": nullable(
        {
            "type": "array",
            "items": {"enum": [responses_request.LOGPROBS, responses_request.ENCRYPTED]},
        }
    ),
}


def _with_others(checked: Schema, known: frozenset[str], *required: str) -> Schema:
    """And the fields that are passed on as they are."""
    passed_on: Schema = {name: {} for name in sorted(known - set(checked) - {"service_tier"})}
    return object_schema({**checked, **passed_on}, *required)


RESPONSES_REQUEST: Final = _with_others(_RESPONSES, responses_request.KNOWN, "model", "input")


_CACHE: Schema = {"cache_control": {"type": "null"}}
_TEXT_BLOCK = _of_kind("text", {"text": _STRING}, **_CACHE)
_TOOL_USE = _of_kind("tool_use", {"id": _STRING, "name": _STRING, "input": OBJECT}, **_CACHE)
_TOOL_RESULT = _of_kind(
    "tool_result",
    {"tool_use_id": _STRING},
    content={"anyOf": [_STRING, _list_of(_TEXT_BLOCK)]},
    is_error=FLAG,
    **_CACHE,
)


def _blocks(*kinds: Schema) -> Schema:
    return {"anyOf": [_STRING, {**_list_of(*kinds), "minItems": 1}]}


def _message(role: str, *kinds: Schema) -> Schema:
    shape = {"role": {"const": role}, "content": _blocks(*kinds)}
    return object_schema(shape, "role", "content")


_MESSAGES: Schema = {
    "model": MODEL,
    "max_tokens": {key: LIMIT["anyOf"][0][key] for key in ("type", "minimum", "maximum")},
    "messages": {
        "type": "array",
        "minItems": 1,
        "items": {
            "anyOf": [
                _message("user", _TEXT_BLOCK),
                _message("user", _TOOL_RESULT),
                _message("assistant", _TEXT_BLOCK),
                _message("assistant", _TOOL_USE),
            ]
        },
    },
    "system": {"anyOf": [TEXT, _list_of(_TEXT_BLOCK)]},
    "metadata": nullable(object_schema({"user_id": TEXT})),
    "stream": FLAG,
    "thinking": nullable(
        object_schema({"type": {"enum": ["disabled", "adaptive"]}, "display": {}}, "type")
    ),
    "tools": nullable(
        _list_of(
            object_schema(
                {
                    "name": _STRING,
                    "input_schema": OBJECT,
                    "description": TEXT,
                    "type": {"enum": ["custom", None]},
                    "strict": FLAG,
                    **_CACHE,
                },
                "name",
                "input_schema",
            )
        )
    ),
    "tool_choice": nullable(
        object_schema(
            {
                "type": {"enum": ["auto", "any", "none"]},
                "disable_parallel_tool_use": FLAG,
            },
            "type",
        )
    ),
    "output_config": nullable(
        object_schema(
            {"effort": TEXT, "format": nullable(_of_kind("json_schema", {"schema": OBJECT}))}
        )
    ),
    "cache_control": {"type": "null"},
}
MESSAGES_REQUEST: Final = _with_others(
    _MESSAGES, messages_request.KNOWN, "model", "max_tokens", "messages"
)


_TOKENS: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "integer", "minimum": 0, "maximum": embedding_request.MAX_TOKEN - 1},
}
EMBEDDINGS_REQUEST: Final = object_schema(
    {
        "model": MODEL,
        "input": {
            "anyOf": [
                _STRING,
                {"type": "array", "minItems": 1, "items": {"anyOf": [_STRING, _TOKENS]}},
                _TOKENS,
            ]
        },
        "encoding_format": {"enum": [*embedding_request.FORMATS, None]},
        "dimensions": nullable(
            {"type": "integer", "minimum": 1, "maximum": embedding_request.MAX_DIMENSIONS}
        ),
        "user": TEXT,
    },
    "model",
    "input",
)


class DoorUsage(BaseModel):
    """Tokens, with the charge."""

    input_tokens: int
    output_tokens: int
    cost: float = 0


class ResponseObject(BaseModel):
    """OpenAI's Response. It is not stored."""

    id: str
    object: Literal["response"]
    status: Literal["completed", "incomplete"]
    output: list[dict[str, Any]]
    usage: DoorUsage | None


class MessageObject(BaseModel):
    """Anthropic's Message."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    content: list[dict[str, Any]]
    stop_reason: str
    usage: DoorUsage


class EmbeddingUsage(BaseModel):
    """With the charge."""

    cost: float = 0


class Embeddings(BaseModel):
    """OpenAI's format. What else the upstream sends is passed on."""

    usage: EmbeddingUsage


class MessagesErrorFields(BaseModel):
    """`code` and the amounts are those of `ErrorResponse`."""

    type: str
    message: str
    code: str


class MessagesError(BaseModel):
    """Anthropic's shape of an error. One that the upstream billed has `usage`, too."""

    type: Literal["error"]
    error: MessagesErrorFields
