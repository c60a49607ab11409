"""Temporal's strict sandbox, in which the workflow's modules are loaded once for a worker.

The SDK (1.35.0) makes a sandbox for each run, and loads the workflow's modules in it anew: 7 ms of
CPU time and 0.1 MB a run, so that no run can leave something in a module for another one. Here all
runs of a worker share one sandbox. What it forbids it forbids as before, to every run, in whichever
thread; that no module keeps anything is held by `tests/architecture` (docs/adr/022).
"""

import threading
from typing import Any

from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.worker.workflow_sandbox._importer import Importer
from temporalio.worker.workflow_sandbox._restrictions import RestrictionContext
from temporalio.worker.workflow_sandbox._runner import _Instance


class SharedSandboxRunner(SandboxedWorkflowRunner):
    """`SandboxedWorkflowRunner` with one sandbox for all runs of one workflow class."""

    def __init__(self, *passed_through: str) -> None:
        """Modules by name that are not loaded in the sandbox, but shared with the worker."""
        restrictions = SandboxRestrictions.default.with_passthrough_modules(*passed_through)
        super().__init__(restrictions=restrictions)
        self._importers: dict[str, Importer]
        object.__setattr__(self, "_importers", {})  # the SDK's class is a frozen dataclass

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        module = det.defn.cls.__module__
        importer = self._importers.get(module)
        if importer is None:
            context = ContextOfThread()
            importer = Importer(self.restrictions, context, workflow_module_name=module)
            self._importers[module] = importer
        return _SharingInstance(det, self.runner_class, importer)


class ContextOfThread(RestrictionContext):
    """Whether workflow code is running now: a question to be asked of each thread by itself, since
    runs that share a sandbox are worked on in several."""

    def __init__(self) -> None:
        self._here = threading.local()
        super().__init__()

    @property
    def is_runtime(self) -> bool:
        return getattr(self._here, "is_runtime", False)

    @is_runtime.setter
    def is_runtime(self, value: bool) -> None:
        self._here.is_runtime = value

    @property
    def in_activation(self) -> bool:
        return getattr(self._here, "in_activation", False)

    @in_activation.setter
    def in_activation(self, value: bool) -> None:
        self._here.in_activation = value


class _SharingInstance(_Instance):
    def __init__(self, det: WorkflowInstanceDetails, runner_class: Any, importer: Importer) -> None:
        # In place of the base class's, which makes an importer of its own.
        self.instance_details = det
        self.runner_class = runner_class
        self.importer = importer
        self._current_thread_id = None
        self.globals_and_locals = {"__file__": "workflow_sandbox.py"}
        self._create_instance()
