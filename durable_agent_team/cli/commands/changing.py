"""What a person changes of a run that goes on: an agent, the plan, the limits."""

from typing import Any

from durable_agent_team.cli.commands.telling import amount_of, answered, order_of, tell
from durable_agent_team.cli.exit_codes import Code, CommandError
from durable_agent_team.cli.loading import problem_text
from durable_agent_team.cli.output import minute, usd
from durable_agent_team.contracts.changes import AdjustAgent, AdjustRun, AgentAdjusted, RunAdjusted
from durable_agent_team.team_files.task_file import load_task
from durable_agent_team.team_files.yaml_file import TeamFileError

NO_DEADLINE = "none"


def agent(run: str, name: str, changes: dict[str, Any], json: bool) -> int:
    """Changes an agent's settings and prints what they are now. None: not given."""
    names = {
        "agent": "AGENT",
        "model": "--model",
        "instructions": "--instructions",
        "timeout_seconds": "--timeout",
        "max_attempts": "--attempts",
    }
    given = _given(changes, names)
    order_of(AdjustAgent, names, agent=name, **given)
    adjusted = tell(run, lambda handle: handle.adjust_agent(name, **given))
    return answered(adjusted, _settings(adjusted), json)


def limits(
    run: str, width: int | None, budget: str | None, deadline: str | None, json: bool
) -> int:
    """Changes a run's limits and prints what they are now. None: not given."""
    names = {"max_parallel": "--max-parallel", "budget_usd": "--budget", "deadline": "--deadline"}
    amount = None if budget is None else amount_of(budget, "--budget")
    given = _given(
        {"max_parallel": width, "budget_usd": amount, "deadline": deadline},
        names,
    )
    if deadline == NO_DEADLINE:
        given["deadline"] = None
    order = order_of(AdjustRun, names, **given)
    changes: Any = {field: getattr(order, field) for field in given}
    adjusted = tell(run, lambda handle: handle.adjust_run(**changes))
    return answered(adjusted, _limits(adjusted), json)


def add_task(run: str, file: str, json: bool) -> int:
    """Adds the task of a file and prints whether it starts or waits."""
    try:
        task = load_task(file)
    except TeamFileError as error:
        raise CommandError(Code.INPUT_WRONG, problem_text(error.problems)) from error
    added = tell(run, lambda handle: handle.add_task(task))
    return answered(added, f"{added.task}: is added; {added.status}", json)


def _given(changes: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Without what was left out; nothing at all ends the command."""
    given = {name: value for name, value in changes.items() if value is not None}
    if not given:
        options = [names[name] for name in changes]
        told = f"nothing to change (give one or more of {', '.join(options)})"
        raise CommandError(Code.INPUT_WRONG, told)
    return given


def _settings(adjusted: AgentAdjusted) -> str:
    attempts = f"{adjusted.max_attempts} attempts of {adjusted.timeout_seconds:g} seconds"
    instructions = f"{len(adjusted.instructions)} characters of instructions"
    return f"{adjusted.agent}: model {adjusted.model}, {attempts}, {instructions}"


def _limits(adjusted: RunAdjusted) -> str:
    until = "no deadline"
    if adjusted.deadline is not None:
        until = f"until {minute(adjusted.deadline)}"
    budget = "no budget above the agents'"
    if adjusted.budget_usd is not None:
        budget = f"agents' budgets up to {usd(adjusted.budget_usd)} USD"
    return f"{adjusted.max_parallel} calls at once, {until}, {budget}"
