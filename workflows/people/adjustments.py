"""Checks and applies changes to a running team: an agent's settings, the limits of the run."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from durable_agent_team.contracts.changes import AdjustAgent, AdjustRun, AgentAdjusted, RunAdjusted
from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.names import ORCHESTRATOR_AGENT
from durable_agent_team.contracts.team import Caller
from durable_agent_team.rules.catalog import caller_of, cannot_chat, model_of, price_of
from durable_agent_team.rules.team_changes import changed_caller, limits_of
from workflows.activity_errors import refused
from workflows.state.progress import Progress

FARTHEST = timedelta(days=3650)
"""A later deadline is a mistake, and is not given to Temporal as a timer."""


def check_priced(catalog: ModelCatalog, model: str, *, looked_up: bool = True) -> None:
    """Raises ApplicationError for a model without a price, as its calls could not be limited. An
    endpoint that lists no prices at all decides when the model is called. Without `looked_up`, a
    model that a partial catalog does not have is let through: the gateway is asked for it next."""
    price = price_of(catalog, model)
    if not catalog.priced or (price is not None and price.is_priced):
        return
    if catalog.partial and price is None and not looked_up:
        return
    priced = ", ".join(each.model for each in catalog.models if each.is_priced)
    what = "has no price at the gateway" if price else "is not known at the gateway"
    raise refused(f"model = {model!r}: {what} (one of: {priced})"[:2000])


def check_chats(catalog: ModelCatalog, model: str, caller: Caller) -> None:
    """Raises ApplicationError for a model that only makes embeddings."""
    if cannot_chat(model, caller, catalog):
        raise refused(f"model = {model!r}: makes embeddings, and cannot chat")


def apply_to_agent(progress: Progress, change: AdjustAgent) -> bool:
    """Applies the settings; returns whether they change the body of the agent's next calls."""
    team, name = progress.team, change.agent
    before = caller_of(team, name)
    after = changed_caller(before, change)
    if name == ORCHESTRATOR_AGENT:
        progress.change_team(orchestrator=after)
    else:
        progress.change_team(agents={**team.agents, name: after})
    progress.accounts[name].model = model_of(after, progress.catalog)
    models = {model_of(each, progress.catalog) for each in (before, after)}
    limits = {each.max_tokens for each in (before, after)}
    return len(models) > 1 or len(limits) > 1 or before.instructions != after.instructions


def agent_now(progress: Progress, name: str) -> AgentAdjusted:
    """The settings of an agent in force."""
    caller = caller_of(progress.team, name)
    return AgentAdjusted(
        agent=name,
        model=model_of(caller, progress.catalog),
        max_attempts=caller.retry.max_attempts,
        timeout_seconds=caller.timeout_seconds,
        instructions=caller.instructions,
        max_tokens=caller.max_tokens,
    )


def check_limits(progress: Progress, change: AdjustRun, now: datetime) -> None:
    """Raises ApplicationError, with the figures, where one of the limits is not possible."""
    if progress.stopping:
        why = progress.cancel_reason or "a task failed"
        raise refused(f"the run starts nothing new any more: {why}")
    if change.deadline is not None:
        _check_deadline(change.deadline, now)
    if change.budget_usd is not None:
        _check_budget(progress, change.budget_usd)


def _check_deadline(deadline: datetime, now: datetime) -> None:
    if deadline <= now:
        clock = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} by the run's clock"
        raise refused(
            f"deadline = {deadline.isoformat()}: is in the past; it is {clock}"
            " (cancel ends it at once)"
        )
    if deadline - now > FARTHEST:
        raise refused(f"deadline = {deadline.isoformat()}: more than ten years ahead")


def _check_budget(progress: Progress, budget_usd: Decimal) -> None:
    """Against the sum of the agents' limits, of which what is spent is a part."""
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
            f" (lower them first, with adjust_budget; {progress.spent_usd} USD is spent)"
        )


def apply_limits(progress: Progress, change: AdjustRun) -> None:
    """Applies `max_parallel` and the budget. The deadline is applied by `Deadline.set`."""
    progress.change_team(**limits_of(change))


def limits_now(progress: Progress) -> RunAdjusted:
    """The limits of the run in force."""
    team = progress.team
    return RunAdjusted(
        max_parallel=team.max_parallel, deadline=progress.deadline, budget_usd=team.budget_usd
    )
