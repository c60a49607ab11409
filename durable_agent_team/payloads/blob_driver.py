"""Temporal's external storage over a store of blobs."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ExternalStorage,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

from durable_agent_team.blobs.store import BlobStore, digest, patiently
from durable_agent_team.blobs.texts import PATIENCE_SECONDS

NAME: Final = "agent-team"
"""In every reference in a history. Whichever store has the payload: its hash is the same."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class OurReferences(ExternalStorage):
    """Resolves the references that a process of the project has made, and leaves others as they
    are: to the payload converter they are payloads of an unknown encoding.

    Anyone can send a signal with a reference in it, to nothing or to another program's driver. The
    SDK raises for one that it cannot follow, and the run's workflow task would fail forever.
    """

    def _decode_reference(self, payload: Payload) -> Any:
        try:
            reference = super()._decode_reference(payload)
        except Exception:  # whatever its converters raise for JSON that is none, or another shape
            return None
        if reference is None or reference.driver_name not in self._driver_map:
            return None
        return reference if _SHA256.fullmatch(_hash_in(reference.claim_data)) else None


class BlobDriver(StorageDriver):
    """Stores each payload under the SHA-256 of its bytes.

    While the store is away it tries again for some seconds. Then the SDK's own retries continue: a
    workflow task, or an activity that may be repeated, is attempted again.
    """

    def __init__(self, store: BlobStore) -> None:
        self.store_of_blobs = store

    def name(self) -> str:
        return NAME

    def type(self) -> str:
        return NAME

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        return list(await asyncio.gather(*map(self._store, payloads)))

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        return list(await asyncio.gather(*map(self._retrieve, claims)))

    async def _store(self, payload: Payload) -> StorageDriverClaim:
        data = payload.SerializeToString(deterministic=True)
        sha256 = digest(data)
        await patiently(lambda: self.store_of_blobs.put(sha256, data), PATIENCE_SECONDS)
        return StorageDriverClaim({"sha256": sha256})

    async def _retrieve(self, claim: StorageDriverClaim) -> Payload:
        sha256 = _hash_in(claim.claim_data)
        data = await patiently(lambda: self.store_of_blobs.get(sha256), PATIENCE_SECONDS)
        try:
            return Payload.FromString(data)
        except DecodeError:  # the reference is to a text of a run
            return Payload()


def _hash_in(claim_data: Mapping[str, str]) -> str:
    return claim_data.get("sha256", "")
