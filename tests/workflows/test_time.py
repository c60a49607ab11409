"""Waits of days, with time skipping on a real server."""

from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunStatus, TaskStatus
from tests.support.fakes import FakeWorld
from tests.workflows.runs import started, two_tasks

WEEK = 7 * 86_400


async def test_a_task_parked_for_a_week_fails(skipping: Client) -> None:
    world = FakeWorld()
    async with started(skipping, world, {"team": two_tasks({})}) as handle:
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    report = RunReport.model_validate(failed.value.cause.details[0])  # type: ignore[attr-defined]
    failure = report.outcomes[1].task.failure
    assert failure is not None
    assert failure.type == ErrorType.BUDGET_EXHAUSTED
    assert "no one woke it within 604800 s" in failure.message
    assert (report.ended_at - report.started_at).total_seconds() >= WEEK
    assert {book.status for book in world.books.values()} == {"disabled"}


async def test_a_task_parked_for_too_long_is_skipped_if_the_agent_allows(skipping: Client) -> None:
    agent: dict[str, Any] = {"on_park_timeout": "skip", "park_timeout_seconds": 3 * 86_400}
    changed = two_tasks(agent)
    changed["tasks"][2] |= {"missing_inputs": "accept"}
    async with started(skipping, FakeWorld(), {"team": changed}) as handle:
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    assert report.outcomes[1].task.status is TaskStatus.SKIPPED
    assert (report.ended_at - report.started_at).total_seconds() >= 3 * 86_400


async def test_retries_follow_the_teams_policy(skipping: Client) -> None:
    """Ten attempts, half an hour apart, and the tenth gets the answer."""

    def rule(call: CallRequest) -> None:
        if call.task == "a" and len([c for c in world.calls if c.task == "a"]) < 10:
            raise ConnectionError("no luck")

    world = FakeWorld(rule)
    agent = {
        "budget_usd": 1,
        "retry": {"max_attempts": 10, "initial_seconds": 1800, "backoff": 1, "max_seconds": 1800},
    }
    async with started(skipping, world, {"team": two_tasks(agent)}) as handle:
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    keys = {call.idempotency_key for call in world.calls if call.task == "a"}
    assert len(keys) == 1, "all attempts of a call carry one key"
    assert (report.ended_at - report.started_at).total_seconds() >= 9 * 1800
