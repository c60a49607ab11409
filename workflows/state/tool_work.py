"""What the tools of one conversation have done, and what the calls of its last turn wait for."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from durable_agent_team.contracts.conversation import ToolMessage
from durable_agent_team.contracts.conversation_view import ToolCallStatus
from durable_agent_team.contracts.effects import EffectDecision
from durable_agent_team.contracts.run import Failure

MAX_EQUAL_CALLS = 3
"""A call that was made so often with equal arguments is not made again."""


@dataclass
class ToolCallState:
    """One call of a turn. Its arguments are in the conversation."""

    name: str
    """As the model spelt it."""
    source: str = ""
    status: ToolCallStatus = ToolCallStatus.READY
    effects: str = ""
    edited: str | None = None
    """The arguments that a person put in the place of the model's."""
    approval: str = ""
    """How it was approved or rejected: `approved`, `edited`, `rejected`, `timed out`."""
    note: str = ""
    approved_sha256: str | None = None
    """Of what a person approved: the call runs with nothing else."""
    decision: EffectDecision | None = None
    """What a person has decided, until it is used."""
    answered: str | None = None
    """With `decision: result`."""
    parked_after: Failure | None = None
    """While it waits for a person: why."""
    rounds: int = 0
    """How often its activity was started."""
    is_in_flight: bool = False
    may_have_run: bool = False
    result: ToolMessage | None = None
    """Until the turn has ended; then the conversation has it."""
    is_error: bool = False
    result_bytes: int = 0
    """Of the whole result, where the model got a part of it."""
    charged_usd: Decimal = Decimal(0)
    started_at: datetime | None = None
    seconds: float = 0


@dataclass
class ToolWork:
    """The calls of one conversation, by `TURN.NUMBER`."""

    task: str
    agent: str
    tainted: bool = False
    """Something from outside has entered the conversation."""
    turn: int = 0
    """Whose calls are being made, or were made last."""
    calls: dict[str, ToolCallState] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    """How often each tool was called, by its name."""
    succeeded: dict[str, int] = field(default_factory=dict)
    """How often with a result that is no error."""
    equal: dict[str, int] = field(default_factory=dict)
    """How often each call was made with these arguments, by the beginning of their hash."""
    repeats: bool = False
    """The last turn asked for a call that was made too often: the next one has no tools."""
    sessions: dict[str, str] = field(default_factory=dict)
    """By server that keeps state: the session of the last call."""
