"""`worker.py` with another sticky timeout, and a line on standard output for every replay.

Neither is a setting: nobody has a reason to change the one or to see the other but this benchmark.
"""

import os
from datetime import timedelta
from typing import Any

from temporalio.worker import Worker, WorkflowRunner

import worker
from durable_agent_team.process.interpreter_exit import exit_process
from durable_agent_team.process.settings import WorkerSettings
from durable_agent_team.worker_sdk.runner_wrapper import RunnerWrapper

STICKY = "BENCH_STICKY_SECONDS"
MADE = "made a workflow"
_runner_of_worker = worker.workflow_runner


class SayingRunner(RunnerWrapper):
    """A workflow is made once at its start, and once for every replay from the beginning."""

    def create_instance(self, det: Any) -> Any:
        print(MADE, det.info.workflow_id, flush=True)
        return super().create_instance(det)


def saying_runner(settings: WorkerSettings) -> WorkflowRunner:
    return SayingRunner(_runner_of_worker(settings))


def sticky(*arguments: Any, **options: Any) -> Worker:
    options["sticky_queue_schedule_to_start_timeout"] = timedelta(seconds=float(os.environ[STICKY]))
    return Worker(*arguments, **options)


def main() -> int:
    worker.workflow_runner = saying_runner
    setattr(worker, Worker.__name__, sticky)
    return worker.main()


if __name__ == "__main__":
    exit_process(main())
