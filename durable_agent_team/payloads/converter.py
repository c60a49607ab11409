"""The data converter: pydantic models as compact JSON, large ones in external storage."""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import zip_longest
from typing import Any, Final

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter, ToJsonOptions
from temporalio.converter import (
    DataConverter,
    EncodingPayloadConverter,
    StorageDriver,
    StorageDriverStoreContext,
)
from temporalio.converter import StorageDriverSelectContext as SelectContext

from durable_agent_team.blobs.store import BlobStore, NoBlobs
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.undecodable import Undecodable
from durable_agent_team.payloads.blob_driver import BlobDriver, OurReferences

MAX_REASON = 200
MIN_THRESHOLD_BYTES: Final = 1_024
DEFAULT_THRESHOLD_BYTES: Final = 5_000
"""Measured: from 4 to 7 KB it costs no time where answers have 1 KB. Above that, five hundred
requests in one workflow task would pass Temporal's 4 MB."""

MAX_INLINE_BYTES: Final = 1_500_000
INLINE: Final = "storage"
"""Marks, as metadata, a payload that stays in the history, where people can read it. The mark
is taken off before the payload is sent."""
ENCODED_MARK: Final = b"\x07storage\x12\x06inline"
"""The mark in protobuf's encoding."""


@cache
def _parts() -> Mapping[bytes, EncodingPayloadConverter]:
    return PydanticPayloadConverter(ToJsonOptions(exclude_unset=True)).converters


class PayloadConverter(PydanticPayloadConverter):
    """Contracts as JSON without the fields that were not set, so that histories stay small.

    An untyped argument that cannot be decoded becomes `Undecodable`: handlers take any payload.
    A typed one raises, as it does without this class.
    """

    def __init__(self) -> None:
        """The SDK makes two for each activation of a workflow: they share what they have learnt of
        types."""
        self.converters = _parts()

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        """A payload for each value; those of messages that stay in the history are marked."""
        payloads = super().to_payloads(values)
        for value, payload in zip(values, payloads, strict=True):
            if getattr(value, "stays_inline", False) and len(payload.data) >= MIN_THRESHOLD_BYTES:
                payload.metadata[INLINE] = b"inline"
        return payloads

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        """The decoded values, one for each payload."""
        return [
            self._decode(payload, hint) for payload, hint in zip_longest(payloads, type_hints or ())
        ]

    def _decode(self, payload: Payload, hint: Any) -> Any:
        decode = super().from_payloads
        if hint is not None and hint is not Any:
            return decode([payload], [hint])[0]
        try:
            return decode([payload], None)[0]
        except Exception as error:
            return Undecodable(_reason(payload, error))


class TeamDataConverter(DataConverter):
    """The SDK makes a copy for each payload, with the run or activity that it belongs to, and with
    a payload converter that has to learn every type again: a fifth of a worker's CPU time. Our
    driver needs to know neither (docs/adr/029)."""

    def _with_store_context(self, store_ctx: StorageDriverStoreContext) -> DataConverter:
        return self


def data_converter(
    store: BlobStore, threshold_bytes: int = DEFAULT_THRESHOLD_BYTES
) -> DataConverter:
    """The data converter of a process that has this store.

    Payloads from `threshold_bytes` on go to the store, except for messages that stay in the
    history (`Message.stays_inline`) up to 1.5 MB. Without a store everything stays there; what
    others have stored is then an error that says what to set.
    """
    selector = BySize(store, threshold_bytes)
    # All payloads are read, whatever their size, so that no mark stays.
    storage = OurReferences(
        drivers=[selector.driver], driver_selector=selector, payload_size_threshold=0
    )
    return TeamDataConverter(payload_converter_class=PayloadConverter, external_storage=storage)


class BySize:
    """Selects what external storage gets: payloads from a size on, unless they are marked."""

    def __init__(self, store: BlobStore, threshold_bytes: int) -> None:
        self.driver = BlobDriver(store)
        self._threshold_bytes = threshold_bytes
        self._has_store = not isinstance(store, NoBlobs)

    def __call__(self, context: SelectContext, payload: Payload) -> StorageDriver | None:
        # Without the mark in the history: Temporal's command line prints a payload with metadata of
        # its own in base64.
        is_marked = INLINE in payload.metadata
        if is_marked:
            del payload.metadata[INLINE]
        size = payload.ByteSize()
        inline = is_marked and size <= MAX_INLINE_BYTES
        is_small = size < self._threshold_bytes
        return None if is_small or inline or not self._has_store else self.driver

    def selects_none(self, message: Message) -> bool:
        """Whether no payload in a message is selected or marked, since the whole message is too
        small, or has no mark. May be False where none is."""
        size = message.ByteSize()
        if size < MIN_THRESHOLD_BYTES:
            return True
        may_store = self._has_store and size >= self._threshold_bytes
        return not may_store and ENCODED_MARK not in message.SerializeToString()


def store_of(converter: DataConverter) -> BlobStore:
    """The store behind a data converter; none behind one that is not ours."""
    storage = converter.external_storage
    drivers = storage.drivers if storage else ()
    found = [each.store_of_blobs for each in drivers if isinstance(each, BlobDriver)]
    return found[0] if found else NoBlobs()


DATA_CONVERTER: Final = data_converter(NoBlobs())
"""For a process without a store."""


def _reason(payload: Payload, error: Exception) -> str:
    """Names the encoding, and of a JSON error what and where it is, without the content."""
    encoding = cut(payload.metadata.get("encoding", b"").decode("ascii", "replace"), 40)
    listed = getattr(error, "errors", None)
    problems = listed(include_input=False, include_url=False) if callable(listed) else []
    what = problems[0]["msg"] if problems else "it cannot be decoded"
    return cut(f"encoding {encoding or 'missing'}: {what}", MAX_REASON)
