"""The workflow sandbox with the settings of the real worker."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker, WorkflowRunner

from durable_agent_team.process.settings import ClientSettings
from durable_agent_team.worker_sdk.deadlock_timeout import allow_slow_tasks
from durable_agent_team.worker_sdk.patched_worker import PatchedRunner, sandboxed_runner
from durable_agent_team.worker_sdk.patches import DEADLOCK_TIMEOUT, WAITING_QUERIES
from worker import PASSED_THROUGH
from workflows.orchestrator import Orchestrator


@cache
def strict_runner() -> WorkflowRunner:
    """The sandbox as the worker has it; the SDK's own one under `pytest --vanilla`.

    One for all workers of the process, as it is one for all runs of a worker (docs/adr/022): it
    imports the workflow's modules once, which takes half a second.
    """
    patches = ClientSettings().sdk_patches
    runner = sandboxed_runner(PASSED_THROUGH, patches)
    # Tests look at runs by queries all the time. The other patches need a worker to attach to.
    return PatchedRunner(runner, patches & {WAITING_QUERIES.name}).runner


def patient(worker: Worker) -> Worker:
    """With the worker's own time for a workflow task: the SDK's two seconds are too short on a busy
    machine."""
    if DEADLOCK_TIMEOUT.name in ClientSettings().sdk_patches:
        allow_slow_tasks(worker)
    return worker


def run_worker(
    client: Client,
    queue: str,
    activities: Sequence[Callable[..., Any]],
    *,
    workflow_runner: WorkflowRunner | None = None,
    **options: Any,
) -> Worker:
    """A worker for runs, with the strict sandbox unless another runner is given. `options` are the
    SDK's own."""
    return patient(
        Worker(
            client,
            task_queue=queue,
            workflows=[Orchestrator],
            activities=activities,
            workflow_runner=workflow_runner or strict_runner(),
            **options,
        )
    )


@contextmanager
def fresh_sandbox() -> Iterator[None]:
    """For a test that replaces what the workflow's modules import: workers that start inside
    import them again, and so do those that start afterwards."""
    strict_runner.cache_clear()
    try:
        yield
    finally:
        strict_runner.cache_clear()
