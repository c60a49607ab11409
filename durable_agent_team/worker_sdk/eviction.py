"""Evicts a run from a worker's cache. Its next event brings it back, by a replay."""

from collections.abc import Callable

from temporalio.worker import Worker


class Eviction:
    """Called with the run id. Runners need it before the worker exists: see `attach`."""

    def __init__(self) -> None:
        self._request: Callable[[str], None] | None = None

    def attach(self, worker: Worker) -> None:
        """Evicts from this worker's cache from now on; calls before that do nothing."""
        # The SDK uses eviction in its own replayer only; there is no public method.
        self._request = worker._bridge_worker.request_workflow_eviction

    def __call__(self, run_id: str) -> None:
        if self._request is not None:
            self._request(run_id)
