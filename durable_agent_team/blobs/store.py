"""The interface of a store of blobs, and its errors."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

T = TypeVar("T")

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0


class BlobError(Exception):
    """Base. The text names the blob and the store; it has no key in it."""


class BlobMissing(BlobError):
    """The store answers, and has no such blob, or a damaged one."""


class BlobsUnreachable(BlobError):
    """The store does not answer, or refuses. `final`: trying again cannot help."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class BlobStore(Protocol):
    @property
    def place(self) -> str:
        """Where the blobs are, for messages."""
        raise NotImplementedError

    async def put(self, sha256: str, data: bytes) -> None:
        """Stores a blob durably. The same blob may be put again. Raises `BlobsUnreachable`."""
        raise NotImplementedError

    async def get(self, sha256: str) -> bytes:
        """The blob, verified. Raises `BlobMissing` and `BlobsUnreachable`."""
        raise NotImplementedError


class NoBlobs:
    """Implements `BlobStore` where there is none: everything stays in Temporal's history."""

    def __init__(self, why: str = "EXTERNAL_STORAGE is none") -> None:
        self._why = why

    @property
    def place(self) -> str:
        return "no store"

    async def put(self, sha256: str, data: bytes) -> None:
        raise BlobsUnreachable(f"blob {sha256} cannot be written: {self._why}", final=True)

    async def get(self, sha256: str) -> bytes:
        raise BlobsUnreachable(
            f"blob {sha256} cannot be read: {self._why} here; the run was started with a store: set"
            " EXTERNAL_STORAGE (and ATXP_API_KEY for `gateway`) as its worker has it",
            final=True,
        )


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def verified(sha256: str, data: bytes, place: str) -> bytes:
    """The data, if it has this hash. Raises `BlobMissing`."""
    if digest(data) != sha256:
        raise BlobMissing(f"blob {sha256} in {place} is damaged: its bytes have another hash")
    return data


def missing(sha256: str, place: str) -> BlobMissing:
    return BlobMissing(
        f"there is no blob {sha256} in {place}: it expired or was removed, or EXTERNAL_STORAGE"
        " named another store when it was written"
    )


async def patiently(work: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Tries until it succeeds, with growing pauses, for this many seconds at most.

    Raises `BlobMissing` at once, and the last `BlobsUnreachable`.
    """
    until = time.monotonic() + seconds
    pause = FIRST_PAUSE
    while True:
        try:
            return await work()
        except BlobsUnreachable as error:
            if error.final or time.monotonic() + pause >= until:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
