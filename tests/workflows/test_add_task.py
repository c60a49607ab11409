"""A task is added to a working run."""

import asyncio
import json
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.call import CallRequest, Purpose
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunState, RunStatus, TaskStatus
from tests.support.fakes import FakeWorld
from tests.support.run_reports import report_of
from tests.workflows.runs import (
    CHAIN,
    GOAL,
    Gate,
    failing,
    parked,
    started,
    state,
    team,
    two_tasks,
    until,
)
from tests.workflows.test_review import FINISH, Reviewer

Handle = WorkflowHandle[Any, Any]
MORE = {"id": "more", "agent": "editor", "ask": "List the risks."}


async def refusal(handle: Handle, task: dict[str, Any]) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("add_task", task)
    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.type == ErrorType.INVALID_INPUT
    return refused.value.cause.message


def statuses(now: RunState) -> dict[str, TaskStatus]:
    return {task.id: task.status for task in now.tasks}


async def test_it_starts_at_once_gets_its_inputs_and_reaches_the_answer(client: Client) -> None:
    gate = Gate("b")
    world = FakeWorld(gate)
    payload = {"team": team(tasks=CHAIN, result="c"), "sources": {"news.md": "News."}}
    async with started(client, world, payload) as handle:
        await gate.reached.wait()
        task = {**MORE, "depends_on": ["a"], "inputs": ["news.md"]}
        answer = await handle.execute_update("add_task", task)
        assert answer == {"task": "more", "status": "ready"}
        now = await until(handle, lambda now: statuses(now).get("more") is TaskStatus.DONE)
        assert statuses(now)["b"] is TaskStatus.RUNNING, "it does not wait for others"
        gate.open.set()
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    (call,) = (call for call in world.calls if call.task == "more")
    assert [source.name for source in call.sources] == ["news.md", "a"]
    (final,) = world.of(Purpose.FINAL)
    assert [source.name for source in final.sources] == ["c", "more"]
    assert report.spend.ledger_agrees == "yes"


async def test_it_waits_for_what_it_depends_on(client: Client) -> None:
    gate = Gate("b")
    world = FakeWorld(gate)
    async with started(client, world, {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        answer = await handle.execute_update("add_task", {**MORE, "depends_on": ["b", "a"]})
        assert answer["status"] == "waiting"
        again = {**MORE, "id": "most", "depends_on": ["more"]}
        assert (await handle.execute_update("add_task", again))["status"] == "waiting"
        gate.open.set()
        await handle.result()
    order = [call.task for call in world.calls]
    assert order.index("b") < order.index("more") < order.index("most")


async def test_it_runs_while_everything_else_is_parked(client: Client) -> None:
    world = FakeWorld()
    async with started(client, world, {"team": two_tasks({})}) as handle:
        await until(handle, parked)
        await handle.execute_update("add_task", {**MORE, "depends_on": ["a"]})
        now = await until(handle, lambda now: statuses(now).get("more") is TaskStatus.DONE)
        assert now.status is RunStatus.PARKED
        await handle.execute_update("adjust_budget", {"agent": "research", "budget_usd": 1})
        assert (await handle.result()).status is RunStatus.COMPLETED


async def test_added_during_a_pause_it_starts_after_it(client: Client) -> None:
    gate = Gate("a")
    world = FakeWorld(gate)
    async with started(client, world, {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        await handle.signal("pause")
        await handle.execute_update("add_task", MORE)
        await asyncio.sleep(0.3)
        assert statuses(await state(handle))["more"] is TaskStatus.READY
        await handle.signal("resume")
        await until(handle, lambda now: statuses(now)["more"] is TaskStatus.DONE)
        gate.open.set()
        await handle.result()


async def test_the_signal_adds_a_task_like_the_update(client: Client) -> None:
    gate = Gate("a")
    world = FakeWorld(gate)
    async with started(client, world, {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        await handle.signal("adjust", {"kind": "add_task", **MORE})
        await until(handle, lambda now: statuses(now).get("more") is TaskStatus.DONE)
        await handle.signal("adjust", {"kind": "add_task", **MORE})
        assert "a task of this id" in (await state(handle)).refusals[-1].problem
        gate.open.set()
        await handle.result()


async def test_a_named_result_does_not_depend_on_it(client: Client) -> None:
    gate = Gate("b")

    async def rule(call: CallRequest) -> None:
        if call.task == "more":
            raise ApplicationError("no", type=ErrorType.FORBIDDEN, non_retryable=True)
        await gate(call)

    async with started(client, FakeWorld(rule), {"team": failing(team(tasks=CHAIN))}) as handle:
        await gate.reached.wait()
        await handle.execute_update("add_task", MORE)
        gate.open.set()
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    assert report.outcomes[3].task.status is TaskStatus.FAILED


async def test_a_review_sees_it_and_keeps_it(client: Client) -> None:
    gate = Gate("b")
    added = {"agent": "research", "ask": "List the rest.", "depends_on": ["more"]}
    reviewer = Reviewer({**FINISH, "redo": ["c"], "add": [added]}, FINISH)

    async def rule(call: CallRequest) -> Any:
        await gate(call)
        return reviewer(call)

    reviewer.world.rule = rule
    changed = team(tasks=CHAIN, review_rounds=2)
    async with started(client, reviewer.world, {"team": changed}) as handle:
        await gate.reached.wait()
        await handle.execute_update("add_task", MORE)
        gate.open.set()
        report = await handle.result()
    assert reviewer.made["more"] == 1, "what is done stays done"
    assert [each.task.id for each in report.outcomes] == ["a", "b", "c", "more", "review1-1"]
    (final,) = reviewer.world.of(Purpose.FINAL)
    assert [source.name for source in final.sources] == ["c", "review1-1"]
    assert "more, editor, done" in reviewer.world.of(Purpose.REVIEW)[0].ask


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"agent": "nobody"}, "agent = nobody: no such agent (one of: research, editor)"),
        ({"id": "a"}, "id = a: there is a task of this id (choose another)"),
        ({"id": "A b"}, "id = 'A b'"),
        (
            {"id": "review1-1"},
            "id = review1-1: ids like this are reserved for the orchestrator's own",
        ),
        ({"id": "answer"}, "id = answer: ids like this"),
        ({"depends_on": ["zz"]}, "depends_on = zz: no such task (one of: a, b)"),
        ({"depends_on": ["more"]}, "more -> more"),
        ({"ask": f"Now {GOAL.upper()}!"}, "it repeats the whole goal"),
        ({"inputs": ["x.md"]}, "inputs = x.md: the run was started without a document of this"),
        ({"output": {"type": "nonsense"}}, "output = $.type: this is not a JSON Schema"),
        ({"output": {"$ref": "http://x/y"}}, "which is never fetched"),
        ({"output": "poem"}, "output"),
        ({"checks": {"min_length": 9, "max_length": 1}}, "above max_length, 1"),
        ({"kind": "add_task"}, "kind: no such key"),
        ({"ask": ""}, "ask = ''"),
    ],
)
async def test_an_invalid_task_is_refused_with_the_reason(
    held_run: tuple[Handle, FakeWorld], change: dict[str, Any], words: str
) -> None:
    handle, _ = held_run
    assert words in await refusal(handle, {**MORE, **change})
    assert len((await state(handle)).tasks) == 2


@pytest.mark.parametrize("payload", [[], [7], [None], [MORE, MORE], ["more"]])
async def test_a_wrong_payload_is_refused(
    held_run: tuple[Handle, FakeWorld], payload: list[Any]
) -> None:
    handle, _ = held_run
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("add_task", args=payload)
    assert isinstance(refused.value.cause, ApplicationError)


async def test_no_more_than_max_tasks(client: Client) -> None:
    gate = Gate("a")
    changed = team(tasks=CHAIN, max_tasks=4)
    async with started(client, FakeWorld(gate), {"team": changed}) as handle:
        await gate.reached.wait()
        await handle.execute_update("add_task", MORE)
        why = await refusal(handle, {**MORE, "id": "most"})
        assert "the run has 4 tasks, and max_tasks is 4 (start another run for it)" in why
        gate.open.set()
        await handle.result()


async def test_it_may_depend_on_a_task_without_a_handoff_if_it_accepts_missing_inputs(
    client: Client,
) -> None:
    gate = Gate("slow")

    async def rule(call: CallRequest) -> None:
        if call.task == "fails":
            raise ApplicationError("no", type=ErrorType.FORBIDDEN, non_retryable=True)
        await gate(call)

    tasks = [
        {"id": "slow", "agent": "editor", "ask": "Slow."},
        {"id": "gone", "agent": "editor", "ask": "Gone.", "depends_on": ["slow"]},
        {"id": "fails", "agent": "editor", "ask": "Fails."},
    ]
    world = FakeWorld(rule)
    changed = failing(team(tasks=tasks, result="slow"))
    async with started(client, world, {"team": changed}) as handle:
        await gate.reached.wait()
        await handle.execute_update("cancel_task", {"task": "gone"})
        await until(handle, lambda now: statuses(now)["fails"] is TaskStatus.FAILED)
        why = await refusal(handle, {**MORE, "depends_on": ["gone"]})
        assert "it ended without a hand-off: cancelled (leave it out, or write missing_inp" in why
        accepting = {**MORE, "missing_inputs": "accept"}
        why = await refusal(handle, {**accepting, "depends_on": ["fails"]})
        assert "it ended without a hand-off: failed (retry that first, or leave it out)" in why
        await handle.execute_update("add_task", {**accepting, "depends_on": ["gone"]})
        await until(handle, lambda now: statuses(now)["more"] is TaskStatus.DONE)
        gate.open.set()
        await handle.result()
    (call,) = (call for call in world.calls if call.task == "more")
    assert call.missing == ("gone",)


async def test_before_there_is_a_plan_it_is_refused_with_the_remedy(client: Client) -> None:
    gate = Gate("plan")
    changed = team(approve_plan=True)
    planned = {key: each for key, each in changed.items() if key not in ("tasks", "result")}
    planned["agents"] = {"editor": changed["agents"]["editor"]}
    plan = {"tasks": [{"id": "t1", "agent": "editor", "ask": "Write it up in ten lines."}]}

    async def rule(call: CallRequest) -> Any:
        await gate(call)
        return world.answer(call, json.dumps(plan)) if call.task == "plan" else None

    world = FakeWorld(rule)
    async with started(client, world, {"team": planned}) as handle:
        await gate.reached.wait()
        why = await refusal(handle, MORE)
        assert why == "the run has no plan yet (add the task once `state` says working)"
        gate.open.set()
        await until(handle, lambda now: now.status is RunStatus.APPROVAL)
        assert "the plan waits for approval (approve it first" in await refusal(handle, MORE)
        await handle.execute_update("approve", {"subject": "plan", "approved": True})
        assert (await handle.result()).status is RunStatus.COMPLETED


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("review", "the orchestrator is revising the plan (add the task once `state` says"),
        ("answer", "the run has done its tasks; its status is finishing (start another run"),
    ],
)
async def test_after_the_tasks_it_is_refused_with_the_remedy(
    client: Client, subject: str, words: str
) -> None:
    gate = Gate(subject)

    async def rule(call: CallRequest) -> Any:
        await gate(call)
        return world.answer(call, json.dumps(FINISH)) if call.task == "review" else None

    world = FakeWorld(rule)
    async with started(client, world, {"team": team(review_rounds=1)}) as handle:
        await gate.reached.wait()
        assert words in await refusal(handle, MORE)
        gate.open.set()
        assert (await handle.result()).status is RunStatus.COMPLETED


async def test_a_cancelled_run_refuses_it(client: Client) -> None:
    """A call in flight takes some time to be cancelled."""
    reached, ending = asyncio.Event(), asyncio.Event()

    async def stubborn(call: CallRequest) -> None:
        reached.set()
        try:
            await ending.wait()
        except asyncio.CancelledError:
            await ending.wait()

    async with started(client, FakeWorld(stubborn), {"team": team(tasks=CHAIN)}) as handle:
        await reached.wait()
        await handle.signal("cancel", {"reason": "enough"})
        assert "the run starts nothing new: enough (start another" in await refusal(handle, MORE)
        ending.set()
        await report_of(handle)


async def test_two_with_the_same_id_add_one(client: Client) -> None:
    gate = Gate("a")
    async with started(client, FakeWorld(gate), {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        both = [handle.execute_update("add_task", MORE) for _ in range(2)]
        answers = await asyncio.gather(*both, return_exceptions=True)
        assert sum(isinstance(each, WorkflowUpdateFailedError) for each in answers) == 1
        assert [task.id for task in (await state(handle)).tasks] == ["a", "b", "c", "more"]
        gate.open.set()
        await handle.result()


WIDE: dict[str, Any] = {"anyOf": [{}] * 8_000}
LARGE: dict[str, Any] = {"anyOf": [{"type": "string"}] * 990}


async def test_a_wide_schema_is_refused_and_the_run_continues(client: Client) -> None:
    gate = Gate("a")
    async with started(client, FakeWorld(gate), {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        await handle.signal("adjust", {"kind": "add_task", **MORE, "output": WIDE})
        now = await until(handle, lambda now: bool(now.refusals))
        assert "8000" not in now.refusals[-1].problem
        assert "2000" in now.refusals[-1].problem
        assert "2000" in await refusal(handle, {**MORE, "output": WIDE})
        gate.open.set()
        assert (await handle.result()).status is RunStatus.COMPLETED


async def test_many_of_the_largest_schemas_hold_no_workflow_task(client: Client) -> None:
    """Each takes about a second to check; Temporal allows two for all signals of a task."""
    gate = Gate("a")
    async with started(client, FakeWorld(gate), {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        for number in range(5):
            task = {**MORE, "id": f"more{number}", "output": LARGE}
            await handle.signal("adjust", {"kind": "add_task", **task})
        last = {**MORE, "id": "last", "depends_on": ["more4"]}
        await handle.signal("adjust", {"kind": "add_task", **last})
        now = await until(handle, lambda now: "last" in statuses(now))
        assert not now.refusals, "the last one waits for those before it"
        gate.open.set()
        assert (await handle.result()).status is RunStatus.COMPLETED
        assert [
            event.event_id
            async for event in handle.fetch_history_events()
            if event.HasField("workflow_task_failed_event_attributes")
        ] == []
