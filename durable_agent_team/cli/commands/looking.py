"""`watch`, `result`, `state`, `spend`, `list`: looking at runs, without touching them."""

from temporalio.client import Client

from durable_agent_team.cli.exit_codes import Code
from durable_agent_team.cli.output import note, say, say_json
from durable_agent_team.cli.session import code_of, with_client
from durable_agent_team.cli.ui.following import follow
from durable_agent_team.cli.ui.tables import report_text, runs_table, spend_table, state_text
from durable_agent_team.client.runs import RunSummary, get_run
from durable_agent_team.client.runs import list_runs as fetch_runs
from durable_agent_team.contracts.run import RunReport, RunState
from durable_agent_team.contracts.spend import SpendReport


def watch(run: str, json: bool) -> int:
    """Follows a run to its end; of one that has ended there is nothing to follow."""

    async def work(client: Client) -> int:
        handle = get_run(client, run)
        if await handle.is_open():
            return await follow(handle, json)
        return _print_report(await handle.result(), json)

    return with_client(work)


def result(run: str, json: bool) -> int:
    """Prints the report, after waiting for it if need be."""

    async def work(client: Client) -> RunReport:
        handle = get_run(client, run)
        if await handle.is_open():
            note(f"run {run} goes on; waiting for its end (Ctrl-C stops waiting, not the run)")
        return await handle.result()

    return _print_report(with_client(work), json)


def _print_report(report: RunReport, json: bool) -> int:
    if json:
        say_json(report)
    else:
        say(report_text(report))
    return code_of(report)


def state(run: str, json: bool) -> int:
    """Prints the answer of the query `state`, all its pages as one."""

    async def work(client: Client) -> RunState:
        return await get_run(client, run).whole_state()

    answer = with_client(work)
    if json:
        say_json(answer)
    else:
        say(state_text(answer))
    return Code.DONE


def spend(run: str, json: bool) -> int:
    """Prints the answer of the query `spend`."""

    async def work(client: Client) -> SpendReport:
        return await get_run(client, run).spend()

    answer = with_client(work)
    if json:
        say_json(answer)
    else:
        say(spend_table(answer))
    return Code.DONE


def list_all(limit: int, json: bool) -> int:
    """Prints the newest runs."""

    async def work(client: Client) -> list[RunSummary]:
        return await fetch_runs(client, limit)

    runs = with_client(work)
    if json:
        for each in runs:
            say_json(each)
    elif runs:
        say(runs_table(runs))
    else:
        note("no runs yet; `starter.py run TEAM` starts one")
    return Code.DONE
