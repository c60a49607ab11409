"""The JSON of effects: the limits and schemas of requests, and the shapes of responses."""

import re
from typing import Final, Literal

from pydantic import Field, JsonValue

from durable_agent_team.gateway.api.request_shapes import Schema, object_schema
from durable_agent_team.gateway.api.response_shapes import Shape
from durable_agent_team.gateway.api.scoped_calls import MAX_ATTEMPT

MAX_TOOL: Final = 200
MAX_RESULT_BYTES: Final = 256 * 1024
"""A result is measured as compact JSON in UTF-8."""
MAX_ERROR_TYPE: Final = 200
MAX_ERROR_MESSAGE: Final = 4_000
EFFECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,199}")
"""An effect's name."""

ATTEMPT: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_ATTEMPT}
TOOL_ERROR = object_schema(
    {
        "type": {"type": "string", "minLength": 1, "maxLength": MAX_ERROR_TYPE},
        "message": {"type": "string", "maxLength": MAX_ERROR_MESSAGE},
    },
    "type",
    "message",
)
EFFECT_BEGIN = object_schema(
    {
        "attempt": ATTEMPT,
        "tool": {"type": "string", "minLength": 1, "maxLength": MAX_TOOL},
        "idempotent": {"type": "boolean", "default": False},
    },
    "attempt",
    "tool",
)
EFFECT_FINISH = object_schema(
    {
        "attempt": ATTEMPT,
        "state": {"enum": ["done", "failed", "unknown"]},
        "result": {"description": f"JSON of at most {MAX_RESULT_BYTES} bytes; only if done"},
        "error": {**TOOL_ERROR, "description": "Only if failed"},
    },
    "attempt",
    "state",
    oneOf=[
        {
            "properties": {"state": {"const": "done"}, "error": False},
            "required": ["result"],
        },
        {
            "properties": {"state": {"const": "failed"}, "result": False},
            "required": ["error"],
        },
        {"properties": {"state": {"const": "unknown"}, "result": False, "error": False}},
    ],
)
EFFECT_RESOLVE = object_schema(
    {
        "decision": {"enum": ["retry", "skip", "result"]},
        "result": {"description": f"JSON of at most {MAX_RESULT_BYTES} bytes"},
        "attempt": ATTEMPT,
    },
    "decision",
    oneOf=[
        {"properties": {"decision": {"const": "result"}}, "required": ["result"]},
        {"properties": {"decision": {"enum": ["retry", "skip"]}, "result": False}},
    ],
)

State = Literal["begun", "done", "failed", "unknown", "retry", "skipped"]


class ToolError(Shape):
    """The exception of a tool: its type's name and its text."""

    type: str
    message: str


class EffectState(Shape):
    """An effect after the request. `attempt` began it last. `result` is there if it is `done`,
    `error` if it `failed`."""

    effect: str
    tool: str
    state: State
    attempt: int
    result: JsonValue = None
    error: ToolError | None = None


class EffectEntry(Shape):
    """An effect in a list. `decision` is a person's last one; `result_bytes` the size of its result
    or error."""

    id: int
    effect: str
    tool: str
    idempotent: bool
    state: State
    attempt: int
    decision: Literal["retry", "skip", "result"] | None
    began_at: str
    ended_at: str | None
    result_bytes: int


class EffectDetails(EffectEntry):
    """One effect, with its result or error. Both are null if they were deleted."""

    result: JsonValue = None
    error: ToolError | None = None


class EffectList(Shape):
    """Effects of a scope, in the order in which they were first begun."""

    data: list[EffectEntry] = Field()
    has_more: bool
