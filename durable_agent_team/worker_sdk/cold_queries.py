"""Queries to a worker that has just taken a run over must not spoil the run's history.

A query that reaches a worker without the run in its cache brings the history with it, and with
that also events that no workflow task has delivered yet. The SDK's core applies those events at
once. A signal or an update that then comes with the next workflow task is handled after them; a
replay, which sees all of it in one task, handles it before them. So what was recorded cannot be
replayed (TMPRL1100), and the run stands still. Seen on temporalio 1.35.0, told by
`tests/worker_sdk/test_cold_queries.py`; akin to temporalio/sdk-python#1591.

The remedy: an instance that may have run ahead of its workflow tasks answers the query and is
evicted; the next workflow task builds the run anew, at 0.3 ms a step. Doing so without need costs
that much and nothing else, so all doubt is on the safe side.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from durable_agent_team.worker_sdk.runner_wrapper import RunnerWrapper

QUERY_WITHOUT_TASK: Final = "legacy_query"
"""The id that core gives to a query which came by itself, not with a workflow task."""

FRESH_SECONDS: Final = 0.2
"""A workflow task that is older has not just come. A run changes hands after a second at least:
`sticky_queue_schedule_to_start_timeout`, or the start of a worker."""


class ColdQueryGuard(RunnerWrapper):
    """Wraps a runner; evicts what a query made run ahead, before the answer leaves the worker."""

    def __init__(self, runner: WorkflowRunner, evict: Callable[[str], None]) -> None:
        super().__init__(runner)
        self._evict = evict

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance = super().create_instance(det)
        activate, ahead = instance.activate, Ahead()

        def watched(act: WorkflowActivation) -> Any:
            if ahead.after(act):
                self._evict(act.run_id)
            return activate(act)

        instance.activate = watched  # type: ignore[method-assign]
        return instance


class Ahead:
    """Whether an instance may have seen events of which no workflow task has told it yet.

    The time of a workflow is that of its newest workflow task. New events at a time that was there
    before, or at an old time, have come without one. (The first alone would not do: a workflow task
    can pass without an activation, as the one after a local activity does in a replay. Nor would
    the second: a clock can be wrong.)
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._at = 0.0
        self._ahead = False

    def after(self, act: WorkflowActivation) -> bool:
        """True where this activation asks, by itself, an instance that may have run ahead."""
        if any(not job.HasField("query_workflow") for job in act.jobs):
            at = act.timestamp.seconds + act.timestamp.nanos / 1e9
            fresh = at > self._at and self._clock() - at < FRESH_SECONDS
            self._ahead = not act.is_replaying and not fresh
            self._at = at
        return self._ahead and any(
            job.query_workflow.query_id == QUERY_WITHOUT_TASK
            for job in act.jobs
            if job.HasField("query_workflow")
        )
