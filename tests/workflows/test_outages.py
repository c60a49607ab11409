"""Trouble of an upstream is waited out: durably, visibly, and with few requests."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.names import STARTER
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.support.fakes import COST, FakeWorld
from tests.support.run_reports import report_of
from tests.workflows.runs import (
    Handle,
    continuing,
    executions,
    failure_of,
    parked,
    result_of,
    spend,
    started,
    team,
    until,
)


class Down(FakeWorld):
    """Refuses every call of the tasks for so long, from the first one on, by the server's clock,
    which skips."""

    def __init__(self, lasts: timedelta, kind: ErrorType = ErrorType.RATE_LIMITED) -> None:
        super().__init__(self._refuse)
        self.lasts, self.kind = lasts, kind
        self.first: datetime | None = None
        self.refused = 0

    def _refuse(self, call: CallRequest) -> None:
        now = activity.info().current_attempt_scheduled_time
        self.first = self.first or now
        if now - self.first < self.lasts:
            self.refused += 1
            known = {"attempts": activity.info().attempt, "counted_attempts": 0}
            raise ApplicationError("no luck", known, type=self.kind)


def took(report: RunReport) -> float:
    return (report.ended_at - report.started_at).total_seconds()


def one_task(agent: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    agents = {"research": {"role": "R", "budget_usd": 1, **(agent or {})}}
    tasks = [{"id": "a", "agent": "research", "ask": "One."}]
    return team(agents=agents, tasks=tasks, result="a", final="handoff", **changes)


DONE = TaskStatus.DONE


def wide(count: int, retry: dict[str, Any], **changes: Any) -> dict[str, Any]:
    tasks = [{"id": f"t{n}", "agent": "research", "ask": f"Do {n}."} for n in range(count)]
    agents = {"research": {"role": "R", "budget_usd": 10, "retry": retry}}
    changes = {"result": None, "final": "handoff", "max_tasks": count, **changes}
    return team(agents=agents, tasks=tasks, **changes)


SLOWLY = {"initial_seconds": 11}
"""One attempt at once: the server does not skip the pauses within an activity."""
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("kind", "lasts"),
    [
        (ErrorType.RATE_LIMITED, timedelta(seconds=60)),
        (ErrorType.UPSTREAM_UNAVAILABLE, timedelta(minutes=10)),
        (ErrorType.UPSTREAM_UNAVAILABLE, HOUR),
    ],
)
async def test_a_run_with_default_settings_outlasts_it(
    skipping: Client, kind: ErrorType, lasts: timedelta
) -> None:
    world = Down(lasts, kind)
    report = await result_of(skipping, world, {"team": team()})
    assert report.status is RunStatus.COMPLETED
    assert lasts.total_seconds() <= took(report) <= lasts.total_seconds() * 1.5 + 420
    keys = {call.idempotency_key for call in world.calls if call.task == "a"}
    assert len(keys) == 1, "all attempts of a call carry one key"
    assert [each.task.calls for each in report.outcomes] == [1, 1, 1]
    assert report.spend.total.failed_calls == 0
    assert report.spend.total.spent_usd == 4 * COST
    assert report.spend.ledger_agrees is LedgerAgreement.YES


async def test_a_hundred_calls_send_few_requests_and_few_events(skipping: Client) -> None:
    world = Down(HOUR)
    async with started(skipping, world, {"team": wide(100, SLOWLY)}) as handle:
        report = await handle.result()
        history = await handle.fetch_history()
    assert report.status is RunStatus.COMPLETED
    assert world.refused <= 100 + 45, "each call tries once, then one for all"
    assert len(history.events) < 2_500
    assert HOUR.total_seconds() <= took(report) < 1.2 * HOUR.total_seconds()


async def test_an_outage_that_lasts_longer_parks(skipping: Client) -> None:
    retry = {"give_up_after_seconds": 600, **SLOWLY}
    agent = {"retry": retry, "park_timeout_seconds": 3600}
    failure = await failure_of(skipping, Down(24 * HOUR), {"team": one_task(agent)})
    assert "no one woke it within 3600 s" in failure.message
    assert re.search(r"no luck \(1\d attempts in [6-9]\d\d s\)", failure.message)


async def test_with_on_failure_fail_it_fails(skipping: Client) -> None:
    retry = {"give_up_after_seconds": 600, **SLOWLY}
    world = Down(24 * HOUR)
    failure = await failure_of(
        skipping, world, {"team": one_task({"retry": retry, "on_failure": "fail"})}
    )
    assert ErrorType.RATE_LIMITED in failure.message
    report = RunReport.model_validate(failure.details[0])
    assert 600 <= took(report) < 1200


async def test_without_patience_it_makes_max_attempts(skipping: Client) -> None:
    retry = {"give_up_after_seconds": 0, "max_attempts": 4, **SLOWLY}
    world = Down(24 * HOUR)
    await failure_of(skipping, world, {"team": one_task({"retry": retry, "on_failure": "fail"})})
    assert world.refused == 4


def waits(now: RunState) -> bool:
    return any(each.next_at for each in now.retrying)


@asynccontextmanager
async def waiting_run(client: Client, world: Down, changed: Any) -> AsyncIterator[Handle]:
    async with started(client, world, {"team": changed}) as handle:
        await until(handle, waits)
        yield handle


async def test_it_is_shown_while_it_waits(client: Client) -> None:
    world = Down(HOUR)
    async with waiting_run(client, world, one_task({"retry": SLOWLY})) as handle:
        now = await until(handle, waits)
        (task,) = now.tasks
        assert (now.status, task.status) == (RunStatus.WORKING, TaskStatus.RUNNING)
        assert task.retry is not None
        assert (task.retry.attempt, task.retry.type) == (2, ErrorType.RATE_LIMITED)
        assert task.retry.of > 10
        assert task.retry.next_at is not None
        (listed,) = now.retrying
        assert listed.message == "no luck"
        assert listed.until is not None
        assert (listed.subject, listed.agent, listed.next_at) == (
            "a",
            "research",
            task.retry.next_at,
        )
        (agent,) = (await spend(handle)).agents
        assert agent.reserved_usd == 0
        history = (await handle.fetch_history()).to_json()
        summary = base64.b64encode(b'"m \xc2\xb7 RateLimited \xc2\xb7 attempt 2"').decode()
        assert summary in history, "the timer's summary in Temporal's UI"
        await handle.signal("cancel", {"reason": "enough"})
        report = await report_of(handle)
    assert report.status is RunStatus.CANCELLED
    assert report.cancel_reason == "enough"


async def test_attempts_that_are_limited_are_shown_with_their_limit(client: Client) -> None:
    """And not with the many that an outage would take."""

    def rule(call: CallRequest) -> None:
        raise ApplicationError("no JSON", type=ErrorType.PROGRAM_FAILED)

    retry = {"max_attempts": 3, **SLOWLY}
    async with started(client, FakeWorld(rule), {"team": one_task({"retry": retry})}) as handle:
        now = await until(handle, waits)
        retry_state = now.tasks[0].retry
        assert retry_state is not None
        assert (retry_state.attempt, retry_state.of) == (2, 3)
        assert now.retrying[0].until is None
        await handle.signal("cancel")
        await report_of(handle)


async def test_retry_task_tries_at_once(client: Client) -> None:
    world = Down(HOUR)
    async with waiting_run(client, world, one_task({"retry": SLOWLY})) as handle:
        world.lasts = timedelta(0)
        await handle.execute_update("retry_task", {"task": "a"})
        report = await report_of(handle, 20)
    assert report.status is RunStatus.COMPLETED
    assert len({call.idempotency_key for call in world.calls}) == 1


async def test_another_model_is_a_new_call_at_once(client: Client) -> None:
    def rule(call: CallRequest) -> None:
        if call.model == "m":
            world._refuse(call)

    world = Down(HOUR)
    world.rule = rule
    price = world.catalog.models[0]
    models = (price, price.model_copy(update={"model": "m2"}))
    world.catalog = world.catalog.model_copy(update={"models": models})
    async with waiting_run(client, world, one_task({"retry": SLOWLY})) as handle:
        await handle.execute_update("adjust_agent", {"agent": "research", "model": "m2"})
        report = await report_of(handle, 20)
    assert report.status is RunStatus.COMPLETED
    assert [call.model for call in world.calls] == ["m", "m2"]
    assert len({call.idempotency_key for call in world.calls}) == 2


async def test_the_deadline_ends_the_wait(client: Client) -> None:
    async with waiting_run(client, Down(HOUR), one_task({"retry": SLOWLY})) as handle:
        at = datetime.now(UTC) + timedelta(seconds=1)
        await handle.execute_update("adjust_run", {"deadline": at.isoformat()})
        report = await report_of(handle, 20)
    assert report.status is RunStatus.CANCELLED
    assert "deadline" in (report.cancel_reason or "")


async def test_a_task_that_waits_can_be_cancelled_and_holds_no_slot(client: Client) -> None:
    def rule(call: CallRequest) -> None:
        if call.task == "t0":
            world._refuse(call)

    world = Down(HOUR)
    world.rule = rule
    changed = wide(3, SLOWLY, max_parallel=1)
    async with waiting_run(client, world, changed) as handle:
        await until(handle, lambda now: [each.status for each in now.tasks[1:]] == [DONE, DONE])
        await handle.execute_update("cancel_task", {"task": "t0"})
        report = await report_of(handle, 20)
    assert report.status is RunStatus.COMPLETED
    assert report.outcomes[0].task.status is TaskStatus.CANCELLED


@pytest.mark.parametrize(
    "kind", [ErrorType.FORBIDDEN, ErrorType.BAD_REQUEST, ErrorType.UPSTREAM_REFUSED]
)
async def test_what_waiting_does_not_help_parks_with_its_reason(
    client: Client, kind: ErrorType
) -> None:
    refused: list[str] = []

    def rule(call: CallRequest) -> None:
        if not refused:
            refused.append(call.idempotency_key)
            raise ApplicationError("no such model", type=kind, non_retryable=True)

    world = FakeWorld(rule)
    async with started(client, world, {"team": one_task()}) as handle:
        (waiting,) = (await until(handle, parked)).waiting
        assert (waiting.subject, waiting.type) == ("a", kind)
        assert waiting.reason == "research: no such model"
        assert waiting.command.startswith(f"{STARTER} retry {handle.id} a --since ")
        await handle.execute_update("retry_task", {"task": "a"})
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    assert report.spend.ledger_agrees is LedgerAgreement.YES


async def test_the_orchestrators_own_call_parks_too(client: Client) -> None:
    refused: list[str] = []

    def rule(call: CallRequest) -> None:
        if call.task == "answer" and not refused:
            refused.append(call.idempotency_key)
            raise ApplicationError("no", type=ErrorType.FORBIDDEN, non_retryable=True)

    async with started(client, FakeWorld(rule), {"team": team()}) as handle:
        now = await until(handle, parked)
        assert now.status is RunStatus.PARKED
        assert now.waiting[0].subject == "answer"
        await handle.execute_update("retry_task", {"task": "answer"})
        assert (await handle.result()).status is RunStatus.COMPLETED


async def test_attempts_that_may_be_billed_stay_bounded(client: Client) -> None:
    """Also over several activities, and though the upstream is in trouble for longer."""

    def rule(call: CallRequest) -> None:
        known = {"attempts": 1, "counted_attempts": 1, "status": 502}
        raise ApplicationError("broke off", known, type=ErrorType.UPSTREAM_UNAVAILABLE)

    world = FakeWorld(rule)
    retry = {"max_attempts": 3, "initial_seconds": 0.5, "backoff": 10, "max_seconds": 1}
    async with started(client, world, {"team": one_task({"retry": retry})}) as handle:
        await until(handle, parked)
        assert len(world.calls) <= 3 + 2
        await handle.signal("cancel")
        await report_of(handle)


async def test_a_failed_check_can_park_and_start_again(client: Client) -> None:
    good = asyncio.Event()

    def rule(call: CallRequest) -> CallResult | None:
        return None if good.is_set() else world.answer(call, "poor", reasons=("too short",))

    world = FakeWorld(rule)
    agent = {"on_failed_check": "park", "breaker_failures": 100}
    async with started(client, world, {"team": one_task(agent, max_repairs=1)}) as handle:
        (waiting,) = (await until(handle, parked)).waiting
        assert waiting.type == ErrorType.CHECK_FAILED
        assert "too short" in waiting.reason
        good.set()
        await handle.execute_update("retry_task", {"task": "a"})
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    assert report.outcomes[0].task.calls == 3
    assert report.spend.total.spent_usd == 3 * COST


@pytest.mark.parametrize("events", [12, 25, 40])
async def test_the_wait_survives_a_continue_as_new(skipping: Client, events: int) -> None:
    world = Down(timedelta(minutes=3))
    changed = {"team": wide(3, SLOWLY)}
    async with continuing(skipping, world, changed, events=events) as handle:
        report = await handle.result()
        assert await executions(skipping, handle) > 1
    assert report.status is RunStatus.COMPLETED
    keys = {(call.task, call.idempotency_key) for call in world.calls}
    assert len(keys) == 3, "all attempts of a call carry one key, in every execution"
    assert took(report) < 600
    assert report.spend.ledger_agrees is LedgerAgreement.YES


@pytest.mark.parametrize("kind", [ErrorType.TEXT_UNAVAILABLE, ErrorType.SEALING_KEY_MISMATCH])
async def test_a_call_that_was_never_sent_fails_where_the_team_says_so(
    client: Client, kind: ErrorType
) -> None:
    def rule(call: CallRequest) -> None:
        raise ApplicationError("cannot", type=kind, non_retryable=True)

    changed = one_task({"on_failure": "fail"})
    failure = await failure_of(client, FakeWorld(rule), {"team": changed})
    assert kind in failure.message
