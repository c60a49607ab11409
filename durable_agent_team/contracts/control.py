"""The payloads of a run's signals, updates and queries."""

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, RootModel, model_validator
from pydantic_core import PydanticCustomError

from durable_agent_team.contracts.approvals import MAX_DECIDER
from durable_agent_team.contracts.base import BudgetUsd, Message, Usd
from durable_agent_team.contracts.changes import AdjustAgent, AdjustRun
from durable_agent_team.contracts.conversation import MAX_ARGUMENTS
from durable_agent_team.contracts.effects import (
    MAX_EFFECT_NAME,
    MAX_EFFECT_RESULT,
    EffectDecision,
)
from durable_agent_team.contracts.team import Identifier, Task
from durable_agent_team.contracts.text_ref import Sha256


class Cancel(Message):
    reason: str = Field("", max_length=1_000)


class AdjustBudget(Message):
    """A new limit for one agent, at the gateway too. USD."""

    agent: Identifier
    budget_usd: BudgetUsd
    max_total_usd: BudgetUsd | None = None
    """A higher limit is refused where those of all agents together would be above this: the bound
    of a sender that may not decide about more."""
    raise_only: bool = False
    """Refused where the agent's limit is higher already, so that a command which is pasted late
    does not lower it."""


class Transfer(Message):
    """Moves unspent money from one agent's limit to another's: both or neither. USD."""

    from_agent: Identifier
    to_agent: Identifier
    amount_usd: BudgetUsd
    max_total_usd: BudgetUsd | None = None
    """Refused where the limits of all agents together are above this, as in `AdjustBudget`."""


class OfWaiting(Message):
    """The payload of a command for what waits."""

    since: AwareDatetime | None = None
    """Since when it waits, as `state` has it: refused where that does not wait any more, so that a
    command which is pasted late, or twice, answers nothing else."""


class TaskCommand(OfWaiting):
    """The payload of `retry_task` and `cancel_task`."""

    task: str = Field(max_length=200)
    reason: str = Field("", max_length=1_000)


class AnswerTask(OfWaiting):
    """What a person decides about an effect that may have happened, or says to a remote agent that
    asked. The parked task then continues."""

    task: str = Field(max_length=200)
    """A task's id, or the call of a tool that `state` shows as waiting, such as `refund:3.1`."""
    decision: EffectDecision
    result: str | None = Field(None, max_length=MAX_EFFECT_RESULT)
    """With `decision: result`, and only there: what the tool would have returned (JSON, or else a
    text), or the reply to the remote agent."""
    effect: str | None = Field(None, max_length=MAX_EFFECT_NAME)
    """By default, the one that the task waits for."""
    by: str = Field("", max_length=MAX_DECIDER)
    """Who decides, for those who look at it later."""

    @model_validator(mode="after")
    def _has_its_result(self) -> "AnswerTask":
        if (self.result is not None) != (self.decision is EffectDecision.RESULT):
            raise PydanticCustomError(
                "result_and_decision", "decision result needs a `result`, and only that one has it"
            )
        return self


def _as_text(arguments: Any) -> Any:
    """Written as an object, where a client has no use for JSON in a text."""
    return json.dumps(arguments, ensure_ascii=False) if isinstance(arguments, dict) else arguments


class Approve(OfWaiting):
    """Approves or rejects what waits for approval; `subject` is the one that `state` shows."""

    stays_inline: ClassVar[bool] = True  # it is also the update's answer

    subject: str = Field(max_length=200)
    approved: bool
    note: str = Field("", max_length=1_000)
    """The agent reads it if a call of a tool, or its hand-off, is rejected."""
    arguments: Annotated[str | None, BeforeValidator(_as_text)] = Field(
        None, max_length=MAX_ARGUMENTS
    )
    """For a call of a tool, the arguments that replace the model's: a JSON object or the
    text of one."""
    sha256: Sha256 | None = None
    """The hash of what the person read, from the query `approvals`: nothing else is approved."""
    by: str = Field("", max_length=MAX_DECIDER)
    """Who decides, for those who look at it later."""


class ApproveSignal(Approve):
    kind: Literal["approve"]


class AdjustBudgetSignal(AdjustBudget):
    kind: Literal["adjust_budget"]


class TransferSignal(Transfer):
    kind: Literal["transfer"]


class RetryTaskSignal(TaskCommand):
    kind: Literal["retry_task"]


class CancelTaskSignal(TaskCommand):
    kind: Literal["cancel_task"]


class AdjustAgentSignal(AdjustAgent):
    kind: Literal["adjust_agent"]


class AdjustRunSignal(AdjustRun):
    kind: Literal["adjust_run"]


class AddTaskSignal(Task):
    kind: Literal["add_task"]

    @property
    def task(self) -> Task:
        """The task without `kind`, as in the update and the plan."""
        return Task.model_validate(self.model_dump(exclude={"kind"}, exclude_unset=True))


class AnswerTaskSignal(AnswerTask):
    kind: Literal["answer"]


class Adjustment(
    RootModel[
        Annotated[
            AdjustBudgetSignal
            | TransferSignal
            | RetryTaskSignal
            | CancelTaskSignal
            | AdjustAgentSignal
            | AdjustRunSignal
            | AddTaskSignal
            | ApproveSignal
            | AnswerTaskSignal,
            Field(discriminator="kind"),
        ]
    ]
):
    """The payload of the signal `adjust`: `kind` names an update, the rest is its payload."""


class BudgetAdjusted(Message):
    agent: Identifier
    budget_usd: Usd
    spent_usd: Usd
    remaining_usd: Usd


class Transferred(Message):
    """Both limits after a transfer."""

    from_agent: BudgetAdjusted
    to_agent: BudgetAdjusted


class TaskAnswer(Message):
    """The result of `retry_task`, `cancel_task`, `add_task` and `answer`."""

    task: str
    status: str
    again: tuple[str, ...] = ()
    """After the retry of a task that was done: the tasks done again, this one first; at most 50."""
    again_total: int = 0
    result_bytes: int = 0
    """The size of a person's result that was cut."""
    max_result_bytes: int = 0
    """How much of that result its agent gets."""


class Empty(Message):
    """The payload of `pause`."""


class Resume(Message):
    """The payload of `resume`."""

    unpaid_only: bool = False
    """Wakes what an unpaid upstream held up, and leaves a pause as it is."""


class StateQuery(Message):
    """Tasks come in pages, so that the answer stays below 64 KB."""

    page: int = Field(1, ge=1, le=1_000)


class SpendQuery(Message):
    """Agents come in pages, so that the answer stays below 64 KB."""

    page: int = Field(1, ge=1, le=1_000)
