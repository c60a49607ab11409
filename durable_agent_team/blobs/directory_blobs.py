"""Blobs as files in a directory, which all workers and clients must see."""

import asyncio
import os
import uuid
from pathlib import Path

from durable_agent_team.blobs.store import BlobsUnreachable, missing, verified


class DirectoryBlobs:
    """Implements `BlobStore`. A file appears under its hash once it is complete and on disk.

    Nothing expires: the owner of the directory removes old files, by their time of modification,
    which each use renews.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._was_there = folder.is_dir()

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
            self._make(path.parent)
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
            if self._was_there and not self._folder.is_dir():
                raise self._unreachable("read", sha256, error) from None
            raise missing(sha256, self.place) from None
        except OSError as error:
            raise self._unreachable("read", sha256, error) from None
        self._was_there = True
        return verified(sha256, data, self.place)

    def _make(self, folder: Path) -> None:
        """Makes a folder of the store. The directory itself only where this process has never seen
        it: while one is away (removed, or not mounted), what is written to a new one in its place
        is lost when it is back."""
        folder.mkdir(parents=not self._was_there, exist_ok=True)
        self._was_there = True

    def _unreachable(self, done: str, sha256: str, error: OSError) -> BlobsUnreachable:
        reason = error.strerror or type(error).__name__
        return BlobsUnreachable(f"blob {sha256} cannot be {done} in {self.place}: {reason}")


def _sync(folder: Path) -> None:
    """Makes a new name in the folder durable."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
