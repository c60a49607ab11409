"""Skips the serialization context of payloads, which the SDK would compute in the sandbox.

The SDK requests a serialization context from the workflow instance for each payload that it encodes
or decodes, and a sandboxed instance enters the sandbox each time: a fifth of a worker's CPU time
under load. Only converters, codecs and external storage that use the context need it.
`payloads.converter` has none that does, which a test verifies.
"""

from temporalio.converter import StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails

from durable_agent_team.worker_sdk.runner_wrapper import RunnerWrapper


class NoSerializationContext(RunnerWrapper):
    """Creates instances that return no context for any payload."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance = super().create_instance(det)
        for name, method in (
            ("get_serialization_context", lambda command: None),
            ("get_external_store_context", lambda command: StorageDriverStoreContext(target=None)),
        ):
            setattr(instance, name, method)
        return instance
