"""An answer that was cut off is repaired with more room; a refusal is not asked again."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import Client

from durable_agent_team.contracts.call import CallRequest, CallResult, Purpose
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunStatus
from tests.support.fakes import FakeWorld, exhausted
from tests.workflows.runs import (
    continuing,
    executions,
    failure_of,
    parked,
    result_of,
    started,
    team,
    until,
)
from tests.workflows.test_adjust_agent import world_with_prices

WORDS = "I can't help with that request."


def one_task(research: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    agents = {"research": {"role": "R", "budget_usd": 1, "max_tokens": 100, **(research or {})}}
    tasks = [{"id": "a", "agent": "research", "ask": "List the facts."}]
    return {"team": team(agents=agents, tasks=tasks, result="a", final="handoff", **changes)}


def cut_off(world: FakeWorld, *answers: str) -> Callable[[CallRequest], CallResult | None]:
    """Each call gets one of these answers, cut off; then a good one."""
    left = list(answers)

    def rule(call: CallRequest) -> CallResult | None:
        if not left:
            return None
        good = world.answer(call, left.pop(0), reasons=("The answer was cut off.",))
        return good.model_copy(update={"finish_reason": "length"})

    return rule


def rooms(world: FakeWorld) -> list[int]:
    return [call.max_tokens for call in world.calls]


@pytest.mark.parametrize(
    ("answers", "room"),
    [
        (("Half of", "More of"), [100, 200, 400]),
        (("", "Half of"), [100, 400, 800]),
        ((), [100]),
    ],
)
async def test_a_repair_has_more_room(
    client: Client, answers: tuple[str, ...], room: list[int]
) -> None:
    world = FakeWorld()
    world.rule = cut_off(world, *answers)
    report = await result_of(client, world, one_task())
    assert report.status is RunStatus.COMPLETED
    assert rooms(world) == room
    assert len({call.idempotency_key for call in world.calls}) == len(room)
    for call in world.calls[1:]:
        assert call.raised_from == 100
        assert call.rejected is not None
        assert call.rejected.finish_reason == "length"
    assert "raised_from" not in world.calls[0].model_fields_set


@pytest.mark.parametrize(
    ("research", "price", "room"),
    [
        ({"context_tokens": 400}, {}, [100, 400 - 40]),
        ({}, {"max_output_tokens": 150}, [100, 150]),
        ({}, {"max_output_tokens": 50}, [100, 100]),
        ({"budget_usd": Decimal("0.01060")}, {}, [100, 170]),
        ({"budget_usd": Decimal("0.0103")}, {}, [100, 100]),
        ({"max_tokens": 100_000}, {}, [100_000, 131_072]),
    ],
)
async def test_within_the_model_its_context_and_the_account(
    client: Client, research: dict[str, Any], price: dict[str, Any], room: list[int]
) -> None:
    """A call costs 0.01 USD here, so that 0.01 of the budget is spent when the repair is made; its
    prompt is bounded with about 430 tokens."""
    world = FakeWorld()
    world.rule = cut_off(world, "")
    models = tuple(each.model_copy(update=price) for each in world.catalog.models)
    world.catalog = world.catalog.model_copy(update={"models": models})
    world.book = lambda call, cost=None: None  # type: ignore[method-assign]
    await result_of(client, world, one_task(research))
    assert rooms(world)[0] == room[0]
    assert abs(rooms(world)[1] - room[1]) < 30
    assert rooms(world)[1] >= room[0]


async def test_where_the_account_does_not_pay_for_the_room_the_repair_does_without(
    client: Client,
) -> None:
    """The gateway's own bound is higher than ours."""
    world = FakeWorld()
    half = cut_off(world, "Half of")

    def rule(call: CallRequest) -> CallResult | None:
        if call.max_tokens > 100:
            raise exhausted(Decimal("0.5"), Decimal("0.4"))
        return half(call)

    world.rule = rule
    report = await result_of(client, world, one_task())
    assert report.status is RunStatus.COMPLETED
    assert rooms(world) == [100, 200, 100]
    assert len({call.idempotency_key for call in world.calls}) == 3


async def test_plans_reviews_and_answers_have_more_room_too(client: Client) -> None:
    world = FakeWorld()
    seen: set[Purpose] = set()

    def rule(call: CallRequest) -> CallResult | None:
        if call.purpose in seen:
            return None if call.purpose is not Purpose.PLAN else world.answer(call, PLAN)
        seen.add(call.purpose)
        half = world.answer(call, '{"tasks', reasons=("The answer was cut off.",))
        return half.model_copy(update={"finish_reason": "length"})

    world.rule = rule
    planned = one_task()["team"] | {"tasks": [], "result": None, "final": "orchestrator"}
    await result_of(client, world, {"team": planned})
    for purpose, own in ((Purpose.PLAN, 512), (Purpose.WORK, 100), (Purpose.FINAL, 512)):
        assert [call.max_tokens for call in world.of(purpose)] == [own, 2 * own]


PLAN = '{"tasks": [{"id": "t1", "agent": "research", "ask": "Find the sales", "depends_on": []}]}'


async def test_the_room_is_kept_when_the_run_continues_as_new(client: Client) -> None:
    world = FakeWorld()
    world.rule = cut_off(world, "Half", "Half", "Half", "Half")
    payload = one_task(max_repairs=6)
    async with continuing(client, world, payload, events=12) as handle:
        await handle.result()
        assert await executions(client, handle) > 1
    assert rooms(world) == [100, 200, 400, 800, 1600]


async def test_after_the_last_repair_it_starts_over_without_the_room(client: Client) -> None:
    world = FakeWorld()
    world.rule = cut_off(world, "Half", "Half")
    payload = one_task({"on_failed_check": "park"}, max_repairs=1)
    async with started(client, world, payload) as handle:
        now = await until(handle, parked)
        assert now.waiting[0].type == ErrorType.CHECK_FAILED
        await handle.execute_update("retry_task", {"task": "a"})
        await handle.result()
    assert rooms(world) == [100, 200, 100]


def refusing(world: FakeWorld) -> Callable[[CallRequest], CallResult | None]:
    """The first call is refused."""

    def rule(call: CallRequest) -> CallResult | None:
        if len(world.calls) > 1:
            return None
        refused = world.answer(call, "", reasons=(f"The model refused: {WORDS}",))
        return refused.model_copy(update={"finish_reason": "refusal", "refusal": WORDS})

    return rule


async def test_a_refusal_fails_the_task_at_once_with_the_models_words(client: Client) -> None:
    world = FakeWorld()
    world.rule = refusing(world)
    error = await failure_of(client, world, one_task())
    assert f"task a: the model refused: {WORDS}" in error.message
    assert len(world.calls) == 1, "paid once"
    assert error.details[0]["failure"]["type"] == ErrorType.MODEL_REFUSED


async def test_a_refusal_may_wait_for_a_person(client: Client) -> None:
    world = FakeWorld()
    world.rule = refusing(world)
    async with started(client, world, one_task({"on_failed_check": "park"})) as handle:
        (waiting,) = (await until(handle, parked)).waiting
        assert waiting.type == ErrorType.MODEL_REFUSED
        assert WORDS in waiting.reason
        await handle.execute_update("retry_task", {"task": "a"})
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    first, second = world.calls
    assert first.idempotency_key != second.idempotency_key
    assert second.rejected is None


async def test_another_max_tokens_makes_another_call(client: Client) -> None:
    def too_long(call: CallRequest) -> None:
        if call.max_tokens > 50:
            raise exhausted(Decimal("0.5"), Decimal("0.005"))

    world = world_with_prices(too_long)
    async with started(client, world, one_task()) as handle:
        await until(handle, parked)
        change = {"agent": "research", "max_tokens": 50}
        answer = await handle.execute_update("adjust_agent", change)
        assert answer["max_tokens"] == 50
        await handle.result()
    assert rooms(world) == [100, 50]
    assert len({call.idempotency_key for call in world.calls}) == 2
