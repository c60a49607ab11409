"""The limits of what clients send, and the JSON Schemas that `/openapi.json` shows for it."""

from typing import Any, Final

from durable_agent_team.gateway.amounts import MAX_LENGTH, MAX_USD, NUMBER
from durable_agent_team.gateway.api.http_bodies import MAX_IDEMPOTENCY_KEY
from durable_agent_team.gateway.calls.chat_request import (
    KNOWN_FIELDS,
    MAX_MODEL_NAME,
    MAX_TOKENS,
    STREAM_OPTIONS,
)

Schema = dict[str, Any]

CHARGE: Final = "charge"
TOOL: Final = "tool"
POSSIBLY_BILLED: Final = "possibly_billed"
"""The kinds of transactions: all charges, those of tools, and calls that were given up."""

MAX_NAME: Final = 200
MAX_ACCOUNTS: Final = 1_000
"""In one request."""
MAX_WAIT_SECONDS: Final = 30
PAGE: Final = 100
MAX_PAGE: Final = 1_000
MAX_AFTER: Final = 2**62
MAX_DIGITS: Final = 20


def object_schema(properties: Schema, *required: str, **more: Any) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _number(description: str, most: float) -> Schema:
    """A JSON number, or a string of ASCII digits as JSON writes numbers."""
    text = {"type": "string", "maxLength": MAX_LENGTH, "pattern": f"^{_ascii(NUMBER.pattern)}$"}
    number = {"type": "number", "minimum": 0, "maximum": most}
    return {"description": description, "anyOf": [number, text]}


def _batch(item: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "maxItems": MAX_ACCOUNTS, "items": item}


def _ascii(pattern: str) -> str:
    """JSON Schema's `\\d` may be any Unicode digit."""
    return pattern.replace(r"\d", "[0-9]")


AMOUNT = _number("USD, exact to six decimal places", float(MAX_USD))
WAIT_SECONDS = _number("Wait until no money is reserved", MAX_WAIT_SECONDS)
WAIT_FOR_CHARGE = _number(
    "Wait until the scope has cost another amount than `spent_usd`", MAX_WAIT_SECONDS
)
ACCOUNT_ID: Schema = {"type": "string", "minLength": 1}
IDEMPOTENCY_KEY: Schema = {
    "type": "string",
    "maxLength": MAX_IDEMPOTENCY_KEY,
    "pattern": "^[!-~]([ -~]*[!-~])?$",
}

NEW_ACCOUNT = object_schema(
    {"name": {"type": "string", "minLength": 1, "maxLength": MAX_NAME}, "budget": AMOUNT},
    "name",
    "budget",
)
BATCH_ENTRY = object_schema(
    {**NEW_ACCOUNT["properties"], "idempotency_key": IDEMPOTENCY_KEY | {"minLength": 1}},
    "name",
    "budget",
    "idempotency_key",
)
NEW_ACCOUNTS = object_schema({"agents": _batch(BATCH_ENTRY)}, "agents")
STATUS: Schema = {"enum": ["active", "disabled"]}
ACCOUNTS_CHANGE = object_schema(
    {"agents": _batch(ACCOUNT_ID), "status": STATUS, "wait_seconds": WAIT_SECONDS},
    "agents",
    "status",
)
ACCOUNT_CHANGE = object_schema(
    {"budget": AMOUNT, "status": STATUS, "wait_seconds": WAIT_SECONDS},
    anyOf=[{"required": ["budget"]}, {"required": ["status"]}],
)
TRANSFER = object_schema(
    {"from": ACCOUNT_ID, "to": ACCOUNT_ID, "amount": AMOUNT}, "from", "to", "amount"
)

FLAG = nullable({"type": "boolean"})
LIMIT = nullable({"type": "integer", "minimum": 1, "maximum": MAX_TOKENS})
TEXT = nullable({"type": "string"})
OBJECT: Schema = {"type": "object"}
MODEL: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_MODEL_NAME}
_PART: Schema = {
    "type": "object",
    "oneOf": [
        {"properties": {"type": {"const": kind}, kind: {"type": "string"}}, "required": [kind]}
        for kind in ("text", "refusal")
    ],
    "required": ["type"],
}
_MESSAGE: Schema = {
    "type": "object",
    "properties": {
        "role": {"type": "string"},
        "content": {"anyOf": [TEXT, {"type": "array", "items": _PART}]},
        "name": TEXT,
        "tool_call_id": TEXT,
        "refusal": TEXT,
        "audio": {"type": "null"},
    },
    "required": ["role"],
}
_CHECKED: Schema = {
    "model": MODEL,
    "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
    "max_tokens": LIMIT,
    "max_completion_tokens": LIMIT,
    "n": {"enum": [1, None]},
    "stream": FLAG,
    "stream_options": nullable(object_schema(dict.fromkeys(sorted(STREAM_OPTIONS), FLAG))),
    "tools": nullable(
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"type": {"const": "function"}},
                "required": ["type"],
            },
        }
    ),
}


def chat_request(parameters: set[str]) -> Schema:
    """The body of a chat call. `parameters` are further fields that the price file allows."""
    passed_on = (KNOWN_FIELDS | parameters) - set(_CHECKED)
    properties = {**_CHECKED, **{name: {} for name in sorted(passed_on)}}
    return object_schema(properties, "model", "messages")
