"""What a run takes over from one that ended, read from its history: nothing is paid twice."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from durable_agent_team.client.exceptions import RerunRefused, RunNotFound
from durable_agent_team.client.reruns import rerun_request, reuse_request, saving_of
from durable_agent_team.client.runs import RunHandle, rerun, start_run
from durable_agent_team.contracts.call import CallRequest, CallResult, Purpose
from durable_agent_team.contracts.changes import AdjustAgent, AdjustRun
from durable_agent_team.contracts.control import AdjustBudget
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunRequest, RunStatus, TaskStatus
from durable_agent_team.contracts.team import Task, Team
from tests.support.fakes import COST, FakeWorld
from tests.workflows.runs import team
from tests.workflows.test_planning import GOOD, without_tasks

PLAN = json.dumps({"tasks": GOOD})


def request(sources: dict[str, str] | None = None, **changes: Any) -> RunRequest:
    return RunRequest(team=Team.model_validate(team(**changes)), sources=sources or {})


def reused(report: RunReport) -> dict[str, str | None]:
    return {each.task.id: each.task.reused_from for each in report.outcomes}


def fails(*tasks: str) -> Any:
    def rule(call: CallRequest) -> None:
        if call.task in tasks:
            raise ApplicationError("no", type=ErrorType.CONTEXT_EXCEEDED, non_retryable=True)

    return rule


async def ended(client: Client, start: RunRequest) -> RunHandle:
    run = await start_run(client, start)
    await run.result()
    return run


def fresh(world: FakeWorld) -> int:
    """New accounts for the next run, as a provider would give it; how many calls there were."""
    world.books.clear()
    return len(world.calls)


def calls_since(world: FakeWorld, number: int = 0) -> list[str]:
    return sorted(call.task for call in world.calls[number:])


async def test_a_failed_run_is_gone_on_from(client: Client, world: FakeWorld) -> None:
    world.rule = fails("b")
    first = await ended(client, request())
    world.rule = None
    made = fresh(world)
    report = await (await rerun(client, first.id)).result()
    assert report.status is RunStatus.COMPLETED
    assert reused(report) == {"a": first.id, "b": None, "c": None}
    assert calls_since(world, made) == ["answer", "b", "c"]
    assert report.spend.total.spent_usd == 3 * COST == report.spend.ledger_usd
    assert report.spend.reused_usd == COST


async def test_from_a_task_on_everything_behind_it_is_done_again(
    client: Client, world: FakeWorld
) -> None:
    first = await ended(client, request())
    made = fresh(world)
    report = await (await rerun(client, first.id, tasks=["b"])).result()
    assert reused(report) == {"a": first.id, "b": None, "c": None}
    assert calls_since(world, made) == ["answer", "b", "c"]


async def test_a_failed_answer_is_all_that_is_paid(client: Client, world: FakeWorld) -> None:
    world.rule = fails("answer")
    first = await ended(client, request())
    world.rule = None
    made = fresh(world)
    report = await (await rerun(client, first.id)).result()
    assert report.status is RunStatus.COMPLETED
    assert calls_since(world, made) == ["answer"]
    assert report.spend.reused_usd == 3 * COST


async def test_where_nothing_changed_nothing_is_paid(client: Client, world: FakeWorld) -> None:
    first = await ended(client, request())
    made = fresh(world)
    report = await (await rerun(client, first.id)).result()
    assert (report.status, report.answer) == (RunStatus.COMPLETED, "answer of answer")
    assert calls_since(world, made) == []
    assert report.spend.total.spent_usd == 0
    assert report.spend.reused_usd == 4 * COST
    other = AdjustAgent(agent="orchestrator", instructions="Be brief.")
    await (await rerun(client, first.id, changes=[other])).result()
    assert calls_since(world, made) == ["answer"], "another orchestrator answers anew"


async def test_a_cancelled_run_is_gone_on_from(client: Client, world: FakeWorld) -> None:
    reached = asyncio.Event()

    async def hold(call: CallRequest) -> None:
        if call.task == "c":
            reached.set()
            await asyncio.sleep(60)

    world.rule = hold
    run = await start_run(client, request())
    await reached.wait()
    await run.cancel()
    await run.result()
    world.rule = None
    made = fresh(world)
    report = await (await rerun(client, run.id)).result()
    assert report.status is RunStatus.COMPLETED
    assert calls_since(world, made) == ["answer", "c"]


async def test_a_terminated_run_and_its_changes_are_gone_on_from(
    client: Client, world: FakeWorld
) -> None:
    """With the settings, limits and tasks that people gave it on the way; `a` was done twice."""
    reached, go = asyncio.Event(), asyncio.Event()

    async def hold(call: CallRequest) -> CallResult | None:
        if call.task == "more":
            reached.set()
            await asyncio.sleep(60)
        if call.task == "c":
            await go.wait()
        number = sum(each.task == call.task for each in world.calls)
        return world.answer(call, f"{call.task} {number}") if call.task == "a" else None

    world.rule = hold
    last = {"id": "d", "agent": "editor", "ask": "D.", "depends_on": ["c"]}
    run = await start_run(client, request(tasks=[*team()["tasks"], last], result="d"))
    await run.adjust_agent("editor", instructions="In verse.")
    await run.adjust_run(max_parallel=7)
    await run.adjust_budget("research", Decimal("1.5"))
    await run.add_task(Task(id="more", agent="research", ask="More.", depends_on=("a",)))
    await reached.wait()
    await run.retry_task("a")
    go.set()
    while (await run.state()).tasks[3].status is not TaskStatus.DONE:
        await asyncio.sleep(0.05)
    await client.get_workflow_handle(run.id).terminate()
    world.rule = None
    again = await rerun_request(client, run.id)
    assert again.seed is not None
    assert again.seed.tasks["a"].output == "a 2"
    assert "more" not in again.seed.tasks
    assert again.seed.plan is not None
    assert again.seed.plan.added == ("more",)
    assert again.team.agents["editor"].instructions == "In verse."
    assert again.team.agents["research"].budget_usd == Decimal("1.5")
    assert again.team.max_parallel == 7
    made = fresh(world)
    report = await (await start_run(client, again)).result()
    assert report.status is RunStatus.COMPLETED
    assert "more" in calls_since(world, made)
    (final,) = [call for call in world.calls[made:] if call.purpose is Purpose.FINAL]
    assert [source.name for source in final.sources] == ["d", "more"]


async def test_a_plan_and_its_reviews_are_not_paid_again(client: Client, world: FakeWorld) -> None:
    add = {"redo": ["t1"], "drop": [], "add": [{"agent": "research", "ask": "List the risks."}]}

    def rule(call: CallRequest) -> CallResult | None:
        if call.purpose is Purpose.PLAN:
            return world.answer(call, PLAN)
        if call.purpose is Purpose.REVIEW:
            return world.answer(call, json.dumps(add))
        if call.task == "review1-1":
            raise ApplicationError("no", type=ErrorType.CONTEXT_EXCEEDED, non_retryable=True)
        return None

    world.rule = rule
    start = RunRequest(team=Team.model_validate({**without_tasks(), "review_rounds": 1}))
    first = await ended(client, start)
    assert [call.purpose for call in world.calls].count(Purpose.REVIEW) == 1
    made = fresh(world)
    world.rule = None
    report = await (await rerun(client, first.id)).result()
    assert report.status is RunStatus.COMPLETED
    assert calls_since(world, made) == ["answer", "review1-1"]
    before = sum(1 for call in world.calls[:made] if call.task not in ("answer", "review1-1"))
    assert report.spend.reused_usd == before * COST


async def test_a_plan_is_reused_where_the_same_is_asked(client: Client, world: FakeWorld) -> None:
    def rule(call: CallRequest) -> CallResult | None:
        return world.answer(call, PLAN) if call.purpose is Purpose.PLAN else None

    world.rule = rule
    start = RunRequest(team=Team.model_validate(without_tasks()))
    first = await ended(client, start)
    made = fresh(world)
    report = await (await start_run(client, start, reuse=first.id)).result()
    assert calls_since(world, made) == []
    assert report.spend.reused_usd == made * COST
    other = start.model_copy(update={"goal": "Another goal"})
    seed = (await reuse_request(client, other, first.id)).seed
    assert seed is not None
    assert (seed.plan, seed.tasks, seed.answer) == (None, {}, None)


async def test_a_chain_names_the_run_that_paid(client: Client, world: FakeWorld) -> None:
    first = await ended(client, request())
    second = await rerun(client, first.id, tasks=["c"])
    await second.result()
    made = fresh(world)
    report = await (await start_run(client, request(), reuse=second.id)).result()
    assert calls_since(world, made) == []
    assert reused(report) == {"a": first.id, "b": first.id, "c": second.id}
    assert report.spend.reused_usd == 4 * COST


async def test_reuse_follows_what_shapes_an_answer(client: Client, world: FakeWorld) -> None:
    """The fingerprint of a planned request is that of the request that was sent."""
    documents = {"news.md": "News.", "notes.md": "Notes."}
    agents = {
        "research": {
            "role": "Researcher", "budget_usd": 1, "inputs": ["news.md"], "seed": 0,
            "temperature": 1, "frequency_penalty": 0.5, "instructions": "Be exact.",
        },
        "editor": {"role": "Editor", "budget_usd": 1, "model": "m"},
    }  # fmt: skip
    tasks = [
        {"id": "a", "agent": "research", "ask": "Facts.", "inputs": ["notes.md"],
         "checks": {"min_length": 1}},
        {"id": "b", "agent": "research", "ask": "Quotes.", "output": "findings"},
        {"id": "c", "agent": "editor", "ask": "Text.", "depends_on": ["b", "a", "b"]},
    ]  # fmt: skip
    world.rule = lambda call: world.answer(call, '{"findings": []}')
    start = request(documents, agents=agents, tasks=tasks)
    first = await ended(client, start)
    again = await reuse_request(client, start, first.id)
    assert again.seed is not None
    assert list(again.seed.tasks) == ["a", "b", "c"]
    assert again.seed.answer is not None
    news = start.model_copy(update={"sources": {**documents, "news.md": "Other news."}})
    changed = saving_of(await reuse_request(client, news, first.id))
    assert changed.tasks_to_run == ("a", "b", "c")


async def test_what_cannot_be_gone_on_from_is_refused(client: Client, world: FakeWorld) -> None:
    with pytest.raises(RunNotFound):
        await rerun(client, "nowhere")
    first = await ended(client, request())
    with pytest.raises(RerunRefused, match=r"task = zzz: .* no such task \(a, b, c\)"):
        await rerun(client, first.id, tasks=["zzz"])
    nobody = AdjustAgent(agent="nobody", model="m")
    with pytest.raises(RerunRefused, match=r"no such agent .*orchestrator, research, editor"):
        await rerun(client, first.id, changes=[nobody])
    with pytest.raises(RerunRefused, match="the agents' own limits come to 7 USD"):
        await rerun(client, first.id, changes=[AdjustRun(budget_usd=Decimal("0.5"))])
    dear = AdjustBudget(agent="research", budget_usd=Decimal(2))
    assert saving_of(await rerun_request(client, first.id, changes=[dear])).tasks_to_run == ()
