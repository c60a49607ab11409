"""A run that Temporal terminated, or that timed out there: told as ended, by everything."""

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.client import Client

from durable_agent_team.client.exceptions import RunAborted
from durable_agent_team.client.runs import get_run, start_run
from durable_agent_team.contracts import names
from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.run import RunState, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import AgentStatus, SpendReport
from tests.cli.support import Starter, new_id
from tests.client.test_run_handle import Gate, request
from tests.support.fakes import FakeWorld


class HoldPrices(Gate):
    """Holds the task `prices` alone."""

    async def __call__(self, call: CallRequest) -> None:
        if call.task == "prices":
            await super().__call__(call)


async def cut_off(starter: Starter, client: Client, world: FakeWorld) -> str:
    """A run that was terminated when `facts` was done and `prices` was being worked on."""
    world.rule = gate = HoldPrices()
    run = new_id()
    assert (await starter("start", starter.team(), "--id", run)).code == 0
    await gate.begun.wait()
    handle = get_run(client, run)
    while {t.id: t.status for t in (await handle.state()).tasks}["facts"] is not TaskStatus.DONE:
        await asyncio.sleep(0.05)
    assert (await handle.state()).status is RunStatus.WORKING
    await client.get_workflow_handle(run).terminate("by hand")
    gate.open.set()
    return run


async def test_state_and_spend_of_a_terminated_run(
    starter: Starter, client: Client, world: FakeWorld
) -> None:
    run = await cut_off(starter, client, world)
    state = RunState.model_validate_json((await starter("state", run, "--json")).out)
    assert state.status is RunStatus.TERMINATED
    tasks = {task.id: task for task in state.tasks}
    assert {name: task.status for name, task in tasks.items()} == {
        "facts": TaskStatus.DONE,
        "prices": TaskStatus.CANCELLED,
        "text": TaskStatus.CANCELLED,
    }
    closed = (await client.get_workflow_handle(run).describe()).close_time
    assert (tasks["prices"].ended_at, tasks["text"].ended_at) == (closed, None)
    assert "status  terminated" in (await starter("state", run)).out
    spend = SpendReport.model_validate_json((await starter("spend", run, "--json")).out)
    assert spend.cut_off
    assert spend.total.spent_usd == Decimal("0.01")
    assert {agent.status for agent in spend.agents} == {AgentStatus.IDLE}
    assert f"starter.py reconcile {run}" in (await starter("spend", run)).out


async def test_graph_and_report_of_a_terminated_run(
    starter: Starter, client: Client, world: FakeWorld, tmp_path: Path
) -> None:
    run = await cut_off(starter, client, world)
    graph = await starter("graph", run)
    assert graph.code == 0, graph.err
    assert "terminated" in graph.out
    assert "prices (research · cancelled" in graph.out
    for out in ("r.md", "r.html", "r.json"):
        ended = await starter("report", run, "--out", str(tmp_path / out))
        assert ended.code == 0, ended.err
    assert "Status: terminated" in (tmp_path / "r.md").read_text()
    assert f"reconcile {run}" in (tmp_path / "r.html").read_text()
    report = json.loads((tmp_path / "r.json").read_text())["report"]
    assert (report["status"], report["answer"]) == ("terminated", None)
    assert report["call_seconds"] == 0.5, "of the one call that ended; a task may wait for days"


async def test_a_paused_run_that_was_terminated_waits_for_nobody(
    starter: Starter, client: Client, world: FakeWorld
) -> None:
    run = new_id()
    assert (await starter("start", starter.team(), "--id", run)).code == 0
    handle = get_run(client, run)
    await handle.pause()
    while not (await handle.state()).paused:
        await asyncio.sleep(0.05)
    await client.get_workflow_handle(run).terminate("by hand")
    state = await handle.state()
    assert (state.paused, state.waiting, state.status) == (False, (), RunStatus.TERMINATED)


async def test_a_run_that_timed_out_in_temporal(client: Client, world: FakeWorld) -> None:
    world.rule = gate = Gate()
    run = await client.start_workflow(
        names.WORKFLOW,
        request(),
        id=new_id(),
        task_queue=names.TASK_QUEUE,
        execution_timeout=timedelta(seconds=2),
    )
    await gate.begun.wait()
    handle = get_run(client, run.id)
    with pytest.raises(RunAborted):
        await handle.result()
    assert (await handle.state()).status is RunStatus.TIMED_OUT
    assert (await handle.spend()).cut_off
    assert (await handle.report()).status is RunStatus.TIMED_OUT
    gate.open.set()


async def test_a_run_that_was_terminated_before_it_began(starter: Starter, client: Client) -> None:
    run = new_id()
    assert (await starter("start", starter.team(), "--id", run)).code == 0
    await client.get_workflow_handle(run).terminate("by hand")
    for command in ("state", "spend", "graph"):
        ended = await starter(command, run)
        assert (ended.code, ended.out) == (1, ""), ended.err
        assert "before it began" in ended.err


async def test_a_run_that_failed_by_itself_is_no_cut_off_one(
    client: Client, world: FakeWorld
) -> None:
    async def fail(call: CallRequest) -> None:
        raise RuntimeError("no such sheet")

    world.rule = fail
    once = {"retry": {"max_attempts": 1}, "on_failure": "fail"}
    agents = {"research": {"role": "Researcher", "budget_usd": 1, **once}}
    handle = await start_run(client, request(agents=agents))
    assert (await handle.report()).status is RunStatus.FAILED
    assert (await handle.state()).status is RunStatus.FAILED
    assert not (await handle.spend()).cut_off
