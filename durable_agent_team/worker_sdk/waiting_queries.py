"""Keeps a query from ending a workflow task while a local activity of the run is in flight.

A query that was asked while a run was busy comes with the run's next workflow task. The SDK's core
answers it as soon as the workflow waits, and its answer ends that workflow task. A local activity
that ends while the query is being answered has its marker in this workflow task, and the workflow
gets the result in the next one. A replay delivers it in the workflow task that has the marker. What
follows it then happens one workflow task earlier than recorded: `workflow.patched` does not know
its marker yet, and a signal that came in between is handled after the result, not before. Such a
history may not replay (TMPRL1100).

The remedy: a query waits for the run's local activities. It is left unanswered, and the server asks
again when the workflow task has ended. See docs/adr/051.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails

from durable_agent_team.worker_sdk.cold_queries import QUERY_WITHOUT_TASK
from durable_agent_team.worker_sdk.runner_wrapper import RunnerWrapper

LONGEST_WAIT: Final = 7.0
"""Seconds. A local activity that takes longer outlasts the workflow task, which ends after 8 s: a
query must not wait until it is over, and nearly none meets its end."""

ENDS: Final = frozenset(
    {
        "complete_workflow_execution",
        "fail_workflow_execution",
        "cancel_workflow_execution",
        "continue_as_new_workflow_execution",
    }
)
"""The commands that end a workflow, whatever is in flight."""


class WaitingQueries(RunnerWrapper):
    """Leaves queries unanswered while a local activity is in flight."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance = super().create_instance(det)
        activate, in_flight = instance.activate, LocalActivitiesInFlight()

        def waiting(act: WorkflowActivation) -> Any:
            if in_flight.must_wait(act):
                return _unanswered(act)
            completion = activate(act)
            in_flight.update(act, completion)
            return completion

        instance.activate = waiting  # type: ignore[method-assign]
        return instance


class LocalActivitiesInFlight:
    """The local activities of a run that have started and were not resolved, with their times."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[int, float] = {}

    def must_wait(self, act: WorkflowActivation) -> bool:
        """True for queries that came with a workflow task in which a local activity is in flight.
        False for a query without a workflow task: it ends none."""
        if not self._since or not act.jobs:
            return False
        if self._clock() - min(self._since.values()) > LONGEST_WAIT:
            return False
        return all(
            job.HasField("query_workflow") and job.query_workflow.query_id != QUERY_WITHOUT_TASK
            for job in act.jobs
        )

    def update(self, act: WorkflowActivation, completion: WorkflowActivationCompletion) -> None:
        """Takes the resolved ones from an activation, and the new ones from its commands."""
        for job in act.jobs:
            if job.HasField("resolve_activity"):
                self._since.pop(job.resolve_activity.seq, None)
        for command in completion.successful.commands:
            if command.HasField("schedule_local_activity"):
                self._since[command.schedule_local_activity.seq] = self._clock()
            elif command.WhichOneof("variant") in ENDS:
                self._since.clear()


def _unanswered(act: WorkflowActivation) -> WorkflowActivationCompletion:
    completion = WorkflowActivationCompletion(run_id=act.run_id)
    completion.successful.SetInParent()
    return completion
