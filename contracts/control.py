"""What people outside may tell a run: the payloads of signals and updates."""

from typing import Literal

from pydantic import Field

from contracts.model import BudgetUsd, Message, Usd
from contracts.team import Identifier


class Cancel(Message):
    reason: str = Field("", max_length=1_000)


class AdjustBudget(Message):
    """A new limit for one agent, at the gateway too. USD."""

    agent: Identifier
    budget_usd: BudgetUsd


class AdjustBudgetSignal(AdjustBudget):
    kind: Literal["adjust_budget"]


Adjustment = AdjustBudgetSignal
"""The payload of the signal `adjust`: `kind` names an update, the rest is its payload."""


class BudgetAdjusted(Message):
    agent: Identifier
    budget_usd: Usd
    spent_usd: Usd
    remaining_usd: Usd


class Approve(Message):
    """Answers what waits for a person; `subject` is the one that `state` shows."""

    subject: str = Field(max_length=200)
    approved: bool
    note: str = Field("", max_length=1_000)


class Empty(Message):
    """The payload of `pause` and `resume`."""


class StateQuery(Message):
    """Tasks come in pages, so that the answer stays below 64 KB."""

    page: int = Field(1, ge=1, le=1_000)
