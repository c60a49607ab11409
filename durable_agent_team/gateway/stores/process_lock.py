"""Which gateway processes live: each holds an exclusive lock on a file beside the database.

The kernel drops the lock the moment a process dies, in whatever way, so nobody has to guess from
clocks whether the reservations of another process are still somebody's.
"""

import fcntl
import os
import uuid
from pathlib import Path


class ProcessLock:
    """This process' name in the database, and the lock that proves it alive."""

    def __init__(self, database: Path) -> None:
        self._folder = database.with_name(database.name + ".owners")
        self._folder.mkdir(parents=True, exist_ok=True)
        self.id = uuid.uuid4().hex
        self._lock = self._take()

    def _path(self, owner: str) -> Path:
        return self._folder / owner

    def _take(self) -> int:
        """A file can be swept away between its making and its locking: then once more."""
        while True:
            lock = os.open(self._path(self.id), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.fstat(lock).st_nlink:
                return lock
            os.close(lock)

    def dead(self, owners: set[str]) -> set[str]:
        """Those of `owners` whose process is gone."""
        return {owner for owner in owners if owner != self.id and self._is_dead(owner)}

    def _is_dead(self, owner: str, *, remove: bool = False) -> bool:
        try:
            lock = os.open(self._path(owner), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if remove:
                self._path(owner).unlink(missing_ok=True)
        except BlockingIOError:
            return False
        finally:
            os.close(lock)
        return True

    def sweep(self) -> None:
        """Removes the files of dead processes."""
        for path in self._folder.iterdir():
            if path.name != self.id:
                self._is_dead(path.name, remove=True)

    def close(self) -> None:
        self._path(self.id).unlink(missing_ok=True)
        os.close(self._lock)
