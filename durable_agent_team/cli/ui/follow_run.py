"""Following a run: live on a terminal, plain lines or JSON Lines elsewhere; then its report."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

from durable_agent_team.cli.exit_codes import ExitCode
from durable_agent_team.cli.output import (
    is_terminal,
    print_json,
    print_line,
    print_note,
    print_text,
)
from durable_agent_team.cli.ui.approval_text import approvals_text, shown_besides_plan
from durable_agent_team.cli.ui.plain_lines import PlainLines
from durable_agent_team.cli.ui.plan_text import plan_answers, plan_text, waits_for_approval
from durable_agent_team.cli.ui.run_tables import report_text
from durable_agent_team.cli.ui.watch_run import watch_run
from durable_agent_team.client.connection import ServiceUnavailable
from durable_agent_team.client.exceptions import NoWorker
from durable_agent_team.client.runs import RunHandle
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus
from durable_agent_team.process.called_program import starter_command

MOST_TASKS = 100
"""For a plan that waits, where a run is followed; `approve RUN` prints all."""


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
    lines, approvals = PlainLines(), NewApprovals(run)
    async for state in _states(run):
        for line in lines.changes(state):
            print_line(line)
        if text := await approvals.text(state):
            print_text(text)
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


class NewApprovals:
    """What waits for approval and has not been shown yet, in full."""

    def __init__(self, run: RunHandle) -> None:
        self._run = run
        self._shown: set[tuple[str, datetime]] = set()

    async def text(self, state: RunState) -> str:
        """With the commands that answer; empty where nothing is new. The run is asked only where
        something new waits."""
        waiting = {(each.subject, each.since) for each in state.waiting}
        if waiting <= self._shown:
            return ""
        try:
            pending = await self._run.approvals()
            plan = await self._waiting_plan(state)
        except (NoWorker, ServiceUnavailable):
            return ""  # it is asked again with the next state
        new = [
            each
            for each in shown_besides_plan(pending)
            if (each.subject, each.since) not in self._shown
        ]
        self._shown |= waiting
        parts = [plan] if plan else []
        parts += [approvals_text(self._run.id, new)] if new else []
        return "\n".join(["", "\n\n".join(parts), ""]) if parts else ""

    async def _waiting_plan(self, state: RunState) -> str:
        waiting = waits_for_approval(state)
        plan = await self._run.plan() if waiting is not None else None
        if waiting is None or plan is None:
            return ""
        return "\n".join([plan_text(plan, MOST_TASKS), "", *plan_answers(self._run.id, waiting)])


async def _live(run: RunHandle) -> RunReport:
    from durable_agent_team.cli.ui.live_view import LiveView  # noqa: PLC0415

    with LiveView(run.id, await run.started_at()) as view:
        approvals = NewApprovals(run)
        async for seen in watch_run(run, with_spend=True):
            if seen.state and (text := await approvals.text(seen.state)):
                view.print_above(text)
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
