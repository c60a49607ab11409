"""A workflow runner around another one: what wraps differs in how it makes instances, alone."""

from typing import Any

from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner


class RunnerWrapper(WorkflowRunner):
    """Passes everything on. `create_instance` is there to be overridden: what it changes is
    assigned to the instance, as the SDK asks instances for more than is public."""

    def __init__(self, runner: WorkflowRunner) -> None:
        self._runner = runner

    def prepare_workflow(self, defn: Any) -> None:
        self._runner.prepare_workflow(defn)

    def set_worker_level_failure_exception_types(self, types: Any) -> None:
        self._runner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return self._runner.create_instance(det)
