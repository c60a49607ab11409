"""Evicts a run from a worker's cache. Its next event brings it back, by a replay."""

from temporalio.bridge import worker as bridge
from temporalio.worker import Worker


class Eviction:
    """Called with the run id. Runners need it before the worker exists: see `attach`."""

    def __init__(self) -> None:
        self._worker: bridge.Worker | None = None

    def attach(self, worker: Worker) -> None:
        """Evicts from this worker's cache from now on; calls before that do nothing."""
        self._worker = worker._bridge_worker

    def __call__(self, run_id: str) -> None:
        # The SDK uses eviction in its own replayer only; there is no public method. A worker that
        # was shut down has no `_ref`, and no cache: a timer may call this later.
        if self._worker is not None and self._worker._ref is not None:
            self._worker.request_workflow_eviction(run_id)
