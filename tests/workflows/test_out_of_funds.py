"""The operator's money at an upstream is gone: all calls to it park, for one cause."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice
from durable_agent_team.contracts.names import STARTER
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.support.fakes import COST, FakeWorld
from tests.support.run_reports import report_of
from tests.workflows.runs import Handle, continuing, executions, started, team, until

HOOK = "http://127.0.0.1:9/hook"
OUT = ErrorType.UPSTREAM_OUT_OF_FUNDS


class Unpaid(FakeWorld):
    """Refuses every task's call to the models of these upstreams until the operator pays."""

    def __init__(self, *upstreams: str) -> None:
        super().__init__(self._rule)
        prices = [
            ModelPrice(
                model=model,
                input_usd=Decimal(1),
                output_usd=Decimal(1),
                context_tokens=100_000,
                upstream=upstream,
            )
            for model, upstream in (("m", "openai"), ("m2", "openai"), ("other", "local"))
        ]
        self.catalog = ModelCatalog.model_validate(
            {**self.catalog.model_dump(exclude_unset=True), "models": tuple(prices)}
        )
        self.unpaid = set(upstreams)
        self.refused: list[str] = []
        self.gate: asyncio.Event | None = None

    async def _rule(self, call: CallRequest) -> None:
        upstream = next(each.upstream for each in self.catalog.models if each.model == call.model)
        refused = upstream in self.unpaid
        if self.gate is not None and call.task == "slow":
            await self.gate.wait()
        if refused and call.task not in ("slow", "answer"):
            self.refused.append(call.task)
            known = {"attempts": 1, "counted_attempts": 0, "status": 503, "upstream": upstream}
            raise ApplicationError("pay first", known, type=OUT, non_retryable=True)


def wide(count: int, *models: str, **changes: Any) -> dict[str, Any]:
    """Tasks of one agent for each of the models, in turn."""
    agents = {
        f"agent{n}": {"role": "R", "budget_usd": 1, "model": model, "on_failure": "fail"}
        for n, model in enumerate(models)
    }
    tasks = [
        {"id": f"t{n}", "agent": f"agent{n % len(models)}", "ask": f"Do {n}."} for n in range(count)
    ]
    more: dict[str, Any] = {"result": None, "final": "handoff", "notify_url": HOOK, **changes}
    return team(agents=agents, tasks=tasks, **more)


def all_parked(count: int) -> Callable[[RunState], bool]:
    return lambda now: sum(each.status is TaskStatus.PARKED for each in now.tasks) == count


def assert_nothing_lost(report: RunReport, calls: int) -> None:
    assert report.status is RunStatus.COMPLETED
    assert report.spend.total.failed_calls == 0
    assert report.spend.total.spent_usd == calls * COST
    assert report.spend.ledger_agrees is LedgerAgreement.YES


async def test_all_calls_park_for_one_cause_with_one_notification(client: Client) -> None:
    world = Unpaid("openai")
    async with started(client, world, {"team": wide(6, "m", "m2")}) as handle:
        now = await until(handle, all_parked(6))
        assert now.status is RunStatus.PARKED
        assert sorted(world.refused) == [f"t{n}" for n in range(6)], "one attempt each"
        [waiting] = now.waiting
        assert (waiting.type, waiting.upstream, waiting.calls) == (OUT, "openai", 6)
        assert waiting.reason == "upstream openai: pay first"
        assert waiting.command == f"{STARTER} resume --unpaid-only {handle.id}"
        world.unpaid.clear()
        await handle.signal("resume", {})
        report = await report_of(handle, 20)
    assert_nothing_lost(report, 6)
    assert len({call.idempotency_key for call in world.calls}) == 6
    [sent] = world.notifications
    assert sent.waiting is not None
    assert (sent.waiting.upstream, sent.waiting.type) == ("openai", OUT)


async def test_a_retry_of_one_wakes_all_that_wait_for_the_same_upstream(client: Client) -> None:
    world = Unpaid("openai", "local")
    async with started(client, world, {"team": wide(6, "m", "other")}) as handle:
        now = await until(handle, all_parked(6))
        assert {each.upstream: each.calls for each in now.waiting} == {"openai": 3, "local": 3}
        await until(handle, lambda _: len(world.notifications) == 2)
        world.unpaid.remove("openai")
        await handle.execute_update("retry_task", {"task": "t2"})
        now = await until(handle, all_parked(3))
        assert [each.upstream for each in now.waiting] == ["local"]
        world.unpaid.clear()
        await handle.execute_update("retry_task", {"task": "t5"})
        assert_nothing_lost(await report_of(handle, 20), 6)
    assert len(world.notifications) == 2, "one for each upstream"


async def test_the_first_answer_wakes_them(client: Client) -> None:
    """But not one that was on its way when the money ran out."""
    world = Unpaid("openai")
    world.gate = asyncio.Event()
    changed = wide(3, "m", max_tasks=10)
    changed["tasks"].append({"id": "slow", "agent": "agent0", "ask": "Slow."})
    async with started(client, world, {"team": changed}) as handle:
        await until(handle, all_parked(3))
        world.gate.set()
        now = await until(handle, lambda now: now.tasks[3].status is TaskStatus.DONE)
        assert all_parked(3)(now)
        assert len(world.refused) == 3
        world.unpaid.clear()
        await handle.execute_update("add_task", {"id": "new", "agent": "agent0", "ask": "New."})
        assert_nothing_lost(await report_of(handle, 20), 5)
    assert len(world.notifications) == 1


async def test_a_resume_that_does_not_help_is_the_same_outage(client: Client) -> None:
    world = Unpaid("openai")
    async with started(client, world, {"team": wide(2, "m")}) as handle:
        await until(handle, all_parked(2))
        await until(handle, lambda _: len(world.notifications) == 1)
        await handle.signal("resume", {})
        await until(handle, lambda now: len(world.refused) == 4 and all_parked(2)(now))
        world.unpaid.clear()
        await handle.signal("resume", {})
        assert_nothing_lost(await report_of(handle, 20), 2)
    assert len(world.notifications) == 1


async def test_what_is_parked_for_another_reason_stays_parked(client: Client) -> None:
    class Mixed(Unpaid):
        async def _rule(self, call: CallRequest) -> None:
            if call.task == "t1" and self.unpaid:
                raise ApplicationError("no", type=ErrorType.TEXT_UNAVAILABLE, non_retryable=True)
            await super()._rule(call)

    world = Mixed("openai")
    changed = wide(3, "m")
    changed["agents"]["agent0"]["on_failure"] = "park"
    async with started(client, world, {"team": changed}) as handle:
        now = await until(handle, all_parked(3))
        assert sorted(each.type or "" for each in now.waiting) == ["TextUnavailable", OUT]
        await handle.signal("resume", {})
        await until(handle, lambda now: len(world.refused) == 4 and all_parked(3)(now))
        world.unpaid.clear()
        await handle.execute_update("retry_task", {"task": "t1"})
        assert_nothing_lost(await report_of(handle, 20), 3)


async def test_without_names_of_upstreams_any_answer_wakes_them(client: Client) -> None:
    """An endpoint other than our gateway names none."""
    world = Unpaid("openai")
    bare = tuple(
        ModelPrice.model_validate(each.model_dump(exclude={"upstream"}))
        for each in world.catalog.models
    )
    world.catalog = world.catalog.model_copy(update={"models": bare})

    async def rule(call: CallRequest) -> None:
        if world.unpaid and call.task != "new":
            world.refused.append(call.task)
            raise ApplicationError("pay", {"attempts": 1}, type=OUT, non_retryable=True)

    world.rule = rule
    async with started(client, world, {"team": wide(2, "m")}) as handle:
        [waiting] = (await until(handle, all_parked(2))).waiting
        assert (waiting.upstream, waiting.calls) == (None, 2)
        assert waiting.reason == "the upstream: pay"
        await handle.execute_update("add_task", {"id": "new", "agent": "agent0", "ask": "New."})
        await until(handle, lambda now: len(world.refused) == 4 and all_parked(2)(now))
        world.unpaid.clear()
        await handle.signal("resume", {})
        assert (await report_of(handle, 20)).status is RunStatus.COMPLETED


@pytest.mark.parametrize("events", [15, 30])
async def test_it_survives_a_continue_as_new(client: Client, events: int) -> None:
    world = Unpaid("openai")
    changed = wide(4, "m", max_tasks=20)
    async with continuing(client, world, {"team": changed}, events=events) as handle:
        await until(handle, all_parked(4))
        await _until_continued(client, handle)
        [waiting] = (await until(handle, all_parked(4))).waiting
        assert (waiting.calls, waiting.upstream) == (4, "openai")
        world.unpaid.clear()
        await handle.signal("resume", {})
        assert_nothing_lost(await report_of(handle, 20), 4)
    assert len(world.notifications) <= 2, "one that is under way may be sent again"


async def _until_continued(client: Client, handle: Handle) -> None:
    for _ in range(20):
        if await executions(client, handle) > 1:
            return
        await handle.signal("pause", {})
    raise AssertionError("the run did not continue as new")


async def test_it_waits_for_days_and_then_gives_up_as_the_agent_says(skipping: Client) -> None:
    world = Unpaid("openai")
    changed = wide(2, "m")
    for agent in changed["agents"].values():
        agent |= {"park_timeout_seconds": 3 * 86_400, "on_park_timeout": "skip"}
    async with started(skipping, world, {"team": changed}) as handle:
        report = await report_of(handle, 30)
    assert (report.ended_at - report.started_at).total_seconds() >= 3 * 86_400
    assert {each.task.status for each in report.outcomes} == {TaskStatus.SKIPPED}
    assert len(world.refused) == 2
