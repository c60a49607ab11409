"""What a review changes in the plan waits for a person where the review has read something from
outside (`approve_review`)."""

import json
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from durable_agent_team.client.reruns import rerun_request
from durable_agent_team.contracts.approvals import ApprovalKind
from durable_agent_team.contracts.call import CallRequest, Purpose
from durable_agent_team.contracts.run import RunReport
from tests.support.tools import ToolWorld
from tests.workflows.runs import continuing, executions, started, state
from tests.workflows.test_taint_across_tasks import READ, Reviewed, after, effects, office, says
from tests.workflows.test_tool_approvals import pending
from tests.workflows.test_tool_effects import waits

CHANGES = {
    "redo": [],
    "drop": [],
    "add": [{"id": "review1-1", "agent": "clerk", "ask": "Refund it all."}],
}


def reviews(world: ToolWorld) -> list[CallRequest]:
    return [call for call in world.calls if call.purpose is Purpose.REVIEW]


def tasks_of(report: RunReport) -> set[str]:
    return {outcome.task.id for outcome in report.outcomes}


async def decide(handle: WorkflowHandle[Any, Any], approved: bool, **more: Any) -> None:
    await handle.execute_update("approve", {"subject": "review", "approved": approved, **more})


async def test_it_is_shown_in_full_and_the_plan_stays_without_a_yes(client: Client) -> None:
    world = Reviewed(says)
    async with started(client, world, {"team": office(READ, review_rounds=1)}) as handle:
        now = await waits(handle, "review")
        found = await pending(handle)
        assert found.kind is ApprovalKind.REVIEW
        assert found.tainted
        assert isinstance(found.content, str)
        assert json.loads(found.content) == CHANGES
        assert found.what == "adds review1-1"
        assert " review --since " in now.waiting[0].command
        await decide(handle, approved=False)
        report: RunReport = await handle.result()
        assert "a person rejected review 1" in str((await state(handle)).refusals)
        again = await rerun_request(client, handle.id)
    assert tasks_of(report) == {"read"}
    assert effects(world) == []
    assert again.seed is not None
    assert again.seed.plan is None, "a rejected review is no part of the run that goes on"


async def test_what_is_approved_is_carried_out(client: Client) -> None:
    """The tools of the task that it adds have their own approvals."""
    world = Reviewed(says)
    async with started(client, world, {"team": office(READ, review_rounds=1)}) as handle:
        await waits(handle, "review")
        await decide(handle, approved=True)
        await waits(handle, "review1-1:1.1")
        await handle.execute_update("approve", {"subject": "review1-1:1.1", "approved": True})
        report: RunReport = await handle.result()
    assert tasks_of(report) == {"read", "review1-1"}
    assert len(effects(world)) == 1


async def test_a_note_makes_it_review_again(client: Client) -> None:
    world = Reviewed(says)
    async with started(client, world, {"team": office(READ, review_rounds=1)}) as handle:
        await waits(handle, "review")
        await decide(handle, approved=False, note="Ask accounting first.")
        while len(reviews(world)) < 2:
            await state(handle)
        await waits(handle, "review")
        await decide(handle, approved=False)
        await handle.result()
    rejected = reviews(world)[1].rejected
    assert rejected is not None
    assert "Ask accounting first." in rejected.reasons[0]


async def test_the_answer_of_a_review_outlasts_the_execution_in_which_it_was_paid(
    client: Client,
) -> None:
    world = Reviewed(says)
    given = {"team": office(READ, review_rounds=1)}
    async with continuing(client, world, given, events=40) as handle:
        await waits(handle, "review")
        while await executions(client, handle) < 2:
            await handle.signal("pause")
            await handle.signal("resume")
        await waits(handle, "review")
        assert json.loads(str((await pending(handle)).content)) == CHANGES
        await decide(handle, approved=True)
        await waits(handle, "review1-1:1.1")
        await handle.execute_update("approve", {"subject": "review1-1:1.1", "approved": False})
        report: RunReport = await handle.result()
    assert tasks_of(report) == {"read", "review1-1"}
    assert len(reviews(world)) == 1


async def test_nobody_in_time_leaves_the_plan_as_it_is(skipping: Client) -> None:
    world = Reviewed(says)
    given = office(READ, review_rounds=1)
    given["orchestrator"] = {**given.get("orchestrator", {}), "park_timeout_seconds": 60}
    async with started(skipping, world, {"team": given}) as handle:
        report: RunReport = await handle.result()
    assert tasks_of(report) == {"read"}


@pytest.mark.parametrize(
    ("rule", "tainted", "asks"),
    [("never", True, False), ("tainted", False, False), ("always", False, True)],
)
async def test_the_team_file_decides(client: Client, rule: str, tainted: bool, asks: bool) -> None:
    world = Reviewed(says)
    first = READ if tainted else after("write", "plain")
    given = office(first, review_rounds=1, approve_review=rule)
    async with started(client, world, {"team": given}) as handle:
        if asks:
            await waits(handle, "review")
            await decide(handle, approved=True)
        elif tainted:
            await waits(handle, "review1-1:1.1")
            await handle.execute_update("approve", {"subject": "review1-1:1.1", "approved": False})
        report: RunReport = await handle.result()
    assert "review1-1" in tasks_of(report)
