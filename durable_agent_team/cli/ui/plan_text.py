"""Pure: a plan in full, for the person who approves it."""

import json
from collections.abc import Iterator
from typing import Any

from durable_agent_team.cli.output import usd
from durable_agent_team.contracts.base import exact_time
from durable_agent_team.contracts.plan_in_full import PlanInFull, TaskInFull
from durable_agent_team.contracts.run import RunState, RunStatus, Waiting
from durable_agent_team.contracts.team import Checks
from durable_agent_team.process.called_program import starter_command
from durable_agent_team.rules.counts import counted, more

SHORT_SCHEMA = 90
"""Characters of a schema that is on one line."""


def waits_for_approval(state: RunState) -> Waiting | None:
    """What an approval answers. None where nothing waits for one."""
    if state.status is not RunStatus.APPROVAL or not state.waiting:
        return None
    return state.waiting[0]


def plan_text(plan: PlanInFull, most: int | None = None) -> str:
    """Every task with its ask, dependencies, documents, output, checks and worst case; then what
    all can cost, of which budgets. Of a large plan the first `most` tasks."""
    count = len(plan.tasks)
    lines = [f"plan    {counted(count, 'task')}, {_cost(plan)}"]
    for task in plan.tasks[:most]:
        lines += ["", *_task(task)]
    if most is not None and count > most:
        command = starter_command("approve", plan.workflow_id)
        lines += ["", f"… and {more(count - most, 'task', 'tasks')}: `{command}` prints all"]
    if plan.result is not None:
        lines += ["", f"result  {plan.result}"]
    if plan.agents:
        lines += ["", "agents"]
        lines += [
            f"  {each.agent}: at most {usd(each.most_usd)} USD, budget {usd(each.budget_usd)} USD"
            for each in plan.agents
        ]
    return "\n".join(lines)


def plan_answers(run: str, waiting: Waiting) -> list[str]:
    """The commands of a yes and of a no."""
    only = ["--since", exact_time(waiting.since)]
    return [
        f"yes     {starter_command('approve', run, waiting.subject, last=only)}",
        f"no      {starter_command('approve', run, waiting.subject, options=['--no'], last=only)}",
    ]


def _cost(plan: PlanInFull) -> str:
    if plan.most_usd is None:
        return "worst case not known: a model has no price"
    budget = f", budget {usd(plan.budget_usd)} USD" if plan.budget_usd is not None else ""
    return f"with the orchestrator's calls at most {usd(plan.most_usd)} USD{budget}"


def _task(task: TaskInFull) -> Iterator[str]:
    most = f", at most {usd(task.most_usd)} USD" if task.most_usd is not None else ""
    yield f"{task.id} ({task.agent}{most})"
    yield from _field("ask", task.ask.strip())
    if task.depends_on:
        yield from _field("after", ", ".join(task.depends_on))
    if task.documents:
        yield from _field("documents", ", ".join(task.documents))
    yield from _field("output", output_text(task.output))
    if rules := rules_text(task.checks):
        yield from _field("checks", rules)


def output_text(output: str | dict[str, Any]) -> str:
    """A name, or the schema in full."""
    if isinstance(output, str):
        return output
    line = json.dumps(output, ensure_ascii=False)
    if len(line) <= SHORT_SCHEMA:
        return f"JSON by {line}"
    return f"JSON by\n{json.dumps(output, ensure_ascii=False, indent=2)}"


def rules_text(checks: Checks) -> str:
    """The rules besides the schema, such as `min length 20`."""
    rules = checks.model_dump(mode="json", exclude_defaults=True)
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in rules.items())


def _field(name: str, text: str) -> Iterator[str]:
    first, *rest = text.splitlines() or [""]
    yield f"  {name:<9} {first}"
    yield from (f"            {line}" for line in rest)
