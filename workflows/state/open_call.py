"""What is known of a call that has not ended: enough to take it up in the run's next execution."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from durable_agent_team.contracts.call import CallRequest, Rejected
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.team import Agent, Caller, OrchestratorAgent
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.rules.repair_room import next_growth
from workflows.state.conversation import ConversationState

CUT_OFF = "length"
"""The `finish_reason` of an answer that needs more room."""

MAX_SETTLEMENT_WAITS = 60
"""Money that no call of this run holds is held by a lease of the gateway's, for some minutes."""


@dataclass
class Issued:
    """A request without its texts, which are made again from the plan and the hand-offs."""

    key: str
    model: str
    max_tokens: int
    caller: Agent | OrchestratorAgent
    """Its agent's settings when the request was made."""
    digest: str
    """SHA-256 of everything that is in the request's body."""
    known_limits: int = 0
    """As in the request."""


@dataclass
class OpenCall:
    """The way of one task, or one step of the orchestrator, to a checked answer."""

    agent: str
    number: int = 1
    """Which answer is wanted: from 2 on, a repair."""
    rejected: Rejected | None = None
    """The answer before, where that failed its checks."""
    waits_left: int = MAX_SETTLEMENT_WAITS
    """How often it may still wait for money that other calls have reserved."""
    lost_rounds: int = 0
    """Rounds of attempts in which a worker was lost each time."""
    parked_after: Failure | None = None
    """While it waits for a person: what it was refused with."""
    issued: Issued | None = None
    """Its request, in the next execution; until then `request` is there."""
    request: Annotated[CallRequest | None, Field(exclude=True)] = None
    caller: Annotated[Caller | None, Field(exclude=True)] = None
    """Its agent's settings when the request was made."""
    growth: int = 1
    """How many times its agent's `max_tokens` the answer may have, since one was cut off."""
    is_approved: bool = False
    """A person has approved the task before its first call."""
    approved_body: str | None = None
    """The hash of an expensive request that a person has approved."""
    checked: Text | None = None
    """An answer that has passed its checks, while a person decides whether it is handed on."""
    conversation: Annotated[ConversationState | None, Field(exclude=True)] = None
    """Set for an agent with tools. It is the one in `Progress.conversations`, unless the task is
    done again meanwhile."""

    def next_answer(self, rejected: Rejected) -> None:
        """The answer has failed its checks: what follows is another call."""
        self.rejected = rejected
        if rejected.finish_reason == CUT_OFF:
            has_answer = bool(rejected.answer or rejected.answer_ref)
            self.growth = next_growth(self.growth, has_answer=has_answer)
        self.number += 1
        self.waits_left = MAX_SETTLEMENT_WAITS
        self.request = self.issued = None

    def next_turn(self) -> None:
        """The model has called tools: what follows is another call, with their results."""
        self.waits_left = MAX_SETTLEMENT_WAITS
        self.request = self.issued = None

    def start_over(self) -> None:
        """The last repair has failed its checks: what follows is a new call, as at first."""
        self.rejected, self.number, self.growth = None, 1, 1
        self.waits_left = MAX_SETTLEMENT_WAITS
        self.request = self.issued = None

    @property
    def key(self) -> str | None:
        """The idempotency key of its request, once that is made."""
        made = self.request.idempotency_key if self.request else None
        return made or (self.issued.key if self.issued else None)
