"""A call of a tool: what goes into its activity, and what comes of it."""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import Field

from durable_agent_team.contracts.base import Message, Usd
from durable_agent_team.contracts.call import AccountRef
from durable_agent_team.contracts.conversation import MAX_ARGUMENTS, MAX_TOOL_RESULT
from durable_agent_team.contracts.team import MAX_DOCUMENTS, Identifier
from durable_agent_team.contracts.text_ref import Text, TextRef
from durable_agent_team.contracts.tool_box import ToolFacts
from durable_agent_team.contracts.tool_kinds import MAX_TOOLS, Tool, ToolServer


class ListTools(Message):
    """What an agent's tools are: asked once in a run."""

    agent: Identifier
    tools: tuple[Tool, ...] = Field(max_length=MAX_TOOLS)
    servers: dict[str, ToolServer] = Field({}, max_length=MAX_TOOLS)
    documents: tuple[str, ...] = Field((), max_length=MAX_DOCUMENTS)
    """The names of the run's documents, for `read_document` and `search_documents`."""


class ToolOrder(Message):
    """One call, as its activity gets it. Temporal attempts it several times, unless its effects are
    `once`."""

    agent: Identifier
    task: str = Field(max_length=100)
    key: str = Field(max_length=200)
    """The same in all attempts: the conversation's id, the turn, and the number in the turn."""
    facts: ToolFacts
    tool: Tool
    servers: dict[str, ToolServer] = Field({}, max_length=1)
    """The one server that the tool belongs to."""
    arguments: str = Field("{}", max_length=MAX_ARGUMENTS)
    edited: bool = False
    """A person has changed the arguments: the model is told what was called."""
    again: bool = False
    """A person has said that a call which may have run is to be made again."""
    documents: dict[str, Text] = Field({}, max_length=MAX_DOCUMENTS)
    """Only for the tools that read documents."""
    session: str | None = Field(None, max_length=100)
    """For a stateful server, the session of the conversation's last call."""
    account: AccountRef | None = None
    """Where the tool has a price."""
    trace: dict[str, str] = Field({}, max_length=4)
    """The trace context, which is sent in `_meta`."""


class ToolResult(Message):
    """What came of a call. An error that the tool itself reports is a result, too."""

    stays_inline: ClassVar[bool] = True

    text: str = Field("", max_length=MAX_TOOL_RESULT)
    """As the model gets it. With `text_ref` it is in the store, and `text` is empty."""
    text_ref: TextRef | None = None
    is_error: bool = False
    bytes: int = Field(0, ge=0)
    """The size of the whole result if the model gets only a part of it, else 0."""
    session: str | None = Field(None, max_length=100)
    """Only for a stateful server."""
    charged_usd: Usd = Decimal(0)
    started_at: datetime
    seconds: float = Field(ge=0)
    key: str = Field("", max_length=200)
    """The order's: the history of a local activity does not have its input."""

    @property
    def whole(self) -> Text:
        return self.text if self.text_ref is None else self.text_ref


class ToolDemand(Message):
    """What a tool asks a person for before it runs: nothing is ever paid by itself."""

    kind: Literal["payment", "sign_in"]
    url: str = Field("", max_length=2_000)
    amount: str = Field("", max_length=200)
    """As the server names it, with its currency, and who gets it."""


class ToolFailure(Message):
    """The details of an error of `call_tool`."""

    sent: bool = False
    """The tool may have run."""
    demand: ToolDemand | None = None
    charged_usd: Usd = Decimal(0)
    required_usd: Usd | None = None
    remaining_usd: Usd | None = None


class ChargeEnd(Message):
    """What a person's decision about a call that may have run makes of its price, which is reserved
    at the agent's account."""

    account: AccountRef
    key: str = Field(max_length=200)
    """The call's key."""
    amount_usd: Usd
    settle: bool
    """False: it is released."""


class ChargeEnded(Message):
    charged_usd: Usd
    """What the account has paid for the call in all."""
