"""What the tasks of a plan can cost at most, against the money that is left for them.

A task's worst case is that of its first call: its prompt with all its documents, each hand-off in
it as long as its agent may answer, and an answer of all its `max_tokens`. Repairs come on top, up
to the limit of the account.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.team import Task, Team
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.rules.bounds import handoff_bytes, worst_case_usd
from durable_agent_team.rules.briefing import Briefing
from durable_agent_team.rules.catalog import model_of, price_of
from durable_agent_team.rules.programs import run_of
from durable_agent_team.rules.prompts import task_prompt_bytes

MAX_NAMED = 5
"""Tasks that a problem names, the most expensive first."""

ZERO = Decimal(0)


def task_costs_usd(
    team: Team,
    tasks: Sequence[Task],
    graph: Sequence[Task],
    documents: Mapping[str, Text],
    catalog: ModelCatalog,
) -> dict[str, Decimal | None]:
    """The worst case of each of the tasks, by id; None where its model has no price. `graph` has
    the tasks that they depend on."""
    handed = {
        task.id: handoff_bytes(team.agents[task.agent].max_tokens, task.id)
        for task in graph
        if task.agent in team.agents
    }
    costs: dict[str, Decimal | None] = {}
    for task in tasks:
        agent = team.agents[task.agent]
        prompt = task_prompt_bytes(team, task, documents)
        prompt += sum(handed.get(each, 0) for each in dict.fromkeys(task.depends_on))
        if run_of(agent) is not None:  # up to its budget
            costs[task.id] = None
            continue
        price = price_of(catalog, model_of(agent, catalog))
        costs[task.id] = worst_case_usd(prompt, agent.max_tokens, price)
    return costs


def money_problems(
    briefing: Briefing, tasks: Sequence[Task], graph: Sequence[Task]
) -> Iterator[Problem]:
    """Agents whose tasks can cost more than their accounts have left. Where a price or an account
    is not known, nothing is said: the account refuses what it cannot pay."""
    costs = task_costs_usd(briefing.team, tasks, graph, briefing.documents, briefing.catalog)
    for agent, left in briefing.left_usd.items():
        own = {task.id: costs[task.id] or ZERO for task in tasks if task.agent == agent}
        total = sum(own.values(), ZERO)
        if total <= left:
            continue
        by_cost = sorted(own, key=lambda each: own[each], reverse=True)
        named = ", ".join(f"{each} {own[each]}" for each in by_cost[:MAX_NAMED])
        more = f" and {len(own) - MAX_NAMED} more" if len(own) > MAX_NAMED else ""
        yield Problem(
            field=f"agents.{agent}",
            value=f"{total} USD",
            what=f"its {len(own)} tasks ({named}{more}) can cost that much in their first calls,"
            f" and it has {left} USD left",
            remedy="give it fewer tasks, with fewer documents and dependencies, or give some to"
            " agents with more money",
        )
