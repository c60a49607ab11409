"""A plan as a person sees it who approves it."""

from decimal import Decimal
from typing import Any

from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.team import Checks, Identifier


class TaskInFull(Message):
    """A task of a plan. `most_usd` is the most that its calls can cost, with all repairs; None
    where its model has no price."""

    id: Identifier
    agent: Identifier
    ask: str
    depends_on: tuple[Identifier, ...]
    documents: tuple[str, ...]
    output: str | dict[str, Any]
    checks: Checks
    most_usd: Decimal | None


class AgentLimit(Message):
    """The most that an agent's calls can cost, and the limit of its account."""

    agent: Identifier
    most_usd: Decimal | None
    budget_usd: Decimal | None


class PlanInFull(Message):
    """What a person needs to see to approve a plan. `most_usd` respects every limit."""

    workflow_id: str
    tasks: tuple[TaskInFull, ...]
    result: Identifier | None
    agents: tuple[AgentLimit, ...]
    most_usd: Decimal | None
    budget_usd: Decimal | None
