"""Changes to a team's settings: to a run that works, or to one that continues another."""

from typing import Any

from durable_agent_team.contracts.changes import AdjustAgent, AdjustRun
from durable_agent_team.contracts.control import AdjustBudget
from durable_agent_team.contracts.names import ORCHESTRATOR_AGENT
from durable_agent_team.contracts.team import Agent, Caller, Team
from durable_agent_team.rules.catalog import caller_of, callers

TeamChange = AdjustAgent | AdjustBudget | AdjustRun


def changed_caller(caller: Caller, change: AdjustAgent) -> Caller:
    """The agent with these settings."""
    changes: dict[str, Any] = {
        name: value
        for name in ("model", "timeout_seconds", "instructions", "max_tokens")
        if (value := getattr(change, name)) is not None
    }
    if change.max_attempts is not None:
        changes["retry"] = caller.retry.model_copy(update={"max_attempts": change.max_attempts})
    return caller.model_copy(update=changes)


def limits_of(change: AdjustRun) -> dict[str, Any]:
    """The limits that are part of the team. A deadline is not."""
    return {
        name: value
        for name in ("max_parallel", "budget_usd")
        if (value := getattr(change, name)) is not None
    }


def changed_team(team: Team, change: TeamChange) -> Team:
    """The team with these settings. Raises KeyError for an unknown agent."""
    if isinstance(change, AdjustRun):
        return team.model_copy(update=limits_of(change))
    if change.agent not in callers(team):
        raise KeyError(change.agent)
    before = caller_of(team, change.agent)
    if isinstance(change, AdjustAgent):
        after = changed_caller(before, change)
    else:
        after = before.model_copy(update={"budget_usd": change.budget_usd})
    if isinstance(after, Agent):
        return team.model_copy(update={"agents": {**team.agents, change.agent: after}})
    return team.model_copy(update={ORCHESTRATOR_AGENT: after})
