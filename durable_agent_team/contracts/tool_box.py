"""The tools of one agent, listed once and frozen for the run."""

from typing import Any

from pydantic import Field

from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.text_ref import Sha256, Text
from durable_agent_team.contracts.tool_kinds import MAX_TOOL_NAME, MAX_TOOLS, Effects

MAX_DEFINITIONS = 200
"""Tools of one agent, over all its servers."""
MAX_DEFINITIONS_BYTES = 400_000

MAX_SOURCE = 400

MODEL_NAME = r"^[A-Za-z0-9_-]{1,64}$"
"""A tool's name as models take it."""


class ToolFacts(Message):
    """One tool, without what only the model reads."""

    name: str = Field(pattern=MODEL_NAME)
    """As the model knows it; no other tool of the agent has it."""
    entry: int = Field(ge=0, lt=MAX_TOOLS)
    """Which of the agent's `tools` it belongs to."""
    own_name: str = Field(max_length=MAX_TOOL_NAME)
    """As its server knows it."""
    source: str = Field(max_length=MAX_SOURCE)
    """For people: `files.read_text_file`, `shop.tools:refund`, `calculate`."""
    effects: Effects
    """As the team file says, or a trusted server, or the default."""
    sha256: Sha256
    """The hash of name, description and schema: it shows whether a server has changed them."""


class ToolDefinition(Message):
    """One tool as the model sees it."""

    name: str = Field(pattern=MODEL_NAME)
    description: str = Field("", max_length=8_000)
    parameters: dict[str, Any]
    """A JSON Schema of type object."""


class ToolBox(Message):
    """The tools of an agent, frozen for the run."""

    tools: tuple[ToolFacts, ...] = Field(max_length=MAX_DEFINITIONS)
    definitions: Text
    """JSON: a list of `ToolDefinition`, in the order of `tools`; or the reference to it."""
    sha256: Sha256
    """The hash of `definitions`."""
    instructions: dict[str, str] = Field({}, max_length=MAX_TOOLS)
    """What each server says about itself, for people: it is not shown to the model."""
