"""How one model wants to be asked: data, of which `calls.dialect_body` makes a request."""

import json
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

Limit = Literal["max_tokens", "max_completion_tokens"]
Structure = Literal["json_schema", "json_schema_strict", "json_object", "none"]
Thinking = Literal["none", "hidden", "field", "tags"]
Tools = Literal["native", "none"]
System = Literal["native", "user"]
ToolChoice = Literal["auto", "none", "required"]

NEEDED = frozenset({"model", "messages", "max_tokens", "max_completion_tokens", "n", "stream"})
"""What a call means, or what bounds its cost, cannot be left out, renamed or added."""
NOT_ADDED = NEEDED | {"service_tier", "stream_options", "tools", "functions"}
"""A service tier has its price in a request; the others are the client's."""


class Dialect(BaseModel):
    """One model's. The default changes nothing in a request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: Limit | None = None
    """The name under which the limit of the answer is sent; None for the one in the request."""
    omit: tuple[str, ...] = Field((), max_length=100)
    """Request fields that the upstream refuses, and that are left out."""
    rename: dict[str, str] = Field({}, max_length=100)
    """Request fields that the upstream knows by another name."""
    add: dict[str, JsonValue] = Field({}, max_length=100)
    """Fields that are sent where the request has none of that name, or `omit` has left it out."""
    reasoning_effort: str | None = Field(None, min_length=1, max_length=20)
    """Sent where the request has none."""
    tools_effort: str | None = Field(None, min_length=1, max_length=20)
    """The same for a request with tools, of a model that calls none while it thinks."""
    structure: Structure = "json_schema"
    """How a JSON Schema is asked for. `json_schema_strict`: rewritten into the subset that OpenAI's
    strict mode accepts. With `json_object` and `none` the schema is in the prompt."""
    schema_in_prompt: bool = False
    """Whether it stands there in any case, since the upstream may not hold the model to it."""
    thinking: Thinking = "none"
    """Where the model's thinking arrives: nowhere (`hidden`: it is billed all the same), in a field
    beside the content, or between `<think>` tags in it."""
    returns: tuple[str, ...] | None = Field(None, max_length=20)
    """The fields with a model's thinking that the upstream wants back in later requests. Others are
    left out; None leaves all of them as they come."""
    needs: dict[str, Any] = Field({}, max_length=10)
    """Fields that a message with tool calls must have, with the value where the client sends none,
    as of a message that another provider's model said."""
    call_needs: dict[str, Any] = Field({}, max_length=10)
    """Fields that one of its calls must have: the first gets them where none has."""
    call_id_length: int | None = Field(None, ge=6, le=64)
    """The ids of tool calls have exactly this many letters and digits; others are rewritten."""
    system: System = "native"
    """`user`: the model refuses the role; what stands under it begins the next user's message."""
    tools: Tools = "native"
    """Whether the model takes `tools`. Some servers ignore them silently where it does not, so a
    request with tools is refused for such a model."""
    tool_choice: tuple[ToolChoice, ...] | None = Field(None, max_length=3)
    """What the upstream takes as `tool_choice`; anything else is left out, as is the choice of one
    function. None leaves it as it comes."""

    @model_validator(mode="after")
    def _keeps_what_is_needed(self) -> Self:
        if wrong := NEEDED & {*self.omit, *self.rename, *self.rename.values()}:
            raise ValueError(f"`{min(wrong)}` can be neither omitted nor renamed")
        if wrong := NOT_ADDED & self.add.keys():
            raise ValueError(f"`{min(wrong)}` cannot be added")
        return self

    @field_validator("add", mode="before")
    @classmethod
    def _as_json(cls, value: Any) -> Any:
        """A models file has its fractions as Decimal, for prices."""
        try:
            return json.loads(json.dumps(value, default=float))
        except TypeError:
            raise ValueError("write values that JSON has, such as a number or a text") from None
