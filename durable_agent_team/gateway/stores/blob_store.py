"""The interface of the store of blobs: large texts and payloads of runs, each under its hash.

`sqlite_blobs.py` implements it. Times are Unix seconds.
"""

from typing import Protocol


class BlobsFull(Exception):
    """The blob would exceed the store's limit. `used` and `limit` are bytes of all blobs."""

    def __init__(self, used: int, limit: int) -> None:
        super().__init__(f"{used} of {limit} bytes are used")
        self.used = used
        self.limit = limit


class BlobDamaged(Exception):
    """What is stored does not have its hash."""


class BlobStore(Protocol):
    """Every method is one transaction, and raises `StoreError` where the database fails."""

    async def put(self, sha256: str, data: bytes) -> bool:
        """Stores a blob durably; False if it is there already, which counts as a use. The caller
        has verified the hash. Raises `BlobsFull`."""
        raise NotImplementedError

    async def size(self, sha256: str) -> int | None:
        """Bytes; None if there is none."""
        raise NotImplementedError

    async def read(self, sha256: str) -> bytes | None:
        """The blob, verified; None if there is none. Raises `BlobDamaged`."""
        raise NotImplementedError

    async def remove_unused(self, after_seconds: float) -> int:
        """Removes some blobs that were not used for so long; returns how many. Called every few
        minutes: a day and more since the last time does not count, since no gateway ran then, or
        its clock has jumped."""
        raise NotImplementedError

    async def not_ready(self) -> str | None:
        """Why nothing can be written now, or None."""
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError
