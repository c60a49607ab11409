"""An agent gets other settings, for calls that have not started."""

import asyncio
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from durable_agent_team.contracts.call import CallRequest, CallResult, Purpose
from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice, ReadModels
from durable_agent_team.contracts.run import RunStatus
from tests.support.fakes import FakeWorld, exhausted
from tests.support.sandbox import run_worker
from tests.workflows.runs import (
    CHAIN,
    Gate,
    parked,
    spend,
    start_on,
    started,
    state,
    team,
    two_tasks,
    until,
)

Handle = WorkflowHandle[Any, Any]
Seen = tuple[str, str]


def world_with_prices(rule: Callable[[CallRequest], Any] | None = None) -> FakeWorld:
    """A world with a second priced model, and a third without a price."""
    world = FakeWorld(rule)
    (model,) = world.catalog.models
    cheap = model.model_copy(update={"model": "cheap"})
    more = (model, cheap, ModelPrice(model="unpriced"))
    world.catalog = world.catalog.model_copy(update={"models": more})
    return world


def too_expensive(call: CallRequest) -> None:
    """`b` can be paid only with the cheap model."""
    if call.task == "b" and call.model != "cheap":
        raise exhausted(Decimal("0.5"), Decimal("0.005"))


def keys(world: FakeWorld, task: str) -> list[str]:
    return [call.idempotency_key for call in world.calls if call.task == task]


def workflow_worker(client: Client, queue: str, world: FakeWorld) -> Worker:
    return run_worker(client, queue, world.activities)


async def test_another_model_wakes_a_parked_task_with_a_new_call(
    client: Client,
) -> None:
    world = world_with_prices(too_expensive)
    async with started(client, world, {"team": two_tasks({"budget_usd": 1})}) as handle:
        await until(handle, parked)
        change = {"agent": "research", "model": "cheap"}
        answer = await handle.execute_update("adjust_agent", change)
        assert answer == {
            "agent": "research",
            "model": "cheap",
            "max_attempts": 8,
            "timeout_seconds": 60.0,
            "instructions": "",
            "max_tokens": 512,
        }
        assert (await spend(handle)).agents[1].model == "cheap"
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    first, second = (call for call in world.calls if call.task == "b")
    assert (first.model, second.model) == ("m", "cheap")
    assert first.idempotency_key != second.idempotency_key
    assert report.spend.agents[1].model == "cheap"
    assert report.spend.ledger_agrees == "yes"
    assert report.spend.agents[1].calls == 2, "a refused call does not count"


async def test_other_instructions_make_a_new_call_too(client: Client) -> None:
    def rule(call: CallRequest) -> None:
        if call.task == "b" and "Be brief." not in call.system:
            raise exhausted(Decimal("0.5"), Decimal("0.005"))

    world = world_with_prices(rule)
    async with started(client, world, {"team": two_tasks({"budget_usd": 1})}) as handle:
        await until(handle, parked)
        change = {"agent": "research", "instructions": "Be brief."}
        await handle.execute_update("adjust_agent", change)
        assert (await handle.result()).status is RunStatus.COMPLETED
    assert len(set(keys(world, "b"))) == 2


async def test_other_attempts_and_timeouts_keep_the_call_and_its_key(
    client: Client,
) -> None:
    world = FakeWorld()
    async with started(client, world, {"team": two_tasks({})}) as handle:
        await until(handle, parked)
        change = {"agent": "research", "max_attempts": 3, "timeout_seconds": 7, "model": "m"}
        answer = await handle.execute_update("adjust_agent", change)
        assert (answer["max_attempts"], answer["timeout_seconds"]) == (3, 7)
        await asyncio.sleep(0.3)
        assert parked(await state(handle)), "there is no more money than before"
        await handle.execute_update("adjust_budget", {"agent": "research", "budget_usd": 1})
        assert (await handle.result()).status is RunStatus.COMPLETED
    assert len(keys(world, "b")) == 2
    assert len(set(keys(world, "b"))) == 1
    assert await scheduled(handle, "b") == [(60, 6), (7, 3)]


async def scheduled(handle: Handle, task: str) -> list[tuple[int, int]]:
    """Timeout and attempts of each call of a task, as Temporal has them."""
    found = []
    async for event in handle.fetch_history_events():
        attributes = event.activity_task_scheduled_event_attributes
        data = b"".join(payload.data for payload in attributes.input.payloads)
        if f'"task":"{task}"'.encode() in data:
            seconds = attributes.start_to_close_timeout.ToTimedelta().total_seconds()
            found.append((int(seconds), attributes.retry_policy.maximum_attempts))
    return found


async def test_a_call_at_the_gate_is_changed_and_one_in_flight_is_not(
    client: Client,
) -> None:
    gate = Gate("a")
    world = world_with_prices(gate)
    tasks = [{"id": each, "agent": "research", "ask": "Go."} for each in ("a", "b")]
    changed = team(tasks=tasks, result="a", max_parallel=1)
    async with started(client, world, {"team": changed}) as handle:
        await gate.reached.wait()
        change = {"agent": "research", "model": "cheap", "timeout_seconds": 9}
        await handle.execute_update("adjust_agent", change)
        gate.open.set()
        assert (await handle.result()).status is RunStatus.COMPLETED
    assert [(call.task, call.model) for call in world.calls[:2]] == [("a", "m"), ("b", "cheap")]
    assert await scheduled(handle, "b") == [(9, 6)]


async def test_a_call_that_waits_for_money_is_made_with_the_cheaper_model(client: Client) -> None:
    """Next to the call in flight, only the cheap model's worst case fits into the account."""
    gate = Gate("a")
    world = world_with_prices(gate)
    models = list(world.catalog.models)
    models[1] = models[1].model_copy(update={"output_usd": Decimal("0.001")})
    world.catalog = world.catalog.model_copy(update={"models": tuple(models)})
    tasks = [{"id": each, "agent": "research", "ask": "Go."} for each in ("a", "b")]
    agents = {"research": {"role": "R", "budget_usd": "0.03", "max_tokens": 20_000}}
    async with started(
        client, world, {"team": team(agents=agents, tasks=tasks, result="a")}
    ) as run:
        await gate.reached.wait()
        await asyncio.sleep(0.2)
        assert not keys(world, "b")
        await run.execute_update("adjust_agent", {"agent": "research", "model": "cheap"})
        async with asyncio.timeout(30):
            while not keys(world, "b"):
                await asyncio.sleep(0.02)
        gate.open.set()
        assert (await run.result()).status is RunStatus.COMPLETED


async def test_a_change_during_a_pause_applies_after_it(client: Client) -> None:
    gate = Gate("a")
    world = world_with_prices(gate)
    async with started(client, world, {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        await handle.signal("pause")
        gate.open.set()
        await until(handle, lambda now: now.tasks[0].status == "done")
        change = {"kind": "adjust_agent", "agent": "research", "model": "cheap"}
        await handle.signal("adjust", change)
        await handle.signal("resume")
        assert (await handle.result()).status is RunStatus.COMPLETED
    assert [call.model for call in world.calls if call.task == "b"] == ["cheap"]


async def test_signals_of_one_workflow_task_are_carried_out_in_order(client: Client) -> None:
    """No worker runs while the signals arrive: they are delivered in one workflow task."""
    gate = Gate("a")
    world = world_with_prices(gate)
    queue = f"change-{uuid.uuid4()}"
    async with workflow_worker(client, queue, world):
        handle = await start_on(client, queue, {"team": team(tasks=CHAIN)})
        await gate.reached.wait()
        await handle.signal("pause")
        gate.open.set()
        await until(handle, lambda now: now.tasks[0].status == "done")
    change = {"kind": "adjust_agent", "agent": "research", "model": "cheap"}
    await handle.signal("adjust", change)
    await handle.signal("resume")
    async with workflow_worker(client, queue, world):
        assert (await handle.result()).status is RunStatus.COMPLETED
    assert [call.model for call in world.calls if call.task == "b"] == ["cheap"]


async def test_a_call_refused_after_the_change_continues_with_it(client: Client) -> None:
    """It was in flight when the model changed, and does not park first."""
    reached, refuse = asyncio.Event(), asyncio.Event()

    async def rule(call: CallRequest) -> None:
        if call.task == "b" and call.model == "m":
            reached.set()
            await refuse.wait()
            raise exhausted(Decimal("0.5"), Decimal("0.005"))

    world = world_with_prices(rule)
    async with started(client, world, {"team": two_tasks({"budget_usd": 1})}) as handle:
        await reached.wait()
        await handle.execute_update("adjust_agent", {"agent": "research", "model": "cheap"})
        refuse.set()
        assert (await handle.result()).status is RunStatus.COMPLETED
    assert [call.model for call in world.calls if call.task == "b"] == ["m", "cheap"]


async def test_a_repair_uses_the_current_settings(client: Client) -> None:
    reached, answer = asyncio.Event(), asyncio.Event()

    async def rule(call: CallRequest) -> CallResult | None:
        if call.task == "a" and call.rejected is None:
            reached.set()
            await answer.wait()
            return world.answer(call, "poor", reasons=("too short",))
        return None

    world = world_with_prices(rule)
    async with started(client, world, {"team": team(tasks=CHAIN)}) as handle:
        await reached.wait()
        change = {"agent": "research", "instructions": "Write more."}
        await handle.execute_update("adjust_agent", change)
        answer.set()
        assert (await handle.result()).status is RunStatus.COMPLETED
    first, second = (call for call in world.calls if call.task == "a")
    assert "Write more." not in first.system
    assert "Write more." in second.system
    assert second.rejected is not None


async def test_the_orchestrator_may_be_adjusted_too(client: Client) -> None:
    gate = Gate("b")
    world = world_with_prices(gate)
    async with started(client, world, {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        change = {"agent": "orchestrator", "model": "cheap", "instructions": "Rhyme."}
        await handle.execute_update("adjust_agent", change)
        gate.open.set()
        await handle.result()
    (answer,) = world.of(Purpose.FINAL)
    assert answer.model == "cheap"
    assert answer.system.endswith("Rhyme.")
    assert answer.goal


async def test_new_instructions_close_the_breaker(client: Client) -> None:
    def rule(call: CallRequest) -> CallResult | None:
        if call.account.agent == "research" and "JSON" not in call.system:
            return world.answer(call, "poor", reasons=("no JSON",))
        return None

    world = world_with_prices(rule)
    agent = {"breaker_failures": 1, "budget_usd": 1}
    async with started(client, world, {"team": two_tasks(agent)}) as handle:
        await until(handle, parked)
        change = {"agent": "research", "instructions": "Answer in JSON."}
        await handle.execute_update("adjust_agent", change)
        assert (await handle.result()).status is RunStatus.COMPLETED
    first, second = (call for call in world.calls if call.task == "a")
    assert second.rejected is not None, "the reasons for the first answer's rejection are kept"
    assert first.idempotency_key != second.idempotency_key


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ([{"agent": "nobody", "model": "m"}], "agent = 'nobody': no such agent (one of: orch"),
        ([{"agent": "research"}], "nothing to change: give one or more of model, max_attempts"),
        ([{"agent": "research", "model": None}], "model = null: leave the key out"),
        ([{"agent": "research", "model": "gpt-9"}], "is not known at the gateway (one of: m)"),
        ([{"agent": "research", "model": ""}], "model = '': "),
        ([{"agent": "research", "max_attempts": 0}], "max_attempts = 0: "),
        ([{"agent": "research", "max_attempts": 21}], "less than or equal to 20"),
        ([{"agent": "research", "timeout_seconds": 0}], "timeout_seconds = 0: "),
        ([{"agent": "research", "timeout_seconds": float(86_401)}], "less than or equal to 86400"),
        ([{"agent": "research", "instructions": "x" * 8_001}], "at most 8000 characters"),
        ([{"agent": "research", "budget_usd": 1}], "budget_usd: no such key"),
        ([{"agent": "research", "model": "m"}, 1], "one argument is expected, got 2"),
        ([7], "a JSON object is expected, got 7"),
    ],
)
async def test_a_wrong_change_is_refused_with_the_reason(
    held_run: tuple[Handle, FakeWorld], payload: list[Any], words: str
) -> None:
    handle, _ = held_run
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("adjust_agent", args=payload)
    assert isinstance(refused.value.cause, ApplicationError)
    assert words in refused.value.cause.message


async def test_a_model_without_a_price_is_refused_with_those_that_have_one(client: Client) -> None:
    gate = Gate("a")
    async with started(client, world_with_prices(gate), {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        change = {"agent": "research", "model": "unpriced"}
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("adjust_agent", change)
        assert isinstance(refused.value.cause, ApplicationError)
        message = "model = 'unpriced': has no price at the gateway (one of: m, cheap)"
        assert refused.value.cause.message == message
        await handle.signal("adjust", {"kind": "adjust_agent", **change})
        assert (await state(handle)).refusals[-1].problem == message
        gate.open.set()
        await handle.result()


class ManyModels(FakeWorld):
    """Its gateway knows more models than a run's catalog has: `dear`, and none by other names."""

    async def wanted(self, order: ReadModels) -> ModelCatalog:
        (model,) = self.catalog.models
        more = [model.model_copy(update={"model": "dear"})] if "dear" in order.names else []
        return self.catalog.model_copy(update={"models": (model, *more), "partial": True})


async def test_a_model_that_the_catalog_left_out_is_looked_up_when_it_is_named(
    client: Client,
) -> None:
    gate = Gate("a")
    world = ManyModels(gate)
    async with started(client, world, {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("adjust_agent", {"agent": "research", "model": "nowhere"})
        assert "is not known at the gateway" in str(refused.value.cause)
        change = {"agent": "research", "model": "dear"}
        assert (await handle.execute_update("adjust_agent", change))["model"] == "dear"
        gate.open.set()
        assert (await handle.result()).status == RunStatus.COMPLETED
    assert "dear" in {call.model for call in world.calls}
