"""The keys `tool_servers` of a team and `tools` of an agent: what an agent may do, and how."""

from enum import StrEnum
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from durable_agent_team.contracts.base import BudgetUsd, Usd, Written
from durable_agent_team.contracts.names import IDENTIFIER
from durable_agent_team.contracts.program_kinds import (
    FUNCTION,
    MAX_PATH,
    MAX_VARIABLES,
    HeaderName,
    HeaderReference,
    VariableName,
    VariableReference,
    only_kind,
)

MAX_TOOLS = 100
"""Entries of one agent; a server of one entry may have as many tools."""
MAX_TOOL_NAME = 200
BuiltIn = Literal["calculate", "read_document", "search_documents", "fetch"]
BUILT_IN: tuple[str, ...] = get_args(BuiltIn)
SECRET_KEYS = frozenset({"env", "headers"})
"""A wrong value of these is one that should be in the worker's environment: it is not repeated."""
READ_DOCUMENTS = frozenset({"read_document", "search_documents"})
"""The built-in tools that read the run's documents, and name them in their definitions."""

ToolName = Annotated[str, Field(min_length=1, max_length=MAX_TOOL_NAME)]
HostName = Annotated[str, Field(pattern=r"^(\*\.)?[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?$")]
ServerName = Annotated[str, Field(pattern=IDENTIFIER)]


class Effects(StrEnum):
    """What a tool does to the world."""

    NONE = "none"
    """It only reads: it is tried again as often as the policy says."""
    IDEMPOTENT = "idempotent"
    """It may be tried again with the same key, and acts once."""
    ONCE = "once"
    """It is never tried again by itself once it may have run: a person decides."""


class ApprovalRule(StrEnum):
    """When a person has to approve a call of a tool, before it runs."""

    NEVER = "never"
    ALWAYS = "always"
    TAINTED = "tainted"
    """After something from outside has entered the conversation."""
    ABOVE_USD = "above_usd"
    """Where the amount of the call is above `above_usd`, or unknown."""


class _Server(Written):
    stateful: bool = False
    """A session of it remembers earlier calls: the model is told when a session began anew."""
    trust_hints: bool = False
    """What the server says of its tools (`readOnlyHint`, `idempotentHint`) sets their `effects`,
    where the team file does not."""
    connect_seconds: float = Field(30, gt=0, le=600)


class CommandServer(_Server):
    """An MCP server that is a process of the worker's, on standard input and output."""

    command: tuple[Annotated[str, Field(min_length=1, max_length=4_000)], ...] = Field(
        min_length=1, max_length=100
    )
    """The program and its arguments; no shell reads them."""
    env: dict[VariableName, VariableReference] = Field({}, max_length=MAX_VARIABLES)
    """Its own variables -> `$NAME` of the worker's environment."""
    directory: str | None = Field(None, min_length=1, max_length=MAX_PATH)
    """Where relative paths of the command begin; by default, the directory of the team file."""


class UrlServer(_Server):
    """An MCP server elsewhere, by streamable HTTP."""

    url: str = Field(max_length=2_000, pattern=r"^https?://[^\s/?#@]+([/?#]\S*)?$")
    headers: dict[HeaderName, HeaderReference] = Field({}, max_length=20)
    """A header's name -> `$NAME` of a variable in the worker's environment."""


SERVER_KINDS = ("command", "url")


def _server_kind(value: Any) -> str | None:
    return only_kind(value, SERVER_KINDS)


ToolServer = Annotated[
    Annotated[CommandServer, Tag("command")] | Annotated[UrlServer, Tag("url")],
    Discriminator(
        _server_kind,
        custom_error_type="no_kind_of_server",
        custom_error_message="give exactly one of command and url",
    ),
]


class _Tool(Written):
    effects: Effects | None = None
    """By default `once`, and `none` of what is built in."""
    approve: ApprovalRule | None = None
    """By default `tainted`, and `never` of a tool without effects."""
    above_usd: Usd | None = None
    """With `approve: above_usd`, and only there."""
    amount: str | None = Field(None, min_length=1, max_length=100)
    """With `approve: above_usd`: the argument that holds the amount in USD; by default, what the
    call itself costs (`price_usd`)."""
    approval_timeout_seconds: float = Field(7 * 86_400, gt=0, le=90 * 86_400)
    on_approval_timeout: Literal["reject", "approve"] = "reject"
    trusted: bool = False
    """What it returns does not taint the conversation."""
    price_usd: BudgetUsd | None = None
    """What one call costs the agent's account."""
    timeout_seconds: float = Field(60, gt=0, le=86_400)
    max_attempts: int = Field(3, ge=1, le=20)
    """For calls without effects and idempotent ones; others are not retried."""
    max_calls: int | None = Field(None, ge=1, le=1_000)
    """In one conversation, without those that a person rejects. After them it is not offered any
    more."""
    required: bool = False
    """The agent cannot answer before one call of it has succeeded."""
    max_result_bytes: int = Field(16_000, ge=200, le=200_000)
    """The model gets only the beginning and the end of a longer result."""
    key_argument: str | None = Field(None, min_length=1, max_length=100)
    """The argument in which the tool gets the key of the call; it is not shown to the model."""

    @model_validator(mode="after")
    def _has_its_amount(self) -> "_Tool":
        if (self.above_usd is not None) != (self.approve is ApprovalRule.ABOVE_USD):
            raise PydanticCustomError(
                "above_usd", "approve: above_usd needs an `above_usd`, and only that one has it"
            )
        return self


class BuiltInTool(_Tool):
    """One of those that every worker has. In a team file, its name alone is enough."""

    built_in: BuiltIn
    hosts: tuple[HostName, ...] = Field((), max_length=100)
    """The hosts that `fetch` may read from; `*.example.com` allows every subdomain."""


class ServerTools(_Tool):
    """The tools of an MCP server, all of them or those that `only` names."""

    server: ServerName
    only: tuple[ToolName, ...] = Field((), max_length=MAX_TOOLS)
    leave_out: tuple[ToolName, ...] = Field((), max_length=MAX_TOOLS)


class PythonTool(_Tool):
    """A function of the team's own. Its schema is made from its signature and its docstring."""

    python: str = Field(pattern=FUNCTION, max_length=300)
    """`module:function`."""
    directory: str | None = Field(None, min_length=1, max_length=MAX_PATH)
    """Where the module is imported from; by default, the directory of the team file."""
    env: dict[VariableName, VariableReference] = Field({}, max_length=MAX_VARIABLES)
    """Variables that the function's process gets -> `$NAME` of the worker's environment."""


TOOL_KINDS = ("built_in", "server", "python")


def _tool_kind(value: Any) -> str | None:
    return only_kind(value, TOOL_KINDS)


def _from_name(value: Any) -> Any:
    """`calculate` stands for `{built_in: calculate}`."""
    return {"built_in": value} if isinstance(value, str) else value


Tool = Annotated[
    Annotated[BuiltInTool, Tag("built_in")]
    | Annotated[ServerTools, Tag("server")]
    | Annotated[PythonTool, Tag("python")],
    Discriminator(
        _tool_kind,
        custom_error_type="no_kind_of_tool",
        custom_error_message="give a built-in tool's name, or exactly one of server and python",
    ),
    BeforeValidator(
        _from_name, json_schema_input_type=BuiltIn | BuiltInTool | ServerTools | PythonTool
    ),
]
