"""Commands that steer a run: money, tasks, an approval, a pause, its end.

Each sends one signal or update and prints the run's answer.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from durable_agent_team.cli.arguments import Agent, Json, Run, Task
from durable_agent_team.cli.command_client import with_run
from durable_agent_team.cli.control_message import build_message, parse_amount
from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.output import print_answer, usd
from durable_agent_team.process.called_program import starter_command

if TYPE_CHECKING:
    from durable_agent_team.client.runs import RunHandle
    from durable_agent_team.contracts.control import BudgetAdjusted, TaskAnswer
    from durable_agent_team.contracts.plan_in_full import PlanInFull

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
        str, typer.Argument(metavar="USD", help="The new limit in all, such as 0.25.")
    ],
    json: Json = False,
) -> int:
    """Give an agent a new limit. It is in force at the gateway when the command returns."""
    from durable_agent_team.contracts.control import AdjustBudget

    names = {"agent": "AGENT", "budget_usd": "USD"}
    message = build_message(AdjustBudget, names, agent=agent, budget_usd=parse_amount(amount))
    adjusted = with_run(run, lambda handle: handle.adjust_budget(message.agent, message.budget_usd))
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
def retry(run: Run, task: Task, json: Json = False) -> int:
    """Wake a parked task, or do one again that failed or is done. The run must still work.

    With a task that is done, everything behind it is done again, at its own price.
    """
    from durable_agent_team.contracts.control import TaskCommand

    message = build_message(TaskCommand, {"task": "TASK"}, task=task)
    answer = with_run(run, lambda handle: handle.retry_task(message.task))
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
def approve(
    run: Run,
    subject: Annotated[
        str | None,
        typer.Argument(
            metavar="[SUBJECT]", help="What waits, such as `plan`. Without it: print the plan."
        ),
    ] = None,
    no: Annotated[bool, typer.Option("--no", help="Refuse it; the run is cancelled.")] = False,
    note: Annotated[str, typer.Option("--note", help="Why; printed with a refusal.")] = "",
    json: Json = False,
) -> int:
    """Answer what waits for a person. With a yes, it continues.

    Without SUBJECT it answers nothing: it prints the plan that waits, in full.
    """
    from durable_agent_team.contracts.control import Approve

    if subject is None:
        return _print_plan(run, json=json, answers=no or bool(note))
    names = {"subject": "SUBJECT", "note": "--note"}
    message = build_message(Approve, names, subject=subject, approved=not no, note=note)
    answer = with_run(
        run, lambda handle: handle.approve(message.subject, message.approved, message.note)
    )
    outcome = "refused; the run is cancelled" if no else "approved; the run continues"
    return print_answer(answer, f"{answer.subject}: {outcome}", json)


def _print_plan(run: str, *, json: bool, answers: bool) -> int:
    """What waits for approval, with the commands that answer it."""
    from durable_agent_team.cli.ui.plan_text import approval_lines, plan_text, waits_for_approval

    if answers:
        problem = "SUBJECT: missing, so nothing was answered (name what waits, such as `plan`)"
        raise CommandError(ExitCode.INVALID_INPUT, problem)

    async def read(handle: "RunHandle") -> "tuple[str | None, PlanInFull | None]":
        return waits_for_approval(await handle.state()), await handle.plan()

    waits, plan = with_run(run, read)
    if plan is None:
        raise CommandError(ExitCode.INVALID_INPUT, f"run {run}: it has no plan yet (`state` says)")
    answer = approval_lines(run, waits) if waits else ["nothing of it waits for approval"]
    return print_answer(plan, "\n".join([plan_text(plan), "", *answer]), json)


@app.command()
def pause(run: Run, json: Json = False) -> int:
    """Stop a run from starting new calls. Calls in flight continue."""
    from durable_agent_team.contracts.control import Empty

    with_run(run, lambda handle: handle.pause())
    text = f"run {run} starts no new call; `{starter_command('resume', run)}` continues it"
    return print_answer(Empty(), text, json)


@app.command()
def resume(run: Run, json: Json = False) -> int:
    """Continue a paused run."""
    from durable_agent_team.contracts.control import Empty

    with_run(run, lambda handle: handle.resume())
    return print_answer(Empty(), f"run {run} continues", json)


def _retried(answer: "TaskAnswer") -> str:
    if not answer.again:
        status = "it is tried again" if answer.status in ("parked", "woken") else answer.status
        return f"{answer.task}: {status}"
    behind, more = answer.again[1:], answer.again_total - len(answer.again)
    if not behind:
        return f"{answer.task}: is done again; nothing is behind it"
    names = ", ".join(behind) + (f" and {more} more" if more else "")
    count = answer.again_total - 1
    return f"{answer.task}: is done again, and {count} behind it: {names}"


def _limit(adjusted: "BudgetAdjusted") -> str:
    return (
        f"{adjusted.agent}: budget {usd(adjusted.budget_usd)} USD,"
        f" spent {usd(adjusted.spent_usd)}, left {usd(adjusted.remaining_usd)}"
    )
