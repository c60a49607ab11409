"""No payload of ours needs a context; nothing asks the sandbox for one."""

from typing import Any, cast

from temporalio.converter import (
    StorageDriverStoreContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from temporalio.worker import WorkflowInstance, WorkflowRunner

from durable_agent_team.payloads.blob_driver import BlobDriver
from durable_agent_team.payloads.converter import DATA_CONVERTER, PayloadConverter
from durable_agent_team.worker_sdk.serialization_context import NoSerializationContext


def test_the_data_converter_looks_at_no_context() -> None:
    """When this fails, payloads need their contexts: remove `NoSerializationContext`."""
    assert DATA_CONVERTER.payload_codec is None
    storage = DATA_CONVERTER.external_storage
    assert storage is not None
    assert not isinstance(storage, WithSerializationContext)
    assert {type(each) for each in storage.drivers} == {BlobDriver}, "it uses no context"
    assert not isinstance(DATA_CONVERTER.failure_converter, WithSerializationContext)
    converter = PayloadConverter()
    assert converter.with_context(WorkflowSerializationContext("default", "run")) is converter


def test_the_data_converter_is_not_copied_for_each_payload() -> None:
    context = StorageDriverStoreContext(target=None)
    assert DATA_CONVERTER._with_contexts(
        WorkflowSerializationContext("default", "run"), context
    ) is (DATA_CONVERTER)


def test_an_instance_is_not_asked() -> None:
    class Instance:
        def get_serialization_context(self, command: Any) -> Any:
            raise AssertionError("the sandbox was entered")

        get_external_store_context = get_serialization_context

    class Runner:
        def create_instance(self, det: Any) -> WorkflowInstance:
            return cast(WorkflowInstance, Instance())

    runner = NoSerializationContext(cast(WorkflowRunner, Runner()))
    instance = runner.create_instance(cast(Any, None))
    assert instance.get_serialization_context(None) is None
    assert instance.get_external_store_context(None).target is None
