"""Temporal's strict sandbox, which imports the workflow's modules once for all runs of a worker.

The SDK creates a sandbox for each run and imports the workflow's modules into it again: 7 ms of CPU
time and 0.1 MB a run, so that no run can leave state in a module for another one. Here all runs of
a worker share one sandbox. It forbids the same things as before, to every run and in every thread;
`tests/architecture/test_sandbox.py` verifies that no module keeps state. See docs/adr/022.
"""

import threading
from typing import Any

from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.worker.workflow_sandbox._importer import Importer
from temporalio.worker.workflow_sandbox._restrictions import RestrictionContext
from temporalio.worker.workflow_sandbox._runner import _Instance


def restrictions(*passed_through: str) -> SandboxRestrictions:
    """The SDK's default restrictions; the named modules are shared with the worker."""
    return SandboxRestrictions.default.with_passthrough_modules(*passed_through)


class SharedSandboxRunner(SandboxedWorkflowRunner):
    """`SandboxedWorkflowRunner` with one sandbox for all runs of one workflow class."""

    def __init__(self, *passed_through: str) -> None:
        """Names modules that are not loaded in the sandbox but shared with the worker."""
        super().__init__(restrictions=restrictions(*passed_through))
        self._importers: dict[str, Importer]
        object.__setattr__(self, "_importers", {})  # the SDK's class is a frozen dataclass

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        module = det.defn.cls.__module__
        importer = self._importers.get(module)
        if importer is None:
            context = ThreadLocalContext()
            importer = Importer(self.restrictions, context, workflow_module_name=module)
            self._importers[module] = importer
        return _SharingInstance(det, self.runner_class, importer)


class ThreadLocalContext(RestrictionContext):
    """Whether workflow code is running, for each thread separately: runs that share a sandbox are
    activated in several threads."""

    def __init__(self) -> None:
        self._local = threading.local()
        super().__init__()

    @property
    def is_runtime(self) -> bool:
        return getattr(self._local, "is_runtime", False)

    @is_runtime.setter
    def is_runtime(self, value: bool) -> None:
        self._local.is_runtime = value

    @property
    def in_activation(self) -> bool:
        return getattr(self._local, "in_activation", False)

    @in_activation.setter
    def in_activation(self, value: bool) -> None:
        self._local.in_activation = value


class _SharingInstance(_Instance):
    def __init__(self, det: WorkflowInstanceDetails, runner_class: Any, importer: Importer) -> None:
        # Replaces the base class's constructor, which creates an importer.
        self.instance_details = det
        self.runner_class = runner_class
        self.importer = importer
        self._current_thread_id = None
        self.globals_and_locals = {"__file__": "workflow_sandbox.py"}
        self._create_instance()
