"""Keeps queries from spoiling the history of a run that the worker has just taken over.

A query for a run that is not in the worker's cache is delivered with the run's history. That
history may contain events which no workflow task has delivered yet, and the SDK's core applies them
at once. A signal or update that arrives with the next workflow task is then handled after them,
whereas a replay, which sees everything in one workflow task, handles it before them. What was
recorded does not replay (TMPRL1100), and the run is stuck.

The remedy: an instance that may have run ahead of its workflow tasks answers the query and is
evicted; the next workflow task builds it again, at 0.3 ms a step. An unnecessary eviction costs
that much and nothing else, so in doubt the instance is evicted. See docs/adr/016.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from durable_agent_team.worker_sdk.runner_wrapper import RunnerWrapper

QUERY_WITHOUT_TASK: Final = "legacy_query"
"""The id that core gives to a query which was delivered without a workflow task."""

FRESH_SECONDS: Final = 0.2
"""A workflow task older than this was not just delivered. A run moves to another worker after a
second at least: `sticky_queue_schedule_to_start_timeout`, or the start of a worker."""


class ColdQueryGuard(RunnerWrapper):
    """Evicts instances that may have run ahead, before the query's answer leaves the worker."""

    def __init__(self, runner: WorkflowRunner, evict: Callable[[str], None]) -> None:
        super().__init__(runner)
        self._evict = evict

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance = super().create_instance(det)
        activate, detector = instance.activate, RunAheadDetector()

        def guarded(act: WorkflowActivation) -> Any:
            if detector.must_evict(act):
                self._evict(act.run_id)
            return activate(act)

        instance.activate = guarded  # type: ignore[method-assign]
        return instance


class RunAheadDetector:
    """Detects whether an instance may have seen events that no workflow task has delivered.

    A workflow's time is that of its newest workflow task. New events at an unchanged time, or at an
    old one, were delivered without a workflow task. Neither condition is enough by itself: a
    workflow task can pass without an activation, as the one after a local activity does in a
    replay; and a clock can be wrong.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._newest_task_at = 0.0
        self._ahead = False

    def must_evict(self, act: WorkflowActivation) -> bool:
        """True if this activation is a query without a workflow task, to an instance that may have
        run ahead. Call it once for each activation."""
        if any(not job.HasField("query_workflow") for job in act.jobs):
            at = act.timestamp.seconds + act.timestamp.nanos / 1e9
            fresh = at > self._newest_task_at and self._clock() - at < FRESH_SECONDS
            self._ahead = not act.is_replaying and not fresh
            self._newest_task_at = at
        return self._ahead and any(
            job.query_workflow.query_id == QUERY_WITHOUT_TASK
            for job in act.jobs
            if job.HasField("query_workflow")
        )
