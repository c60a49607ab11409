"""Applies the enabled patches to a workflow runner, and then to the worker made with it."""

from collections.abc import Callable, Collection, Sequence

from temporalio.worker import Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from durable_agent_team.worker_sdk.cold_queries import ColdQueryGuard
from durable_agent_team.worker_sdk.deadlock_timeout import allow_slow_tasks
from durable_agent_team.worker_sdk.eviction import Eviction
from durable_agent_team.worker_sdk.idle_eviction import IdleEviction
from durable_agent_team.worker_sdk.patches import (
    COLD_QUERIES,
    DEADLOCK_TIMEOUT,
    IDLE_EVICTION,
    PAYLOAD_VISITS,
    RESULT_THROTTLE,
    SERIALIZATION_CONTEXT,
    SHARED_SANDBOX,
    WAITING_QUERIES,
)
from durable_agent_team.worker_sdk.payload_visits import skip_idle_visits
from durable_agent_team.worker_sdk.result_throttle import throttle_results
from durable_agent_team.worker_sdk.serialization_context import NoSerializationContext
from durable_agent_team.worker_sdk.shared_sandbox import SharedSandboxRunner, restrictions
from durable_agent_team.worker_sdk.waiting_queries import WaitingQueries


def sandboxed_runner(passed_through: Sequence[str], enabled: Collection[str]) -> WorkflowRunner:
    """The strict sandbox, shared by all runs if that patch is enabled.

    `passed_through` names modules that are not loaded in the sandbox but shared with the worker.
    """
    if SHARED_SANDBOX.name in enabled:
        return SharedSandboxRunner(*passed_through)
    return SandboxedWorkflowRunner(restrictions=restrictions(*passed_through))


class PatchedRunner:
    """A workflow runner with the enabled patches around it.

    `runner` is for the worker's constructor; `attach` completes the patches with that worker. With
    no patch enabled, `runner` is the one that was passed in, and `attach` changes nothing.
    """

    def __init__(self, runner: WorkflowRunner, enabled: Collection[str]) -> None:
        self._enabled = enabled
        self._evict = Eviction()
        self._idle: IdleEviction | None = None
        if SERIALIZATION_CONTEXT.name in enabled:
            runner = NoSerializationContext(runner)
        if IDLE_EVICTION.name in enabled:
            runner = self._idle = IdleEviction(runner, self._evict)
        if COLD_QUERIES.name in enabled:
            runner = ColdQueryGuard(runner, self._evict)
        if WAITING_QUERIES.name in enabled:
            runner = WaitingQueries(runner)
        self.runner = runner

    def unless_idle(self, left: Callable[[str], None]) -> Callable[[str], None]:
        """`left`, which takes the id of a run that left the cache, without runs evicted as idle."""
        return self._idle.unless_idle(left) if self._idle else left

    def attach(self, worker: Worker) -> None:
        """Call once, before the worker runs."""
        if {COLD_QUERIES.name, IDLE_EVICTION.name} & set(self._enabled):
            self._evict.attach(worker)
        if DEADLOCK_TIMEOUT.name in self._enabled:
            allow_slow_tasks(worker)
        if PAYLOAD_VISITS.name in self._enabled:
            skip_idle_visits()
        if RESULT_THROTTLE.name in self._enabled:
            throttle_results(worker)
