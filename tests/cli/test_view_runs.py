"""`result`, `state`, `spend`, `list`, `watch`: with and without a worker."""

import asyncio
import time
from decimal import Decimal

import pytest
from temporalio.client import Client

from durable_agent_team.client.runs import RunSummary
from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import SpendReport
from tests.cli.support import TEAM, Starter, lines, new_id, serving
from tests.cli.test_start_run import fail_prices
from tests.support.fakes import FakeWorld


async def test_state_and_spend_show_an_open_run(starter: Starter, world: FakeWorld) -> None:
    gate = asyncio.Event()

    async def hold_prices(call: CallRequest) -> None:
        if call.task == "prices":
            await gate.wait()

    world.rule = hold_prices
    run = new_id()
    assert (await starter("start", starter.team(), "--id", run)).code == 0
    state = RunState.model_validate_json((await starter("state", run, "--json")).out)
    while {t.id: t.status for t in state.tasks}.get("facts") is not TaskStatus.DONE:
        state = RunState.model_validate_json((await starter("state", run, "--json")).out)
    assert {t.id: t.status for t in state.tasks}["prices"] is TaskStatus.RUNNING
    shown = await starter("state", run)
    assert shown.code == 0
    assert "status  working" in shown.out
    assert any(line.split()[:3] == ["prices", "research", "running"] for line in lines(shown.out))
    spend = SpendReport.model_validate_json((await starter("spend", run, "--json")).out)
    assert spend.total.spent_usd == Decimal("0.01")
    assert "0.010000" in (await starter("spend", run)).out
    gate.set()
    assert (await starter("result", run)).code == 0


async def test_the_result_of_an_ended_run_needs_no_worker(starter: Starter, client: Client) -> None:
    world = FakeWorld()
    good, bad = new_id(), new_id()
    async with serving(client, world):
        assert (await starter("run", starter.team(), "--id", good)).code == 0
        world.rule = fail_prices
        assert (await starter("run", starter.team(), "--id", bad)).code == 1
    ended = await starter("result", good)
    assert ended.code == 0
    assert "answer of answer" in ended.out
    ended = await starter("result", bad)
    assert ended.code == 1
    assert "no such sheet" in ended.out
    report = RunReport.model_validate_json((await starter("result", bad, "--json")).out)
    assert report.status is RunStatus.FAILED
    watched = await starter("watch", good)
    assert watched.code == 0
    assert watched.out == (await starter("result", good)).out, "no news with the time of day of now"


@pytest.mark.parametrize("command", ["state", "spend"])
async def test_without_a_worker_a_query_ends_with_3_within_5_s(
    starter: Starter, client: Client, command: str
) -> None:
    run = new_id()
    assert (await starter("start", starter.team(), "--id", run)).code == 0
    try:
        began = time.monotonic()
        ended = await starter(command, run)
        assert time.monotonic() - began < 15, "five, the process's own start, a busy machine"
    finally:
        await client.get_workflow_handle(run).terminate()
    assert ended.code == 3
    assert "make up" in ended.err
    assert "worker" in ended.err
    assert "Traceback" not in ended.err


async def test_list_shows_runs(starter: Starter, world: FakeWorld) -> None:
    run = new_id()
    assert (await starter("run", starter.team(), "--id", run)).code == 0
    found: dict[str, RunSummary] = {}
    while run not in found or found[run].status != "completed":  # visibility is a moment behind
        out = (await starter("list", "--json")).out
        found = {s.workflow_id: s for s in map(RunSummary.model_validate_json, lines(out))}
    assert found[run].team == "brief"
    assert found[run].spent_usd == Decimal("0.04")
    shown = (await starter("list", "--limit", "1000")).out
    assert any(run in line and "completed" in line for line in lines(shown))


async def test_list_shows_open_runs_first(starter: Starter, world: FakeWorld) -> None:
    """As Temporal orders them: an older run that is open is above one that has ended."""
    waits, ended = new_id(), new_id()
    text = TEAM.replace("name: brief", "name: brief\napprove_plan: true")
    assert (await starter("start", starter.team(text), "--id", waits)).code == 0
    assert (await starter("run", starter.team(), "--id", ended)).code == 0
    status: dict[str, str] = {}
    while status.get(ended) != "completed" or waits not in status:  # visibility is behind
        out = (await starter("list", "--limit", "1000", "--json")).out
        runs = [RunSummary.model_validate_json(line) for line in lines(out)]
        status = {each.workflow_id: each.status for each in runs}
    order = list(status)
    assert order.index(waits) < order.index(ended)
    assert (await starter("cancel", waits)).code == 0


async def test_list_shows_a_terminated_run(starter: Starter, client: Client) -> None:
    run = new_id()
    assert (await starter("start", starter.team(), "--id", run)).code == 0
    await client.get_workflow_handle(run).terminate("by hand")
    shown: list[str] = []
    while not shown:  # visibility is a moment behind
        shown = [x for x in lines((await starter("list")).out) if run in x and "terminated" in x]
    ended = await starter("result", run)
    assert ended.code == 1
    assert "terminated" in ended.err.lower()


@pytest.mark.parametrize("command", ["result", "state", "spend", "watch", "cancel"])
async def test_an_unknown_run_ends_with_2(starter: Starter, client: Client, command: str) -> None:
    ended = await starter(command, "nobody")
    assert ended.code == 2
    assert "nobody" in ended.err
    assert "starter.py list" in ended.err


@pytest.mark.parametrize("command", [["list"], ["state", "x"], ["spend", "x"], ["cancel", "x"]])
async def test_without_the_service_a_command_ends_with_3_within_5_s(
    starter: Starter, command: list[str]
) -> None:
    began = time.monotonic()
    ended = await starter(*command, TEMPORAL_ADDRESS="127.0.0.1:9")
    assert time.monotonic() - began < 15, "five, the process's own start, a busy machine"
    assert ended.code == 3
    assert "127.0.0.1:9" in ended.err
    assert "make up" in ended.err
    assert "Traceback" not in ended.err


async def test_the_report_names_the_missing_guarantees(starter: Starter, world: FakeWorld) -> None:
    world.capabilities = Capabilities(hard_limit=True, replay=False, ledger=True, transfer=True)
    ended = await starter("run", starter.team())
    assert ended.code == 0, ended.err
    assert "does not guarantee replay" in ended.out
    assert "does not guarantee ledger" not in ended.out
