"""A conversation of an agent with tools, as it goes into the activity of a turn.

The history has each entry once: a turn's input has what is new, and the hash of all that was
before. The worker has that from an earlier turn, or answers `UnknownBase`, unpaid; then the
workflow sends the whole conversation under the same key.
"""

from typing import Literal

from pydantic import Field

from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.text_ref import Sha256, Text, TextRef
from durable_agent_team.contracts.tool_box import ToolBox
from durable_agent_team.contracts.tool_kinds import MAX_TOOL_NAME

MAX_TURNS = 200
MAX_CALLS_IN_A_TURN = 32
"""Further calls of a turn are not run."""
MAX_SAID = 200_000
"""Characters of one message."""
MAX_ARGUMENTS = 64_000
"""Characters of a call's arguments as JSON."""
MAX_TOOL_RESULT = 200_000
"""Characters of a result."""
MAX_CARRIED = 64_000
"""Characters of what a provider wants back."""
MAX_REPAIRS = 20
"""Turns beyond `max_turns`, for answers that failed their checks."""


class ToolCall(Message):
    """A call that a model asks for."""

    id: str = Field(max_length=200)
    """The provider's, with which the result goes back."""
    name: str = Field(max_length=MAX_TOOL_NAME)
    """As the model spelt it."""
    arguments: str = Field("{}", max_length=MAX_ARGUMENTS)
    """A JSON object; of a call with a problem, how its arguments began."""
    problem: str = Field("", max_length=2_000)
    """Why it is not run: an unknown tool, no JSON, against the schema, too large. The model gets it
    as the result."""


class Turn(Message):
    """What a model said in one turn in which it called tools."""

    content: str = Field("", max_length=MAX_SAID)
    calls: tuple[ToolCall, ...] = Field(max_length=MAX_CALLS_IN_A_TURN)
    carried: str = Field("", max_length=MAX_CARRIED)
    """JSON: fields of the message that the provider wants back as they are, such as signed
    thinking."""
    as_actions: bool = False
    """The model knows no tools: it filled the schema of an action."""


class ToolMessage(Message):
    """The result of one call as it goes back."""

    id: str = Field(max_length=200)
    name: str = Field(max_length=200)
    """The tool's name, for the text that replaces a removed result."""
    text: str = Field("", max_length=MAX_TOOL_RESULT)
    text_ref: TextRef | None = None
    failed: bool = False
    """The tool reported an error, or was not run. Models are not shown this, but the text."""
    removed: bool = False
    """It made room: `text` says what was there."""

    @property
    def whole(self) -> Text:
        return self.text if self.text_ref is None else self.text_ref


class Said(Message):
    """A message to the model, or an answer of it that was rejected."""

    role: Literal["user", "assistant"]
    text: str = Field("", max_length=MAX_SAID)
    text_ref: TextRef | None = None

    @property
    def whole(self) -> Text:
        return self.text if self.text_ref is None else self.text_ref


class Entry(Message):
    """One step of a conversation: exactly one of the three."""

    turn: Turn | None = None
    results: tuple[ToolMessage, ...] = Field((), max_length=MAX_CALLS_IN_A_TURN)
    said: Said | None = None


class Conversation(Message):
    """Part of a `CallRequest`: the turn that is asked for.

    With `base`, the request's `system`, `goal`, `sources`, `missing`, `ask`, `output` and `checks`
    are empty: they belong to what the base names.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9._~-]{1,100}$")
    turn: int = Field(ge=1, le=MAX_TURNS + MAX_REPAIRS)
    base: Sha256 | None = None
    """The hash of everything before `entries`; None in the whole form."""
    entries: tuple[Entry, ...] = Field((), max_length=3 * (MAX_TURNS + MAX_REPAIRS))
    """What is new; in the whole form, all of it."""
    whole: Sha256
    """The hash of the conversation with `entries`, which is the next turn's base."""
    box: ToolBox | None = None
    """Only in the whole form."""
    offered: tuple[str, ...] | None = None
    """Names of the tools that may be called in this turn; None is all of them, empty is none: then
    the model must answer."""
    must_act: bool = False
    """The model may not answer in this turn: a required tool has not been called."""
    native: bool = True
    """The model takes tools; otherwise it fills the schema of an action."""
    prompt_bytes: int = Field(0, ge=0)
    """The size of the whole prompt as JSON, with earlier entries: it bounds the turn's cost."""
    trace: dict[str, str] = Field({}, max_length=4)
    """The span that the turn is part of, as W3C trace context. Not part of the call's body."""
