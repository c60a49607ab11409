"""What happens when an account runs out is decided by the team file, or by a person."""

import asyncio
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.accounts import SetBudget
from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.ledger import Ledger
from durable_agent_team.contracts.names import STARTER, WORKFLOW
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import AgentStatus, LedgerAgreement
from tests.support.fakes import COST, FakeWorld, exhausted
from tests.support.run_reports import report_of
from tests.support.temporal import running_worker
from tests.workflows.runs import (
    Handle,
    parked,
    spend,
    started,
    state,
    team,
    two_tasks,
    until,
)


async def test_a_refused_call_parks_and_continues_with_the_same_key(client: Client) -> None:
    world = FakeWorld()
    async with started(client, world, {"team": two_tasks({})}) as handle:
        now = await until(handle, parked)
        (waiting,) = now.waiting
        assert (waiting.subject, waiting.agent, waiting.type) == (
            "b",
            "research",
            "BudgetExhausted",
        )
        assert (waiting.required_usd, waiting.remaining_usd) == (COST, Decimal("0.005"))
        assert waiting.command == f"{STARTER} budget --raise-only {handle.id} research 0.020"
        assert now.status is RunStatus.PARKED
        assert [task.status for task in now.tasks][1] is TaskStatus.PARKED
        report = await spend(handle)
        assert report.agents[1].status is AgentStatus.PARKED
        assert report.agents[1].reserved_usd == 0
        await handle.execute_update("adjust_budget", {"agent": "research", "budget_usd": "0.02"})
        result = await handle.result()
    assert result.status is RunStatus.COMPLETED
    keys = [call.idempotency_key for call in world.calls if call.task == "b"]
    assert len(keys) == 2
    assert keys[0] == keys[1], "a raised budget changes no body, so it is the same call"
    assert result.spend.ledger_agrees is LedgerAgreement.YES
    assert result.spend.total.failed_calls == 0
    assert [each.task.calls for each in result.outcomes] == [1, 1, 1]


@pytest.mark.parametrize("character", ["'", "\x01", "\u202e", "$", "🚲", " "])
async def test_a_run_of_any_id_parks_and_notifies(client: Client, character: str) -> None:
    """It has up to a thousand bytes, each of which may take five characters where it is quoted."""
    run_id = character * (960 // len(character.encode())) + uuid.uuid4().hex
    world = FakeWorld()
    payload = {"team": two_tasks({}, notify_url="https://example.com/hook")}
    async with running_worker(client, world.activities) as queue:
        handle = await client.start_workflow(WORKFLOW, payload, id=run_id, task_queue=queue)
        (waiting,) = (await until(handle, parked)).waiting
        is_long = character in ("'", "\x01", "\u202e")
        assert ('"$RUN"' in waiting.command) is is_long
        assert waiting.command.startswith(f"{STARTER} budget ")
        await handle.execute_update("adjust_budget", {"agent": "research", "budget_usd": "0.02"})
        await handle.result()
    assert [each.waiting for each in world.notifications] == [waiting]


async def test_the_signal_wakes_like_the_update(client: Client) -> None:
    async with started(client, FakeWorld(), {"team": two_tasks({})}) as handle:
        await until(handle, parked)
        await handle.signal(
            "adjust", {"kind": "adjust_budget", "agent": "research", "budget_usd": 1}
        )
        assert (await handle.result()).status is RunStatus.COMPLETED


class SlowBooks(FakeWorld):
    """The provider sets limits when it is let, and then only those that are large enough."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answers = asyncio.Event(), asyncio.Event()

    @activity.defn
    async def set_budget(self, request: SetBudget) -> Ledger:
        self.asked.set()
        await self.answers.wait()
        return await super().set_budget(request)


@pytest.mark.parametrize("enough", [True, False])
async def test_the_limit_of_a_parked_call_waits_for_money_that_is_on_its_way(
    client: Client, enough: bool
) -> None:
    world = SlowBooks()
    given = two_tasks({"park_timeout_seconds": 2, "on_park_timeout": "fail"})
    more = {
        "kind": "adjust_budget",
        "agent": "research",
        "budget_usd": "0.02" if enough else "0.01",
    }
    async with started(client, world, {"team": given}) as handle:
        ends = (await until(handle, parked)).waiting[0].until
        assert ends is not None
        world.books["research"].charges["of another"] = Decimal(0 if enough else "0.001")
        await handle.signal("adjust", more)
        await world.asked.wait()
        await asyncio.sleep((ends - datetime.now(UTC)).total_seconds() + 0.5)
        assert parked(await state(handle))
        world.answers.set()
        report = await report_of(handle)
    assert report.status is (RunStatus.COMPLETED if enough else RunStatus.FAILED)


async def test_too_small_a_raise_parks_again(client: Client) -> None:
    async with started(client, FakeWorld(), {"team": two_tasks({})}) as handle:
        first = (await until(handle, parked)).waiting[0]
        await handle.execute_update("adjust_budget", {"agent": "research", "budget_usd": "0.016"})
        again = await until(handle, lambda now: parked(now) and now.waiting[0].since > first.since)
        assert again.waiting[0].remaining_usd == Decimal("0.006")
        await handle.signal("cancel")
        assert (await report_of(handle)).status is RunStatus.CANCELLED


async def test_a_parked_task_holds_no_slot(client: Client) -> None:
    """With one place only, the parked task is first, and the other agent still works."""
    changed = two_tasks({}, max_parallel=1)
    changed["tasks"].append({"id": "d", "agent": "editor", "ask": "Free.", "depends_on": ["a"]})
    async with started(client, FakeWorld(), {"team": changed}) as handle:
        now = await until(
            handle, lambda now: parked(now) and now.tasks[3].status is TaskStatus.DONE
        )
        assert now.tasks[1].status is TaskStatus.PARKED
        await handle.signal("cancel")
        await report_of(handle)


async def test_a_fallback_is_a_new_call_with_the_cheaper_model(client: Client) -> None:
    def rule(call: CallRequest) -> None:
        if call.task == "b" and call.model == "m":
            raise exhausted(Decimal("0.5"), Decimal("0.005"))

    world = FakeWorld(rule)
    cheap = {"on_exhausted": "fallback", "fallback_model": "m2", "budget_usd": 1}
    world.catalog = world.catalog.model_copy(
        update={"models": (*world.catalog.models, _priced(world, "m2"))}
    )
    async with started(client, world, {"team": two_tasks(cheap)}) as handle:
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    calls = [(call.model, call.idempotency_key) for call in world.calls if call.task == "b"]
    assert [model for model, _ in calls] == ["m", "m2"]
    assert calls[0][1] != calls[1][1]


async def test_max_tokens_shrinks_to_what_the_account_can_pay(client: Client) -> None:
    def rule(call: CallRequest) -> None:
        if call.task == "b" and call.max_tokens > 300:
            raise exhausted(Decimal("0.0102"), Decimal("0.01"))

    world = FakeWorld(rule)
    agent = {"min_tokens": 100, "max_tokens": 500, "budget_usd": 1}
    async with started(client, world, {"team": two_tasks(agent)}) as handle:
        assert (await handle.result()).status is RunStatus.COMPLETED
    sizes = [call.max_tokens for call in world.calls if call.task == "b"]
    assert sizes == [500, 300], "0.0002 USD too much are 200 tokens at 1 USD a million"


async def test_below_the_floor_the_policy_decides(client: Client) -> None:
    def rule(call: CallRequest) -> None:
        if call.task == "b":
            raise exhausted(Decimal("0.0105"), Decimal("0.01"))

    world = FakeWorld(rule)
    agent = {"min_tokens": 100, "max_tokens": 500, "budget_usd": 1}
    async with started(client, world, {"team": two_tasks(agent)}) as handle:
        await until(handle, parked)
        await handle.signal("cancel")
        await report_of(handle)
    assert [call.max_tokens for call in world.calls if call.task == "b"] == [500]


async def test_a_dependant_that_accepts_missing_inputs_is_given_their_names(client: Client) -> None:
    world = FakeWorld()
    changed = two_tasks({"on_exhausted": "skip"})
    changed["tasks"][2] |= {"missing_inputs": "accept", "depends_on": ["a", "b"]}
    async with started(client, world, {"team": changed}) as handle:
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    assert report.outcomes[1].task.status is TaskStatus.SKIPPED
    (editor,) = (call for call in world.calls if call.task == "c")
    assert editor.missing == ("b",)
    assert [source.name for source in editor.sources] == ["a"]


async def test_a_dependant_that_does_not_accept_it_fails_the_run(client: Client) -> None:
    async with started(
        client, FakeWorld(), {"team": two_tasks({"on_exhausted": "skip"})}
    ) as handle:
        with pytest.raises(Exception, match="Workflow execution failed"):
            await handle.result()
        now = await state(handle)
    assert now.tasks[1].status is TaskStatus.SKIPPED
    assert now.tasks[2].status is TaskStatus.BLOCKED
    assert now.failure is not None
    assert now.failure.type == ErrorType.BUDGET_EXHAUSTED


async def test_on_exhausted_fail_fails_the_run(client: Client) -> None:
    async with started(
        client, FakeWorld(), {"team": two_tasks({"on_exhausted": "fail"})}
    ) as handle:
        with pytest.raises(Exception, match="Workflow execution failed"):
            await handle.result()
        assert (await state(handle)).tasks[1].status is TaskStatus.FAILED


@pytest.mark.parametrize(
    "kind", [ErrorType.PAYMENT_REQUIRED, ErrorType.UNAUTHORIZED, ErrorType.ACCOUNT_DISABLED]
)
async def test_another_refusal_parks_with_the_message_of_the_server(
    client: Client, kind: ErrorType
) -> None:
    refused: list[str] = []

    def rule(call: CallRequest) -> None:
        if call.task == "b" and not refused:
            refused.append(call.idempotency_key)
            raise ApplicationError(
                "the server says: prove that you are human", type=kind, non_retryable=True
            )

    world = FakeWorld(rule)
    async with started(client, world, {"team": two_tasks({"budget_usd": 1})}) as handle:
        (waiting,) = (await until(handle, parked)).waiting
        assert waiting.type == kind
        assert "prove that you are human" in waiting.reason
        assert waiting.command.startswith(f"{STARTER} retry {handle.id} b --since ")
        assert (await spend(handle)).agents[1].status is not AgentStatus.EXHAUSTED
        await handle.execute_update("retry_task", {"task": "b"})
        assert (await handle.result()).status is RunStatus.COMPLETED
    assert [c.idempotency_key for c in world.calls if c.task == "b"] == [refused[0]] * 2


async def test_the_breaker_stops_an_agent_that_only_fails(client: Client) -> None:
    good = asyncio.Event()

    def rule(call: CallRequest) -> CallResult | None:
        if call.account.agent == "research" and not good.is_set():
            return world.answer(call, "poor", reasons=("never good",))
        return None

    world = FakeWorld(rule)
    agent = {"breaker_failures": 3, "budget_usd": 1}
    async with started(client, world, {"team": two_tasks(agent, max_repairs=10)}) as handle:
        (waiting,) = (await until(handle, parked)).waiting
        assert waiting.type == ErrorType.BREAKER_OPEN
        assert len(world.calls) == 3, "no further call"
        good.set()
        await handle.execute_update("retry_task", {"task": "a"})
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    assert report.spend.agents[1].failed_attempts_usd == 3 * COST


async def test_a_call_that_waits_for_a_place_notices_the_open_breaker(
    client: Client,
) -> None:
    def rule(call: CallRequest) -> CallResult:
        return world.answer(call, "poor", reasons=("never good",))

    world = FakeWorld(rule)
    agents = {"research": {"role": "R", "budget_usd": 1, "breaker_failures": 1}}
    tasks = [{"id": each, "agent": "research", "ask": "Go."} for each in ("a", "b", "c")]
    changed = team(agents=agents, tasks=tasks, result="a", max_parallel=1)
    async with started(client, world, {"team": changed}) as handle:
        now = await until(handle, lambda now: len(now.waiting) == 3)
        assert {waiting.type for waiting in now.waiting} == {ErrorType.BREAKER_OPEN}
        assert len(world.calls) == 1
        await handle.signal("cancel")
        await report_of(handle)


async def test_money_moves_between_agents_and_wakes_the_receiver(client: Client) -> None:
    world = FakeWorld()
    async with started(client, world, {"team": two_tasks({})}) as handle:
        await until(handle, parked)
        moved = await handle.execute_update(
            "transfer", {"from_agent": "editor", "to_agent": "research", "amount_usd": "0.5"}
        )
        assert Decimal(moved["from_agent"]["budget_usd"]) == Decimal("0.5")
        assert Decimal(moved["to_agent"]["budget_usd"]) == Decimal("0.515")
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    assert world.books["editor"].budget + world.books["research"].budget == Decimal("1.015")


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"from_agent": "editor", "to_agent": "research", "amount_usd": 2}, "has only 1 USD left"),
        ({"from_agent": "editor", "to_agent": "nobody", "amount_usd": 1}, "no such agent"),
        ({"from_agent": "editor", "to_agent": "editor", "amount_usd": 1}, "is there already"),
        ({"from_agent": "editor", "to_agent": "research", "amount_usd": 0}, "greater than 0"),
        ({"from_agent": "editor"}, "to_agent: missing"),
    ],
)
async def test_an_impossible_transfer_is_refused_with_the_reason(
    client: Client, payload: dict[str, Any], words: str
) -> None:
    world = FakeWorld()
    async with started(client, world, {"team": two_tasks({})}) as handle:
        await until(handle, parked)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("transfer", payload)
        assert isinstance(refused.value.cause, ApplicationError)
        assert words in refused.value.cause.message
        await handle.signal("cancel")
        await report_of(handle)


async def test_the_teams_budget_bounds_every_raise(client: Client) -> None:
    changed = two_tasks({}, budget_usd="6.1")
    async with started(client, FakeWorld(), {"team": changed}) as handle:
        await until(handle, parked)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("adjust_budget", {"agent": "research", "budget_usd": "0.2"})
        assert "above the team's budget_usd, 6.1 USD" in str(refused.value.cause)
        await handle.execute_update("adjust_budget", {"agent": "research", "budget_usd": "0.1"})
        assert (await handle.result()).status is RunStatus.COMPLETED


async def test_a_notification_is_sent_when_something_parks(client: Client) -> None:
    world = FakeWorld()
    changed = two_tasks({}, notify_url="http://127.0.0.1:9/hook")
    async with started(client, world, {"team": changed}) as handle:
        await until(handle, lambda _: bool(world.notifications))
        waiting = world.notifications[0].waiting
        assert waiting is not None
        assert waiting.subject == "b"
        assert world.notifications[0].workflow_id == handle.id
        await handle.signal("cancel")
        await report_of(handle)


async def test_a_task_can_be_cancelled_alone(client: Client) -> None:
    world = FakeWorld()
    changed = two_tasks({})
    changed["tasks"][2] |= {"missing_inputs": "accept"}
    async with started(client, world, {"team": changed}) as handle:
        await until(handle, parked)
        await handle.execute_update("cancel_task", {"task": "b", "reason": "not needed"})
        report: RunReport = await handle.result()
    assert report.status is RunStatus.COMPLETED
    assert report.outcomes[1].task.status is TaskStatus.CANCELLED
    assert report.outcomes[1].task.failure is not None
    assert report.outcomes[1].task.failure.message == "not needed"


async def test_a_failed_task_can_be_tried_again_while_others_run(client: Client) -> None:
    hold = asyncio.Event()
    failed: list[str] = []

    async def rule(call: CallRequest) -> None:
        if call.task == "slow":
            await hold.wait()
        if call.task == "a" and not failed:
            failed.append(call.task)
            raise ApplicationError("no", type=ErrorType.FORBIDDEN, non_retryable=True)

    changed = two_tasks({"budget_usd": 1, "on_failure": "fail"})
    changed["tasks"].append({"id": "slow", "agent": "editor", "ask": "Slow."})
    async with started(client, FakeWorld(rule), {"team": changed}) as handle:
        await until(handle, lambda now: _statuses(now)[:1] == [TaskStatus.FAILED])
        await handle.execute_update("retry_task", {"task": "a"})
        await until(handle, lambda now: _statuses(now)[2:3] == [TaskStatus.DONE])
        hold.set()
        assert (await handle.result()).status is RunStatus.COMPLETED


def _statuses(now: RunState) -> list[TaskStatus]:
    return [task.status for task in now.tasks]


def _priced(world: FakeWorld, model: str) -> Any:
    return world.catalog.models[0].model_copy(update={"model": model})


async def test_a_parked_run_can_be_found_by_its_search_attributes(client: Client) -> None:
    async with started(client, FakeWorld(), {"team": two_tasks({})}) as handle:
        await until(handle, parked)
        query = f"RunStatus = 'parked' AND SpentUsd = 0.01 AND WorkflowId = '{handle.id}'"
        async with asyncio.timeout(60):
            while not [found async for found in client.list_workflows(query)]:
                await asyncio.sleep(0.1)
        await handle.signal("cancel")
        await report_of(handle)


@pytest.mark.parametrize("policy", ["park", "skip", "fail"])
async def test_a_worker_with_another_sealing_key_fails_no_task(client: Client, policy: str) -> None:
    """It is retried, as another worker may have the key; then it parks, whatever is configured for
    money, and continues with the same call."""
    wrong = True
    world = FakeWorld()

    async def unseal(call: CallRequest) -> None:
        if wrong and call.task == "b":
            raise ApplicationError("sealed under another", type="SealingKeyMismatch")

    world.rule = unseal
    retry = {"max_attempts": 3, "initial_seconds": 0.05}
    agent = {"on_exhausted": policy, "retry": retry, "budget_usd": 1}
    async with started(client, world, {"team": two_tasks(agent)}) as handle:
        (waiting,) = (await until(handle, parked)).waiting
        assert (waiting.subject, waiting.type) == ("b", "SealingKeyMismatch")
        assert waiting.command.startswith(f"{STARTER} retry {handle.id} b --since ")
        assert len([call for call in world.calls if call.task == "b"]) == 3
        wrong = False
        await handle.execute_update("retry_task", {"task": "b"})
        result = await handle.result()
    assert result.status is RunStatus.COMPLETED
    calls = [call for call in world.calls if call.task == "b"]
    assert len({call.idempotency_key for call in calls}) == 1
    assert len(calls) == 4
    assert result.spend.ledger_agrees is LedgerAgreement.YES


async def test_a_charge_before_a_sealing_key_mismatch_is_counted_once(
    client: Client,
) -> None:
    """A worker pays for the call and dies; the next one has another sealing key."""
    wrong, world = True, FakeWorld()

    async def unseal(call: CallRequest) -> None:
        if wrong and call.task == "a":
            if not world.books["research"].charges:
                world.book(call)
                raise ApplicationError("it is gone", type=ErrorType.UPSTREAM_UNAVAILABLE)
            raise ApplicationError("sealed under another", type=ErrorType.SEALING_KEY_MISMATCH)

    world.rule = unseal
    agent = {"retry": {"max_attempts": 2, "initial_seconds": 0.05}, "budget_usd": 1}
    async with started(client, world, {"team": two_tasks(agent)}) as handle:
        await until(handle, parked)
        shown = (await spend(handle)).agents[1]
        assert (shown.spent_usd, shown.failed_attempts_usd) == (COST, COST)
        wrong = False
        await handle.execute_update("retry_task", {"task": "a"})
        result = await handle.result()
    assert result.spend.ledger_agrees is LedgerAgreement.YES
    assert result.spend.agents[1].useful_usd == 2 * COST == world.books["research"].spent


async def test_a_run_with_the_longest_possible_id_can_park_and_continue(
    client: Client,
) -> None:
    world = FakeWorld()
    id = f"run-{uuid.uuid4()}".ljust(1_000, "x")
    async with running_worker(client, world.activities) as queue:
        handle: Handle = await client.start_workflow(
            WORKFLOW, {"team": two_tasks({})}, id=id, task_queue=queue, result_type=RunReport
        )
        (waiting,) = (await until(handle, parked)).waiting
        assert f" {id} " in waiting.command
        await handle.execute_update("adjust_budget", {"agent": "research", "budget_usd": "0.02"})
        assert (await handle.result()).status is RunStatus.COMPLETED
