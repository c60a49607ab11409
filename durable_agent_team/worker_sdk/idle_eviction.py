"""A run that waits for nobody but a person, or a timer, takes no memory meanwhile.

A run in a worker's memory takes some 0.3 MB, 80 KB of it in the SDK's core. While a call is in
flight the run will be needed again soon. With none it may be parked for days: after a moment it is
evicted, and replayed when something comes for it, at 0.3 ms a step (docs/adr/020).
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from durable_agent_team.worker_sdk.runner_wrapper import RunnerWrapper

REST_SECONDS: Final = 5.0
"""Whoever asks again and again, as a live view does, is answered from memory."""


class IdleEviction(RunnerWrapper):
    """Wraps a runner; evicts what has no activity in flight and was not touched for a while."""

    def __init__(
        self, runner: WorkflowRunner, evict: Callable[[str], None], seconds: float | None = None
    ) -> None:
        super().__init__(runner)
        self._evict = evict
        self._seconds = REST_SECONDS if seconds is None else seconds
        self._resting: set[str] = set()

    def unless_resting(self, left: Callable[[str], None]) -> Callable[[str], None]:
        """`left`, for runs that left this worker's memory for good: one that rests comes back."""

        def called(run_id: str) -> None:
            if run_id not in self._resting:
                left(run_id)

        return called

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance = super().create_instance(det)
        activate = instance.activate
        loop = asyncio.get_running_loop()
        in_flight = InFlight()
        leaving: asyncio.TimerHandle | None = None

        def leave(run_id: str) -> None:
            self._resting.add(run_id)
            self._evict(run_id)

        def settle(run_id: str, idle: bool) -> None:
            nonlocal leaving
            if leaving is not None:
                leaving.cancel()
            leaving = loop.call_later(self._seconds, leave, run_id) if idle else None

        def watched(act: WorkflowActivation) -> Any:
            leaves = any(job.HasField("remove_from_cache") for job in act.jobs)
            if not leaves:
                self._resting.discard(act.run_id)
            completion = activate(act)
            in_flight.after(act, completion)
            if in_flight.was_idle or in_flight.is_idle or leaves:
                loop.call_soon_threadsafe(settle, act.run_id, in_flight.is_idle and not leaves)
            return completion

        instance.activate = watched  # type: ignore[method-assign]
        return instance


class InFlight:
    """Which activities of a run are in flight, from what it is told and what it orders."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self.was_idle = False

    @property
    def is_idle(self) -> bool:
        return not self._open

    def after(self, act: WorkflowActivation, completion: WorkflowActivationCompletion) -> None:
        self.was_idle = self.is_idle
        for job in act.jobs:
            if job.HasField("resolve_activity"):
                self._open.discard(job.resolve_activity.seq)
        for command in completion.successful.commands:
            if command.HasField("schedule_activity"):
                self._open.add(command.schedule_activity.seq)
            elif command.HasField("schedule_local_activity"):
                self._open.add(command.schedule_local_activity.seq)
