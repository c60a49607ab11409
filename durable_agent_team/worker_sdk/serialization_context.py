"""Payloads of a run are encoded without asking the sandbox, several times each, for a context.

The SDK (1.35.0) asks the workflow's instance for a serialization context for each payload that
comes or goes, and a sandboxed instance enters the sandbox for each answer: a fifth of a worker's
CPU time under load. A context is of use to converters, codecs and external storage that look at
it; `payloads.converter.DATA_CONVERTER` has none of them, which a test holds it to.
"""

from temporalio.converter import StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails

from durable_agent_team.worker_sdk.runner_wrapper import RunnerWrapper


class NoSerializationContext(RunnerWrapper):
    """Wraps a runner; its instances have no context for any payload."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance = super().create_instance(det)
        for name, answer in (
            ("get_serialization_context", lambda command: None),
            ("get_external_store_context", lambda command: StorageDriverStoreContext(target=None)),
        ):
            setattr(instance, name, answer)
        return instance
