"""`watch`, `result`, `state`, `spend` and `list`: show runs without changing them."""

from typing import TYPE_CHECKING, Annotated

import typer

from durable_agent_team.cli.arguments import Json, JsonLines, Run
from durable_agent_team.cli.command_client import with_client, with_run
from durable_agent_team.cli.exit_codes import ExitCode
from durable_agent_team.cli.output import print_answer, print_json, print_line, print_note
from durable_agent_team.process.called_program import starter_program

if TYPE_CHECKING:
    from durable_agent_team.client.runs import RunHandle
    from durable_agent_team.contracts.plan_in_full import PlanInFull
    from durable_agent_team.contracts.run import RunReport, RunState

app = typer.Typer(rich_markup_mode=None)


@app.command()
def watch(run: Run, json: JsonLines = False) -> int:
    """Follow a run until it ends; print its answer and its price.

    Any number of viewers may follow a run. Ctrl-C stops following, not the run.
    """
    from durable_agent_team.cli.ui.follow_run import follow_run

    async def follow(handle: "RunHandle") -> int:
        if await handle.is_open():
            return await follow_run(handle, json)
        return _print_report(await handle.result(), json)

    return with_run(run, follow)


@app.command()
def result(run: Run, json: Json = False) -> int:
    """Wait for the end of a run; print its answer and its price.

    For a run that has ended, no worker is needed. Exit code 1 if it failed or was cancelled.
    """

    async def wait_for_result(handle: "RunHandle") -> "RunReport":
        if await handle.is_open():
            print_note(
                f"run {run} is still open; waiting for its end (Ctrl-C stops waiting, not the run)"
            )
        return await handle.result()

    return _print_report(with_run(run, wait_for_result), json)


def _print_report(report: "RunReport", json: bool) -> int:
    from durable_agent_team.cli.ui.follow_run import exit_code_of
    from durable_agent_team.cli.ui.run_tables import report_text

    print_answer(report, report_text(report), json)
    return exit_code_of(report)


@app.command()
def state(run: Run, json: Json = False) -> int:
    """Print a run's status and its tasks. Also what failed, and what waits for a person.

    What waits for approval is printed in full: the plan, or what an agent wants to do.
    """
    from durable_agent_team.cli.ui.approval_text import approvals_text, shown_besides_plan
    from durable_agent_team.cli.ui.plan_text import plan_text, waits_for_approval
    from durable_agent_team.cli.ui.run_tables import state_text

    async def read(handle: "RunHandle") -> "tuple[RunState, PlanInFull | None]":
        found = await handle.whole_state()
        waiting = tuple(await handle.approvals()) if found.waiting else ()
        if waiting:
            found = found.model_copy(update={"approvals": waiting})
        return found, await handle.plan() if waits_for_approval(found) is not None else None

    found, plan = with_run(run, read)
    parts = [state_text(found)]
    if plan is not None:
        found = found.model_copy(update={"plan": plan})
        parts.append(plan_text(plan))
    if others := shown_besides_plan(found.approvals):
        parts += ["waiting for approval, in full", approvals_text(run, others)]
    return print_answer(found, "\n\n".join(parts), json)


@app.command()
def spend(run: Run, json: Json = False) -> int:
    """Print what each agent has spent, and its budget. Also what the ledger says."""
    from durable_agent_team.cli.ui.spend_table import spend_table

    found = with_run(run, lambda handle: handle.spend())
    return print_answer(found, spend_table(found), json)


@app.command("list")
def list_runs(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="The first N.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="JSON Lines: one run a line.")] = False,
) -> int:
    """Print runs, open ones first: id, team, status, spend, start."""
    from durable_agent_team.cli.ui.run_tables import runs_table
    from durable_agent_team.client import runs

    found = with_client(lambda client: runs.list_runs(client, limit))
    if json:
        for each in found:
            print_json(each)
    elif found:
        print_line(runs_table(found))
    else:
        print_note(f"no runs yet; `{starter_program()} run TEAM` starts one")
    return ExitCode.DONE
