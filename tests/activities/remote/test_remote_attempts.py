"""Attempts of `run_program` with a remote agent: what the next one knows, and the checks."""

import asyncio
import json
from typing import Any

import pytest
from a2a.types.a2a_pb2 import Part
from temporalio.activity import ActivityCancellationDetails
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from durable_agent_team.contracts.call import AttemptSpend
from durable_agent_team.contracts.error_types import ErrorType
from tests.activities.remote.support import SCHEMA, program
from tests.activities.support import FakeClient, context, spend_of
from tests.support.a2a_server import Turn, remote_agent
from tests.support.remote_programs import remote_programs


def sent(details: tuple[Any, ...]) -> tuple[Any, ...]:
    """As the next attempt gets them from Temporal."""
    return tuple(json.loads(each.model_dump_json()) for each in details)


async def test_an_attempt_after_a_shutdown_goes_on_with_the_same_task() -> None:
    go = asyncio.Event()

    async def slow(turn: Turn) -> None:
        await turn.updater.start_work()
        await go.wait()
        await turn.answer(Part(text="at last"))

    async with remote_agent(slow) as agent:
        beats: list[tuple[Any, ...]] = []
        first = context(heartbeat=30)
        first.on_heartbeat = lambda *details: beats.append(details)
        running = asyncio.create_task(first.run(remote_programs().run_program, program(agent.url)))
        while len(agent.requests) < 3:
            await asyncio.sleep(0.02)
        first.cancel(ActivityCancellationDetails(worker_shutdown=True))
        with pytest.raises(ApplicationError) as stopped:
            await running
        assert stopped.value.type == ErrorType.UPSTREAM_UNAVAILABLE
        go.set()
        second = context(attempt=2, details=sent(beats[-1]))
        result = await second.run(remote_programs().run_program, program(agent.url))
    assert result.answer == "at last"
    assert result.cost_usd == 0
    assert (len(agent.turns), agent.cancelled) == (1, [])


async def cancelled_by(attempt: ActivityEnvironment, details: ActivityCancellationDetails) -> int:
    """How many remote tasks an attempt cancels that is cancelled with these details."""

    async def hangs(turn: Turn) -> None:
        await turn.updater.start_work()
        await asyncio.sleep(600)

    async with remote_agent(hangs) as agent:
        running = asyncio.create_task(
            attempt.run(remote_programs().run_program, program(agent.url))
        )
        while len(agent.requests) < 3:
            await asyncio.sleep(0.02)
        attempt.cancel(details)
        with pytest.raises(asyncio.CancelledError):
            await running
        return len(agent.cancelled)


async def test_a_cancelled_activity_cancels_the_remote_task() -> None:
    details = ActivityCancellationDetails(cancel_requested=True)
    assert await cancelled_by(context(heartbeat=30), details) == 1


class Run(FakeClient):
    """As Temporal describes a run: with its status, and the ids of its activities."""

    def __init__(self, status: WorkflowExecutionStatus, *pending: str) -> None:
        super().__init__()
        self.status = status
        activities = [PendingActivityInfo(activity_id=each) for each in pending]
        self.raw_description = DescribeWorkflowExecutionResponse(pending_activities=activities)

    def get_workflow_handle(self, *_: Any, **__: Any) -> Any:
        return self

    async def describe(self, **_: Any) -> Any:
        return self


@pytest.mark.parametrize(
    ("run", "is_wanted"),
    [
        (Run(WorkflowExecutionStatus.RUNNING, "other", "test"), True),
        (Run(WorkflowExecutionStatus.RUNNING, "other"), False),
        (Run(WorkflowExecutionStatus.CONTINUED_AS_NEW), True),
        (Run(WorkflowExecutionStatus.TERMINATED), False),
    ],
)
async def test_a_worker_that_stood_still_leaves_the_task_to_the_next_attempt(
    run: Run, is_wanted: bool
) -> None:
    """Temporal answers its heartbeat as that of a run that has ended: it does not know it."""
    details = ActivityCancellationDetails(not_found=True)
    assert await cancelled_by(context(heartbeat=30, client=run), details) == (not is_wanted)


async def test_a_question_ends_the_activity_for_good_with_the_task() -> None:
    async def asks(turn: Turn) -> None:
        await turn.updater.requires_input(turn.message("Which market?"))

    async with remote_agent(asks) as agent:
        with pytest.raises(ApplicationError) as raised:
            await context().run(remote_programs().run_program, program(agent.url))
    error = raised.value
    assert (error.type, error.non_retryable) == (ErrorType.INPUT_REQUIRED, True)
    assert "Which market?" in error.message
    assert spend_of(error).remote_task == agent.turns[0].task_id


async def test_an_answer_is_checked_like_a_models() -> None:
    async def answers(turn: Turn) -> None:
        await turn.answer(Part(text='Here: {"price": "cheap"}'))

    async with remote_agent(answers) as agent:
        call = program(agent.url, output=SCHEMA)
        result = await context().run(remote_programs().run_program, call)
    assert result.reasons
    assert result.remote_task == agent.turns[0].task_id


async def test_what_a_failed_attempt_knew_is_kept_with_its_spend() -> None:
    async def fails(turn: Turn) -> None:
        await turn.updater.failed(turn.message("no"))

    async with remote_agent(fails) as agent:
        details: tuple[Any, ...] = ()
        for number in (1, 2):
            attempt = context(attempt=number, details=details)
            beats: list[tuple[Any, ...]] = []
            attempt.on_heartbeat = lambda *given, beats=beats: beats.append(given)
            with pytest.raises(ApplicationError):
                await attempt.run(remote_programs().run_program, program(agent.url))
            details = sent(beats[-1])
        ids = {turn.context.message.message_id for turn in agent.turns if turn.context.message}
    assert len(ids) == 2, "each message is another one"
    assert AttemptSpend.model_validate(details[0]).counted_attempts == 2
    assert details[1]["ended"] == 2
