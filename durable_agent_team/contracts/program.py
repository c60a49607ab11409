"""One execution of an agent that is a program: what goes into its activity, and its environment.

The result is a `CallResult`: the program's answer is checked like a model's.
"""

from decimal import Decimal
from typing import Final

from pydantic import Field

from durable_agent_team.contracts.base import Message, Usd
from durable_agent_team.contracts.call import MAX_ANSWER, MAX_REMOTE_TASK, CallRequest, Usage
from durable_agent_team.contracts.effects import EffectAnswer
from durable_agent_team.contracts.program_kinds import Run
from durable_agent_team.contracts.team import Identifier

ATTEMPTS_OF_AN_EXECUTION: Final = 1_000
"""Temporal's attempts of one activity; an agent's policy allows far fewer."""

MAX_ATTEMPT: Final = 10**9
"""The gateway's bound on a scope's attempt number."""

MAX_EXECUTIONS: Final = MAX_ATTEMPT // ATTEMPTS_OF_AN_EXECUTION - 1


class ProgramCall(Message):
    """One execution of a program. Temporal may attempt it several times.

    `call` is the request as a model would get it: task, texts, output, checks, and the rejected
    answer with its reasons. Its `model` is empty where neither the agent nor the worker names one.
    """

    call: CallRequest
    run: Run
    scope: str = Field(pattern=r"^[A-Za-z0-9._~-]{1,100}$")
    """One agent's work on one task, through all attempts, parks and repairs."""
    execution: int = Field(ge=1, le=MAX_EXECUTIONS)
    """Which activity of this scope it is, counted from 1."""
    role: str = Field(max_length=200)
    instructions: str = Field("", max_length=8_000)
    effect_answers: tuple[EffectAnswer, ...] = Field((), max_length=100)
    """What a person has decided about unknown effects of this scope."""
    reply: str | None = Field(None, max_length=MAX_ANSWER)
    """A person's answer to a remote agent that asked."""
    remote_task: str | None = Field(None, max_length=MAX_REMOTE_TASK)
    """The remote agent's task that continues."""
    timeout_seconds: float = Field(60, gt=0, le=86_400)
    """After which the program is killed. The activity itself has more time, to report that."""
    known_spent_usd: Usd = Decimal(0)
    """What the scope had cost when the workflow last knew; this execution's cost comes on top."""
    signal_seconds: float | None = Field(None, gt=0)
    """The shortest pause between two signals that say what the scope has cost so far; None where
    the run does not want any."""


SPEND_SIGNAL: Final = "program_spend"
"""The signal by which an activity tells the run what its program has cost so far."""


class ProgramSpend(Message):
    """The payload of `program_spend`: the whole cost of a scope, not what has come on top."""

    scope: str = Field(max_length=100)
    spent_usd: Usd
    usage: Usage = Field(default_factory=Usage)


def scope_attempt(execution: int, attempt: int) -> int:
    """The attempt number that the gateway sees: it grows with every start of the program.

    >>> scope_attempt(2, 3)
    2003
    """
    return execution * ATTEMPTS_OF_AN_EXECUTION + min(attempt, ATTEMPTS_OF_AN_EXECUTION - 1)


class EnvironmentOrder(Message):
    """The environment of a program, which is made on a worker's first use of it."""

    agent: Identifier
    environment: str = Field(min_length=1, max_length=1_000)
    """The absolute path of a directory with `requirements.lock`."""


class EnvironmentReady(Message):
    """An environment that can be used."""

    python: str = Field(max_length=1_000)
    """The path of its interpreter, on the worker that made it."""
    made: bool = False
    """It was made now, and not found as it was."""
    seconds: float = Field(0, ge=0)
