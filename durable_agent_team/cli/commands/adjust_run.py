"""`agent`, `add-task` and `limits`: change the agents, the plan or the limits of an open run."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from durable_agent_team.cli.arguments import Agent, Json, Run
from durable_agent_team.cli.command_client import with_run
from durable_agent_team.cli.control_message import build_message, parse_amount
from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.output import print_answer, usd, utc_minute

if TYPE_CHECKING:
    from durable_agent_team.contracts.changes import AgentAdjusted, RunAdjusted

app = typer.Typer(rich_markup_mode=None)
NO_DEADLINE = "none"


@app.command()
def agent(
    run: Run,
    agent: Agent,
    model: Annotated[str | None, typer.Option("--model", help="A model with a price.")] = None,
    instructions: Annotated[
        str | None, typer.Option("--instructions", help="How it should work.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", help="Seconds for each attempt of a call.")
    ] = None,
    attempts: Annotated[
        int | None, typer.Option("--attempts", help="How often a call is tried, 1 to 20.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", help="The longest answer, in tokens.")
    ] = None,
    json: Json = False,
) -> int:
    """Give an agent other settings for its next calls."""
    from durable_agent_team.contracts.changes import AdjustAgent

    names = {
        "agent": "AGENT",
        "model": "--model",
        "instructions": "--instructions",
        "timeout_seconds": "--timeout",
        "max_attempts": "--attempts",
        "max_tokens": "--max-tokens",
    }
    changes = _given(
        names,
        model=model,
        instructions=instructions,
        timeout_seconds=timeout,
        max_attempts=attempts,
        max_tokens=max_tokens,
    )
    build_message(AdjustAgent, names, agent=agent, **changes)
    adjusted = with_run(run, lambda handle: handle.adjust_agent(agent, **changes))
    told = _settings(adjusted)
    if max_tokens is not None:
        told += f", answers of up to {adjusted.max_tokens} tokens"
    return print_answer(adjusted, told, json)


@app.command("add-task")
def add_task(
    run: Run,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="One task in YAML; `-` reads standard input.")
    ],
    json: Json = False,
) -> int:
    """Add a task to an open run. It starts once what it depends on is done."""
    from durable_agent_team.cli.request_file import problem_text
    from durable_agent_team.team_files.task_file import load_task
    from durable_agent_team.team_files.yaml_file import TeamFileError

    try:
        task = load_task(file)
    except TeamFileError as error:
        raise CommandError(ExitCode.INVALID_INPUT, problem_text(error.problems)) from error
    added = with_run(run, lambda handle: handle.add_task(task))
    return print_answer(added, f"{added.task}: added; {added.status}", json)


@app.command()
def limits(
    run: Run,
    max_parallel: Annotated[
        int | None, typer.Option("--max-parallel", help="Calls in flight at once, 1 to 500.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="USD", help="For all agents together.")
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option(
            "--deadline",
            metavar="TIME",
            help="Such as 2026-12-31T18:00:00+01:00: then nothing new starts. `none`: no deadline.",
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Change a run's limits for what has not started."""
    from durable_agent_team.contracts.changes import AdjustRun

    names = {"max_parallel": "--max-parallel", "budget_usd": "--budget", "deadline": "--deadline"}
    amount = None if budget is None else parse_amount(budget, "--budget")
    given = _given(names, max_parallel=max_parallel, budget_usd=amount, deadline=deadline)
    if deadline == NO_DEADLINE:
        given["deadline"] = None
    message = build_message(AdjustRun, names, **given)
    changes: Any = {field: getattr(message, field) for field in given}
    adjusted = with_run(run, lambda handle: handle.adjust_run(**changes))
    return print_answer(adjusted, _limits(adjusted), json)


def _given(names: dict[str, str], **changes: Any) -> dict[str, Any]:
    """The options that were given. Raises `CommandError` if there is none."""
    given = {name: value for name, value in changes.items() if value is not None}
    if not given:
        options = ", ".join(names[name] for name in changes)
        problem = f"nothing to change (give one or more of {options})"
        raise CommandError(ExitCode.INVALID_INPUT, problem)
    return given


def _settings(adjusted: "AgentAdjusted") -> str:
    attempts = f"{adjusted.max_attempts} attempts of {adjusted.timeout_seconds:g} seconds"
    instructions = f"{len(adjusted.instructions)} characters of instructions"
    return f"{adjusted.agent}: model {adjusted.model}, {attempts}, {instructions}"


def _limits(adjusted: "RunAdjusted") -> str:
    until = "no deadline"
    if adjusted.deadline is not None:
        until = f"until {utc_minute(adjusted.deadline)}"
    budget = "no budget above the agents'"
    if adjusted.budget_usd is not None:
        budget = f"agents' budgets up to {usd(adjusted.budget_usd)} USD"
    return f"{adjusted.max_parallel} calls at once, {until}, {budget}"
