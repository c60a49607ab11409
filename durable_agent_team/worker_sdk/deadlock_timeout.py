"""Gives workflow code more than the SDK's two seconds before its task fails as a deadlock.

Two seconds are wall time. On a machine that is busy with other work, the first workflow task of a
run of thousands of tasks takes longer, and so does each further attempt: the run never begins.
"""

from typing import Final

from temporalio.worker import Worker

DEADLOCK_SECONDS: Final = 8
"""Below Temporal's workflow task timeout of ten seconds, after which the server gives the task to
another worker."""


def allow_slow_tasks(worker: Worker) -> None:
    """Sets the limit of this worker, unless the SDK's debug mode has switched it off."""
    # The SDK has no option for it; Go's and Java's have.
    workflows = worker._workflow_worker
    if workflows is not None and workflows._deadlock_timeout_seconds is not None:
        workflows._deadlock_timeout_seconds = DEADLOCK_SECONDS
