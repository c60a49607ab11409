"""Checks arguments that a person wrote for a call of a tool."""

from pydantic import Field

from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.conversation import MAX_ARGUMENTS
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.contracts.tool_box import MODEL_NAME


class ArgumentsCheck(Message):
    """The tool `name` of `definitions`, which are as in a `ToolBox`."""

    definitions: Text
    name: str = Field(pattern=MODEL_NAME)
    arguments: str = Field(max_length=MAX_ARGUMENTS)
    """A JSON object."""


class ArgumentsVerdict(Message):
    """What is wrong with them; empty if nothing is."""

    problem: str = Field("", max_length=2_000)
