"""Asks a worker to let a run go from its memory. Its next event brings it back, by a replay."""

from collections.abc import Callable

from temporalio.worker import Worker


class Eviction:
    """Called with Temporal's run id, by what is built before the worker that it is asked of."""

    def __init__(self) -> None:
        self._ask: Callable[[str], None] | None = None

    def of(self, worker: Worker) -> None:
        """Evictions are asked of this worker from here on."""
        # The SDK offers eviction to its own replayer only; there is no public way to ask for it.
        self._ask = worker._bridge_worker.request_workflow_eviction

    def __call__(self, run_id: str) -> None:
        if self._ask is not None:
            self._ask(run_id)
