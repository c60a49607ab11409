"""What the tools of one conversation have done, and what the calls of its last turn wait for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from durable_agent_team.contracts.conversation import ToolMessage
from durable_agent_team.contracts.conversation_view import ToolCallStatus
from durable_agent_team.contracts.effects import EffectDecision
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.tool_kinds import Effects

MAX_EQUAL_CALLS = 3
"""A call that was made so often with equal arguments is not made again."""

HAS_ENDED = frozenset(
    {
        ToolCallStatus.DONE,
        ToolCallStatus.FAILED,
        ToolCallStatus.REJECTED,
        ToolCallStatus.SKIPPED,
        ToolCallStatus.ANSWERED,
        ToolCallStatus.NOT_RUN,
    }
)
WAITS_FOR_PERSON = frozenset({ToolCallStatus.APPROVAL, ToolCallStatus.PARKED})


@dataclass
class ToolCallState:
    """One call of a turn. Its own arguments are in the conversation."""

    name: str
    """As the model spelt it."""
    source: str = ""
    effects: Effects | None = None
    status: ToolCallStatus = ToolCallStatus.READY
    tainted: bool = False
    """Something from outside had entered the conversation before it."""
    edited: str | None = None
    """The arguments that a person put in the place of the model's."""
    approval: Literal["", "approved", "edited", "rejected", "timed_out"] = ""
    note: str = ""
    """The person's."""
    decided_by: str = ""
    """Who approved, rejected or answered it."""
    decided_at: datetime | None = None
    approved_sha256: str | None = None
    """The hash of what was approved: the call is made with nothing else."""
    same_as: str | None = None
    """The number of an equal call of the turn, whose result it has."""
    rounds: int = 0
    """Activities that were started since a person decided about it last."""
    parked_after: Failure | None = None
    """While it waits for a person: why."""
    unknown: Failure | None = None
    """It may have run: only a person's decision lets it continue."""
    again: bool = False
    """A person has said that it is made once more, although it may have run."""
    decision: EffectDecision | None = None
    """What a person has decided, until it is used."""
    answered: str | None = None
    """With `decision: result`."""
    result: ToolMessage | None = None
    """Until the turn has ended; then the conversation has it."""
    reason: str = ""
    """Why it was not run."""
    result_bytes: int = 0
    """The size of the whole result if the model got only a part of it."""
    charged_usd: Decimal = Decimal(0)
    started_at: datetime | None = None
    seconds: float | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in HAS_ENDED

    def end(self, status: ToolCallStatus, result: ToolMessage, reason: str = "") -> None:
        self.status, self.result, self.reason = status, result, reason[:1_000]
        self.unknown = self.decision = self.answered = None


@dataclass
class ToolWork:
    """The calls of one conversation, by `TURN.NUMBER`."""

    task: str
    agent: str
    conversation: str = ""
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

    @property
    def open_keys(self) -> set[str]:
        """Calls that may be made again, or whose charges are not decided."""
        return {
            key_of(self.conversation, number)
            for number, call in self.calls.items()
            if not call.has_ended
        }

    def of_turn(self, turn: int) -> Iterator[ToolCallState]:
        """The calls of a turn, in their order."""
        number = 1
        while (found := self.calls.get(f"{turn}.{number}")) is not None:
            yield found
            number += 1


def subject_of(task: str, number: str) -> str:
    """What people call a call: `refund:3.1`."""
    return f"{task}:{number}"


def key_of(conversation: str, number: str) -> str:
    """The key of a call, for its tool and for its charge."""
    return f"{conversation}:{number}"
