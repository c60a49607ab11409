"""`notify_url` is called for what `notify_on` lists, and never holds a run up for long."""

import asyncio
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.notification import Notification
from durable_agent_team.contracts.run import RunStatus
from tests.support.fakes import FakeWorld
from tests.support.run_reports import report_of
from tests.workflows.runs import started, team

URL = "http://127.0.0.1:9/hook"


async def refuse(call: CallRequest) -> None:
    raise ApplicationError("no", type=ErrorType.CONTEXT_EXCEEDED, non_retryable=True)


async def notified(client: Client, world: FakeWorld, **settings: Any) -> list[Notification]:
    """What a whole run notifies of."""
    async with started(client, world, {"team": team(notify_url=URL, **settings)}) as handle:
        await report_of(handle)
    return world.notifications


async def test_a_failed_run_is_notified_with_its_failure_and_its_price(client: Client) -> None:
    (sent,) = await notified(client, FakeWorld(refuse))
    assert sent.waiting is None
    assert sent.ended is not None
    assert sent.ended.status is RunStatus.FAILED
    assert sent.ended.failure is not None
    assert sent.ended.failure.type == ErrorType.CONTEXT_EXCEEDED
    assert sent.ended.command.endswith(sent.workflow_id)


async def test_an_end_without_trouble_is_notified_only_where_it_is_listed(client: Client) -> None:
    assert await notified(client, FakeWorld()) == []
    (sent,) = await notified(client, FakeWorld(), notify_on=["completed"])
    assert sent.ended is not None
    assert sent.ended.status is RunStatus.COMPLETED
    assert sent.ended.spent_usd > 0
    assert sent.ended.tasks_done == sent.ended.tasks_total > 0


async def test_what_is_not_listed_is_not_notified(client: Client) -> None:
    assert await notified(client, FakeWorld(refuse), notify_on=["waiting", "completed"]) == []


async def test_a_plan_that_waits_and_a_refused_one_are_notified(client: Client) -> None:
    world = FakeWorld()
    changed = team(notify_url=URL, notify_on=["waiting", "cancelled"], approve_plan=True)
    async with started(client, world, {"team": changed}) as handle:
        async with asyncio.timeout(30):
            while not world.notifications:
                await asyncio.sleep(0.02)
        await handle.execute_update("approve", {"subject": "plan", "approved": False, "note": "no"})
        await report_of(handle)
    waits, ended = world.notifications
    assert waits.waiting is not None
    assert waits.waiting.subject == "plan"
    assert ended.ended is not None
    assert ended.ended.cancel_reason == "the plan was rejected: no"


class Deaf(FakeWorld):
    """Its receiver never answers."""

    @activity.defn
    async def notify(self, notification: Notification) -> None:
        raise ApplicationError("HTTP 5xx", type=ErrorType.UPSTREAM_UNAVAILABLE)


@pytest.mark.parametrize("ending", ["completed", "failed"])
async def test_a_receiver_that_fails_delays_the_end_by_seconds(
    skipping: Client, ending: str
) -> None:
    world = Deaf(refuse if ending == "failed" else None)
    changed = team(notify_url=URL, notify_on=[ending])
    async with started(skipping, world, {"team": changed}) as handle:
        report = await report_of(handle)
        found = await handle.describe()
    assert report.status == ending
    assert found.close_time is not None
    assert (found.close_time - report.ended_at).total_seconds() < 1
    assert (found.close_time - found.start_time).total_seconds() < 60
