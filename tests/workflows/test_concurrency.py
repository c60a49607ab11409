"""Calls run in parallel: within `max_parallel`, within the money, and without waves."""

import asyncio
from decimal import Decimal

from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.support.fakes import COST, FakeWorld
from tests.workflows.runs import failing, failure_of, result_of, started, team


def wide(count: int) -> list[dict[str, object]]:
    return [{"id": f"t{n}", "agent": "research", "ask": f"Part {n}."} for n in range(count)]


async def test_max_parallel_bounds_the_calls_in_flight(client: Client) -> None:
    async def slow(_: CallRequest) -> None:
        await asyncio.sleep(0.3)

    world = FakeWorld(slow)
    changed = team(tasks=wide(12), result=None, max_parallel=3, final="handoff")
    report = await result_of(client, world, {"team": changed})
    assert report.status is RunStatus.COMPLETED
    assert world.most_active == 3


async def test_a_task_starts_when_its_own_dependencies_are_done(client: Client) -> None:
    """a -> b next to a slow task: in waves, b would wait for the slow one."""
    release = asyncio.Event()
    order: list[str] = []

    async def rule(call: CallRequest) -> None:
        if call.task == "slow":
            await release.wait()
        order.append(call.task)
        if call.task == "b":
            release.set()

    tasks = [
        {"id": "slow", "agent": "research", "ask": "Slow."},
        {"id": "a", "agent": "research", "ask": "Fast."},
        {"id": "b", "agent": "editor", "ask": "After a.", "depends_on": ["a"]},
    ]
    world = FakeWorld(rule)
    await asyncio.wait_for(
        result_of(client, world, {"team": team(tasks=tasks, result="b")}), timeout=60
    )
    assert order[:3] == ["a", "b", "slow"]


async def test_calls_wait_for_room_in_the_account_instead_of_failing(client: Client) -> None:
    """The account can pay five calls, but their worst cases together exceed it."""
    budget = Decimal("0.05")
    agents = {"research": {"role": "R", "budget_usd": budget, "max_tokens": 20_000}}
    world = FakeWorld()
    report = await result_of(
        client,
        world,
        {
            "team": {
                **team(tasks=wide(5), result=None, final="handoff"),
                "agents": {name: {**a, "budget_usd": str(budget)} for name, a in agents.items()},
            }
        },
    )
    assert report.status is RunStatus.COMPLETED
    assert report.spend.total.spent_usd == 5 * COST
    assert world.most_active <= 2


async def test_a_call_refused_for_reserved_money_is_retried_with_the_same_key(
    client: Client,
) -> None:
    refused: list[str] = []

    async def rule(call: CallRequest) -> None:
        if call.task == "t1" and not refused:
            refused.append(call.idempotency_key)
            raise ApplicationError(
                "reserved", {"attempts": 1}, type=ErrorType.BUDGET_RESERVED, non_retryable=True
            )
        await asyncio.sleep(0.1)

    world = FakeWorld(rule)
    changed = team(tasks=wide(2), result=None, final="handoff")
    report = await result_of(client, world, {"team": changed})
    keys = [call.idempotency_key for call in world.calls if call.task == "t1"]
    assert keys == [refused[0], refused[0]]
    assert report.spend.total.calls == 2
    assert report.spend.total.failed_calls == 0


async def test_a_billed_call_without_an_answer_is_in_the_spend(client: Client) -> None:
    def rule(call: CallRequest) -> None:
        if call.task == "a":
            world.book(call)
            raise ApplicationError(
                "timed out", {"attempts": 4}, type=ErrorType.UPSTREAM_TIMEOUT, non_retryable=True
            )

    world = FakeWorld(rule)
    tasks = [
        {"id": "a", "agent": "research", "ask": "Lost."},
        {"id": "b", "agent": "editor", "ask": "Kept."},
    ]
    report = await result_of(client, world, {"team": failing(team(tasks=tasks, result="b"))})
    research = next(each for each in report.spend.agents if each.agent == "research")
    assert research.failed_attempts_usd == COST == research.spent_usd
    assert report.spend.ledger_agrees is LedgerAgreement.YES


async def test_a_ledger_that_disagrees_is_reported(client: Client) -> None:
    def rule(call: CallRequest) -> None:
        if call.task == "answer":
            key = next(iter(world.books["editor"].charges))
            world.books["editor"].charges[key] -= COST / 2

    world = FakeWorld(rule)
    report = await result_of(client, world, {"team": team()})
    assert report.spend.ledger_agrees is LedgerAgreement.NO


async def test_cancel_rest_stops_the_others(client: Client) -> None:
    async def rule(call: CallRequest) -> None:
        if call.task == "t0":
            await asyncio.sleep(0.1)
            raise ApplicationError("no", type=ErrorType.FORBIDDEN, non_retryable=True)
        await asyncio.sleep(120)

    world = FakeWorld(rule)
    changed = failing(team(tasks=wide(3), result="t1", on_task_failure="cancel_rest"))
    async with started(client, world, {"team": changed}) as handle:
        try:
            await asyncio.wait_for(handle.result(), timeout=60)
        except Exception:
            seen = await handle.query("state")
    assert [task["status"] for task in seen["tasks"]] == [
        TaskStatus.FAILED,
        TaskStatus.CANCELLED,
        TaskStatus.CANCELLED,
    ]
    assert seen["failure"]["type"] == ErrorType.FORBIDDEN


async def test_cancel_rest_fails_a_run_whose_result_is_done_already(client: Client) -> None:
    """With the failed task as the reason, as no one has cancelled the run."""

    async def rule(call: CallRequest) -> None:
        if call.task == "t1":
            while not world.books["research"].charges:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)
            raise ApplicationError("no", type=ErrorType.FORBIDDEN, non_retryable=True)

    world = FakeWorld(rule)
    changed = failing(team(tasks=wide(2), result="t0", on_task_failure="cancel_rest"))
    error = await failure_of(client, world, {"team": changed})
    report = RunReport.model_validate(error.details[0])
    assert (report.status, report.cancel_reason) == (RunStatus.FAILED, None)
    assert report.failure is not None
    assert report.failure.type == ErrorType.FORBIDDEN
    assert [each.task.status for each in report.outcomes] == [TaskStatus.DONE, TaskStatus.FAILED]


async def test_a_prompt_that_does_not_fit_fails_its_task_unsent(client: Client) -> None:
    def rule(call: CallRequest) -> object:
        return world.answer(call, "word " * 2_000) if call.task == "a" else None

    world = FakeWorld(rule, context=2_048)  # type: ignore[arg-type]
    tasks = [
        {"id": "a", "agent": "research", "ask": "Long."},
        {"id": "b", "agent": "editor", "ask": "Short.", "depends_on": ["a"]},
    ]
    async with started(client, world, {"team": team(tasks=tasks, result="b")}) as handle:
        try:
            await handle.result()
        except Exception:
            seen = await handle.query("state")
    failure = seen["tasks"][1]["failure"]
    assert failure["type"] == ErrorType.CONTEXT_EXCEEDED
    assert "2048" in failure["message"]
    assert {call.task for call in world.calls} == {"a"}
