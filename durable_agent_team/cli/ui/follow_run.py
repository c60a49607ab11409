"""Following a run: live on a terminal, plain lines or JSON Lines elsewhere; then its report."""

import asyncio
from collections.abc import AsyncIterator

from durable_agent_team.cli.exit_codes import ExitCode
from durable_agent_team.cli.output import (
    is_terminal,
    print_json,
    print_line,
    print_note,
    print_text,
)
from durable_agent_team.cli.ui.plain_lines import PlainLines
from durable_agent_team.cli.ui.plan_text import approval_lines, plan_text, waits_for_approval
from durable_agent_team.cli.ui.run_tables import report_text
from durable_agent_team.cli.ui.watch_run import watch_run
from durable_agent_team.client.runs import RunHandle
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus
from durable_agent_team.process.called_program import starter_command

MOST_TASKS = 100
"""Of a plan that waits, where a run is followed; `approve RUN` prints all."""


async def follow_run(run: RunHandle, json: bool) -> ExitCode:
    """Shows a run until it ends, then prints its report. Ctrl-C stops following, not the run."""
    try:
        if json:
            report = await _json_lines(run)
        elif is_terminal():
            report = await _live(run)
        else:
            report = await _plain_lines(run)
    except asyncio.CancelledError:
        command = starter_command("watch", run.id)
        print_note(f"\nstopped following; the run continues. To follow it again: {command}")
        raise
    if json:
        print_json(report)
    else:
        print_text(f"\n{report_text(report)}")
    return exit_code_of(report)


def exit_code_of(report: RunReport) -> ExitCode:
    """Only a completed run ends a command with 0."""
    return ExitCode.DONE if report.status == RunStatus.COMPLETED else ExitCode.RUN_FAILED


async def _json_lines(run: RunHandle) -> RunReport:
    async for state in _states(run):
        print_json(state)
    return await run.result()


async def _plain_lines(run: RunHandle) -> RunReport:
    lines = PlainLines()
    plan_is_shown = False
    async for state in _states(run):
        for line in lines.changes(state):
            print_line(line)
        if not plan_is_shown and (text := await waiting_plan(run, state)):
            print_text(text)
            plan_is_shown = True
    report = await run.result()
    for line in lines.changes(state_of(report)):
        print_line(line)
    return report


async def _states(run: RunHandle) -> AsyncIterator[RunState]:
    """Every state; trouble is printed to standard error, once."""
    trouble: str | None = None
    async for seen in watch_run(run, with_spend=False):
        if seen.trouble and seen.trouble != trouble:
            print_note(seen.trouble)
        trouble = seen.trouble
        if seen.state is not None and not trouble:
            yield seen.state


async def waiting_plan(run: RunHandle, state: RunState) -> str:
    """The plan that waits for approval, in full, with the commands that answer; else empty."""
    subject = waits_for_approval(state)
    plan = await run.plan() if subject is not None else None
    if subject is None or plan is None:
        return ""
    return "\n".join(["", plan_text(plan, MOST_TASKS), "", *approval_lines(run.id, subject), ""])


async def _live(run: RunHandle) -> RunReport:
    from durable_agent_team.cli.ui.live_view import LiveView  # noqa: PLC0415

    with LiveView(run.id, await run.started_at()) as view:
        plan_is_shown = False
        async for seen in watch_run(run, with_spend=True):
            if not plan_is_shown and seen.state and (text := await waiting_plan(run, seen.state)):
                view.print_above(text)
                plan_is_shown = True
            view.show(seen)
        report = await run.result()
        view.end(state_of(report), report)
    return report


def state_of(report: RunReport) -> RunState:
    """The last state of a run, from its report: needs no worker."""
    tasks = tuple(outcome.task for outcome in report.outcomes)
    return RunState(
        workflow_id=report.workflow_id,
        team=report.team,
        goal=report.goal[:500],
        status=report.status,
        paused=False,
        cancel_reason=report.cancel_reason,
        tasks=tasks,
        tasks_total=len(tasks),
        page=1,
        waiting=(),
        refusals=(),
        failure=report.failure,
    )
