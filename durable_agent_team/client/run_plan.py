"""Reads the plan of a run from its history: the tasks in full, and the most that they can cost."""

from collections.abc import Sequence
from decimal import Decimal

from temporalio.client import Client

from durable_agent_team.client.ended_runs import read_ended_run
from durable_agent_team.client.exceptions import RunError
from durable_agent_team.client.run_history import read_record
from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.plan_in_full import AgentLimit, PlanInFull, TaskInFull
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Task, Team
from durable_agent_team.rules.estimate import Estimate, estimate


async def read_plan(client: Client, id: str) -> PlanInFull | None:
    """The plan as it is now, with what reviews and people added. Needs no worker. None where there
    is none yet, or where it cannot be read. Raises `RunNotFound` and `ServiceUnavailable`."""
    record = await read_record(client, id)
    ended = await read_ended_run(client, id) if record.request is not None else None
    plan = ended.whole_plan if ended is not None else None
    if ended is None or plan is None:
        return None
    return plan_in_full(id, ended.request, plan, record.catalog)


def plan_in_full(
    id: str, request: RunRequest, plan: Plan, catalog: ModelCatalog | None
) -> PlanInFull:
    """The plan with its worst case at these prices."""
    team = request.team.model_copy(update={"tasks": plan.tasks, "result": plan.result})
    found = _estimate(request.model_copy(update={"team": team}), catalog)
    most = {each.subject: each.usd for each in found.calls} if found is not None else {}
    agents = found.agents if found is not None else ()
    limits = [each.budget_usd for each in agents if each.budget_usd is not None]
    return PlanInFull(
        workflow_id=id,
        tasks=tuple(_in_full(task, team, most.get(task.id)) for task in plan.tasks),
        result=plan.result,
        agents=tuple(
            AgentLimit(agent=each.agent, most_usd=each.usd, budget_usd=each.budget_usd)
            for each in agents
        ),
        most_usd=found.most_usd if found is not None else None,
        budget_usd=team.budget_usd or _sum(limits, len(agents)),
    )


async def plan_of(client: Client, id: str) -> Plan | None:
    """The bare plan. None where there is none, or where it cannot be read. Raises
    `ServiceUnavailable`."""
    try:
        return (await read_ended_run(client, id)).whole_plan
    except RunError:
        return None


def _estimate(request: RunRequest, catalog: ModelCatalog | None) -> Estimate | None:
    return None if catalog is None else estimate(request, catalog)


def _in_full(task: Task, team: Team, most: Decimal | None) -> TaskInFull:
    agent = team.agents.get(task.agent)
    documents = (*(agent.inputs if agent is not None else ()), *task.inputs)
    return TaskInFull(
        id=task.id,
        agent=task.agent,
        ask=task.ask,
        depends_on=task.depends_on,
        documents=tuple(dict.fromkeys(documents)),
        output=task.output,
        checks=task.checks,
        most_usd=most,
    )


def _sum(limits: Sequence[Decimal], agents: int) -> Decimal | None:
    return sum(limits, Decimal(0)) if limits and len(limits) == agents else None
