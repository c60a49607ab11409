"""Commands that steer a run: money, tasks, a pause, its end.

Each sends one signal or update and prints the run's answer.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from durable_agent_team.cli.arguments import Agent, Json, Run, Since, Task
from durable_agent_team.cli.command_client import with_run
from durable_agent_team.cli.control_message import build_message, parse_amount
from durable_agent_team.cli.output import print_answer, usd
from durable_agent_team.process.called_program import starter_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from durable_agent_team.client.runs import RunHandle
    from durable_agent_team.contracts.control import BudgetAdjusted, TaskAnswer
    from durable_agent_team.contracts.run import RunState

app = typer.Typer(rich_markup_mode=None)


@app.command()
def cancel(
    run: Run,
    reason: Annotated[str, typer.Option("--reason", help="Why; printed in the run's report.")] = "",
    json: Json = False,
) -> int:
    """Ask a run to stop. It keeps what is done, closes its accounts and reports."""
    from durable_agent_team.contracts.control import Cancel

    message = build_message(Cancel, {"reason": "--reason"}, reason=reason)
    with_run(run, lambda handle: handle.cancel(message.reason))
    text = f"run {run} is stopping; `{starter_command('result', run)}` shows its report"
    return print_answer(message, text, json)


@app.command()
def budget(
    run: Run,
    agent: Agent,
    amount: Annotated[
        str, typer.Argument(metavar="USD", help="The new total limit, such as 0.25.")
    ],
    raise_only: Annotated[
        bool,
        typer.Option("--raise-only", help="Do not lower the limit. Printed commands have it."),
    ] = False,
    json: Json = False,
) -> int:
    """Give an agent a new limit. It is in force at the gateway when the command returns."""
    from durable_agent_team.contracts.control import AdjustBudget

    names = {"agent": "AGENT", "budget_usd": "USD"}
    message = build_message(AdjustBudget, names, agent=agent, budget_usd=parse_amount(amount))
    adjusted = with_run(
        run,
        lambda handle: handle.adjust_budget(
            message.agent, message.budget_usd, raise_only=raise_only
        ),
    )
    return print_answer(adjusted, _limit(adjusted), json)


@app.command()
def transfer(
    run: Run,
    source: Annotated[str, typer.Argument(metavar="FROM", help="The agent that gives.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The agent that gets.")],
    amount: Annotated[str, typer.Argument(metavar="USD", help="How much, such as 0.25.")],
    json: Json = False,
) -> int:
    """Move unspent money between two agents of a run. Both limits change, or neither."""
    from durable_agent_team.contracts.control import Transfer

    names = {"from_agent": "FROM", "to_agent": "TO", "amount_usd": "USD"}
    values = {"from_agent": source, "to_agent": target, "amount_usd": parse_amount(amount)}
    message = build_message(Transfer, names, **values)
    moved = with_run(
        run,
        lambda handle: handle.transfer(message.from_agent, message.to_agent, message.amount_usd),
    )
    return print_answer(moved, f"{_limit(moved.from_agent)}\n{_limit(moved.to_agent)}", json)


@app.command()
def retry(run: Run, task: Task, since: Since = None, json: Json = False) -> int:
    """Wake a parked task, or redo one that has failed or is done. The run must be open.

    With a task that is done, everything behind it is done again, at its own price.
    """
    from durable_agent_team.contracts.control import TaskCommand

    names = {"task": "TASK", "since": "--since"}
    message = build_message(TaskCommand, names, task=task, since=since)
    answer = with_run(run, lambda handle: handle.retry_task(message.task, since=message.since))
    return print_answer(answer, _retried(answer), json)


@app.command("cancel-task")
def cancel_task(
    run: Run,
    task: Task,
    reason: Annotated[str, typer.Option("--reason", help="Why; printed as its failure.")] = "",
    json: Json = False,
) -> int:
    """Stop one task. Dependants that accept missing inputs continue without it."""
    from durable_agent_team.contracts.control import TaskCommand

    names = {"task": "TASK", "reason": "--reason"}
    message = build_message(TaskCommand, names, task=task, reason=reason)
    answer = with_run(run, lambda handle: handle.cancel_task(message.task, message.reason))
    # A task with a call in flight is cancelled a moment later.
    status = answer.status if answer.status == "cancelled" else "is being cancelled"
    return print_answer(answer, f"{answer.task}: {status}", json)


@app.command()
def pause(run: Run, json: Json = False) -> int:
    """Stop a run from starting new calls. Calls in flight continue."""
    from durable_agent_team.contracts.control import Empty

    with_run(run, lambda handle: handle.pause())
    text = f"run {run} starts no new call; `{starter_command('resume', run)}` continues it"
    return print_answer(Empty(), text, json)


@app.command()
def resume(
    run: Run,
    unpaid_only: Annotated[
        bool,
        typer.Option("--unpaid-only", help="Do not end a pause. Printed commands have it."),
    ] = False,
    json: Json = False,
) -> int:
    """Continue a paused run, and what an unpaid upstream held up.

    What waits for another answer is printed, with the command for it.
    """
    from durable_agent_team.client.exceptions import RunError
    from durable_agent_team.contracts.control import Empty, Resume

    async def send(handle: "RunHandle") -> "RunState | None":
        """Returns the state, or None if no worker answers or the output is JSON."""
        await handle.resume(unpaid_only=unpaid_only)
        try:
            return None if json else await handle.state()
        except RunError:
            return None

    state = with_run(run, send)
    what = " what an unpaid upstream held up" if unpaid_only else ""
    lines = [f"run {run} continues{what}", *(_holding_up(state) if state is not None else ())]
    message = Resume(unpaid_only=True) if unpaid_only else Empty()
    return print_answer(message, "\n".join(lines), json)


def _holding_up(state: "RunState") -> "Iterator[str]":
    """What the signal does not wake."""
    from durable_agent_team.cli.ui.run_tables import waiting_text
    from durable_agent_team.contracts.error_types import ErrorType

    if state.paused:
        command = starter_command("resume", state.workflow_id)
        yield f"it is paused, and starts no new call; `{command}` continues it"
    still = [each for each in state.waiting if each.type != ErrorType.UPSTREAM_OUT_OF_FUNDS]
    if still:
        yield "still waiting for a person"
    for each in still:
        yield from (f"  {line}" for line in waiting_text(each))


def _retried(answer: "TaskAnswer") -> str:
    if not answer.again:
        status = "is being tried again" if answer.status in ("parked", "woken") else answer.status
        return f"{answer.task}: {status}"
    behind, more = answer.again[1:], answer.again_total - len(answer.again)
    if not behind:
        return f"{answer.task}: is being done again; no other task depends on it"
    names = ", ".join(behind) + (f" and {more} more" if more else "")
    count = answer.again_total - 1
    return f"{answer.task}: is being done again, and so are {count} behind it: {names}"


def _limit(adjusted: "BudgetAdjusted") -> str:
    return (
        f"{adjusted.agent}: budget {usd(adjusted.budget_usd)} USD,"
        f" spent {usd(adjusted.spent_usd)}, left {usd(adjusted.remaining_usd)}"
    )
