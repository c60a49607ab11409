"""Temporal's external storage over a store of blobs."""

import asyncio
from collections.abc import Sequence
from typing import Final

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

from durable_agent_team.blobs.store import BlobMissing, BlobStore, digest, patiently
from durable_agent_team.blobs.texts import PATIENCE_SECONDS

NAME: Final = "agent-team"
"""In every reference in a history. Whichever store has the payload: its hash is the same."""


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
        sha256 = claim.claim_data.get("sha256")
        if sha256 is None:
            raise BlobMissing("a reference to external storage has no sha256: it is not ours")
        data = await patiently(lambda: self.store_of_blobs.get(sha256), PATIENCE_SECONDS)
        return Payload.FromString(data)
