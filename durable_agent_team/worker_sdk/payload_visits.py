"""Skips the visits of payloads that would change none of them.

The SDK visits every payload of a workflow activation three times, and of its completion three
times: for a codec, for external storage, and for a codec of references. Each visit walks the whole
message with a coroutine for every part of it, and external storage adds a task for every payload: 3
to 8 % of a worker's CPU time. Nothing comes of it without a codec, unless a payload is a reference
to external storage, or is going to be one.
"""

from collections.abc import Callable
from typing import Any, Final

import temporalio.bridge.worker
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import DataConverter
from temporalio.converter._extstore import (
    _REFERENCE_ENCODING,
    _REFERENCE_MARKER_KEY,
    _REFERENCE_MESSAGE_TYPE,
    StorageOperationMetrics,
)

REFERENCE_MARKS: Final = (
    _REFERENCE_ENCODING,
    _REFERENCE_MESSAGE_TYPE,
    _REFERENCE_MARKER_KEY.encode(),
)
"""One of them is in every payload that is a reference."""


def skip_idle_visits() -> None:
    """Leaves out the SDK's visits of payloads that would change nothing: in all workers of this
    process whose data converter has no codec, and whose external storage has a driver selector
    with a method `selects_none` (whether it would select no payload of a message). Calling it
    again does nothing."""
    bridge: Any = temporalio.bridge.worker
    if hasattr(bridge.decode_activation, "sdk"):
        return
    for name, is_idle in (("decode_activation", brings_none), ("encode_completion", stores_none)):
        setattr(bridge, name, _unless(is_idle, getattr(bridge, name)))


def _unless(
    is_idle: Callable[[Any, DataConverter], bool], visit: Callable[..., Any]
) -> Callable[..., Any]:
    async def unless_idle(message: Any, data_converter: DataConverter, **options: Any) -> Any:
        if is_idle(message, data_converter):
            return StorageOperationMetrics()
        return await visit(message, data_converter, **options)

    unless_idle.sdk = visit  # type: ignore[attr-defined]
    return unless_idle


def brings_none(activation: WorkflowActivation, data_converter: DataConverter) -> bool:
    """Whether no payload of it is a reference, nor changed by a codec."""
    if _selects_none(data_converter) is None:
        return False
    data = activation.SerializeToString()
    return not any(mark in data for mark in REFERENCE_MARKS)


def stores_none(completion: WorkflowActivationCompletion, data_converter: DataConverter) -> bool:
    """Whether none of its payloads is stored, nor changed by a codec."""
    selects_none = _selects_none(data_converter)
    if selects_none is None or completion.HasField("failed"):
        return False
    return all(map(selects_none, completion.successful.commands))


def _selects_none(data_converter: DataConverter) -> Callable[[Any], bool] | None:
    """None where every payload has to be visited."""
    storage = data_converter.external_storage
    if data_converter.payload_codec is not None or storage is None:
        return None
    found: Callable[[Any], bool] | None = getattr(storage.driver_selector, "selects_none", None)
    return found
