"""The strict sandbox is on: a workflow that reads the clock is refused."""

import importlib
import uuid
from collections import deque
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import RestrictedWorkflowAccessError

import workflows
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


def test_what_is_passed_through_is_named_one_by_one() -> None:
    here = {f"workflows.{path.stem}" for path in Path(workflows.__path__[0]).glob("[a-z]*.py")}
    assert here - set(PASSED_THROUGH) == {"workflows.orchestrator", "workflows.steering"}
    assert {name for name in PASSED_THROUGH if name.startswith("workflows")} <= here


@pytest.mark.parametrize("name", [each for each in PASSED_THROUGH if each.startswith("workflows")])
def test_what_is_passed_through_keeps_nothing_from_run_to_run(name: str) -> None:
    """Runs share these modules. `OPEN_TASKS` is for that (docs/adr/017); all else is fixed."""
    kept = {
        each
        for each, value in vars(importlib.import_module(name)).items()
        if not each.startswith("__") and isinstance(value, list | dict | set | bytearray | deque)
    }
    assert kept == set()
