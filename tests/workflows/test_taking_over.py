"""A run takes over what the seed of its start input has."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import Client

from durable_agent_team.client.reruns import rerun_request
from durable_agent_team.contracts.call import Purpose
from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.run import RunStatus, TaskStatus
from tests.support.fakes import COST, FakeWorld
from tests.support.worlds import OnceEach
from tests.workflows.runs import (
    continuing,
    executions,
    failure_of,
    result_of,
    started,
    state,
    team,
    until,
)
from tests.workflows.test_continue_as_new import wide
from tests.workflows.test_planning import GOOD, Planner, without_tasks
from tests.workflows.test_redo_done import is_done
from tests.workflows.test_review import FINISH, Reviewer

FACTS = {"output": "Facts of another run.", "cost_usd": "0.25"}
PRICES = {"output": "Prices of a third run.", "cost_usd": "0.5", "origin": "run-0"}
TEXT = {"output": "A text.", "cost_usd": "1"}
ALL = {"a": FACTS, "b": PRICES, "c": TEXT}


def seed(**parts: Any) -> dict[str, Any]:
    return {"origin": "run-1", **parts}


async def test_a_seeded_task_is_done_and_marked_and_costs_nothing(client: Client) -> None:
    world = FakeWorld()
    payload = {"team": team(), "seed": seed(tasks={"a": FACTS, "b": PRICES})}
    async with started(client, world, payload) as handle:
        report = await handle.result()
        shown = await state(handle)
    assert report.status is RunStatus.COMPLETED
    assert [call.task for call in world.calls] == ["c", "answer"]
    (call, _) = world.calls
    assert [source.text for source in call.sources] == [FACTS["output"], PRICES["output"]]
    a, b, c = (each.task for each in report.outcomes)
    assert (a.status, a.reused_from, a.reused_usd) == (TaskStatus.DONE, "run-1", Decimal("0.25"))
    assert (b.reused_from, b.calls, b.spent_usd) == ("run-0", 0, 0)
    assert c.reused_from is None
    assert [each.reused_from for each in shown.tasks] == ["run-1", "run-0", None]
    assert report.outcomes[0].output == FACTS["output"]
    assert report.spend.reused_usd == Decimal("0.75")
    assert report.spend.total.spent_usd == 2 * COST == report.spend.ledger_usd
    assert report.spend.ledger_agrees == "yes"


async def test_without_a_seed_nothing_is_marked(client: Client) -> None:
    report = await result_of(client, FakeWorld(), {"team": team()})
    assert report.spend.reused_usd is None
    assert {each.task.reused_from for each in report.outcomes} == {None}


async def test_where_every_task_is_seeded_only_the_answer_is_made(client: Client) -> None:
    world = FakeWorld()
    report = await result_of(client, world, {"team": team(), "seed": seed(tasks=ALL)})
    assert [call.task for call in world.calls] == ["answer"]
    assert report.answer == "answer of answer"


async def test_a_seeded_answer_stands_if_no_task_runs(client: Client) -> None:
    world = FakeWorld()
    answer = {"output": "The answer.", "cost_usd": "2"}
    changed = {"team": team(review_rounds=1), "seed": seed(tasks=ALL, answer=answer)}
    report = await result_of(client, world, changed)
    assert not world.calls, "not even a review"
    assert report.answer == "The answer."
    assert report.spend.reused_usd == Decimal("3.75")
    assert report.spend.total.spent_usd == 0


async def test_a_seeded_answer_does_not_count_once_a_task_runs(client: Client) -> None:
    world = FakeWorld()
    answer = {"output": "The answer.", "cost_usd": "2"}
    payload = {"team": team(), "seed": seed(tasks={"a": FACTS}, answer=answer)}
    report = await result_of(client, world, payload)
    assert report.answer == "answer of answer"
    assert report.spend.reused_usd == Decimal("0.25")


async def test_a_seeded_task_can_be_done_again(client: Client) -> None:
    world = FakeWorld()
    payload = {"team": team(), "seed": seed(tasks={"a": FACTS, "b": PRICES})}
    async with started(client, world, payload, start_signal="pause") as handle:
        await until(handle, lambda now: now.status is RunStatus.WORKING)
        await handle.execute_update("retry_task", {"task": "a"})
        now = await state(handle)
        assert [each.reused_from for each in now.tasks] == [None, "run-0", None]
        await handle.signal("resume")
        report = await handle.result()
    assert sorted(call.task for call in world.calls) == ["a", "answer", "c"]
    assert report.spend.reused_usd == Decimal("0.5")


async def test_a_seeded_plan_is_not_made_again(client: Client) -> None:
    world = FakeWorld()
    plan = {"plan": {"tasks": team()["tasks"], "result": "c"}, "cost_usd": "0.125"}
    payload = {"team": without_tasks(), "seed": seed(plan=plan, tasks={"a": FACTS})}
    report = await result_of(client, world, payload)
    assert not world.of(Purpose.PLAN)
    assert sorted(call.task for call in world.calls) == ["answer", "b", "c"]
    assert report.spend.reused_usd == Decimal("0.375")


async def test_reviews_that_made_the_plan_count(client: Client) -> None:
    """Their tasks have the ids that a first review would give."""
    more = {"id": "review1-1", "agent": "research", "ask": "Look again.", "depends_on": ["a"]}
    plan = {"plan": {"tasks": [*team()["tasks"], more], "result": "c"}, "reviews": 1}
    add = {**FINISH, "add": [{"agent": "research", "ask": "And once more.", "depends_on": []}]}
    reviewer = Reviewer(add, FINISH)
    payload = {"team": team(review_rounds=2), "seed": seed(plan=plan, tasks=ALL)}
    report = await result_of(client, reviewer.world, payload)
    assert len(reviewer.world.of(Purpose.REVIEW)) == 1
    assert [each.task.id for each in report.outcomes][3:] == ["review1-1", "review2-1"]
    (final,) = reviewer.world.of(Purpose.FINAL)
    assert [source.name for source in final.sources] == ["c", "review1-1", "review2-1"]


async def test_another_default_model_takes_over_only_what_it_made(client: Client) -> None:
    """`c` has a model of its own; what is behind `b`, it too, is made anew."""
    changed = team(tasks=[*team()["tasks"], {"id": "d", "agent": "editor", "ask": "Alone."}])
    changed["agents"]["editor"]["model"] = "m"
    same = {"same_model": True, "model": "m"}
    tasks = {each: {**FACTS, **same} for each in "abcd"}
    tasks["a"] = {**FACTS, "same_model": True, "model": "older"}
    world = FakeWorld()
    assert isinstance(world.catalog, ModelCatalog)
    await result_of(client, world, {"team": changed, "seed": seed(tasks=tasks)})
    assert sorted(call.task for call in world.calls) == ["a", "answer", "c"]


async def test_with_another_model_the_plan_is_made_anew_and_its_tasks_run(client: Client) -> None:
    planner = Planner(GOOD)
    plan = {
        "plan": {"tasks": team()["tasks"], "result": "c"}, "same_model": True, "model": "older",
    }  # fmt: skip
    payload = {"team": without_tasks(), "seed": seed(plan=plan, tasks=ALL)}
    report = await result_of(client, planner.world, payload)
    assert len(planner.world.of(Purpose.PLAN)) == 1
    assert {each.task.reused_from for each in report.outcomes} == {None}


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"tasks": {"zzz": FACTS}}, "seed.tasks.zzz: no such task in the plan"),
        ({"tasks": {"c": TEXT}}, "seed.tasks.c: it depends on a, which has no hand-off"),
        ({"tasks": {"a": {"output": " "}}}, "seed.tasks.a.output: it is empty"),
        ({"plan": {"plan": {"tasks": [{"id": "x", "agent": "nobody", "ask": "x"}]}}}, "nobody"),
        ({"tasks": {"a": {"output": "x", "cost_usd": -1}}}, "cost_usd"),
        ({"plan": {"plan": {"tasks": team()["tasks"], "result": "q"}}}, "plan.result = q"),
    ],
)
async def test_a_wrong_seed_is_refused_before_an_account_is_opened(
    client: Client, parts: dict[str, Any], words: str
) -> None:
    world = FakeWorld()
    failed = await failure_of(client, world, {"team": team(), "seed": seed(**parts)})
    assert failed.type == "InvalidInput"
    assert words in failed.message
    assert not world.books


class HoldsLast(OnceEach):
    def __init__(self) -> None:
        super().__init__(seconds=0.05)
        self.open = asyncio.Event()

    async def _answer(self, call: Any) -> Any:
        if call.task == "last":
            await self.open.wait()
        return await super()._answer(call)


async def test_it_holds_over_all_executions_of_a_run(client: Client) -> None:
    """What is taken over is carried on, a task is done again, and another run can go on from it."""
    world = HoldsLast()
    tasks = {"t0": FACTS, "t1": PRICES}
    payload = {"team": wide(8) | {"max_parallel": 4}, "seed": seed(tasks=tasks)}
    async with continuing(client, world, payload, events=12) as handle:
        others = [f"t{number}" for number in range(8)]
        await is_done(handle, *others)
        answer = await handle.execute_update("retry_task", {"task": "t2"})
        assert answer["again"] == ["t2", "last"]
        await is_done(handle, *others)
        world.open.set()
        report = await handle.result()
        assert await executions(client, handle) > 2
        request = await rerun_request(client, handle.id)
    assert report.status is RunStatus.COMPLETED
    reused = {each.task.id: each.task.reused_from for each in report.outcomes}
    assert reused == {**dict.fromkeys([*others, "last"]), "t0": "run-1", "t1": "run-0"}
    assert report.spend.reused_usd == Decimal("0.75")
    assert report.spend.ledger_agrees == "yes"
    assert world.made.count("t2") == 2
    assert request.seed is not None
    assert {name: each.origin for name, each in request.seed.tasks.items()} == {
        **dict.fromkeys([*others, "last"]), "t0": "run-1", "t1": "run-0",
    }  # fmt: skip
    assert request.seed.answer is not None
