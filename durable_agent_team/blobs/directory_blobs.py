"""Blobs as files in a directory, which all workers and clients must see."""

import asyncio
import os
import uuid
from pathlib import Path

from durable_agent_team.blobs.store import BlobsUnreachable, missing, verified


class DirectoryBlobs:
    """Implements `BlobStore`. A file appears under its hash once it is complete and on disk.

    The directory itself is never made: one that is not there may be away (not mounted), and what
    was written to a new one in its place would be lost when it is back.

    Nothing expires: the owner of the directory removes old files, by their time of modification,
    which each use renews.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        return f"the directory {self._folder}"

    async def put(self, sha256: str, data: bytes) -> None:
        await asyncio.to_thread(self._put, sha256, data)

    async def get(self, sha256: str) -> bytes:
        return await asyncio.to_thread(self._get, sha256)

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def _put(self, sha256: str, data: bytes) -> None:
        path = self._path(sha256)
        fresh = path.with_name(f".{sha256}.{uuid.uuid4().hex}")
        try:
            if path.exists():
                os.utime(path)
                return
            path.parent.mkdir(exist_ok=True)
            try:
                with os.fdopen(
                    os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
                ) as f:
                    f.write(data)
                    f.flush()
                    os.fsync(f.fileno())
                fresh.replace(path)
            finally:
                fresh.unlink(missing_ok=True)
            _sync(path.parent)
        except OSError as error:
            raise self._unreachable("written", sha256, error) from None

    def _get(self, sha256: str) -> bytes:
        path = self._path(sha256)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            if not self._folder.is_dir():
                raise self._unreachable("read", sha256, error) from None
            raise missing(sha256, self.place) from None
        except OSError as error:
            raise self._unreachable("read", sha256, error) from None
        return verified(sha256, data, self.place)

    def _unreachable(self, done: str, sha256: str, error: OSError) -> BlobsUnreachable:
        reason = error.strerror or type(error).__name__
        if isinstance(error, FileNotFoundError):
            reason = "there is no such directory; make it, or mount it"
        return BlobsUnreachable(f"blob {sha256} cannot be {done} in {self.place}: {reason}")


def _sync(folder: Path) -> None:
    """Makes a new name in the folder durable."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
