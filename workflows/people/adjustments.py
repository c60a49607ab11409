"""What an order makes of the team, and why it may not: an agent's settings, the run's limits."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from durable_agent_team.contracts.changes import AdjustAgent, AdjustRun, AgentAdjusted, RunAdjusted
from durable_agent_team.contracts.names import ORCHESTRATOR_AGENT
from durable_agent_team.contracts.spend import ModelCatalog
from durable_agent_team.contracts.team import Caller
from durable_agent_team.rules.catalog import caller_of, model_of, price_of
from workflows.activity_errors import refused
from workflows.state.progress import Progress

FARTHEST = timedelta(days=3650)
"""A deadline beyond that is a slip, and no timer of Temporal's."""


def must_be_priced(catalog: ModelCatalog, model: str) -> None:
    """Raises ApplicationError for a model whose cost nobody could limit. Where the endpoint tells
    no prices at all, its own word counts when it is called."""
    price = price_of(catalog, model)
    if not catalog.priced or (price is not None and price.is_priced):
        return
    priced = ", ".join(each.model for each in catalog.models if each.is_priced)
    what = "has no price at the gateway" if price else "is not known at the gateway"
    raise refused(f"model = {model!r}: {what} (one of: {priced})"[:2000])


def change_agent(progress: Progress, order: AdjustAgent) -> bool:
    """Puts the settings in force; answers whether the agent's next calls have another body."""
    team, name = progress.team, order.agent
    before = caller_of(team, name)
    after = _changed(before, order)
    if name == ORCHESTRATOR_AGENT:
        progress.change_team(orchestrator=after)
    else:
        progress.change_team(agents={**team.agents, name: after})
    progress.accounts[name].model = model_of(after, progress.catalog)
    models = {model_of(each, progress.catalog) for each in (before, after)}
    return len(models) > 1 or before.instructions != after.instructions


def _changed(caller: Caller, order: AdjustAgent) -> Caller:
    changes: dict[str, Any] = {
        name: value
        for name in ("model", "timeout_seconds", "instructions")
        if (value := getattr(order, name)) is not None
    }
    if order.max_attempts is not None:
        changes["retry"] = caller.retry.model_copy(update={"max_attempts": order.max_attempts})
    return caller.model_copy(update=changes)


def agent_now(progress: Progress, name: str) -> AgentAdjusted:
    caller = caller_of(progress.team, name)
    return AgentAdjusted(
        agent=name,
        model=model_of(caller, progress.catalog),
        max_attempts=caller.retry.max_attempts,
        timeout_seconds=caller.timeout_seconds,
        instructions=caller.instructions,
    )


def must_allow_limits(progress: Progress, order: AdjustRun, now: datetime) -> None:
    """Raises ApplicationError where one of the limits cannot be, with what there is."""
    if progress.stopping:
        why = progress.cancel_reason or "a task failed"
        raise refused(f"the run starts nothing new any more: {why}")
    if order.deadline is not None:
        _must_be_ahead(order.deadline, now)
    if order.budget_usd is not None:
        _must_cover(progress, order.budget_usd)


def _must_be_ahead(deadline: datetime, now: datetime) -> None:
    if deadline <= now:
        told = f"it is {now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} by the run's clock"
        raise refused(
            f"deadline = {deadline.isoformat()}: is past; {told} (cancel ends it at once)"
        )
    if deadline - now > FARTHEST:
        raise refused(f"deadline = {deadline.isoformat()}: more than ten years ahead")


def _must_cover(progress: Progress, budget_usd: Decimal) -> None:
    """What is spent is part of the agents' limits; both are told where both are above it."""
    accounts = progress.accounts.values()
    limits = sum((each.budget_usd for each in accounts), Decimal(0))
    if budget_usd < progress.spent_usd:
        raise refused(
            f"budget_usd = {budget_usd}: below what the run has spent, {progress.spent_usd} USD,"
            f" and the agents' limits come to {limits} USD"
        )
    if budget_usd < limits:
        raise refused(
            f"budget_usd = {budget_usd}: the agents' limits come to {limits} USD"
            f" (lower them first, with adjust_budget; {progress.spent_usd} USD are spent)"
        )


def change_limits(progress: Progress, order: AdjustRun) -> None:
    """Puts width and budget in force for whoever looks them up; the deadline is a timer's."""
    changes = {
        name: value
        for name in ("max_parallel", "budget_usd")
        if (value := getattr(order, name)) is not None
    }
    progress.change_team(**changes)


def limits_now(progress: Progress) -> RunAdjusted:
    team = progress.team
    return RunAdjusted(
        max_parallel=team.max_parallel, deadline=progress.deadline, budget_usd=team.budget_usd
    )
