"""The strict sandbox is on: a workflow that reads the clock is refused, in every run."""

import importlib
import threading
import uuid
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import RestrictedWorkflowAccessError

from durable_agent_team.worker_sdk.shared_sandbox import ThreadLocalContext
from tests.architecture.clock_workflow import HasTheClockRead, ReadsTheClock
from tests.support.sandbox import strict_runner
from tests.support.temporal import server
from worker import PASSED_THROUGH

ROOT = Path(__file__).parents[2]
IN_SANDBOX = ("workflows", "durable_agent_team/rules")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in IN_SANDBOX
    for path in (ROOT / package).rglob("[a-z]*.py")
)


@pytest.mark.parametrize("kind", [ReadsTheClock, HasTheClockRead])
async def test_a_workflow_that_reads_the_clock_is_refused(kind: Any) -> None:
    async with server() as environment:
        client: Client = environment.client
        async with Worker(
            client,
            task_queue="clock",
            workflows=[kind],
            workflow_runner=strict_runner(),
            workflow_failure_exception_types=[RestrictedWorkflowAccessError],
        ):
            for _ in range(2):
                with pytest.raises(WorkflowFailureError) as refused:
                    await client.execute_workflow(
                        kind.run,
                        id=str(uuid.uuid4()),
                        task_queue="clock",
                        execution_timeout=timedelta(seconds=20),
                    )
                assert "time.time" in str(refused.value.cause)


def test_a_thread_that_is_done_leaves_the_others_watched() -> None:
    """Runs share the sandbox, and are worked on in several threads."""
    context = ThreadLocalContext()
    context.is_runtime = context.in_activation = True

    seen: list[bool] = []

    def another() -> None:
        seen.extend((context.is_runtime, context.in_activation))
        context.is_runtime = context.in_activation = False

    other = threading.Thread(target=another)
    other.start()
    other.join()
    assert seen == [False, False]
    assert context.is_runtime
    assert context.in_activation


def test_what_is_passed_through_is_pure_and_named_one_by_one() -> None:
    """Never `workflows` as a whole: that would switch the sandbox off for the workflow."""
    own = ("workflows", "durable_agent_team.rules")
    passed = {name for name in PASSED_THROUGH if name.startswith(own)}
    rules = {
        f"durable_agent_team.rules.{name}"
        for name in ("bounds", "encoded_size", "graph", "shares", "value_limits")
    }
    pure = {"workflows.policies"} | {
        f"workflows.state.{name}"
        for name in ("agent_account", "charges", "task_schedule", "usage_totals")
    }
    assert passed == rules | pure | {"workflows.state.open_tasks"}, "metrics: docs/adr/017"
    assert passed <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_no_module_keeps_anything_from_run_to_run(name: str) -> None:
    """Runs share the modules. `OPEN_TASKS` is for that (docs/adr/017); all else is fixed."""
    module = importlib.import_module(name)
    kept = {each for each, value in vars(module).items() if _is_mutable(each, value)}
    assert kept == set()
    for kind in _classes_of(name):
        kept = {each for each, value in vars(kind).items() if _is_mutable(each, value)}
        assert kept == set(), kind


def _is_mutable(name: str, value: object) -> bool:
    own = not name.startswith("__") and not name.startswith("model_")
    return own and isinstance(value, list | dict | set | bytearray | deque)


def _classes_of(name: str) -> Iterator[type]:
    for value in vars(importlib.import_module(name)).values():
        if isinstance(value, type) and value.__module__ == name and not issubclass(value, Enum):
            yield value
