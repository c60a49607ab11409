"""The typed client, and following across what may happen to a worker."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.exceptions import ApplicationError

from durable_agent_team.cli.ui.watch_run import NO_WORKER, QUIET_SECONDS, Snapshot, watch_run
from durable_agent_team.client import run_control
from durable_agent_team.client.exceptions import (
    CannotContinue,
    NotConfirmed,
    RunAborted,
    RunIdTaken,
    RunNotFound,
    RunRefused,
    UpdateRefused,
)
from durable_agent_team.client.runs import RunHandle, get_run, start_run
from durable_agent_team.contracts.accounts import SetBudget
from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.ledger import Ledger
from durable_agent_team.contracts.run import RunReport, RunRequest, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import AGENTS_PER_PAGE, SpendReport
from durable_agent_team.contracts.team import Team
from durable_agent_team.payloads.converter import PayloadConverter
from tests.cli.support import new_id, serving
from tests.support.fakes import FakeWorld


def request(tasks: int = 3, **changes: Any) -> RunRequest:
    plan = [{"id": f"t{n}", "agent": "research", "ask": "List the facts."} for n in range(tasks)]
    base: dict[str, Any] = {
        "name": "brief",
        "goal": "Decide",
        "orchestrator": {"budget_usd": 5},
        "agents": {"research": {"role": "Researcher", "budget_usd": 100}},
        "tasks": plan,
        "max_tasks": 1000,
    }
    return RunRequest(team=Team.model_validate({**base, **changes}))


class Gate:
    """A rule that holds every call until it is opened."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, call: CallRequest) -> None:
        self.begun.set()
        await self.open.wait()


async def test_a_run_from_start_to_report(client: Client, world: FakeWorld) -> None:
    run = await start_run(client, request())
    assert run.id.startswith("brief-")
    report = await run.result()
    assert isinstance(report, RunReport)
    assert report.status is RunStatus.COMPLETED
    assert (await run.spend()).total.spent_usd == report.spend.total.spent_usd == Decimal("0.04")
    assert not await run.is_open()


async def test_temporal_shows_team_and_plan(client: Client, world: FakeWorld) -> None:
    run = await start_run(client, request())
    found = await client.get_workflow_handle(run.id).describe()
    assert await found.static_summary() == "brief · 3 tasks"
    details = await found.static_details()
    assert details is not None
    assert "- **research** · Researcher · 100 USD" in details


async def test_a_taken_id_is_told(client: Client, world: FakeWorld) -> None:
    run = await start_run(client, request(), id=new_id())
    with pytest.raises(RunIdTaken, match=run.id):
        await start_run(client, request(), id=run.id)


async def test_a_state_of_two_pages_is_one(client: Client, world: FakeWorld) -> None:
    run = await start_run(client, request(tasks=130))
    await run.result()
    assert len((await run.state()).tasks) == 100
    state = await run.whole_state()
    assert [task.id for task in state.tasks] == [f"t{n}" for n in range(130)]


async def test_the_spend_of_many_agents_comes_in_pages(client: Client, world: FakeWorld) -> None:
    names = [f"a{n}" for n in range(120)]
    wide = {
        "name": "wide",
        "goal": "Decide",
        "agents": {name: {"role": "R", "budget_usd": 1} for name in names},
        "tasks": [{"id": f"t-{name}", "agent": name, "ask": "List."} for name in names],
        "max_tasks": 200,
        "final": "handoff",
    }
    run = await start_run(client, RunRequest(team=Team.model_validate(wide)))
    report = await run.result()
    handle = client.get_workflow_handle(run.id)
    first = SpendReport.model_validate(await handle.query("spend"))
    assert (len(first.agents), first.page, first.agents_total) == (AGENTS_PER_PAGE, 1, 120)
    assert first.total == report.spend.total
    last = SpendReport.model_validate(await handle.query("spend", {"page": 3}))
    assert [agent.agent for agent in last.agents] == names[100:]
    with pytest.raises(WorkflowQueryFailedError, match="page = 0"):
        await handle.query("spend", {"page": 0})
    assert await run.spend() == report.spend, "the client reads all pages"


class Older(PayloadConverter):
    """Of a worker from before a key that the catalog has got."""

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        if "ModelCatalog" in str(type_hints):
            raise ValueError("Extra inputs are not permitted")
        return super().from_payloads(payloads, type_hints)


async def test_a_worker_older_than_what_a_run_contains_is_named(client: Client) -> None:
    def refuse(call: CallRequest) -> None:
        raise ApplicationError("no", type=ErrorType.FORBIDDEN, non_retryable=True)

    async with serving(client, FakeWorld(refuse)):
        run = await start_run(client, request(tasks=1))
        while not (await run.state()).waiting:
            await asyncio.sleep(0.05)
    config = client.config()
    converter = replace(client.data_converter, payload_converter_class=Older)
    config["data_converter"] = converter
    async with serving(Client(**config), FakeWorld()):
        with pytest.raises(CannotContinue, match="a newer worker has written"):
            await run.state()


async def test_wrong_start_input_is_refused_with_its_problem(
    client: Client, world: FakeWorld
) -> None:
    team = request().team.model_copy(update={"result": "absent"})
    run = await start_run(client, RunRequest(team=team))
    with pytest.raises(RunRefused, match="absent"):
        await run.result()
    assert not world.books, "nothing was opened"


@pytest.mark.parametrize(
    ("send", "problem"),
    [
        (lambda run: run.adjust_budget("a", "lots"), "budget_usd = lots: an amount"),
        (lambda run: run.transfer("a", "b", -1), "amount_usd = -1: is too small (use more than 0)"),
        (lambda run: run.adjust_agent("a", modl="m"), "modl: is not known"),
        (lambda run: run.adjust_run(max_parallel=0), "max_parallel = 0: is too small"),
        (lambda run: run.answer("a", "again"), "decision = again: this is not one of the choices"),
        (lambda run: run.approve("a", sha256="0"), "sha256 = 0: this is not a SHA-256"),
        (lambda run: run.cancel("x" * 5_000), "reason = xxx"),
    ],
)
async def test_a_wrong_value_is_named_and_nothing_is_sent(
    client: Client, send: Callable[[RunHandle], Awaitable[object]], problem: str
) -> None:
    with pytest.raises(UpdateRefused) as caught:
        await send(get_run(client, "no-such-run"))
    assert str(caught.value).startswith(problem)


async def test_a_refused_budget_has_the_runs_reason(client: Client, world: FakeWorld) -> None:
    world.rule = gate = Gate()
    run = await start_run(client, request())
    await gate.begun.wait()
    with pytest.raises(UpdateRefused, match="nobody"):
        await run.adjust_budget("nobody", Decimal(1))
    adjusted = await run.adjust_budget("research", Decimal(7))
    assert (adjusted.budget_usd, world.books["research"].budget) == (Decimal(7), Decimal(7))
    gate.open.set()
    await run.result()


async def test_a_terminated_run_has_no_report(client: Client, world: FakeWorld) -> None:
    world.rule = gate = Gate()
    run = await start_run(client, request())
    await gate.begun.wait()
    await client.get_workflow_handle(run.id).terminate("by hand")
    with pytest.raises(RunAborted, match="terminated"):
        await run.result()
    gate.open.set()


async def test_a_reset_run_is_followed_to_its_new_end(client: Client, world: FakeWorld) -> None:
    from temporalio.api.common.v1 import WorkflowExecution  # noqa: PLC0415
    from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest  # noqa: PLC0415

    world.rule = gate = Gate()
    run = await start_run(client, request())
    await gate.begun.wait()
    waiting = asyncio.create_task(run.result())
    watching = asyncio.create_task(collect(run))
    history = await client.get_workflow_handle(run.id).fetch_history()
    first = next(
        e for e in history.events if e.HasField("workflow_task_completed_event_attributes")
    )
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=run.id),
            workflow_task_finish_event_id=first.event_id,
            request_id=new_id(),
            reason="rewind",
        )
    )
    gate.open.set()
    assert (await asyncio.wait_for(waiting, 30)).status is RunStatus.COMPLETED
    await asyncio.wait_for(watching, 30)


async def test_another_workflow_is_no_run(client: Client) -> None:
    other = await client.start_workflow("Other", id=new_id(), task_queue="nobodys")
    with pytest.raises(RunNotFound, match="type `Other`"):
        await get_run(client, other.id).is_open()
    await other.terminate()


async def collect(run: RunHandle) -> list[Snapshot]:
    return [sight async for sight in watch_run(run, with_spend=True)]


async def test_viewers_cost_the_history_nothing(client: Client, world: FakeWorld) -> None:
    world.rule = gate = Gate()
    run = await start_run(client, request())
    await gate.begun.wait()
    before = await length(client, run)
    sighted: list[list[Snapshot]] = [[] for _ in range(5)]

    async def watch(into: list[Snapshot]) -> None:
        async for sight in watch_run(run, with_spend=True):
            into.append(sight)

    watching = [asyncio.create_task(watch(each)) for each in sighted]
    await until(lambda: all(sighted))
    assert await length(client, run) == before
    watching[0].cancel()
    gate.open.set()
    await asyncio.wait_for(asyncio.gather(*watching[1:]), 30)
    assert (await run.result()).status is RunStatus.COMPLETED, "a viewer that leaves is not missed"


async def length(client: Client, run: RunHandle) -> int:
    return len((await client.get_workflow_handle(run.id).fetch_history()).events)


async def test_a_viewer_queries_at_most_once_a_second_and_only_when_something_happens(
    client: Client, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = times_asked(monkeypatch)
    world.rule = gate = Gate()
    run = await start_run(client, request())
    watching = asyncio.create_task(collect(run))
    await gate.begun.wait()
    await asyncio.sleep(4)
    quiet = len(asked)
    assert quiet <= 3, "nothing happens while the calls are held"
    gate.open.set()
    await asyncio.wait_for(watching, 30)
    gaps = [later - sooner for sooner, later in itertools.pairwise(asked)]
    assert all(gap > 0.99 for gap in gaps)


async def test_across_a_workers_restart_a_viewer_says_that_it_waits(client: Client) -> None:
    world, gate = FakeWorld(), Gate()
    world.rule = gate
    sighted: list[Snapshot] = []
    async with serving(client, world):
        run = await start_run(client, request(agents=impatient()))
        watching = asyncio.create_task(watch(run, sighted))
        await gate.begun.wait()
        while not sighted:
            await asyncio.sleep(0.05)
    await client.get_workflow_handle(run.id).signal("pause", {})
    await until(lambda: sighted[-1].trouble is not None)
    assert "waiting" in str(sighted[-1].trouble)
    assert sighted[-1].state is not None, "what was known stays in sight"
    world.rule = None
    async with serving(client, world):
        await until(lambda: sighted[-1].trouble is None)
        await client.get_workflow_handle(run.id).signal("resume", {})
        gate.open.set()
        report = await asyncio.wait_for(run.result(), 60)
        await asyncio.wait_for(watching, 30)
    assert {outcome.task.status for outcome in report.outcomes} == {TaskStatus.DONE}


async def watch(run: RunHandle, sighted: list[Snapshot]) -> None:
    async for sight in watch_run(run, with_spend=False):
        sighted.append(sight)


def times_asked(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When `state` is asked, from now on."""
    asked: list[float] = []
    original = RunHandle.whole_state

    async def counted(self: RunHandle) -> Any:
        asked.append(asyncio.get_running_loop().time())
        return await original(self)

    monkeypatch.setattr(RunHandle, "whole_state", counted)
    return asked


def impatient() -> dict[str, Any]:
    retry = {"max_attempts": 10, "initial_seconds": 0.2, "max_seconds": 1}
    return {"research": {"role": "R", "budget_usd": 100, "timeout_seconds": 3, "retry": retry}}


async def until(condition: Any, seconds: float = 40) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


async def test_a_dead_worker_is_told_though_nothing_happens(client: Client) -> None:
    """A call is in flight, its worker is gone, and no event says so."""
    world, gate = FakeWorld(), Gate()
    world.rule = gate
    sighted: list[Snapshot] = []
    async with serving(client, world):
        run = await start_run(client, request())
        watching = asyncio.create_task(watch(run, sighted))
        await gate.begun.wait()
        await until(lambda: bool(sighted) and sighted[-1].state is not None)
    await until(lambda: sighted[-1].trouble is not None, seconds=20)
    assert sighted[-1].trouble == NO_WORKER
    async with serving(client, world):
        await until(lambda: sighted[-1].trouble is None)
        gate.open.set()
        await asyncio.wait_for(run.result(), 60)
        await asyncio.wait_for(watching, 30)


async def test_a_quiet_run_is_not_asked(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    world, gate = FakeWorld(), Gate()
    world.rule = gate
    asked = times_asked(monkeypatch)
    async with serving(client, world):
        run = await start_run(client, request())
        watching = asyncio.create_task(collect(run))
        await gate.begun.wait()
        await asyncio.sleep(2)
        before = len(asked)
        await asyncio.sleep(2.5 * QUIET_SECONDS)
        assert len(asked) == before, "its call is taken, and nothing happens"
        gate.open.set()
        await asyncio.wait_for(watching, 30)


class SlowBudgets(FakeWorld):
    """Whose account provider takes its time over a new limit."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = asyncio.Event()

    @activity.defn
    async def set_budget(self, order: SetBudget) -> Ledger:
        await self.answered.wait()
        self.books[order.account.agent].budget = order.budget_usd
        return self._ledger(order.account)


async def test_a_provider_that_does_not_answer_is_no_worker_that_is_gone(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_control, "UPDATE_TIMEOUT", timedelta(seconds=1))
    world = SlowBudgets()
    world.rule = gate = Gate()
    async with serving(client, world):
        run = await start_run(client, request())
        await gate.begun.wait()
        with pytest.raises(NotConfirmed, match=r"accepted the new budget.*does the gateway answer"):
            await run.adjust_budget("research", Decimal(7))
        world.answered.set()
        while (await run.spend()).agents[1].budget_usd != Decimal(7):
            await asyncio.sleep(0.05)
        gate.open.set()
        await run.result()
