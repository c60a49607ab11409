"""The strict sandbox is on: a workflow that reads the clock is refused."""

import uuid
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import RestrictedWorkflowAccessError

from tests.architecture.clock_workflow import ReadsTheClock
from tests.support.temporal import server, strict_runner
from worker import PASSED_THROUGH


async def test_a_workflow_that_reads_the_clock_is_refused() -> None:
    async with server() as environment:
        client: Client = environment.client
        async with Worker(
            client,
            task_queue="clock",
            workflows=[ReadsTheClock],
            workflow_runner=strict_runner(),
            workflow_failure_exception_types=[RestrictedWorkflowAccessError],
        ):
            with pytest.raises(WorkflowFailureError) as refused:
                await client.execute_workflow(
                    ReadsTheClock.run,
                    id=str(uuid.uuid4()),
                    task_queue="clock",
                    execution_timeout=timedelta(seconds=20),
                )
    assert "time.time" in str(refused.value.cause)


def test_workflows_as_a_whole_are_never_passed_through() -> None:
    assert "workflows" not in PASSED_THROUGH
    assert "workflows.orchestrator" not in PASSED_THROUGH
    assert "workflows.steering" not in PASSED_THROUGH
